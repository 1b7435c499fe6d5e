/**
 * The WebSocket below a stream: what goes out waits for room, and a lost connection is made anew.
 *
 * @import { Ready, ServerMessage } from "./protocol.d.ts"
 */
import type { Ready, ServerMessage } from "./protocol.d.ts";
/** What went wrong; `code` is one of the table in docs/protocol.md, or "no_connection". */
export declare class InkstreamError extends Error {
    code: string;
    /**
     * @param {string} code stable, for programs
     * @param {string} message what came and what is allowed, for people
     */
    constructor(code: string, message: string);
}
export type Listener = {
    /**
     * a message that is not `ready`
     */
    hear: (message: ServerMessage) => void;
    /**
     * whether the server still has something to answer
     */
    isOwed: () => boolean;
    /**
     * what is not answered yet never will be
     */
    lost: (error: InkstreamError) => void;
    /**
     * for another try
     */
    waits: (error: InkstreamError, retryMs: number) => void;
    /**
     * a new session begins
     */
    again: (ready: Ready) => void;
    /**
     * nothing more will come
     */
    over: (error: InkstreamError | undefined) => void;
};
export type Outgoing = {
    data: string | Uint8Array<ArrayBuffer>;
    sent: () => void;
    lost: (error: InkstreamError) => void;
};
/**
 * @typedef {object} Listener
 * @property {(message: ServerMessage) => void} hear a message that is not `ready`
 * @property {() => boolean} isOwed whether the server still has something to answer
 * @property {(error: InkstreamError) => void} lost what is not answered yet never will be
 * @property {(error: InkstreamError, retryMs: number) => void} waits for another try
 * @property {(ready: Ready) => void} again a new session begins
 * @property {(error: InkstreamError | undefined) => void} over nothing more will come
 */
/**
 * @typedef {object} Outgoing what waits to be sent
 * @property {string | Uint8Array<ArrayBuffer>} data
 * @property {() => void} sent
 * @property {(error: InkstreamError) => void} lost
 */
export declare class Connection {
    #private;
    /**
     * @param {string} url
     * @param {string[]} protocols
     * @param {boolean} reconnect
     * @param {number} silenceMs for which a server may say nothing that owes an answer
     * @param {Listener} listener
     */
    constructor(url: string, protocols: string[], reconnect: boolean, silenceMs: number, listener: Listener);
    /**
     * Connect.
     *
     * @returns {Promise<Ready>} what the server says first
     * @throws {InkstreamError} its refusal, or "no_connection" if nobody answers
     */
    open(): Promise<Ready>;
    /**
     * Send when there is room, in the order of the calls.
     *
     * @param {string | Uint8Array<ArrayBuffer>} data
     * @returns {Promise<void>} when it is on its way
     */
    send(data: string | Uint8Array<ArrayBuffer>): Promise<void>;
    /**
     * Something is owed that was asked for. A network that fails tells nobody: a server that says
     * nothing for too long counts as lost.
     */
    awaitAnswer(): void;
    /** Close at once. */
    close(): void;
}
/** @param {string} message */
export declare function noConnection(message: string): InkstreamError;

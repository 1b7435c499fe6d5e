/**
 * Sends the messages of a line over a WebSocket, waits while its buffer is full, and opens another one when it is
 * lost.
 *
 * @import { Id, Ready, ServerMessage } from "./protocol.d.ts"
 * @import { LineLog } from "./line_log.js"
 */
import type { Id, Ready, ServerMessage } from "./protocol.d.ts";
import type { LineLog } from "./line_log.js";
/** An error of the server or of the connection. */
export declare class InkstreamError extends Error {
    code: string;
    /**
     * @param {string} code for programs: a code of docs/errors.md, "no_connection" or "not_resumable"
     * @param {string} message for people: what came and what is allowed
     */
    constructor(code: string, message: string);
}
export type Settings = {
    url: string;
    protocols: string[];
    /**
     * for how long to try to replace a lost connection
     */
    reconnectMs: number;
    /**
     * how long the server may send nothing while an answer is due
     */
    answerTimeoutMs: number;
};
export type Listener = {
    /**
     * a connection is open
     */
    onReady: (ready: Ready) => void;
    /**
     * another message has come
     */
    onMessage: (message: ServerMessage) => void;
    /**
     * return whether a request is still unanswered
     */
    isAwaitingAnswer: () => boolean;
    /**
     * connect again after the delay
     */
    onRetry: (error: InkstreamError, delayMs: number) => void;
    /**
     * the connection has ended for good
     */
    onEnd: (error: InkstreamError | undefined) => void;
};
/**
 * @typedef {object} Settings
 * @property {string} url
 * @property {string[]} protocols
 * @property {number} reconnectMs for how long to try to replace a lost connection
 * @property {number} answerTimeoutMs how long the server may send nothing while an answer is due
 */
/**
 * @typedef {object} Listener
 * @property {(ready: Ready) => void} onReady a connection is open
 * @property {(message: ServerMessage) => void} onMessage another message has come
 * @property {() => boolean} isAwaitingAnswer return whether a request is still unanswered
 * @property {(error: InkstreamError, delayMs: number) => void} onRetry connect again after the delay
 * @property {(error: InkstreamError | undefined) => void} onEnd the connection has ended for good
 */
export declare class Connection {
    #private;
    /** @param {Settings} settings @param {LineLog} log @param {Listener} listener */
    constructor(settings: Settings, log: LineLog, listener: Listener);
    /** Connect; `onReady` or `onEnd` is called. */
    open(): void;
    /**
     * Send a message as soon as the buffer has room, in the order of the calls.
     *
     * @param {string | Uint8Array<ArrayBuffer>} data
     * @param {string} type
     * @param {Id} [id]
     * @returns {Promise<void>} resolves when the message is in the WebSocket's buffer
     */
    send(data: string | Uint8Array<ArrayBuffer>, type: string, id?: Id): Promise<void>;
    /**
     * Start the timeout for the server's next message, unless it runs already. A broken network raises
     * no event, so a server that sends nothing for too long while an answer is due counts as lost.
     */
    startAnswerTimer(ms?: number): void;
    /** Count the lost connection as replaced. */
    settle(): void;
    /** End the connection for good. @param {InkstreamError} [error] why, unless the program ends it */
    end(error?: InkstreamError): void;
}

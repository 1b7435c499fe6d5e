/**
 * The WebSocket of a stream: queues messages while the socket's buffer is full, and reconnects.
 *
 * @import { Ready, ServerMessage } from "./protocol.d.ts"
 */
import type { Ready, ServerMessage } from "./protocol.d.ts";
/** An error of the server or of the connection. */
export declare class InkstreamError extends Error {
    code: string;
    /**
     * @param {string} code for programs: a code of the table in docs/protocol.md, or "no_connection"
     * @param {string} message for people: what came and what is allowed
     */
    constructor(code: string, message: string);
}
export type Listener = {
    /**
     * a message other than `ready` has come
     */
    onMessage: (message: ServerMessage) => void;
    /**
     * return whether a request is still unanswered
     */
    isAwaitingAnswer: () => boolean;
    /**
     * the connection is lost; reject the open requests
     */
    onLost: (error: InkstreamError) => void;
    /**
     * connect again after the delay
     */
    onRetry: (error: InkstreamError, delayMs: number) => void;
    /**
     * a new session has begun
     */
    onReconnect: (ready: Ready) => void;
    /**
     * the connection has ended for good
     */
    onEnd: (error: InkstreamError | undefined) => void;
};
export type QueuedMessage = {
    data: string | Uint8Array<ArrayBuffer>;
    /**
     * called when the message is in the WebSocket's buffer
     */
    resolve: () => void;
    /**
     * called when the message cannot be sent
     */
    reject: (error: InkstreamError) => void;
};
/**
 * @typedef {object} Listener
 * @property {(message: ServerMessage) => void} onMessage a message other than `ready` has come
 * @property {() => boolean} isAwaitingAnswer return whether a request is still unanswered
 * @property {(error: InkstreamError) => void} onLost the connection is lost; reject the open requests
 * @property {(error: InkstreamError, delayMs: number) => void} onRetry connect again after the delay
 * @property {(ready: Ready) => void} onReconnect a new session has begun
 * @property {(error: InkstreamError | undefined) => void} onEnd the connection has ended for good
 */
/**
 * @typedef {object} QueuedMessage
 * @property {string | Uint8Array<ArrayBuffer>} data
 * @property {() => void} resolve called when the message is in the WebSocket's buffer
 * @property {(error: InkstreamError) => void} reject called when the message cannot be sent
 */
export declare class Connection {
    #private;
    /**
     * @param {string} url
     * @param {string[]} protocols
     * @param {boolean} reconnect
     * @param {number} answerTimeoutMs how long the server may send nothing while an answer is due
     * @param {Listener} listener
     */
    constructor(url: string, protocols: string[], reconnect: boolean, answerTimeoutMs: number, listener: Listener);
    /**
     * Connect.
     *
     * @returns {Promise<Ready>} the server's first message
     * @throws {InkstreamError} the server's error, or "no_connection" if the server does not answer
     */
    open(): Promise<Ready>;
    /**
     * Send a message as soon as the buffer has room, in the order of the calls.
     *
     * @param {string | Uint8Array<ArrayBuffer>} data
     * @returns {Promise<void>} resolves when the message is in the WebSocket's buffer
     */
    send(data: string | Uint8Array<ArrayBuffer>): Promise<void>;
    /**
     * Start the timeout for the server's next message, unless it runs already. A broken network raises
     * no event, so a server that sends nothing for too long while an answer is due counts as lost.
     */
    startAnswerTimer(): void;
    /** Close the connection at once. */
    close(): void;
}

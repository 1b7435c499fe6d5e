/**
 * The WebSocket of a stream: queues messages while the socket's buffer is full or the connection is lost,
 * and connects again.
 *
 * @import { Id, Ready, ServerMessage } from "./protocol.d.ts"
 */
import type { Id, Ready, ServerMessage } from "./protocol.d.ts";
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
     * a message is in the WebSocket's buffer now
     */
    onSend: (message: QueuedMessage) => void;
    /**
     * return whether a request is still unanswered
     */
    isAwaitingAnswer: () => boolean;
    /**
     * return whether the line can go on over another connection
     */
    canResume: () => boolean;
    /**
     * the connection is lost
     */
    onLost: (error: InkstreamError) => void;
    /**
     * connect again after the delay
     */
    onRetry: (error: InkstreamError, delayMs: number) => void;
    /**
     * go on with the line over a new connection
     */
    onReconnect: (ready: Ready) => Promise<void>;
    /**
     * the connection has ended for good
     */
    onEnd: (error: InkstreamError | undefined) => void;
};
export type Loss = {
    error: InkstreamError;
    /**
     * to replace it, so far
     */
    attempts: number;
    /**
     * when the last one may begin
     */
    endMs: number;
};
export type QueuedMessage = {
    data: string | Uint8Array<ArrayBuffer>;
    type: string;
    id: Id;
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
 * @property {(message: QueuedMessage) => void} onSend a message is in the WebSocket's buffer now
 * @property {() => boolean} isAwaitingAnswer return whether a request is still unanswered
 * @property {() => boolean} canResume return whether the line can go on over another connection
 * @property {(error: InkstreamError) => void} onLost the connection is lost
 * @property {(error: InkstreamError, delayMs: number) => void} onRetry connect again after the delay
 * @property {(ready: Ready) => Promise<void>} onReconnect go on with the line over a new connection
 * @property {(error: InkstreamError | undefined) => void} onEnd the connection has ended for good
 */
/**
 * The loss of a connection.
 *
 * @typedef {object} Loss
 * @property {InkstreamError} error
 * @property {number} attempts to replace it, so far
 * @property {number} endMs when the last one may begin
 */
/**
 * @typedef {object} QueuedMessage
 * @property {string | Uint8Array<ArrayBuffer>} data
 * @property {string} type
 * @property {Id} id
 * @property {() => void} resolve called when the message is in the WebSocket's buffer
 * @property {(error: InkstreamError) => void} reject called when the message cannot be sent
 */
export declare class Connection {
    #private;
    /**
     * @param {string} url
     * @param {string[]} protocols
     * @param {number} reconnectMs for how long to try to replace a lost connection
     * @param {number} answerTimeoutMs how long the server may send nothing while an answer is due
     * @param {Listener} listener
     */
    constructor(url: string, protocols: string[], reconnectMs: number, answerTimeoutMs: number, listener: Listener);
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
     * @param {string} type
     * @param {Id} [id]
     * @returns {Promise<void>} resolves when the message is in the WebSocket's buffer
     */
    send(data: string | Uint8Array<ArrayBuffer>, type: string, id?: Id): Promise<void>;
    /** Send a message at once, before those that wait. @param {string | Uint8Array<ArrayBuffer>} data */
    sendNow(data: string | Uint8Array<ArrayBuffer>): void;
    /** Leave a server that is about to stop, after a moment or now. @param {string} reason @param {boolean} now */
    leave(reason: string, now: boolean): void;
    /**
     * Start the timeout for the server's next message, unless it runs already. A broken network raises
     * no event, so a server that sends nothing for too long while an answer is due counts as lost.
     */
    startAnswerTimer(): void;
    /** Close the connection at once. */
    close(): void;
}

/**
 * Client of inkstream for browsers and Node 22: sends writing and receives the text as it is read.
 *
 *     const stream = await connect("http://127.0.0.1:8000", { model: "lines" });
 *     await stream.ink([{ id: 1, points: [[12, 20], [14, 61]] }], 120);
 *     await stream.end();
 *     for await (const message of stream) {
 *       if (message.type === "result") console.log(message.text);
 *     }
 *
 * Messages are sent in the order of the calls. Await each call if you send much: it resolves when the
 * message is on its way, so it slows you down when the network or the server is behind. A message that the
 * server refuses later comes as an `error`; where nothing iterates, it rejects `end`. A lost connection
 * is replaced, and the line goes on where it was: no message is missing or comes twice. Messages of the
 * server wait until you iterate over them. If more than 255 wait, a newer result replaces an older one;
 * no other message is left out. docs/protocol.md describes the messages.
 *
 * @import { Configured, Done, Flushed, Id, Point, Ready, ResetDone, Rewound, ServerMessage, SessionOptions,
 *   Stroke } from "./protocol.d.ts"
 */
import type { Configured, Done, Flushed, Id, Ready, ResetDone, Rewound, ServerMessage, SessionOptions, Stroke } from "./protocol.d.ts";
import { InkstreamError } from "./connection.js";
export { InkstreamError };
export declare const PROTOCOL = "inkstream.v1";
export type ConnectOptions = {
    /**
     * name of the model; by default the server's first one
     */
    model?: string;
    /**
     * API key, if the server requires one
     */
    key?: string;
    /**
     * whether the line goes on over another connection if this one is lost; by
     * default true
     */
    reconnect?: boolean;
    /**
     * for how long to try that; by default 60,000
     */
    reconnect_timeout_ms?: number;
    /**
     * after this time without a message a server that owes an answer
     * counts as lost; by default 20,000
     */
    answer_timeout_ms?: number;
};
export type Disconnected = {
    type: "disconnected";
    error: InkstreamError;
    retry_ms: number;
};
export type Reconnected = {
    type: "reconnected";
    ready: Ready;
};
export type Message = ServerMessage | Disconnected | Reconnected;
export type Promised = {
    resolve: (value: any) => void;
    reject: (error: InkstreamError) => void;
};
export type PendingRequest = Promised & {
    type: string;
};
/**
 * @typedef {object} ConnectOptions
 * @property {string} [model] name of the model; by default the server's first one
 * @property {string} [key] API key, if the server requires one
 * @property {boolean} [reconnect] whether the line goes on over another connection if this one is lost; by
 *   default true
 * @property {number} [reconnect_timeout_ms] for how long to try that; by default 60,000
 * @property {number} [answer_timeout_ms] after this time without a message a server that owes an answer
 *   counts as lost; by default 20,000
 */
/**
 * The connection is lost. The client connects again after a delay.
 * @typedef {{ type: "disconnected", error: InkstreamError, retry_ms: number }} Disconnected
 */
/**
 * The line goes on over another connection, with all that was written; `ready` is the first message there.
 * @typedef {{ type: "reconnected", ready: Ready }} Reconnected
 */
/** @typedef {ServerMessage | Disconnected | Reconnected} Message */
/** @typedef {{ resolve: (value: any) => void, reject: (error: InkstreamError) => void }} Promised */
/** @typedef {Promised & { type: string }} PendingRequest */
/**
 * Open a stream.
 *
 * @param {string | URL} url address of the server, http or ws, with the path under which a proxy serves it
 * @param {ConnectOptions} [options]
 * @returns {Promise<Stream>} resolves when the server is ready
 * @throws {InkstreamError} the server's error, or "no_connection" if the server does not answer
 */
export declare function connect(url: string | URL, options?: ConnectOptions): Promise<Stream>;
/** A session with the server. `connect` opens one. */
export declare class Stream {
    #private;
    /** Use `connect` instead. @param {string} url @param {ConnectOptions} options @param {Promised} opening */
    constructor(url: string, options: ConnectOptions, opening: Promised);
    /** The server's first message: session, model, labels, column height, limits. */
    get ready(): Ready;
    /**
     * Send columns.
     *
     * @param {Uint8Array} pixels n columns of `ready.column_height` bytes, oldest first, each from top to
     *   bottom, 0 = paper, 255 = ink
     * @returns {Promise<void>} resolves when all are on their way
     */
    columns(pixels: Uint8Array): Promise<void>;
    /**
     * Send strokes of a pen, or parts of them.
     *
     * @param {readonly Stroke[]} strokes points with x to the right and y downwards
     * @param {number} height of the writing's frame, in the units of the points; one height for a line
     * @param {{ pause?: boolean, fit?: boolean, undo?: Id }} [options] pause: the pen rests, so read the
     *   columns that it still touches too; fit: if the ink is small in its frame or goes beyond it, choose
     *   another frame and read the line again; undo: id of a stroke to remove first
     * @returns {Promise<void>} resolves when all are on their way
     */
    ink(strokes: readonly Stroke[], height: number, { pause, fit, undo }?: {
        pause?: boolean;
        fit?: boolean;
        undo?: Id;
    }): Promise<void>;
    /** Remove a stroke. @param {number | string} stroke its id @returns {Promise<void>} */
    undo(stroke: number | string): Promise<void>;
    /** Read the columns that a resting pen still touches. @param {{ fit?: boolean }} [options] see `ink` */
    pause({ fit }?: {
        fit?: boolean;
    }): Promise<void>;
    /** Decide everything that is still open. @returns {Promise<Flushed>} */
    flush(): Promise<Flushed>;
    /** Start a new line at column 0. @returns {Promise<ResetDone>} */
    reset(): Promise<ResetDone>;
    /** Forget `column` and all columns after it. @param {number} column @returns {Promise<Rewound>} */
    rewind(column: number): Promise<Rewound>;
    /** Change options of the session. @param {SessionOptions} options @returns {Promise<Configured>} */
    configure(options: SessionOptions): Promise<Configured>;
    /** Measure the round trip to the server. @returns {Promise<number>} milliseconds */
    ping(): Promise<number>;
    /**
     * Flush and end the session; iterating then stops after `done`.
     *
     * @returns {Promise<Done>}
     * @throws {InkstreamError} why the server refused a message before, if nothing iterates
     */
    end(): Promise<Done>;
    /** Close the connection at once and reject all unanswered requests. */
    close(): void;
    /**
     * Iterate over the messages, in order, until the stream ends.
     *
     * @returns {AsyncGenerator<Message, void, void>}
     * @throws {InkstreamError} if the server or the network ends the stream
     */
    [Symbol.asyncIterator](): AsyncGenerator<Message, void, void>;
}

/**
 * Client of inkstream for browsers and Node 22: reads handwriting while it is being written.
 *
 *     const stream = await connect("http://127.0.0.1:8000", { model: "lines" });
 *     await stream.ink([{ id: 1, points: [[12, 20], [14, 61]] }], 120);
 *     for await (const message of stream) {
 *       if (message.type === "result") console.log(message.text);
 *     }
 *
 * What is sent goes out in order; who sends much awaits it, and so is held while the network or the
 * server is behind. Messages wait until they are iterated; where many wait, a newer result takes the
 * place of an older one, and nothing else is ever left out. docs/protocol.md says what they mean.
 *
 * @import { Choices, Configured, Done, Flushed, Id, Ready, ResetDone, Rewound, ServerMessage,
 *   Stroke } from "./protocol.d.ts"
 */
import type { Choices, Configured, Done, Flushed, Id, Ready, ResetDone, Rewound, ServerMessage, Stroke } from "./protocol.d.ts";
import { InkstreamError } from "./connection.js";
export { InkstreamError };
export declare const PROTOCOL = "inkstream.v1";
export type Options = {
    /**
     * which of the server's models; its first where absent
     */
    model?: string;
    /**
     * API key, where the server wants one
     */
    key?: string;
    /**
     * whether a lost connection is made anew, as a new session
     */
    reconnect?: boolean;
    /**
     * after which a server that owes an answer counts as lost; else 20,000
     */
    silence_ms?: number;
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
export type Asked = {
    answered: (answer: any) => void;
    lost: (error: InkstreamError) => void;
};
/**
 * @typedef {object} Options
 * @property {string} [model] which of the server's models; its first where absent
 * @property {string} [key] API key, where the server wants one
 * @property {boolean} [reconnect] whether a lost connection is made anew, as a new session
 * @property {number} [silence_ms] after which a server that owes an answer counts as lost; else 20,000
 */
/**
 * The connection is lost; it is tried again in a while.
 * @typedef {{ type: "disconnected", error: InkstreamError, retry_ms: number }} Disconnected
 */
/**
 * A new session begins: of what was written before it knows nothing, nor of choices.
 * @typedef {{ type: "reconnected", ready: Ready }} Reconnected
 */
/** @typedef {ServerMessage | Disconnected | Reconnected} Message */
/**
 * @typedef {object} Asked what waits for an answer
 * @property {(answer: any) => void} answered
 * @property {(error: InkstreamError) => void} lost
 */
/**
 * Open a stream.
 *
 * @param {string | URL} url the server, as http or ws; below a path where it is served there
 * @param {Options} [options]
 * @returns {Promise<Stream>} once the server said `ready`
 * @throws {InkstreamError} the server's refusal, or "no_connection" if nobody answers
 */
export declare function connect(url: string | URL, options?: Options): Promise<Stream>;
/** A conversation with the server; `connect` opens one. */
export declare class Stream {
    #private;
    /** `connect` makes one. @param {string} url @param {Options} options */
    constructor(url: string, { key, reconnect, silence_ms }: Options);
    /** Connect, and wait for `ready`. */
    _open(): Promise<void>;
    /** What the server said first: session, model, labels, column height, limits. */
    get ready(): Ready;
    /**
     * Send columns.
     *
     * @param {Uint8Array} pixels n columns of `ready.column_height` bytes, oldest first, top to bottom,
     *   0 = paper, 255 = ink
     * @returns {Promise<void>} when they are on their way
     */
    columns(pixels: Uint8Array): Promise<void>;
    /**
     * Send strokes of a pen, or pieces of them.
     *
     * @param {readonly Stroke[]} strokes x to the right and y downwards
     * @param {number} height of the writing's frame in the same units; the same for the whole line
     * @param {{ pause?: boolean, fit?: boolean, undo?: Id }} [more] whether the pen rests, so that what
     *   it still touches is read too; whether a line that is small in its frame, or goes beyond it, is
     *   read anew in one that it fills; the id of a stroke that is taken back first
     * @returns {Promise<void>} when they are on their way
     */
    ink(strokes: readonly Stroke[], height: number, { pause, fit, undo }?: {
        pause?: boolean;
        fit?: boolean;
        undo?: Id;
    }): Promise<void>;
    /** Take the stroke of that id back. @param {number | string} stroke @returns {Promise<void>} */
    undo(stroke: number | string): Promise<void>;
    /** Have read what the pen still touches: it rests. @param {{ fit?: boolean }} [more] see `ink` */
    pause({ fit }?: {
        fit?: boolean;
    }): Promise<void>;
    /** Have all that is open decided. @returns {Promise<Flushed>} */
    flush(): Promise<Flushed>;
    /** Start a new line at column 0. @returns {Promise<ResetDone>} */
    reset(): Promise<ResetDone>;
    /** Forget `column` and all after it. @param {number} column @returns {Promise<Rewound>} */
    rewind(column: number): Promise<Rewound>;
    /** Change some choices from here on. @param {Choices} choices @returns {Promise<Configured>} */
    configure(choices: Choices): Promise<Configured>;
    /** Wait for the server's sign of life. @returns {Promise<number>} milliseconds there and back */
    ping(): Promise<number>;
    /** End the stream in good order. @returns {Promise<Done>} */
    end(): Promise<Done>;
    /** Close the connection at once; what was not answered never will be. */
    close(): void;
    /**
     * The messages, in order, to the end of the stream.
     *
     * @returns {AsyncGenerator<Message, void, void>}
     * @throws {InkstreamError} where the stream does not end as it should
     */
    [Symbol.asyncIterator](): AsyncGenerator<Message, void, void>;
}

/**
 * Reads the rows of `<ink-pad>`, one after another, over one stream that is opened when it is needed.
 *
 * @import { Point, SessionOptions, Word } from "./protocol.d.ts"
 * @import { Message, Stream } from "./inkstream.js"
 * @import { PadStroke } from "./field_paper.js"
 */
import type { SessionOptions, Word } from "./protocol.d.ts";
import type { Stream } from "./inkstream.js";
import type { PadStroke } from "./field_paper.js";
import { InkstreamError } from "./inkstream.js";
declare class Row {
    /** @type {PadStroke[]} */
    strokes: PadStroke[];
    text: string;
    /** @type {Word[]} */
    words: Word[];
    isWaiting: boolean;
    nFlushes: number;
    get isRead(): boolean;
    /** Whether the pen writes in it. */
    get isLive(): boolean;
}
export type Begun = {
    row: Row;
    isQuiet: boolean;
};
export type Listener = {
    connect: () => Promise<Stream>;
    /**
     * for the next row; if some are refused, the others hold
     */
    options: (stream: Stream) => SessionOptions[];
    /**
     * something was read, or cannot be read now
     */
    onChange: () => void;
    onError: (error: InkstreamError) => void;
};
/** A row that is read from its beginning; if it was read before, its text stays until it is decided.
 * @typedef {{ row: Row, isQuiet: boolean }} Begun */
/**
 * @typedef {object} Listener
 * @property {() => Promise<Stream>} connect
 * @property {(stream: Stream) => SessionOptions[]} options for the next row; if some are refused, the others hold
 * @property {() => void} onChange something was read, or cannot be read now
 * @property {(error: InkstreamError) => void} onError
 */
export declare class FieldReader {
    #private;
    /** @type {Row[]} */
    rows: Row[];
    /** Height of a row, CSS pixels. */
    height: number;
    /** @param {Listener} listener */
    constructor(listener: Listener);
    /** Whether all ink was read and decided. */
    get isRead(): boolean;
    /** Whether text may still come. */
    get isReading(): boolean;
    /** Connect, unless it was done; receive messages, and connect again when the stream ends. */
    open(): Promise<void>;
    close(): void;
    /** Have empty rows. @param {number} count */
    begin(count: number): void;
    /** Read other ink, or the same with other points. @param {readonly PadStroke[]} strokes */
    read(strokes: readonly PadStroke[]): void;
    /** Decide all that was written. */
    decide(): void;
}
/**
 * Return other readings of a row, each of which differs in one word, the likeliest first.
 *
 * @param {{ text: string, words: readonly Word[] }} row
 * @returns {{ word: string, text: string }[]}
 */
export declare function otherReadings({ text, words }: {
    text: string;
    words: readonly Word[];
}): {
    word: string;
    text: string;
}[];
export {};

/**
 * What the client keeps of its line, to go on with it on another connection: every message since the
 * line's beginning, and the newest snapshot. On another connection it gives the messages that the session
 * there lacks, and leaves out of the answers what was heard before: every result once for its epoch and
 * column, every event once for its id and content. docs/protocol.md describes how a line is resumed.
 *
 * @import { Id, Letter, Rewound, ServerMessage, SessionOptions, Snapshot, Word } from "./protocol.d.ts"
 */
import type { Id, Letter, ServerMessage, Word } from "./protocol.d.ts";
/** The `id` of the log's own messages; the program's ids are numbers. */
export declare const OWN_ID = "resume";
export type Data = string | Uint8Array<ArrayBuffer>;
export type DecidedEvent = Letter | Word;
export type Events = Map<string, DecidedEvent>;
export type Entry = {
    type: string;
    id: Id;
    data: Data;
    /**
     * among the messages of the present connection, as the server counts
     */
    index: number;
};
/** @typedef {string | Uint8Array<ArrayBuffer>} Data */
/** @typedef {Letter | Word} DecidedEvent */
/** Events by kind and id, in the order in which they were decided. @typedef {Map<string, DecidedEvent>} Events */
/**
 * A message that was sent.
 *
 * @typedef {object} Entry
 * @property {string} type
 * @property {Id} id
 * @property {Data} data
 * @property {number} index among the messages of the present connection, as the server counts
 */
export declare class LineLog {
    #private;
    /** Whether the messages reach back to the line's beginning. */
    isWhole: boolean;
    /** @param {number} columnHeight */
    constructor(columnHeight: number);
    /** Return the message that sets the options at the line's beginning. */
    options(): string;
    /** Return a message whose answer says that everything before it is answered. */
    ping(): string;
    /** Keep a message that is sent now. @param {Data} data @param {string} type @param {Id} id */
    add(data: Data, type: string, id: Id): void;
    get hasSnapshot(): boolean;
    /** Whether the line can go on elsewhere. */
    get canResume(): boolean;
    /** Count the messages of another connection, and take what comes as heard before. */
    beginAgain(): void;
    /** Return the message that resumes from the snapshot, or else from the line's beginning. */
    resume(): string;
    /** Go on from the line's beginning: the server has refused the snapshot. */
    forgetSnapshot(): void;
    /** Yield the messages that the session lacks, to be sent in this order. */
    newer(): Generator<Data, void, unknown>;
    /**
     * Return what the program is to be told: nothing if it has heard the message before.
     *
     * @param {ServerMessage} message
     * @returns {ServerMessage[]}
     */
    receive(message: ServerMessage): ServerMessage[];
    /**
     * Compare the events of the resumed session with those that the program knows.
     *
     * @returns {ServerMessage[]} the new ones; if others have changed, behind a `rewound` that withdraws them
     */
    catchUp(): ServerMessage[];
}
export type Position = {
    epoch: number;
    column: number;
};

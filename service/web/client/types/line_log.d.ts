/**
 * The messages of a line, sent or waiting to be sent, and what else another connection needs to go on with the
 * line. docs/protocol.md describes how a line is resumed.
 *
 * @import { Id, Ready, ServerMessage, SessionOptions, Snapshot } from "./protocol.d.ts"
 */
import type { Id, Ready, ServerMessage } from "./protocol.d.ts";
export type Entry = {
    type: string;
    id: Id;
    data: string | Uint8Array<ArrayBuffer>;
    /**
     * called when the message is sent
     */
    resolve: () => void;
    /**
     * called when it cannot be sent
     */
    reject: (error: Error) => void;
};
/**
 * @typedef {object} Entry
 * @property {string} type
 * @property {Id} id
 * @property {string | Uint8Array<ArrayBuffer>} data
 * @property {() => void} resolve called when the message is sent
 * @property {(error: Error) => void} reject called when it cannot be sent
 */
export declare class LineLog {
    #private;
    /** @param {number} maxBytes of messages that are kept after they were sent; with 0 no line can be resumed */
    constructor(maxBytes: number);
    /** Whether the line can go on over another connection. */
    get canResume(): boolean;
    /** Whether a message can be sent. */
    get isWaiting(): boolean;
    /** @param {Entry} entry */
    add(entry: Entry): void;
    /** Return the first message of a connection. Pings that were not sent are dropped. @param {Ready} ready */
    resume({ model, column_height }: Ready): string;
    /** Return the message to send now, if there is one, and count it as sent. */
    take(): string | Uint8Array<ArrayBuffer> | undefined;
    /** Have no message sent any more. @param {Error} error */
    close(error: Error): void;
    /** Take a message; return whether the line goes on. @param {ServerMessage} message */
    receive(message: ServerMessage): boolean;
}

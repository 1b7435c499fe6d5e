/**
 * The messages of a line, sent or waiting to be sent, and what else another connection needs to go on with the
 * line. docs/protocol.md describes how a line is resumed.
 *
 * @import { Id, Ready, ServerMessage, SessionOptions, Snapshot } from "./protocol.d.ts"
 */

const SNAPSHOT_COLUMNS = 512; // between two snapshots, unless the program chooses otherwise

/**
 * @typedef {object} Entry
 * @property {string} type
 * @property {Id} id
 * @property {string | Uint8Array<ArrayBuffer>} data
 * @property {() => void} resolve called when the message is sent
 * @property {(error: Error) => void} reject called when it cannot be sent
 */

export class LineLog {
  #maxBytes;
  /** The line's messages without the first `#nForgotten`, and pings until they are sent. @type {Entry[]} */
  #entries = [];
  #nForgotten = 0;
  #nBytes = 0; // of the line's messages
  #next = 0; // index of the entry to send next; Infinity until `resumed` tells it
  #columnHeight = 0;
  #digest = ""; // of the model that is connected
  #heard = { seq: 0, digest: "" }; // the newest number, and of which model
  /** @type {Snapshot | null} */
  #snapshot = null;
  /** @type {SessionOptions} */
  #options;
  #lineOptions; // at the line's beginning

  /** @param {number} maxBytes of messages that are kept after they were sent; with 0 no line can be resumed */
  constructor(maxBytes) {
    this.#maxBytes = maxBytes;
    this.#options = this.#lineOptions = maxBytes > 0 ? { snapshot_columns: SNAPSHOT_COLUMNS } : {};
  }

  /** Whether the line can go on over another connection. */
  get canResume() {
    return this.#maxBytes > 0 && this.#nForgotten <= (this.#snapshot?.messages ?? 0);
  }

  /** Whether a message can be sent. */
  get isWaiting() {
    return this.#next < this.#entries.length;
  }

  // To the server

  /** @param {Entry} entry */
  add(entry) {
    this.#entries.push(entry);
    if (entry.type !== "ping") this.#nBytes += entry.data.length;
  }

  /** Return the first message of a connection. Pings that were not sent are dropped. @param {Ready} ready */
  resume({ model, column_height }) {
    this.#columnHeight = column_height;
    this.#digest = model.digest;
    this.#entries = this.#entries.filter(({ type }) => type !== "ping");
    this.#next = this.#snapshot === null ? 0 : Infinity;
    const { seq: heard, digest } = this.#heard;
    return JSON.stringify({
      type: "resume",
      id: "resume",
      heard,
      digest: digest || model.digest,
      options: this.#lineOptions,
      snapshot: this.#snapshot?.blob ?? null,
    });
  }

  /** Return the message to send now, if there is one, and count it as sent. */
  take() {
    const entry = this.#entries[this.#next];
    if (entry === undefined) return undefined;
    if (entry.type === "ping") this.#entries.splice(this.#next, 1);
    else this.#next += 1;
    // A `reset` stays until it is answered: it shows where the next line begins.
    while (this.#nBytes > this.#maxBytes && this.#next > 0 && this.#entries[0]?.type !== "reset") {
      this.#remove(1);
      this.#nForgotten += 1;
    }
    entry.resolve();
    return entry.data;
  }

  /** Have no message sent any more. @param {Error} error */
  close(error) {
    for (const { reject } of this.#entries) reject(error);
  }

  // From the server

  /** Take a message; return whether the line goes on. @param {ServerMessage} message */
  receive(message) {
    if ("seq" in message && message.seq !== undefined) this.#heard = { seq: message.seq, digest: this.#digest };
    switch (message.type) {
      case "configured": {
        const { type: _type, seq: _seq, id: _id, ...options } = message;
        this.#options = options;
        break;
      }
      case "snapshot":
        this.#snapshot = message;
        break;
      case "resumed":
        if (message.messages === 0) this.#snapshot = null; // there is none, or it is refused
        if (this.#next === Infinity) this.#next = message.messages - this.#nForgotten;
        break;
      case "reset_done":
        this.#beginLine(this.#nForgotten + this.#entries.findIndex(({ id }) => id === message.id) + 1);
        break;
      case "line_end": {
        // The rest of the message in which the line ended is the first message of the next line.
        const nRestBytes = message.rest_columns * this.#columnHeight;
        const last = this.#entries[message.messages - this.#nForgotten - 1];
        if (nRestBytes > 0 && typeof last?.data === "object") {
          this.#nBytes -= last.data.length - nRestBytes;
          last.data = last.data.subarray(-nRestBytes);
        }
        this.#beginLine(message.messages - Number(nRestBytes > 0));
      }
    }
    return this.#next >= 0; // else messages are missing that the server lacks too
  }

  /** Drop the messages of the line before. @param {number} nMessages */
  #beginLine(nMessages) {
    this.#remove(Math.max(nMessages - this.#nForgotten, 0));
    this.#nForgotten = Math.max(this.#nForgotten - nMessages, 0);
    this.#heard.seq = 0;
    this.#snapshot = null;
    this.#lineOptions = this.#options;
  }

  /** Remove the oldest messages, which were sent. @param {number} nEntries */
  #remove(nEntries) {
    for (const { data } of this.#entries.splice(0, nEntries)) this.#nBytes -= data.length;
    this.#next -= nEntries;
  }
}

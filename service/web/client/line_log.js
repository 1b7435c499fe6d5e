/**
 * What the client keeps of its line, to go on with it on another connection: every message since the
 * line's beginning, and the newest snapshot. On another connection it gives the messages that the session
 * there lacks, and leaves out of the answers what was heard before: every result once for its epoch and
 * column, every event once for its id and content. docs/protocol.md describes how a line is resumed.
 *
 * @import { Id, Letter, Rewound, ServerMessage, SessionOptions, Snapshot, Word } from "./protocol.d.ts"
 */

const SNAPSHOT_COLUMNS = 512; // between two snapshots, unless the program chooses otherwise
const MAX_LOG_BYTES = 8 << 20; // of messages; the oldest are forgotten
const NEGLIGIBLE = 0.01; // of a confidence: it tells no other reading
const NOT_SENT = Infinity; // the index of a message that was not sent on the present connection
const ANSWERED = new Set(["configure", "rewind", "flush", "reset", "ping", "end"]);

/** The `id` of the log's own messages; the program's ids are numbers. */
export const OWN_ID = "resume";

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

export class LineLog {
  /** Whether the messages reach back to the line's beginning. */
  isWhole = true;
  /** @type {Snapshot | undefined} */
  #snapshot;
  #columnHeight;
  /** @type {Entry[]} */
  #entries = [];
  #nCovered = 0; // of the entries, by the snapshot
  #nBytes = 0; // of the entries
  #nSent = 0; // messages on the present connection
  #isResumed = true; // whether its session has the line
  /** Ids of requests. @type {Set<Id>} */
  #unanswered = new Set();
  /** @type {SessionOptions} */
  #options = { snapshot_columns: SNAPSHOT_COLUMNS, text: "tail" };
  #lineOptions = this.#options; // at the line's beginning
  #lineEpoch = 0;
  #earlierEpochs = 0; // of the client's line, before epoch 0 of the session
  #heard = { epoch: 0, column: -1 }; // the newest that was heard about columns
  /** The events of the line that stand, as the program knows them. @type {Events} */
  #told = new Map();
  /** Keys of those that were told before ink caused the newest rewind. @type {Set<string>} */
  #replaceable = new Set();
  /** The same by a resumed session, until it has caught up. @type {Events | undefined} */
  #again;
  /** @type {string | undefined} */
  #text; // the newest
  /** @type {Rewound["frame"]} */
  #frame;
  #epochStart = 0; // the epoch's first column
  #nRead = 0; // columns, up to this epoch
  #earlier = { columns: 0, letters: 0, words: 0 }; // of the lines before
  #missing = this.#earlier; // those of them that the session does not know

  /** @param {number} columnHeight */
  constructor(columnHeight) {
    this.#columnHeight = columnHeight;
  }

  // To the server

  /** Return the message that sets the options at the line's beginning. */
  options() {
    return this.#own("configure", this.#lineOptions);
  }

  /** Return a message whose answer says that everything before it is answered. */
  ping() {
    return this.#own("ping");
  }

  /** Keep a message that is sent now. @param {Data} data @param {string} type @param {Id} id */
  add(data, type, id) {
    this.#entries.push({ type, id, data, index: this.#nSent });
    this.#nSent += 1;
    this.#nBytes += data.length;
    if (ANSWERED.has(type)) this.#unanswered.add(id);
    if (this.#nBytes > MAX_LOG_BYTES) this.#dropOldest();
  }

  #dropOldest() {
    let nDropped = 0;
    for (let entry; this.#nBytes > MAX_LOG_BYTES && (entry = this.#entries[nDropped]); nDropped += 1) {
      this.#nBytes -= entry.data.length;
    }
    this.#entries.splice(0, nDropped);
    this.isWhole = false;
    if (nDropped > this.#nCovered) this.#snapshot = undefined;
    this.#nCovered = Math.max(this.#nCovered - nDropped, 0);
  }

  get hasSnapshot() {
    return this.#snapshot !== undefined;
  }

  /** Whether the line can go on elsewhere. */
  get canResume() {
    return this.isWhole || this.hasSnapshot;
  }

  /** Count the messages of another connection, and take what comes as heard before. */
  beginAgain() {
    this.#nSent = 0;
    this.#isResumed = false;
    this.#again = new Map();
    for (const entry of this.#entries) entry.index = NOT_SENT;
  }

  /** Return the message that resumes from the snapshot, or else from the line's beginning. */
  resume() {
    let columns = this.#heard.column + 1;
    if (this.#snapshot === undefined) {
      this.#earlierEpochs = this.#lineEpoch;
      this.#missing = this.#earlier;
      columns = Math.max(columns - 1, 0); // the newest result comes again: another model has another text
    }
    return this.#own("resume", { blob: this.#snapshot?.blob ?? null, columns, ...countEvents(this.#told) });
  }

  /** Go on from the line's beginning: the server has refused the snapshot. */
  forgetSnapshot() {
    this.#snapshot = undefined;
    this.#nCovered = 0;
  }

  /** Yield the messages that the session lacks, to be sent in this order. */
  *newer() {
    for (const entry of this.#entries.slice(this.#nCovered)) {
      entry.index = this.#nSent++;
      yield entry.data;
    }
  }

  /** @param {string} type @param {object} [fields] */
  #own(type, fields) {
    this.#nSent += 1;
    return JSON.stringify({ type, id: OWN_ID, ...fields });
  }

  // From the server

  /**
   * Return what the program is to be told: nothing if it has heard the message before.
   *
   * @param {ServerMessage} message
   * @returns {ServerMessage[]}
   */
  receive(message) {
    if ("epoch" in message) message.epoch += this.#earlierEpochs;
    if (message.type === "snapshot") {
      // Before `resumed` it is of the empty line of a new session. If it covers no message, it lacks the
      // options that were sent first.
      if (!this.#isResumed || message.messages === 0) return [];
      this.#snapshot = message;
      const newer = this.#entries.slice(this.#nCovered);
      this.#nCovered += newer.filter(({ index }) => index < message.messages).length;
      return [];
    }
    if (message.type === "resumed") {
      this.#isResumed = true;
      this.#again = standing(this.#told, message);
      return [];
    }
    if (message.type === "error" ? message.ref === OWN_ID : "id" in message && message.id === OWN_ID) return [];
    /** @type {ServerMessage[]} */
    let differences = [];
    if (this.#again !== undefined && message.type !== "goaway") {
      if (!this.#isNew(message)) {
        this.#follow(message, this.#again);
        return [];
      }
      differences = this.catchUp();
    }
    this.#note(message);
    return [...differences, message];
  }

  /**
   * Compare the events of the resumed session with those that the program knows.
   *
   * @returns {ServerMessage[]} the new ones; if others have changed, behind a `rewound` that withdraws them
   */
  catchUp() {
    const told = this.#told;
    const again = this.#again;
    this.#again = undefined;
    if (again === undefined) return [];
    this.#told = again;
    const changed = [...again].filter(([key, event]) => !isLike(told.get(key), event));
    const stand = new Map([...again].filter(([key]) => told.has(key)));
    const events = changed.map(([, event]) => event);
    const isRevised = changed.some(([key]) => told.has(key) && !this.#replaceable.has(key));
    if (stand.size === told.size && !isRevised) return events;
    const { epoch, column } = this.#heard;
    /** @type {Rewound} */
    const rewound = { type: "rewound", id: null, epoch, column: column + 1, ...countEvents(stand) };
    if (this.#text !== undefined) rewound.text = this.#text;
    if (this.#frame !== undefined) rewound.frame = this.#frame;
    return [rewound, ...events];
  }

  /** Whether a resumed session says something that was not heard before. @param {ServerMessage} message */
  #isNew(message) {
    switch (message.type) {
      case "result":
        return isAfter(message, this.#heard);
      case "letter":
      case "punctuation":
      case "word":
        return false;
      case "rewound":
        return message.id === null ? message.epoch > this.#heard.epoch : this.#unanswered.has(message.id);
      case "flushed":
        return message.id === null || this.#unanswered.has(message.id);
      case "configured":
      case "reset_done":
      case "pong":
        return this.#unanswered.has(message.id);
      default:
        return true;
    }
  }

  /**
   * Note what a resumed session says about columns that were heard before.
   *
   * @param {ServerMessage} message @param {Events} again
   */
  #follow(message, again) {
    switch (message.type) {
      case "result":
        this.#text = message.text;
        break;
      case "rewound":
        this.#again = standing(again, message);
        break;
      case "letter":
      case "punctuation":
      case "word":
        again.delete(keyOf(message)); // the order is that in which they were decided
        again.set(keyOf(message), message);
    }
  }

  /** Note what the program is told now. @param {ServerMessage} message */
  #note(message) {
    if ("id" in message && !("confidence" in message)) this.#unanswered.delete(message.id);
    switch (message.type) {
      case "result":
        this.#heard = { epoch: message.epoch, column: message.column };
        this.#text = message.text;
        break;
      case "letter":
      case "punctuation":
      case "word":
        this.#told.set(keyOf(message), message);
        this.#replaceable.delete(keyOf(message));
        // Results before it that were not heard have been merged into a later one.
        this.#heard.column = Math.max(this.#heard.column, message.column - 1);
        break;
      case "rewound":
        this.#nRead += this.#heard.column + 1 - this.#epochStart;
        this.#epochStart = message.column;
        this.#heard = { epoch: message.epoch, column: message.column - 1 };
        this.#told = standing(this.#told, message);
        this.#replaceable = new Set(
          [...this.#told].filter(([, { column }]) => column >= message.column).map(([key]) => key),
        );
        this.#text = message.text;
        this.#frame = message.frame;
        break;
      case "flushed":
        this.#heard = { epoch: message.epoch, column: message.columns - 1 };
        this.#text = message.text;
        if (message.id !== null) break;
        this.#cut(message.epoch, message.columns);
        this.#beginLine(message.epoch + 1);
        break;
      case "reset_done": {
        const place = this.#entries.findIndex(({ id }) => id === message.id);
        this.isWhole = place >= 0;
        this.#drop(place + 1);
        this.#beginLine(message.epoch);
        break;
      }
      case "configured": {
        const { type: _type, id: _id, ...options } = message;
        this.#options = options;
        break;
      }
      case "pong":
        this.#remove(({ id }) => id === message.id);
        break;
      case "error":
        this.#unanswered.delete(message.ref);
        this.#remove(({ id, index }) => (message.ref === null ? index === message.index : id === message.ref));
        break;
      case "done":
        message.columns += this.#missing.columns;
        message.letters += this.#missing.letters;
        message.words += this.#missing.words;
    }
  }

  /** Forget the line before; its messages are dropped. @param {number} epoch */
  #beginLine(epoch) {
    const { letters, words } = countEvents(this.#told);
    this.#nRead += this.#heard.column + 1 - this.#epochStart;
    this.#earlier = {
      columns: this.#nRead,
      letters: this.#earlier.letters + letters,
      words: this.#earlier.words + words,
    };
    this.#epochStart = 0;
    this.forgetSnapshot();
    this.#lineOptions = this.#options;
    this.#lineEpoch = epoch;
    this.#heard = { epoch, column: -1 };
    this.#told = new Map();
    this.#replaceable = new Set();
    this.#text = this.#frame = undefined;
  }

  // Entries

  /** Remove the newest message that fits: it has no effect on the line. @param {(entry: Entry) => boolean} fits */
  #remove(fits) {
    const place = this.#entries.findLastIndex(fits);
    if (place < 0) return;
    const [entry] = this.#entries.splice(place, 1);
    this.#nBytes -= entry?.data.length ?? 0;
    if (place < this.#nCovered) this.#nCovered -= 1;
  }

  /** Remove the oldest messages. @param {number} nEntries */
  #drop(nEntries) {
    for (const { data } of this.#entries.splice(0, nEntries)) this.#nBytes -= data.length;
  }

  /**
   * Remove the messages of a line that has ended by itself, in an epoch. It may have ended within a message
   * of columns, of which the rest stays.
   *
   * @param {number} epoch
   * @param {number} nColumns
   */
  #cut(epoch, nColumns) {
    let column = 0;
    let nRewinds = epoch - this.#lineEpoch;
    for (const [place, entry] of this.#entries.entries()) {
      const { data } = entry;
      if (typeof data === "string") {
        if (entry.type !== "rewind" || nRewinds === 0) continue;
        ({ column } = JSON.parse(data));
        nRewinds -= 1;
      } else if (nRewinds === 0) {
        column += data.length / this.#columnHeight;
        if (column < nColumns) continue;
        const nRest = (column - nColumns) * this.#columnHeight;
        this.#nBytes -= data.length - nRest;
        entry.data = data.subarray(data.length - nRest);
        this.#drop(nRest > 0 ? place : place + 1);
        this.isWhole = true;
        return;
      }
    }
    this.isWhole = false;
  }
}

/** @param {DecidedEvent} event */
function keyOf({ type, id }) {
  return `${type === "word" ? "word" : "character"} ${id}`;
}

/** Return the events that stand where so many do. @param {Events} events @param {{ letters: number, words: number }} n */
function standing(events, { letters, words }) {
  return new Map([...events].filter(([, { type, id }]) => id < (type === "word" ? words : letters)));
}

/** @param {Events} events */
function countEvents(events) {
  const words = [...events.values()].filter(({ type }) => type === "word").length;
  return { letters: events.size - words, words };
}

/**
 * Return whether an event need not be told in place of the one that had its id.
 *
 * @param {DecidedEvent | undefined} before
 * @param {DecidedEvent} after
 */
function isLike(before, after) {
  if (before === undefined || Math.abs(before.confidence - after.confidence) >= NEGLIGIBLE) return false;
  const ignored = { confidence: 0, alternatives: [] };
  return JSON.stringify({ ...before, ...ignored }) === JSON.stringify({ ...after, ...ignored });
}

/** @typedef {{ epoch: number, column: number }} Position */

/** @param {Position} one @param {Position} other */
function isAfter(one, other) {
  return one.epoch > other.epoch || (one.epoch === other.epoch && one.column > other.column);
}

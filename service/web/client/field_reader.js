/**
 * Reads the rows of `<ink-pad>`, one after another, over one stream that is opened when it is needed.
 *
 * @import { Point, SessionOptions, Word } from "./protocol.d.ts"
 * @import { Message, Stream } from "./inkstream.js"
 * @import { PadStroke } from "./field_paper.js"
 */

import { InkstreamError } from "./inkstream.js";

const DECIDE_MS = 700; // after the pen was lifted
const RETRY_MS = 2000;
const MAX_OTHER_READINGS = 3;

class Row {
  /** @type {PadStroke[]} */
  strokes = [];
  text = "";
  /** @type {Word[]} */
  words = [];
  isWaiting = false; // for a flush: it has ink that came after the newest one
  nFlushes = 0; // that are not answered

  get isRead() {
    return !this.isWaiting && this.nFlushes === 0;
  }

  /** Whether the pen writes in it. */
  get isLive() {
    return this.strokes.some(({ isDone }) => !isDone);
  }
}

/** A row that is read from its beginning; if it was read before, its text stays until it is decided.
 * @typedef {{ row: Row, isQuiet: boolean }} Begun */

/**
 * @typedef {object} Listener
 * @property {() => Promise<Stream>} connect
 * @property {(stream: Stream) => SessionOptions[]} options for the next row; if some are refused, the others hold
 * @property {() => void} onChange something was read, or cannot be read now
 * @property {(error: InkstreamError) => void} onError
 */

export class FieldReader {
  /** @type {Row[]} */
  rows = [];
  /** Height of a row, CSS pixels. */
  height = 0;
  #listener;
  /** @type {Stream | undefined} */
  #stream;
  /** The loop that receives messages; another one takes its turn when the field is moved. @type {object | undefined} */
  #run;
  #hasFailed = false; // to connect
  /** The row that the stream reads. @type {Row | undefined} */
  #row;
  /** How many points of its strokes were sent, one more with their end. @type {Map<PadStroke, number>} */
  #sent = new Map();
  #wasFlushed = false; // since its beginning
  /** What the messages that come are about. @type {Begun | undefined} */
  #current;
  /** What comes next, after a reset that is not answered yet. @type {Begun[]} */
  #begun = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /** Whether all ink was read and decided. */
  get isRead() {
    return this.rows.every(({ isRead }) => isRead);
  }

  /** Whether text may still come. */
  get isReading() {
    return !this.isRead && !this.#hasFailed;
  }

  /** Connect, unless it was done; receive messages, and connect again when the stream ends. */
  async open() {
    if (this.#run !== undefined) return;
    const run = (this.#run = {});
    while (this.#run === run) {
      try {
        const stream = await this.#listener.connect();
        if (this.#run !== run) return stream.close();
        this.#stream = stream;
        this.#hasFailed = false;
        this.decide();
        for await (const message of stream) {
          if (this.#run !== run) return;
          this.#receive(message);
        }
        return;
      } catch (error) {
        if (this.#run !== run) return;
        this.#stream?.close();
        this.#lose();
        this.#hasFailed = true;
        if (error instanceof InkstreamError) this.#listener.onError(error);
        else reportError(error); // of a `server` that is no URL, for instance
        this.#listener.onChange();
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  close() {
    clearTimeout(this.#timer);
    this.#run = undefined;
    this.#stream?.close();
    this.#lose();
  }

  /** Have empty rows. @param {number} count */
  begin(count) {
    this.rows = Array.from({ length: count }, () => new Row());
  }

  /** Read other ink, or the same with other points. @param {readonly PadStroke[]} strokes */
  read(strokes) {
    clearTimeout(this.#timer);
    this.rows = this.rows.map((row, index) => {
      const ofRow = strokes.filter((stroke) => stroke.row === index);
      if (ofRow.length === 0) return new Row();
      const isSame = ofRow.length === row.strokes.length && ofRow.every((stroke, i) => stroke === row.strokes[i]);
      row.strokes = ofRow;
      row.isWaiting ||= !isSame || row.isLive;
      return row;
    });
    if (this.isRead) return;
    void this.open();
    const live = this.rows.find(({ isLive }) => isLive);
    if (live !== undefined && live !== this.#row && this.#row?.isWaiting) this.#send(this.#row, true);
    const active = live ?? this.rows.find((row) => row === this.#row && row.isWaiting);
    if (active !== undefined) this.#send(active, false);
    if (live === undefined) this.#timer = setTimeout(() => this.decide(), DECIDE_MS);
  }

  /** Decide all that was written. */
  decide() {
    for (const row of this.rows) if (row.isWaiting) this.#send(row, !row.isLive);
  }

  /** @param {Row} row @param {boolean} isFinal whether it is decided */
  #send(row, isFinal) {
    const stream = this.#stream;
    if (stream === undefined) return;
    const isGone = [...this.#sent.keys()].some((stroke) => !row.strokes.includes(stroke));
    // What a flush has decided in the middle of a word is decided again, with all of the row's ink.
    if (row !== this.#row || isGone || (isFinal && this.#wasFlushed)) this.#begin(row, stream);
    const unsent = [];
    for (const stroke of row.strokes) {
      const { id, points, isDone } = stroke;
      const nSent = this.#sent.get(stroke) ?? 0;
      const nToSend = points.length + Number(isDone); // the end is sent too
      if (nSent === nToSend) continue;
      const moved = points.slice(nSent).map(([x, y]) => /** @type {Point} */ ([x, y - stroke.row * this.height]));
      unsent.push({ id, points: moved, last: isDone });
      this.#sent.set(stroke, nToSend);
    }
    if (unsent.length > 0) stream.ink(unsent, this.height).catch(() => {}); // messages report errors
    if (!isFinal) return;
    stream.pause({ fit: true }).catch(() => {});
    stream.flush().catch(() => {});
    this.#wasFlushed = true;
    row.isWaiting = false;
    row.nFlushes += 1;
  }

  /** @param {Row} row @param {Stream} stream */
  #begin(row, stream) {
    for (const options of this.#listener.options(stream)) {
      stream.configure(options).catch((error) => this.#listener.onError(error));
    }
    stream.reset().catch(() => {});
    this.#row = row;
    this.#sent.clear();
    this.#wasFlushed = false;
    this.#begun.push({ row, isQuiet: row.text !== "" });
  }

  /** Have no stream: what it has not read waits for another one. */
  #lose() {
    this.#stream = this.#row = this.#current = undefined;
    this.#begun = [];
    for (const row of this.rows) {
      row.isWaiting ||= row.nFlushes > 0;
      row.nFlushes = 0;
    }
  }

  /** @param {Message} message */
  #receive(message) {
    if (message.type === "error") return this.#listener.onError(new InkstreamError(message.code, message.message));
    if (message.type === "reset_done") {
      this.#current = this.#begun.shift();
      if (this.#current !== undefined) this.#current.row.words = [];
    }
    const { row, isQuiet } = this.#current ?? {};
    if (row === undefined) return;
    if (message.type === "word") row.words[message.id] = message;
    else if (message.type === "revised") row.words.length = Math.min(row.words.length, message.words);
    if ((message.type === "result" || message.type === "revised") && !isQuiet) row.text = message.text ?? row.text;
    if (message.type === "flushed") {
      row.text = message.text ?? message.label ?? "";
      row.nFlushes = Math.max(0, row.nFlushes - 1); // other weights answer the earlier ones again
      this.#current = { row, isQuiet: false };
    }
    this.#listener.onChange();
  }
}

/**
 * Return other readings of a row, each of which differs in one word, the likeliest first.
 *
 * @param {{ text: string, words: readonly Word[] }} row
 * @returns {{ word: string, text: string }[]}
 */
export function otherReadings({ text, words }) {
  let end = 0;
  const readings = words.flatMap((word) => {
    const start = text.indexOf(word.text, end);
    if (start < 0) return [];
    end = start + word.text.length;
    const [before, after] = [text.slice(0, start), text.slice(end)];
    return word.alternatives.map((other) => {
      return { word: other.text, text: before + other.text + after, odds: other.p / word.confidence };
    });
  });
  return readings.sort((one, other) => other.odds - one.odds).slice(0, MAX_OTHER_READINGS);
}

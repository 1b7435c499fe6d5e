/**
 * Reads the lines of a document: a stream of the server for each line that is written in. A stream that has
 * read its line serves the next one. The document is only looked at: what a lost server has not read is read
 * when one answers.
 *
 * @import { Letter, Stroke } from "../client/protocol.d.ts"
 * @import { ConnectOptions, Message, Stream } from "../client/inkstream.js"
 * @import { Reading, Reads } from "./document.js"
 */

import { InkstreamError } from "../client/inkstream.js";
import { Line } from "./line.js";

const MAX_STREAMS = 3; // of each kind of model
const MAX_UNDONE = 8; // strokes: if more are gone, the line is read from its beginning
const BEHIND = 0.5; // of a line's height: ink further to the left of what was sent has columns read again
const RETRY_MS = 2000;
/** After how long a rest of the pen the columns that it touched are read, all is decided, and the frame that fits is tried. */
const [PAUSE_MS, FLUSH_MS, FIT_MS] = [250, 500, 1200];
const SURER = 0.1; // nats a letter: so much surer the model must be in a line's own frame to stay in it
/** Codes of errors after which another stream reads the line. */
const ENDS_OF_SESSIONS = new Set(["no_connection", "stopping", "server_full", "idle", "not_resumable"]);

/**
 * A line as it is to be read.
 * @typedef {object} Source
 * @property {number} id
 * @property {string} name of the ink and the settings, see `PadDocument.nameOf`
 * @property {string} settings another text means other settings
 * @property {Reads} reads
 * @property {readonly SourceStroke[]} strokes
 * @property {boolean} hasText whether the document has a text of it, which may be out of date
 * @property {boolean} isRead whether this text is that of all its ink
 * @property {boolean} isWriting whether the pen is writing in it
 * @property {boolean} isActive whether it is the line that was written in last
 * @property {number} restedMs for how long the pen has rested since it wrote in the line
 */

/** @typedef {{ id: number, points: readonly (readonly [number, number])[], isDone: boolean }} SourceStroke */

/** @typedef {"classifier" | "transcriber"} Kind */

/**
 * @typedef {object} Listener
 * @property {() => Source[]} sources the lines of the document, the active one first
 * @property {(source: Source) => object} options of `configure` for a line
 * @property {(id: number, reading: Reading) => void} onReading a line was read
 * @property {(lineReader: LineReader, message: Message) => void} onMessage
 * @property {(lineReader: LineReader) => void} onOpen
 * @property {(error: { code: string, message: string }) => void} onError
 * @property {() => void} onState the state of a connection has changed
 */

export class Reader {
  /** @type {LineReader[]} */
  lineReaders = [];
  #connect;
  #listener;
  #height;

  /**
   * @param {(kind: Kind) => Promise<Stream>} connect
   * @param {number} height of a line, in the units of the points
   * @param {Listener} listener
   */
  constructor(connect, height, listener) {
    this.#connect = connect;
    this.#height = height;
    this.#listener = listener;
  }

  /** The worst state of the connections. @returns {LineReader["state"]} */
  get state() {
    if (this.lineReaders.some(({ state }) => state === "closed")) return "closed";
    return this.lineReaders.some(({ state }) => state === "waiting") ? "waiting" : "open";
  }

  /** Keep a stream open, so that the first stroke need not wait. @param {Kind} kind */
  open(kind) {
    if (!this.lineReaders.some((lineReader) => lineReader.kind === kind)) this.#add(kind);
  }

  /** Bring all streams up to the document. */
  update() {
    const sources = this.#listener.sources();
    for (const lineReader of this.lineReaders) {
      const { refused } = lineReader;
      if (refused !== "" && sources.every(({ name }) => name !== refused)) this.#replace(lineReader);
    }
    for (const lineReader of this.lineReaders) {
      if (!sources.some(({ id }) => id === lineReader.lineId)) lineReader.release();
    }
    for (const source of sources) {
      const lineReader = this.#lineReaderFor(source);
      lineReader?.sync(source);
    }
  }

  /** Open another stream in the place of one whose ink was refused. @param {LineReader} lineReader */
  #replace(lineReader) {
    this.lineReaders = this.lineReaders.filter((other) => other !== lineReader);
    this.open(lineReader.kind);
  }

  /** Read a line again. @param {number} id */
  readAgain(id) {
    this.lineReaders.find(({ lineId }) => lineId === id)?.release();
  }

  /** Read all lines again, with a key for instance. */
  restart() {
    const kinds = new Set(this.lineReaders.map(({ kind }) => kind));
    for (const lineReader of this.lineReaders) lineReader.close();
    this.lineReaders = [];
    for (const kind of kinds) this.open(kind);
    this.update();
  }

  /** @param {Source} source */
  #lineReaderFor(source) {
    const kind = source.reads === "digit" ? "classifier" : "transcriber";
    const own = this.lineReaders.find((lineReader) => lineReader.lineId === source.id && lineReader.kind === kind);
    if (own !== undefined) return own;
    if (source.isRead || source.strokes.length === 0) return undefined;
    const ofKind = this.lineReaders.filter((lineReader) => lineReader.kind === kind);
    const free = ofKind.find(({ lineId }) => lineId === undefined);
    if (free !== undefined) return free;
    if (ofKind.length < MAX_STREAMS && ofKind.every(({ state }) => state === "open")) return this.#add(kind);
    return ofKind.filter(({ isFinished }) => isFinished).sort((one, other) => one.usedAt - other.usedAt)[0];
  }

  /** @param {Kind} kind */
  #add(kind) {
    const lineReader = new LineReader(kind, this.#connect, this.#height, this.#listener, () => this.update());
    this.lineReaders.push(lineReader);
    void lineReader.run();
    return lineReader;
  }
}

/** A stream, and the line that it reads. */
export class LineReader {
  kind;
  /** The line that is read. @type {number | undefined} */
  lineId;
  /** What the server has sent about it. */
  line = new Line();
  /** @type {"open" | "waiting" | "closed"} */
  state = "waiting";
  /** Name of the ink after which the server has ended the session for good; "" while it has not. */
  refused = "";
  /** When the line was written in. */
  usedAt = 0;
  /** @type {Stream | undefined} */
  stream;

  #connect;
  #height;
  #listener;
  #onFree;
  #isClosed = false;
  /** Points of each stroke that were sent; one more for its end. @type {Map<number, number>} */
  #sent = new Map();
  /** Ink to the left of what was read, which waits until the pen rests: columns are read again once. @type {Stroke[]} */
  #held = [];
  #settings = "";
  #name = ""; // of the ink that was sent
  #isPublished = false; // the document has the text of this ink
  #isCatchingUp = false; // ink that was read before is read again: the document's text stays until it is
  /** How many columns have to be read again before the text is as long as it was; it stays until then. */
  #nToReadAgain = 0;
  #keepsText = true; // while columns are read again, unless because a stroke was undone
  #isUndone = false; // a stroke was undone, perhaps one that is too far back for the server to rewind
  #version = 0; // of what was sent, counted
  /** Flushes that are not answered: of which version, and whether in the frame that fits. @type {{ version: number, isFitted: boolean }[]} */
  #flushes = [];
  #decided = 0; // version whose ink was decided in the line's own frame
  /** What was read so, while the frame that fits is tried. @type {ReturnType<Line["copy"]> | undefined} */
  #before;
  #isFitUndone = false; // the stream reads in the frame that fits, but the model was surer in the line's own
  #timer;

  /**
   * @param {Kind} kind
   * @param {(kind: Kind) => Promise<Stream>} connect
   * @param {number} height
   * @param {Listener} listener
   * @param {() => void} onFree the line was read
   */
  constructor(kind, connect, height, listener, onFree) {
    this.kind = kind;
    this.#connect = connect;
    this.#height = height;
    this.#listener = listener;
    this.#onFree = onFree;
    this.#timer = new PauseTimer({
      onPause: () => {
        this.#sendHeld();
        this.stream?.pause().catch(() => {});
      },
      onFlush: () => this.#flush(false),
      onFit: () => this.#fit(),
    });
  }

  /** Whether the stream may read another line. */
  get isFinished() {
    return this.lineId === undefined || this.#isPublished;
  }

  /** Connect, receive messages, and connect again when the stream ends. */
  async run() {
    while (!this.#isClosed) {
      try {
        this.stream = await this.#connect(this.kind);
        if (this.#isClosed) return this.stream.close();
        this.release();
        this.line.begin(); // the server before owes no answers any more
        this.#setState("open");
        this.#listener.onOpen(this);
        this.#onFree();
        for await (const message of this.stream) {
          if (this.#isClosed) return;
          this.#receive(message);
        }
        return;
      } catch (error) {
        if (this.#isClosed) return;
        this.stream?.close();
        this.stream = undefined;
        const name = this.lineId === undefined ? "" : this.#name;
        this.release();
        if (!(error instanceof InkstreamError)) reportError(error); // a fault of this page: the line is read again
        else this.#listener.onError(error);
        if (error instanceof InkstreamError && !ENDS_OF_SESSIONS.has(error.code)) {
          this.refused = name;
          return this.#setState("closed");
        }
        this.#setState("waiting");
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  close() {
    this.#isClosed = true;
    this.#timer.stop();
    this.stream?.close();
  }

  /** Have no line. */
  release() {
    this.lineId = undefined;
    this.#timer.stop();
    this.#sent.clear();
    this.#held = [];
    this.#settings = "";
  }

  /** Send what the stream lacks of a line. @param {Source} source */
  sync(source) {
    if (this.stream === undefined) return;
    const isOther = source.id !== this.lineId || source.settings !== this.#settings;
    if (!isOther && source.name === this.#name && !source.isWriting && this.#sentAll(source)) return;
    const wanted = new Set(source.strokes.map(({ id }) => id));
    const gone = [...this.#sent.keys()].filter((id) => !wanted.has(id));
    const isBegun = isOther || gone.length > MAX_UNDONE || this.#isFitUndone;
    const nToReadAgain = this.#isFitUndone && !isOther ? this.line.results.length : 0;
    if (isBegun) this.#begin(source, nToReadAgain);
    else for (const id of gone) this.#undo(id);
    this.#name = source.name;
    this.#isPublished = false;
    this.#before = undefined;
    this.#version += 1;
    this.usedAt = performance.now();
    const isWritten = source.isWriting || source.restedMs < FIT_MS; // else it was undone and done again, for instance
    const isBehind = isWritten && this.#isBehind(source);
    for (const stroke of this.#takeUnsent(source)) this.#hold(stroke);
    if (!isBehind) this.#sendHeld();
    // Where the pen has just left the line, more of the word may come: half a word would be decided.
    if (source.isWriting) this.#timer.stop();
    else if (isBegun && source.restedMs >= FIT_MS) this.#fit();
    else this.#timer.start();
  }

  /** @param {Source} source @param {number} nToReadAgain columns until the text that is shown may change; 0: all, if there is a text */
  #begin(source, nToReadAgain) {
    const { stream } = this;
    this.lineId = source.id;
    this.#settings = source.settings;
    this.#sent.clear();
    this.#held = [];
    this.#nToReadAgain = nToReadAgain;
    this.#isUndone = this.#isFitUndone = false;
    this.#flushes = [];
    this.#timer.stop();
    this.#isCatchingUp = source.hasText && nToReadAgain === 0;
    stream?.configure(this.#listener.options(source)).catch((error) => {
      if (!ENDS_OF_SESSIONS.has(error.code)) this.#listener.onError(error); // a pattern that is none, for instance
    });
    stream?.reset().catch(() => {});
    this.line.begin(true);
  }

  /** @param {number} id */
  #undo(id) {
    this.#sendHeld();
    this.#sent.delete(id);
    this.#isUndone = true;
    this.#keepsText = false;
    this.#nToReadAgain = 0;
    this.stream?.undo(id).catch(() => {});
  }

  /** @param {Source} source */
  #sentAll({ strokes }) {
    return (
      strokes.length === this.#sent.size &&
      strokes.every(({ id, points, isDone }) => this.#sent.get(id) === points.length + Number(isDone))
    );
  }

  /** Return whether all ink that was not sent yet is to the left of what was. @param {Source} source */
  #isBehind({ strokes }) {
    const nSentOf = (/** @type {SourceStroke} */ { id }) => this.#sent.get(id) ?? 0;
    const xs = (/** @type {SourceStroke["points"]} */ points) => points.map(([x]) => x);
    const right = Math.max(...strokes.map((stroke) => Math.max(...xs(stroke.points.slice(0, nSentOf(stroke))))));
    const isHeld = (/** @type {SourceStroke} */ { id }) => this.#held.some((held) => held.id === id);
    return strokes
      .filter((stroke) => nSentOf(stroke) < stroke.points.length)
      .every((stroke) => {
        const left = Math.min(...xs(stroke.points.slice(nSentOf(stroke))));
        return isHeld(stroke) || left < right - BEHIND * this.#height;
      });
  }

  /** Have a part of a stroke wait. @param {Stroke} part */
  #hold(part) {
    const last = this.#held.at(-1);
    if (last?.id !== part.id || last === undefined) this.#held.push(part);
    else this.#held[this.#held.length - 1] = { ...part, points: [...last.points, ...part.points] };
  }

  #sendHeld() {
    if (this.#held.length === 0) return;
    this.#keepsText = true;
    this.stream?.ink(this.#held, this.#height).catch(() => {}); // messages report errors
    this.#held = [];
  }

  /** @param {Source} source @returns {Stroke[]} */
  #takeUnsent({ strokes }) {
    const unsent = [];
    for (const { id, points, isDone } of strokes) {
      const nSent = this.#sent.get(id) ?? 0;
      const nToSend = points.length + Number(isDone); // the end is sent too
      if (nSent >= nToSend) continue;
      unsent.push({ id, points: points.slice(nSent), last: isDone });
      this.#sent.set(id, nToSend);
    }
    return unsent;
  }

  /** Decide the whole line. @param {boolean} isFitted in the frame that fits it */
  #flush(isFitted) {
    const { stream } = this;
    if (stream === undefined) return;
    this.#sendHeld();
    if (this.#sent.size > 0) stream.pause({ fit: isFitted }).catch(() => {});
    this.#flushes.push({ version: this.#version, isFitted });
    stream.flush().catch(() => {});
  }

  /** Decide the whole line in the frame that fits it, after its own. */
  #fit() {
    const { version, isFitted } = this.#flushes.at(-1) ?? { version: this.#decided, isFitted: false };
    if (version !== this.#version || isFitted) this.#flush(false);
    this.#flush(true);
  }

  /** @param {Message} message */
  #receive(message) {
    const nColumns = this.line.results.length; // before this message
    if (message.type === "disconnected") {
      this.#setState("waiting");
      this.#listener.onError(message.error);
    } else if (message.type === "reconnected") {
      this.#setState("open");
      this.#listener.onOpen(this);
    } else if (message.type === "error") {
      if (!this.line.isCurrent) return;
      if (this.#isUndone && message.code === "bad_ink") this.#readAgain();
      else this.#listener.onError(message);
    } else if (message.type === "revised" && message.seq === 0) {
      if (this.line.update(message)) this.#readAgain(); // other weights answer the earlier flushes too
    } else {
      this.#keepBefore(message);
      if (this.line.update(message)) {
        this.#countToReadAgain(message, nColumns);
        this.#publish(message.type === "flushed" && this.#isDecided());
      }
    }
    this.#listener.onMessage(this, message);
  }

  /** Keep what was read if it is about to be read in another frame. @param {Message} message */
  #keepBefore(message) {
    const isFitted = message.type === "revised" && message.frame !== undefined && this.line.isCurrent;
    if (isFitted && this.#decided === this.#version) this.#before = this.line.copy();
  }

  /** Take the answer to a flush. @returns {boolean} whether all ink was decided, in the better frame */
  #isDecided() {
    const { version, isFitted } = this.#flushes.shift() ?? { version: 0, isFitted: false };
    if (version !== this.#version) return false;
    if (!isFitted) this.#decided = version;
    if (isFitted && this.#before !== undefined && certainty(this.#before) >= certainty(this.line) + SURER) {
      this.line.restore(this.#before);
      this.#isFitUndone = true;
    }
    this.#before = undefined;
    return isFitted;
  }

  /** @param {Message} message @param {number} nColumns that were read before it */
  #countToReadAgain(message, nColumns) {
    if (message.type === "revised" && message.frame !== undefined) this.#nToReadAgain = Infinity; // it has other columns
    else if (message.type === "revised" && this.#keepsText) {
      this.#nToReadAgain = Math.max(this.#nToReadAgain, nColumns);
    }
    if (message.type === "flushed" || this.line.results.length >= this.#nToReadAgain) this.#nToReadAgain = 0;
  }

  /** Read the line from its beginning. */
  #readAgain() {
    this.release();
    this.#onFree();
  }

  /** Pass on what was read. @param {boolean} isFinal whether all ink was decided */
  #publish(isFinal) {
    if (this.lineId === undefined) return;
    // What comes after the final text is about the same ink: a new connection repeats it.
    if (((this.#isCatchingUp || this.#isPublished) && !isFinal) || this.#nToReadAgain > 0) return;
    const { text, letters, words } = this.line;
    this.#isCatchingUp = false;
    this.#isPublished = isFinal;
    const of = isFinal ? this.#name : "";
    this.#listener.onReading(this.lineId, { of, text, letters: [...letters], words: [...words] });
    if (isFinal) this.#onFree();
  }

  /** @param {LineReader["state"]} state */
  #setState(state) {
    this.state = state;
    this.#listener.onState();
  }
}

/**
 * Return how sure the model is of a line: the mean of the logarithms of the probabilities of its letters, or
 * that of a digit's label.
 *
 * @param {ReturnType<Line["copy"]>} line
 */
function certainty({ letters, results }) {
  const ofLabels = (results.at(-1)?.probabilities ?? []).map(([, p]) => p);
  const sure = letters.length > 0 ? letters.map(({ confidence }) => confidence) : [Math.max(0, ...ofLabels)];
  return sure.reduce((sum, p) => sum + Math.log(p), 0) / sure.length;
}

/** Timers that start when the pen is lifted. */
class PauseTimer {
  #acts;
  /** @type {ReturnType<typeof setTimeout>[]} */
  #timers = [];

  /** @param {{ onPause: () => void, onFlush: () => void, onFit: () => void }} listener */
  constructor({ onPause, onFlush, onFit }) {
    this.#acts = /** @type {const} */ ([[onPause, PAUSE_MS], [onFlush, FLUSH_MS], [onFit, FIT_MS]]);
  }

  /** Start all timers, again if they run. */
  start() {
    this.stop();
    this.#timers = this.#acts.map(([act, wait]) => setTimeout(act, wait));
  }

  stop() {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}

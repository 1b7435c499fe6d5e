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

import { Connection, InkstreamError } from "./connection.js";

export { InkstreamError };

export const PROTOCOL = "inkstream.v1";

const PATH = "/v1/stream";
const SCHEMES = new Map(Object.entries({ "http:": "ws:", "https:": "wss:", "ws:": "ws:", "wss:": "wss:" }));
const POINT_BYTES = 54; // as JSON at most: two numbers of 25 characters, brackets and commas
const FRAME_BYTES = 2048; // at most, of a message of ink without its strokes; nearly all for `undo`
const CHARACTER_BYTES = 3; // at most, of one of JavaScript's
const MERGE_FROM = 256; // messages that nobody has taken: from here on results are merged

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
export async function connect(url, options = {}) {
  const stream = new Stream(streamUrl(url, options.model), options);
  await stream._open();
  return stream;
}

/** @param {string | URL} url @param {string | undefined} model @returns {string} */
function streamUrl(url, model) {
  const base = typeof location === "undefined" ? undefined : location.href;
  const address = URL.canParse(url, base) ? new URL(url, base) : undefined;
  const scheme = SCHEMES.get(address?.protocol ?? "");
  if (address === undefined || scheme === undefined) {
    const expected = "expected one such as ws://127.0.0.1:8000";
    throw new InkstreamError("bad_value", `url is ${url}, ${expected}`);
  }
  address.protocol = scheme;
  const path = address.pathname.replace(/\/+$/, "");
  address.pathname = path.endsWith(PATH) ? path : path + PATH;
  if (model !== undefined) address.searchParams.set("model", model);
  return address.href;
}

/** A conversation with the server; `connect` opens one. */
export class Stream {
  /** @type {Ready} */
  #ready;
  #connection;
  /** @type {Map<Id, Asked>} */
  #asked = new Map();
  #newestId = 0;
  /** @type {Message[]} */
  #inbox = [];
  #wake = () => {};
  /** @type {InkstreamError | undefined} */
  #failure; // what ended the stream, unless it ended as it should
  #over = false;

  /** `connect` makes one. @param {string} url @param {Options} options */
  constructor(url, { key, reconnect = false, silence_ms = 20_000 }) {
    const protocols = key === undefined ? [PROTOCOL] : [PROTOCOL, `key.${key}`];
    this.#connection = new Connection(url, protocols, reconnect, silence_ms, {
      hear: (message) => this.#hear(message),
      isOwed: () => this.#asked.size > 0,
      lost: (error) => this.#lose(error),
      waits: (error, retry_ms) => this.#put({ type: "disconnected", error, retry_ms }),
      again: (ready) => this.#beginAgain(ready),
      over: (error) => this.#end(error),
    });
    this.#ready = /** @type {any} */ (undefined); // until it is open
  }

  /** Connect, and wait for `ready`. */
  async _open() {
    this.#ready = await this.#connection.open();
  }

  /** What the server said first: session, model, labels, column height, limits. */
  get ready() {
    return this.#ready;
  }

  // What a client says

  /**
   * Send columns.
   *
   * @param {Uint8Array} pixels n columns of `ready.column_height` bytes, oldest first, top to bottom,
   *   0 = paper, 255 = ink
   * @returns {Promise<void>} when they are on their way
   */
  async columns(pixels) {
    const { column_height, limits } = this.#ready;
    if (pixels.length % column_height) {
      const expected = `a multiple of ${column_height}`;
      throw new InkstreamError("bad_columns", `${pixels.length} bytes, expected ${expected}`);
    }
    const { max_message_columns, max_frame_bytes } = limits;
    const most = Math.min(max_message_columns, Math.floor(max_frame_bytes / column_height));
    const size = most * column_height;
    const copy = new Uint8Array(pixels); // the caller's may change while it waits
    for (let start = 0; start < copy.length; start += size) {
      await this.#connection.send(copy.subarray(start, start + size));
    }
  }

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
  async ink(strokes, height, { pause = false, fit = false, undo = null } = {}) {
    const portions = [...portionsOf(strokes, this.#ready.limits)];
    for (const [number, portion] of portions.entries()) {
      await this.#say("ink", {
        strokes: portion,
        height,
        ...(number === 0 && undo !== null && { undo }),
        ...(number === portions.length - 1 && { ...(pause && { pause }), ...(fit && { fit }) }),
      });
    }
  }

  /** Take the stroke of that id back. @param {number | string} stroke @returns {Promise<void>} */
  undo(stroke) {
    return this.#say("ink", { undo: stroke });
  }

  /** Have read what the pen still touches: it rests. @param {{ fit?: boolean }} [more] see `ink` */
  pause({ fit = false } = {}) {
    return this.#say("ink", { pause: true, ...(fit && { fit }) });
  }

  /** Have all that is open decided. @returns {Promise<Flushed>} */
  flush() {
    return this.#ask("flush");
  }

  /** Start a new line at column 0. @returns {Promise<ResetDone>} */
  reset() {
    return this.#ask("reset");
  }

  /** Forget `column` and all after it. @param {number} column @returns {Promise<Rewound>} */
  rewind(column) {
    return this.#ask("rewind", { column });
  }

  /** Change some choices from here on. @param {Choices} choices @returns {Promise<Configured>} */
  configure(choices) {
    return this.#ask("configure", choices);
  }

  /** Wait for the server's sign of life. @returns {Promise<number>} milliseconds there and back */
  async ping() {
    const sent = performance.now();
    await this.#ask("ping");
    return performance.now() - sent;
  }

  /** End the stream in good order. @returns {Promise<Done>} */
  end() {
    return this.#ask("end");
  }

  /** Close the connection at once; what was not answered never will be. */
  close() {
    this.#lose(new InkstreamError("no_connection", "the stream was closed here"));
    this.#connection.close();
  }

  /** @param {string} type @param {object} fields @returns {Promise<void>} */
  #say(type, fields) {
    this.#newestId += 1;
    return this.#connection.send(JSON.stringify({ type, id: this.#newestId, ...fields }));
  }

  /** @param {string} type @param {object} [fields] @returns {Promise<any>} the answer */
  #ask(type, fields = {}) {
    return new Promise((answered, lost) => {
      const sending = this.#say(type, fields);
      const id = this.#newestId;
      this.#asked.set(id, { answered, lost });
      sending.catch((error) => this.#answered(id)?.lost(error));
      this.#connection.awaitAnswer();
    });
  }

  // What the server says

  /**
   * The messages, in order, to the end of the stream.
   *
   * @returns {AsyncGenerator<Message, void, void>}
   * @throws {InkstreamError} where the stream does not end as it should
   */
  async *[Symbol.asyncIterator]() {
    for (;;) {
      for (let next; (next = this.#inbox.shift()) !== undefined; ) yield next;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#over) return;
      await new Promise((wake) => (this.#wake = () => wake(undefined)));
    }
  }

  /** @param {ServerMessage} message */
  #hear(message) {
    switch (message.type) {
      case "error": {
        const asked = this.#answered(message.ref);
        if (asked === undefined) this.#put(message);
        else asked.lost(new InkstreamError(message.code, message.message));
        return;
      }
      case "pong":
        this.#answered(message.id)?.answered(message);
        return;
      case "done":
        this.#answered([...this.#asked.keys()][0] ?? null)?.answered(message); // all else was
        break;
      case "flushed":
      case "reset_done":
      case "rewound":
      case "configured":
        this.#answered(message.id)?.answered(message);
    }
    this.#put(message);
  }

  /** Who asked under this id, and need not wait any more. @param {Id} id */
  #answered(id) {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    return asked;
  }

  /** @param {Message} message */
  #put(message) {
    const inbox = this.#inbox;
    const crowded = inbox.length >= MERGE_FROM && message.type === "result";
    if (crowded && inbox.at(-1)?.type === "result") inbox.pop();
    inbox.push(message);
    this.#wake();
  }

  /** @param {InkstreamError} error */
  #lose(error) {
    for (const { lost } of this.#asked.values()) lost(error);
    this.#asked.clear();
  }

  /** @param {Ready} ready */
  #beginAgain(ready) {
    this.#ready = ready;
    this.#put({ type: "reconnected", ready });
  }

  /** @param {InkstreamError | undefined} error */
  #end(error) {
    this.#over = true;
    this.#failure = error;
    this.#wake();
  }
}

/**
 * Strokes for one message after the other, as many points in each as fit, but two may be. One that
 * is cut goes on by its name, or, if it has none, where it ended: its ink is the same.
 *
 * @param {readonly Stroke[]} strokes
 * @param {Ready["limits"]} limits
 * @returns {Generator<Stroke[], void, void>}
 */
function* portionsOf(strokes, { max_message_points, max_frame_bytes }) {
  const fitting = Math.floor((max_frame_bytes - FRAME_BYTES) / POINT_BYTES);
  const most = Math.min(max_message_points, fitting);
  /** @type {Stroke[]} */
  let portion = [];
  let room = most;
  for (const stroke of strokes) {
    const named = stroke.id !== undefined && stroke.id !== null;
    let rest = stroke.points;
    const headBytes = JSON.stringify({ ...stroke, points: [] }).length * CHARACTER_BYTES;
    const head = Math.ceil(headBytes / POINT_BYTES); // it takes the room of so many points
    const whole = Math.max(most - head, 2);
    room = portion.length ? room - head : whole;
    while (rest.length > room) {
      if (room > 1) {
        portion.push({ ...stroke, points: rest.slice(0, room), ...(named && { last: false }) });
        rest = rest.slice(named ? room : room - 1);
      }
      if (portion.length) yield portion;
      portion = [];
      room = whole;
    }
    portion.push({ ...stroke, points: rest });
    room -= rest.length;
  }
  yield portion;
}

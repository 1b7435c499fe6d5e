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

import { Connection, InkstreamError } from "./connection.js";
import { LineLog } from "./line_log.js";

export { InkstreamError };

export const PROTOCOL = "inkstream.v1";

const PATH = "/v1/stream";
const MAX_KEPT_BYTES = 8 << 20; // of a line's messages; a longer line goes on from a snapshot only
const RESUME_ID = "resume"; // of the ping behind all that is sent again; the program's ids are numbers
// Upper bounds of the size of an `ink` message as JSON:
const POINT_BYTES = 54; // a point: two numbers of 25 characters, brackets and commas
const ENVELOPE_BYTES = 2048; // the message without its strokes; nearly all of it for `undo`
const CHARACTER_BYTES = 3; // one UTF-16 code unit
const MERGE_FROM = 256; // waiting messages; above this number results are merged
const CONNECT_OPTIONS = ["model", "key", "reconnect", "reconnect_timeout_ms", "answer_timeout_ms"];

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
export function connect(url, options = {}) {
  const unknown = Object.keys(options).find((name) => !CONNECT_OPTIONS.includes(name));
  if (unknown !== undefined) {
    throw new InkstreamError("bad_value", `${unknown} is no option of connect, allowed: ${CONNECT_OPTIONS.join(", ")}`);
  }
  if (typeof WebSocket === "undefined") {
    throw new InkstreamError("no_connection", "there is no WebSocket here: use a browser, or Node 22 or newer");
  }
  return new Promise((resolve, reject) => {
    new Stream(streamUrl(url, options.model), options, { resolve, reject });
  });
}

/** @param {string | URL} url @param {string | undefined} model @returns {string} */
function streamUrl(url, model) {
  const base = typeof location === "undefined" ? undefined : location.href;
  const address = URL.canParse(url, base) ? new URL(url, base) : undefined;
  if (address === undefined || !/^(http|ws)s?:$/.test(address.protocol)) {
    throw new InkstreamError("bad_value", `url is ${url}, expected one such as ws://127.0.0.1:8000`);
  }
  address.protocol = address.protocol.replace("http", "ws");
  const path = address.pathname.replace(/\/+$/, "");
  address.pathname = path.endsWith(PATH) ? path : path + PATH;
  if (model !== undefined) address.searchParams.set("model", model);
  return address.href;
}

/** A session with the server. `connect` opens one. */
export class Stream {
  /** @type {Ready | undefined} */
  #ready;
  #connection;
  #opening;
  /** @type {Map<Id, PendingRequest>} */
  #pending = new Map();
  #lastId = 0;
  /** @type {Message[]} */
  #inbox = [];
  #text = ""; // of the line, as the newest message has it
  #wake = () => {};
  #isIterated = false;
  /** Why a message was refused whose call had resolved. @type {InkstreamError | undefined} */
  #refusal;
  /** Why the stream has ended; no error if the client ended it. @type {{ error: InkstreamError | undefined } | undefined} */
  #end;

  /** Use `connect` instead. @param {string} url @param {ConnectOptions} options @param {Promised} opening */
  constructor(url, options, opening) {
    const { key, reconnect = true, reconnect_timeout_ms = 60_000, answer_timeout_ms = 20_000 } = options;
    const protocols = key === undefined ? [PROTOCOL] : [PROTOCOL, `key.${key}`];
    const reconnectMs = reconnect ? reconnect_timeout_ms : 0;
    const log = new LineLog(reconnect ? MAX_KEPT_BYTES : 0);
    this.#opening = opening;
    this.#connection = new Connection({ url, protocols, reconnectMs, answerTimeoutMs: answer_timeout_ms }, log, {
      onReady: (ready) => this.#begin(ready),
      onMessage: (message) => this.#receive(message),
      isAwaitingAnswer: () => this.#pending.size > 0,
      onRetry: (error, retry_ms) => this.#enqueue({ type: "disconnected", error, retry_ms }),
      onEnd: (error) => this.#finish(error),
    });
    this.#connection.open();
  }

  /** The server's first message: session, model, labels, column height, limits. */
  get ready() {
    return /** @type {Ready} */ (this.#ready);
  }

  // Client messages

  /**
   * Send columns.
   *
   * @param {Uint8Array} pixels n columns of `ready.column_height` bytes, oldest first, each from top to
   *   bottom, 0 = paper, 255 = ink
   * @returns {Promise<void>} resolves when all are on their way
   */
  async columns(pixels) {
    const { column_height, limits } = this.ready;
    if (pixels.length % column_height) {
      const expected = `a multiple of ${column_height}`;
      throw new InkstreamError("bad_columns", `${pixels.length} bytes, expected ${expected}`);
    }
    const { max_message_columns, max_frame_bytes } = limits;
    const maxColumns = Math.min(max_message_columns, Math.floor(max_frame_bytes / column_height));
    const size = maxColumns * column_height;
    const copy = new Uint8Array(pixels); // the caller may change its array meanwhile
    for (let start = 0; start < copy.length; start += size) {
      await this.#connection.send(copy.subarray(start, start + size), "columns");
    }
  }

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
  async ink(strokes, height, { pause = false, fit = false, undo = null } = {}) {
    const portions = [...splitStrokes(strokes, this.ready.limits)];
    for (const [index, portion] of portions.entries()) {
      const isLast = index === portions.length - 1;
      await this.#send("ink", {
        strokes: portion,
        height,
        ...(index === 0 && undo !== null && { undo }),
        ...(isLast && { ...(pause && { pause }), ...(fit && { fit }) }),
      });
    }
  }

  /** Remove a stroke. @param {number | string} stroke its id @returns {Promise<void>} */
  undo(stroke) {
    return this.#send("ink", { undo: stroke });
  }

  /** Read the columns that a resting pen still touches. @param {{ fit?: boolean }} [options] see `ink` */
  pause({ fit = false } = {}) {
    return this.#send("ink", { pause: true, ...(fit && { fit }) });
  }

  /** Decide everything that is still open. @returns {Promise<Flushed>} */
  flush() {
    return this.#request("flush");
  }

  /** Start a new line at column 0. @returns {Promise<ResetDone>} */
  reset() {
    return this.#request("reset");
  }

  /** Forget `column` and all columns after it. @param {number} column @returns {Promise<Rewound>} */
  rewind(column) {
    return this.#request("rewind", { column });
  }

  /** Change options of the session. @param {SessionOptions} options @returns {Promise<Configured>} */
  configure(options) {
    return this.#request("configure", options);
  }

  /** Measure the round trip to the server. @returns {Promise<number>} milliseconds */
  async ping() {
    const sent = performance.now();
    await this.#request("ping");
    return performance.now() - sent;
  }

  /**
   * Flush and end the session; iterating then stops after `done`.
   *
   * @returns {Promise<Done>}
   * @throws {InkstreamError} why the server refused a message before, if nothing iterates
   */
  async end() {
    const done = await this.#request("end");
    if (this.#refusal !== undefined && !this.#isIterated) throw this.#refusal;
    return done;
  }

  /** Close the connection at once and reject all unanswered requests. */
  close() {
    this.#connection.end();
  }

  /** @param {string} type @param {object} [fields] @param {Id} [id] @returns {Promise<void>} */
  #send(type, fields, id = ++this.#lastId) {
    return this.#connection.send(JSON.stringify({ type, id, ...fields }), type, id);
  }

  /** @param {string} type @param {object} [fields] @returns {Promise<any>} the answer */
  #request(type, fields) {
    return new Promise((resolve, reject) => {
      const sending = this.#send(type, fields);
      const id = this.#lastId;
      this.#pending.set(id, { type, resolve, reject });
      sending.catch((error) => this.#takePending(id)?.reject(error));
      this.#connection.startAnswerTimer();
    });
  }

  // Server messages

  /**
   * Iterate over the messages, in order, until the stream ends.
   *
   * @returns {AsyncGenerator<Message, void, void>}
   * @throws {InkstreamError} if the server or the network ends the stream
   */
  async *[Symbol.asyncIterator]() {
    this.#isIterated = true;
    for (;;) {
      for (let next; (next = this.#inbox.shift()) !== undefined; ) yield next;
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end !== undefined) return;
      await new Promise((wake) => (this.#wake = () => wake(undefined)));
    }
  }

  /** Go on with what was asked, over another connection. @param {Ready} ready */
  #begin(ready) {
    const isFirst = this.#ready === undefined;
    this.#ready = ready;
    if (isFirst) return this.#opening.resolve(this);
    this.#pending.set(RESUME_ID, {
      type: "ping",
      resolve: () => {
        this.#connection.settle();
        this.#enqueue({ type: "reconnected", ready });
      },
      reject: (error) => this.#connection.end(error),
    });
    for (const [id, { type }] of this.#pending) if (type === "ping") this.#send(type, {}, id).catch(() => {});
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    this.#completeText(message);
    switch (message.type) {
      case "snapshot":
      case "resumed":
        return;
      case "pong":
        this.#takePending(message.id)?.resolve(message);
        return;
      case "error": {
        const request = this.#takePending(message.ref);
        const error = new InkstreamError(message.code, message.message);
        if (request !== undefined) return request.reject(error);
        this.#refusal ??= error;
        this.#enqueue(message);
        return;
      }
      case "configured":
      case "rewound":
      case "flushed":
      case "reset_done":
      case "done":
        this.#takePending(message.id)?.resolve(message);
    }
    this.#enqueue(message);
  }

  /** Put the text of a result together, which has the end of it alone. @param {ServerMessage} message */
  #completeText(message) {
    switch (message.type) {
      case "result":
        if (message.text === undefined) return;
        message.text = [...this.#text].slice(0, message.stable).join("") + message.text; // code points
        delete message.stable;
        this.#text = message.text;
        break;
      case "rewound":
      case "revised":
      case "flushed":
        this.#text = message.text ?? "";
        break;
      case "reset_done":
      case "line_end":
        this.#text = "";
    }
  }

  /** Remove and return the unanswered request with an id. @param {Id} id */
  #takePending(id) {
    const request = this.#pending.get(id);
    this.#pending.delete(id);
    return request;
  }

  /** @param {Message} message */
  #enqueue(message) {
    const inbox = this.#inbox;
    const isFull = inbox.length >= MERGE_FROM && message.type === "result";
    if (isFull && inbox.at(-1)?.type === "result") inbox.pop();
    inbox.push(message);
    this.#wake();
  }

  /** @param {InkstreamError | undefined} error */
  #finish(error) {
    this.#end = { error };
    const reason = error ?? new InkstreamError("no_connection", "the stream has ended");
    this.#opening.reject(reason);
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
    this.#wake();
  }
}

/**
 * Split strokes into portions that fit into one message each. A stroke that is cut continues under its id, or
 * from its last point if it has no id, so its ink is the same.
 *
 * @param {readonly Stroke[]} strokes
 * @param {Ready["limits"]} limits
 * @returns {Generator<Stroke[], void, void>}
 */
function* splitStrokes(strokes, { max_message_points, max_frame_bytes }) {
  const maxPoints = Math.min(max_message_points, Math.floor((max_frame_bytes - ENVELOPE_BYTES) / POINT_BYTES));
  /** @type {Stroke[]} */
  let portion = [];
  let room = maxPoints; // points that still fit into the portion
  for (const stroke of strokes) {
    const headBytes = JSON.stringify({ ...stroke, points: [] }).length * CHARACTER_BYTES;
    const head = Math.ceil(headBytes / POINT_BYTES); // in points
    const maxPiece = Math.max(maxPoints - head, 2);
    const hasId = stroke.id !== undefined && stroke.id !== null;
    for (let { points } = stroke, isLast = false; !isLast; points = points.slice(hasId ? maxPiece : maxPiece - 1)) {
      isLast = points.length <= maxPiece;
      const written = points.slice(0, maxPiece).map(([x, y]) => /** @type {Point} */ ([x, y])); // not pressure or time
      const piece = { ...stroke, points: written, ...(hasId && !isLast && { last: false }) };
      const size = head + piece.points.length;
      if (size > room && portion.length > 0) {
        yield portion;
        portion = [];
        room = maxPoints;
      }
      portion.push(piece);
      room -= size;
    }
  }
  yield portion;
}

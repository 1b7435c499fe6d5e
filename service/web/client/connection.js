/**
 * Sends the messages of a line over a WebSocket, waits while its buffer is full, and opens another one when it is
 * lost.
 *
 * @import { Id, Ready, ServerMessage } from "./protocol.d.ts"
 * @import { LineLog } from "./line_log.js"
 */

const OPEN_TIMEOUT_MS = 10_000;
const MAX_BUFFERED_BYTES = 1 << 16; // in the WebSocket; above it the next message waits
const DRAIN_INTERVAL_MS = 5; // no event reports that a WebSocket's buffer has drained
const FIRST_RETRY_MS = 50; // longest delay before the second attempt to reconnect; doubled each time
const MAX_RETRY_MS = 5000;
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/; // RFC 9110, 5.6.2

// Closing codes; docs/errors.md lists them.
const NORMAL_CLOSURE = 1000;
const LOST = 1006; // RFC 6455, 7.4.1: no closing code came
const IDLE = 4408;
const TOO_MANY_SESSIONS = 4429;
/** After these another connection would be closed too. */
const FINAL = new Set([1002, 1007, 1008, 1009, 4400, 4401, 4403, 4404, 4413, 4421, TOO_MANY_SESSIONS]);

/** An error of the server or of the connection. */
export class InkstreamError extends Error {
  /**
   * @param {string} code for programs: a code of docs/errors.md, "no_connection" or "not_resumable"
   * @param {string} message for people: what came and what is allowed
   */
  constructor(code, message) {
    super(message);
    this.name = "InkstreamError";
    this.code = code;
  }
}

/**
 * @typedef {object} Settings
 * @property {string} url
 * @property {string[]} protocols
 * @property {number} reconnectMs for how long to try to replace a lost connection
 * @property {number} answerTimeoutMs how long the server may send nothing while an answer is due
 */

/**
 * @typedef {object} Listener
 * @property {(ready: Ready) => void} onReady a connection is open
 * @property {(message: ServerMessage) => void} onMessage another message has come
 * @property {() => boolean} isAwaitingAnswer return whether a request is still unanswered
 * @property {(error: InkstreamError, delayMs: number) => void} onRetry connect again after the delay
 * @property {(error: InkstreamError | undefined) => void} onEnd the connection has ended for good
 */

export class Connection {
  #settings;
  #log;
  #listener;
  /** @type {WebSocket | undefined} */
  #socket;
  #isOpen = false; // `ready` has come: the server takes no message before
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer; // for the next look at the buffer, or for the next attempt to reconnect
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #answerTimer;
  #lastBufferedBytes = 0;
  #columnHeight = 0;
  /** @type {InkstreamError | undefined} */
  #fatalError; // why the server is about to close the connection
  /** The loss that is not replaced yet. @type {{ error: InkstreamError, attempts: number, endMs: number } | undefined} */
  #loss;
  /** @type {InkstreamError | undefined} */
  #idleError; // why there is no connection until there is something to send
  #hasEnded = false;

  /** @param {Settings} settings @param {LineLog} log @param {Listener} listener */
  constructor(settings, log, listener) {
    if (!settings.protocols.every((name) => TOKEN.test(name))) {
      throw new InkstreamError("bad_value", "key has other characters than letters, digits and !#$%&'*+.^_`|~-");
    }
    this.#settings = settings;
    this.#log = log;
    this.#listener = listener;
  }

  /** Connect; `onReady` or `onEnd` is called. */
  open() {
    const socket = new WebSocket(this.#settings.url, this.#settings.protocols);
    this.#socket = socket;
    this.#fatalError = undefined;
    this.startAnswerTimer(OPEN_TIMEOUT_MS);
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#lose(code, reason);
    socket.onerror = () => {
      if (!this.#isOpen) this.#lose(LOST, `cannot reach ${socket.url}`);
    };
  }

  /**
   * Send a message as soon as the buffer has room, in the order of the calls.
   *
   * @param {string | Uint8Array<ArrayBuffer>} data
   * @param {string} type
   * @param {Id} [id]
   * @returns {Promise<void>} resolves when the message is in the WebSocket's buffer
   */
  send(data, type, id = null) {
    return new Promise((resolve, reject) => {
      if (this.#hasEnded) return reject(new InkstreamError("no_connection", "the stream has ended"));
      this.#log.add({ data, type, id, resolve, reject });
      const idleError = this.#idleError;
      this.#idleError = undefined;
      if (idleError !== undefined) this.#retry(idleError);
      this.#drain();
    });
  }

  /**
   * Start the timeout for the server's next message, unless it runs already. A broken network raises
   * no event, so a server that sends nothing for too long while an answer is due counts as lost.
   */
  startAnswerTimer(ms = this.#settings.answerTimeoutMs) {
    if (this.#socket === undefined) return;
    this.#answerTimer ??= setTimeout(() => this.#lose(LOST, `the server sent nothing for ${ms / 1000} s`), ms);
  }

  /** Count the lost connection as replaced. */
  settle() {
    this.#loss = undefined;
  }

  /** End the connection for good. @param {InkstreamError} [error] why, unless the program ends it */
  end(error) {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#drop();
    this.#log.close(error ?? new InkstreamError("no_connection", "the stream has ended"));
    this.#listener.onEnd(error);
  }

  get #canReplace() {
    return this.#settings.reconnectMs > 0 && this.#log.canResume;
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    this.#stopAnswerTimer();
    if (message.type === "ready") this.#begin(message);
    else if (message.type === "error" && message.fatal) {
      this.#fatalError = new InkstreamError(message.code, message.message);
    } else if (!this.#log.receive(message)) {
      this.end(new InkstreamError("not_resumable", "the server refuses the snapshot of a line that is too long"));
    } else {
      this.#listener.onMessage(message);
      if (message.type === "resumed") this.#drain();
      if (message.type === "goaway" && this.#canReplace) {
        this.#fatalError = new InkstreamError("stopping", message.reason);
        this.#lose(LOST, "");
      }
    }
    if (this.#listener.isAwaitingAnswer()) this.startAnswerTimer();
  }

  /** @param {Ready} ready */
  #begin(ready) {
    if (ready.column_height !== (this.#columnHeight ||= ready.column_height)) {
      return this.end(new InkstreamError("not_resumable", "the server now reads columns of another height"));
    }
    this.#isOpen = true;
    this.#socket?.send(this.#log.resume(ready));
    this.#listener.onReady(ready);
    this.#drain();
  }

  #drain() {
    const socket = this.#socket;
    if (socket === undefined || !this.#isOpen) return;
    clearTimeout(this.#timer);
    while (socket.bufferedAmount < MAX_BUFFERED_BYTES) {
      const data = this.#log.take();
      if (data === undefined) {
        if (!this.#listener.isAwaitingAnswer()) this.#stopAnswerTimer();
        return;
      }
      socket.send(data);
    }
    if (socket.bufferedAmount < this.#lastBufferedBytes) this.#stopAnswerTimer(); // the network is alive
    this.#lastBufferedBytes = socket.bufferedAmount;
    this.startAnswerTimer();
    this.#timer = setTimeout(() => this.#drain(), DRAIN_INTERVAL_MS);
  }

  #stopAnswerTimer() {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
  }

  /** Give the WebSocket up, without waiting for its closing handshake. */
  #drop() {
    clearTimeout(this.#timer);
    this.#stopAnswerTimer();
    this.#isOpen = false;
    if (this.#socket === undefined) return;
    this.#socket.onmessage = this.#socket.onclose = this.#socket.onerror = null;
    this.#socket.close(NORMAL_CLOSURE);
    this.#socket = undefined;
  }

  /** Reconnect or end. @param {number} code of the closing @param {string} reason */
  #lose(code, reason) {
    this.#drop();
    // The lost session may still be counted.
    const isFinal = FINAL.has(code) && (code !== TOO_MANY_SESSIONS || this.#loss === undefined);
    const message = reason || `the connection is lost (${code})`;
    const error = this.#fatalError ?? new InkstreamError(isFinal ? "bad_message" : "no_connection", message);
    if (code === NORMAL_CLOSURE) return this.end();
    if (isFinal || !this.#canReplace || this.#columnHeight === 0) return this.end(error);
    if (code === IDLE && !this.#log.isWaiting && !this.#listener.isAwaitingAnswer()) this.#idleError = error;
    else this.#retry(error);
  }

  /** Connect again after a delay. @param {InkstreamError} error the newest */
  #retry(error) {
    const loss = (this.#loss ??= { error, attempts: 0, endMs: performance.now() + this.#settings.reconnectMs });
    const maxDelayMs = loss.attempts === 0 ? 0 : Math.min(FIRST_RETRY_MS * 2 ** (loss.attempts - 1), MAX_RETRY_MS);
    const delayMs = Math.round(maxDelayMs * Math.random()); // spreads the clients' attempts
    if (performance.now() + delayMs >= loss.endMs) {
      const tried = `tried ${loss.attempts} times in ${this.#settings.reconnectMs / 1000} s to go on elsewhere`;
      return this.end(new InkstreamError("no_connection", `${loss.error.message}; ${tried}, at last: ${error.message}`));
    }
    loss.attempts += 1;
    this.#listener.onRetry(error, delayMs);
    this.#timer = setTimeout(() => this.open(), delayMs);
  }
}

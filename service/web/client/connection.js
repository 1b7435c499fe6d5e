/**
 * The WebSocket of a stream: queues messages while the socket's buffer is full or the connection is lost,
 * and connects again.
 *
 * @import { Id, Ready, ServerMessage } from "./protocol.d.ts"
 */

const OPEN_TIMEOUT_MS = 10_000;
const MAX_BUFFERED_BYTES = 1 << 16; // in the WebSocket; above it the next message waits
const DRAIN_INTERVAL_MS = 5; // no event reports that a WebSocket's buffer has drained
const FIRST_RETRY_MS = 50; // longest delay before the second attempt to reconnect; doubled each time
const MAX_RETRY_MS = 5000;
const MOVE_MS = 1000; // how long after `goaway` the snapshot may take to come
const NORMAL_CLOSURE = 1000; // RFC 6455, 7.4.1
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/; // RFC 9110, 5.6.2

/** Error code of each closing code, for closures without an `error` message. @type {Map<number, string>} */
const ERROR_CODES = new Map([
  [1001, "stopping"],
  [1002, "bad_message"],
  [1007, "bad_message"],
  [1008, "over_limit"],
  [1009, "over_limit"],
  [1011, "internal"],
  [1012, "stopping"],
  [1013, "server_full"],
  [4400, "bad_message"],
  [4401, "unauthorized"],
  [4403, "forbidden_origin"],
  [4404, "unknown_model"],
  [4408, "idle"],
  [4413, "over_limit"],
  [4421, "forbidden_host"],
  [4429, "too_many_sessions"],
  [4440, "session_expired"],
]);
/** Codes of what ends a connection, and not the line. */
const LOSSES = new Set([
  "no_connection",
  "stopping",
  "server_full",
  "internal",
  "bad_config",
  "bad_data",
  "bad_checkpoint",
  "idle",
  "session_expired",
]);
const RETRIED_CODES = new Set([...LOSSES, "too_many_sessions"]); // the lost session may still be counted

/** An error of the server or of the connection. */
export class InkstreamError extends Error {
  /**
   * @param {string} code for programs: a code of the table in docs/protocol.md, or "no_connection"
   * @param {string} message for people: what came and what is allowed
   */
  constructor(code, message) {
    super(message);
    this.name = "InkstreamError";
    this.code = code;
  }
}

/**
 * @typedef {object} Listener
 * @property {(message: ServerMessage) => void} onMessage a message other than `ready` has come
 * @property {(message: QueuedMessage) => void} onSend a message is in the WebSocket's buffer now
 * @property {() => boolean} isAwaitingAnswer return whether a request is still unanswered
 * @property {() => boolean} canResume return whether the line can go on over another connection
 * @property {(error: InkstreamError) => void} onLost the connection is lost
 * @property {(error: InkstreamError, delayMs: number) => void} onRetry connect again after the delay
 * @property {(ready: Ready) => Promise<void>} onReconnect go on with the line over a new connection
 * @property {(error: InkstreamError | undefined) => void} onEnd the connection has ended for good
 */

/**
 * The loss of a connection.
 *
 * @typedef {object} Loss
 * @property {InkstreamError} error
 * @property {number} attempts to replace it, so far
 * @property {number} endMs when the last one may begin
 */

/**
 * @typedef {object} QueuedMessage
 * @property {string | Uint8Array<ArrayBuffer>} data
 * @property {string} type
 * @property {Id} id
 * @property {() => void} resolve called when the message is in the WebSocket's buffer
 * @property {(error: InkstreamError) => void} reject called when the message cannot be sent
 */

export class Connection {
  #url;
  #protocols;
  #reconnectMs;
  #answerTimeoutMs;
  #listener;
  /** @type {WebSocket | undefined} */
  #socket;
  /** @type {QueuedMessage[]} */
  #queue = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer; // for the next look at the buffer, or for the next attempt to reconnect
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #answerTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #leaveTimer;
  #lastBufferedBytes = 0;
  /** @type {InkstreamError | undefined} */
  #fatalError; // from the server's last message before it closed the connection
  #isResuming = false; // messages wait until the line goes on
  /** @type {InkstreamError | undefined} */
  #idleError; // why there is no connection until there is something to send
  #ended = false;

  /**
   * @param {string} url
   * @param {string[]} protocols
   * @param {number} reconnectMs for how long to try to replace a lost connection
   * @param {number} answerTimeoutMs how long the server may send nothing while an answer is due
   * @param {Listener} listener
   */
  constructor(url, protocols, reconnectMs, answerTimeoutMs, listener) {
    if (!protocols.every((name) => TOKEN.test(name))) {
      throw new InkstreamError("bad_value", "key has other characters than letters, digits and !#$%&'*+.^_`|~-");
    }
    this.#url = url;
    this.#protocols = protocols;
    this.#reconnectMs = reconnectMs;
    this.#answerTimeoutMs = answerTimeoutMs;
    this.#listener = listener;
  }

  /**
   * Connect.
   *
   * @returns {Promise<Ready>} the server's first message
   * @throws {InkstreamError} the server's error, or "no_connection" if the server does not answer
   */
  open() {
    const socket = new WebSocket(this.#url, this.#protocols);
    this.#fatalError = undefined;
    return new Promise((resolve, reject) => {
      let isOpen = false;
      const timeout = setTimeout(() => {
        socket.close();
        reject(noConnection(`no answer within ${OPEN_TIMEOUT_MS / 1000} s`));
      }, OPEN_TIMEOUT_MS);
      socket.onmessage = ({ data }) => {
        const message = /** @type {ServerMessage} */ (JSON.parse(data));
        if (message.type === "ready") {
          clearTimeout(timeout);
          this.#socket = socket; // not earlier: the server takes no message before `ready`
          isOpen = true;
          resolve(message);
        } else if (message.type === "error" && message.fatal) {
          this.#fatalError = new InkstreamError(message.code, message.message);
        } else {
          this.#stopAnswerTimer();
          this.#listener.onMessage(message);
          if (this.#listener.isAwaitingAnswer()) this.startAnswerTimer();
        }
      };
      socket.onerror = () => {
        clearTimeout(timeout);
        reject(this.#fatalError ?? noConnection(`cannot reach ${socket.url}`));
      };
      socket.onclose = ({ code, reason }) => {
        clearTimeout(timeout);
        const error = this.#fatalError ?? errorOfClosing(code, reason);
        if (isOpen) this.#handleClose(code === NORMAL_CLOSURE ? undefined : error);
        else reject(error);
      };
    });
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
      this.#queue.push({ data, type, id, resolve, reject });
      if (this.#idleError !== undefined) this.#replace(this.#idleError);
      this.#drain();
    });
  }

  /** Send a message at once, before those that wait. @param {string | Uint8Array<ArrayBuffer>} data */
  sendNow(data) {
    this.#socket?.send(data);
    this.startAnswerTimer();
  }

  /** Leave a server that is about to stop, after a moment or now. @param {string} reason @param {boolean} now */
  leave(reason, now) {
    clearTimeout(this.#leaveTimer);
    if (now) this.#abandon(new InkstreamError("stopping", reason));
    else this.#leaveTimer = setTimeout(() => this.leave(reason, true), MOVE_MS);
  }

  /**
   * Start the timeout for the server's next message, unless it runs already. A broken network raises
   * no event, so a server that sends nothing for too long while an answer is due counts as lost.
   */
  startAnswerTimer() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const silence = `the server sent nothing for ${this.#answerTimeoutMs / 1000} s`;
    this.#answerTimer ??= setTimeout(() => this.#abandon(noConnection(silence)), this.#answerTimeoutMs);
  }

  /** Close the connection at once. */
  close() {
    this.#end(undefined);
    this.#socket?.close(NORMAL_CLOSURE);
  }

  #drain() {
    const socket = this.#socket;
    if (this.#ended) return this.#rejectQueue(noConnection("the stream has ended"));
    if (socket?.readyState !== WebSocket.OPEN || this.#isResuming) return;
    clearTimeout(this.#timer);
    while (socket.bufferedAmount < MAX_BUFFERED_BYTES) {
      const next = this.#queue.shift();
      if (next === undefined) {
        if (!this.#listener.isAwaitingAnswer()) this.#stopAnswerTimer();
        return;
      }
      socket.send(next.data);
      this.#listener.onSend(next);
      next.resolve();
    }
    if (socket.bufferedAmount < this.#lastBufferedBytes) this.#stopAnswerTimer(); // the network is alive
    this.#lastBufferedBytes = socket.bufferedAmount;
    this.startAnswerTimer();
    this.#timer = setTimeout(() => this.#drain(), DRAIN_INTERVAL_MS);
  }

  /** @param {InkstreamError} error */
  #rejectQueue(error) {
    for (const { reject } of this.#queue.splice(0)) reject(error);
  }

  #stopTimers() {
    clearTimeout(this.#timer);
    clearTimeout(this.#leaveTimer);
    this.#stopAnswerTimer();
  }

  #stopAnswerTimer() {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
  }

  /** Give the socket up without waiting for its closing handshake. @param {InkstreamError} error */
  #abandon(error) {
    this.#dropSocket();
    this.#handleClose(this.#fatalError ?? error);
  }

  #dropSocket() {
    const socket = this.#socket;
    if (socket === undefined) return;
    socket.onmessage = socket.onclose = null;
    socket.close(NORMAL_CLOSURE);
  }

  /** Reconnect or end after an open connection has closed. @param {InkstreamError | undefined} error */
  #handleClose(error) {
    this.#stopTimers();
    this.#listener.onLost(error ?? noConnection("the stream has ended"));
    if (this.#ended || this.#isResuming) return; // the attempt that is under way fails
    if (error === undefined || !LOSSES.has(error.code) || !this.#listener.canResume()) return this.#end(error);
    this.#isResuming = true;
    const isWaiting = this.#queue.length > 0 || this.#listener.isAwaitingAnswer();
    if (error.code === "idle" && !isWaiting) this.#idleError = error;
    else this.#replace(error);
  }

  /** Connect again. @param {InkstreamError} error why */
  #replace(error) {
    this.#idleError = undefined;
    this.#retry({ error, attempts: 0, endMs: performance.now() + this.#reconnectMs }, error);
  }

  /** Connect again after a delay. @param {Loss} loss @param {InkstreamError} error the newest */
  #retry(loss, error) {
    const maxDelayMs = loss.attempts === 0 ? 0 : Math.min(FIRST_RETRY_MS * 2 ** (loss.attempts - 1), MAX_RETRY_MS);
    const delayMs = Math.round(maxDelayMs * Math.random()); // spreads the clients' attempts
    if (performance.now() + delayMs >= loss.endMs) {
      const tried = `tried ${loss.attempts} times in ${this.#reconnectMs / 1000} s to go on elsewhere`;
      return this.#end(noConnection(`${loss.error.message}; ${tried}, at last: ${error.message}`));
    }
    loss.attempts += 1;
    this.#listener.onRetry(error, delayMs);
    this.#timer = setTimeout(() => this.#attempt(loss), delayMs);
  }

  /** @param {Loss} loss */
  async #attempt(loss) {
    try {
      const ready = await this.open();
      if (this.#ended) return this.#dropSocket();
      await this.#listener.onReconnect(ready);
      this.#isResuming = false;
      this.#drain();
    } catch (problem) {
      this.#dropSocket();
      const error = /** @type {InkstreamError} */ (problem);
      if (this.#ended) return;
      if (RETRIED_CODES.has(error.code)) this.#retry(loss, error);
      else this.#end(error);
    }
  }

  /** End the connection for good. @param {InkstreamError | undefined} error */
  #end(error) {
    if (this.#ended) return;
    this.#ended = true;
    this.#idleError = undefined;
    this.#stopTimers();
    this.#rejectQueue(error ?? noConnection("the stream has ended"));
    this.#listener.onEnd(error);
  }
}

/** @param {string} message */
function noConnection(message) {
  return new InkstreamError("no_connection", message);
}

/** @param {number} code @param {string} reason */
function errorOfClosing(code, reason) {
  const known = ERROR_CODES.get(code);
  if (known === undefined) return noConnection(reason || `the connection is lost (${code})`);
  return new InkstreamError(known, reason || `the server closed the stream (${code})`);
}

/**
 * The WebSocket of a stream: queues messages while the socket's buffer is full, and reconnects.
 *
 * @import { Ready, ServerMessage } from "./protocol.d.ts"
 */

const OPEN_TIMEOUT_MS = 10_000;
const MAX_BUFFERED_BYTES = 1 << 16; // in the WebSocket; above it the next message waits
const DRAIN_INTERVAL_MS = 5; // no event reports that a WebSocket's buffer has drained
const FIRST_RETRY_MS = 250; // delay before the first attempt to reconnect; doubled each time
const MAX_RETRY_MS = 15_000;
const NORMAL_CLOSURE = 1000; // RFC 6455, 7.4.1
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/; // RFC 9110, 5.6.2

/** Error code of each closing code, for closures without an `error` message. @type {Map<number, string>} */
const ERROR_CODES = new Map([
  [1001, "stopping"],
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
  [4429, "too_many_messages"],
  [4440, "session_expired"],
]);
const RETRIED_CODES = new Set(["no_connection", "stopping", "server_full", "internal", "session_expired"]);

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
 * @property {() => boolean} isAwaitingAnswer return whether a request is still unanswered
 * @property {(error: InkstreamError) => void} onLost the connection is lost; reject the open requests
 * @property {(error: InkstreamError, delayMs: number) => void} onRetry connect again after the delay
 * @property {(ready: Ready) => void} onReconnect a new session has begun
 * @property {(error: InkstreamError | undefined) => void} onEnd the connection has ended for good
 */

/**
 * @typedef {object} QueuedMessage
 * @property {string | Uint8Array<ArrayBuffer>} data
 * @property {() => void} resolve called when the message is in the WebSocket's buffer
 * @property {(error: InkstreamError) => void} reject called when the message cannot be sent
 */

export class Connection {
  #url;
  #protocols;
  #reconnect;
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
  #lastBufferedBytes = 0;
  /** @type {InkstreamError | undefined} */
  #fatalError; // from the server's last message before it closed the connection
  #ended = false;

  /**
   * @param {string} url
   * @param {string[]} protocols
   * @param {boolean} reconnect
   * @param {number} answerTimeoutMs how long the server may send nothing while an answer is due
   * @param {Listener} listener
   */
  constructor(url, protocols, reconnect, answerTimeoutMs, listener) {
    if (!protocols.every((name) => TOKEN.test(name))) {
      throw new InkstreamError("bad_value", "key has other characters than letters, digits and !#$%&'*+.^_`|~-");
    }
    this.#url = url;
    this.#protocols = protocols;
    this.#reconnect = reconnect;
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
   * @returns {Promise<void>} resolves when the message is in the WebSocket's buffer
   */
  send(data) {
    return new Promise((resolve, reject) => {
      this.#queue.push({ data, resolve, reject });
      this.#drain();
    });
  }

  /**
   * Start the timeout for the server's next message, unless it runs already. A broken network raises
   * no event, so a server that sends nothing for too long while an answer is due counts as lost.
   */
  startAnswerTimer() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#answerTimer ??= setTimeout(() => this.#abandon(), this.#answerTimeoutMs);
  }

  /** Close the connection at once. */
  close() {
    this.#end(undefined);
    this.#socket?.close(NORMAL_CLOSURE);
  }

  #drain() {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) {
      this.#rejectQueue(noConnection("the stream is not connected"));
      return;
    }
    clearTimeout(this.#timer);
    while (socket.bufferedAmount < MAX_BUFFERED_BYTES) {
      const next = this.#queue.shift();
      if (next === undefined) {
        if (!this.#listener.isAwaitingAnswer()) this.#stopAnswerTimer();
        return;
      }
      socket.send(next.data);
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

  #stopAnswerTimer() {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
  }

  /** Give the socket up without waiting for its closing handshake. */
  #abandon() {
    const socket = /** @type {WebSocket} */ (this.#socket);
    socket.onmessage = socket.onclose = null;
    socket.close();
    const seconds = this.#answerTimeoutMs / 1000;
    this.#handleClose(this.#fatalError ?? noConnection(`the server sent nothing for ${seconds} s`));
  }

  /** Reconnect or end after an open connection has closed. @param {InkstreamError | undefined} error */
  #handleClose(error) {
    this.#stopAnswerTimer();
    const reason = error ?? noConnection("the stream has ended");
    this.#rejectQueue(reason);
    this.#listener.onLost(reason);
    if (this.#ended) return;
    if (error !== undefined && this.#reconnect && RETRIED_CODES.has(error.code)) {
      this.#retry(error, FIRST_RETRY_MS);
    } else {
      this.#end(error);
    }
  }

  /** Connect again after a delay. @param {InkstreamError} error @param {number} maxDelayMs */
  #retry(error, maxDelayMs) {
    const delayMs = Math.round(maxDelayMs * (0.5 + Math.random() / 2)); // spreads the clients' attempts
    this.#listener.onRetry(error, delayMs);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      try {
        const ready = await this.open();
        if (this.#ended) this.#socket?.close(NORMAL_CLOSURE);
        else this.#listener.onReconnect(ready);
      } catch (problem) {
        const next = /** @type {InkstreamError} */ (problem);
        if (this.#ended) return;
        if (RETRIED_CODES.has(next.code)) this.#retry(next, Math.min(2 * maxDelayMs, MAX_RETRY_MS));
        else this.#end(next);
      }
    }, delayMs);
  }

  /** End the connection for good. @param {InkstreamError | undefined} error */
  #end(error) {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#stopAnswerTimer();
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

/**
 * The WebSocket below a stream: what goes out waits for room, and a lost connection is made anew.
 *
 * @import { Ready, ServerMessage } from "./protocol.d.ts"
 */

const OPEN_TIMEOUT_MS = 10_000;
const MOST_BUFFERED = 1 << 16; // bytes on their way out: from here on the next message waits
const LOOK_AGAIN_MS = 5; // no event tells that a WebSocket's buffer has drained
const FIRST_DELAY_MS = 250; // before a lost connection is tried again; doubled each time
const LONGEST_DELAY_MS = 15_000;
const NORMAL_CLOSURE = 1000; // RFC 6455, 7.4.1
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/; // RFC 9110, 5.6.2

/** What a closing code means where no `error` message came before it. @type {Map<number, string>} */
const CODES = new Map([
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
const TRY_AGAIN = new Set(["no_connection", "stopping", "server_full", "internal", "session_expired"]);

/** What went wrong; `code` is one of the table in docs/protocol.md, or "no_connection". */
export class InkstreamError extends Error {
  /**
   * @param {string} code stable, for programs
   * @param {string} message what came and what is allowed, for people
   */
  constructor(code, message) {
    super(message);
    this.name = "InkstreamError";
    this.code = code;
  }
}

/**
 * @typedef {object} Listener
 * @property {(message: ServerMessage) => void} hear a message that is not `ready`
 * @property {() => boolean} isOwed whether the server still has something to answer
 * @property {(error: InkstreamError) => void} lost what is not answered yet never will be
 * @property {(error: InkstreamError, retryMs: number) => void} waits for another try
 * @property {(ready: Ready) => void} again a new session begins
 * @property {(error: InkstreamError | undefined) => void} over nothing more will come
 */

/**
 * @typedef {object} Outgoing what waits to be sent
 * @property {string | Uint8Array<ArrayBuffer>} data
 * @property {() => void} sent
 * @property {(error: InkstreamError) => void} lost
 */

export class Connection {
  #url;
  #protocols;
  #reconnect;
  #silenceMs;
  #listener;
  /** @type {WebSocket | undefined} */
  #socket;
  /** @type {Outgoing[]} */
  #outbox = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer; // until the outbox is looked at again, or the next try
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence; // until a server that owes an answer counts as lost
  #backlog = 0; // bytes on their way out when the outbox was last looked at
  /** @type {InkstreamError | undefined} */
  #fatal; // what the server said before it closed
  #over = false;

  /**
   * @param {string} url
   * @param {string[]} protocols
   * @param {boolean} reconnect
   * @param {number} silenceMs for which a server may say nothing that owes an answer
   * @param {Listener} listener
   */
  constructor(url, protocols, reconnect, silenceMs, listener) {
    if (!protocols.every((name) => TOKEN.test(name))) {
      throw new InkstreamError("bad_value", "no key has such characters");
    }
    this.#url = url;
    this.#protocols = protocols;
    this.#reconnect = reconnect;
    this.#silenceMs = silenceMs;
    this.#listener = listener;
  }

  /**
   * Connect.
   *
   * @returns {Promise<Ready>} what the server says first
   * @throws {InkstreamError} its refusal, or "no_connection" if nobody answers
   */
  open() {
    const socket = new WebSocket(this.#url, this.#protocols);
    this.#fatal = undefined;
    return new Promise((opened, refused) => {
      let isOpen = false;
      const timeout = setTimeout(() => {
        socket.close();
        refused(noConnection(`no answer within ${OPEN_TIMEOUT_MS / 1000} s`));
      }, OPEN_TIMEOUT_MS);
      socket.onmessage = ({ data }) => {
        const message = /** @type {ServerMessage} */ (JSON.parse(data));
        if (message.type === "ready") {
          clearTimeout(timeout);
          this.#socket = socket; // nothing is sent before
          isOpen = true;
          opened(message);
        } else if (message.type === "error" && message.fatal) {
          this.#fatal = new InkstreamError(message.code, message.message);
        } else {
          this.#stopWaiting();
          this.#listener.hear(message);
          if (this.#listener.isOwed()) this.awaitAnswer();
        }
      };
      socket.onerror = () => {
        clearTimeout(timeout);
        refused(this.#fatal ?? noConnection(`cannot reach ${socket.url}`));
      };
      socket.onclose = ({ code, reason }) => {
        clearTimeout(timeout);
        const error = this.#fatal ?? errorOfClose(code, reason);
        if (isOpen) this.#closed(code === NORMAL_CLOSURE ? undefined : error);
        else refused(error);
      };
    });
  }

  /**
   * Send when there is room, in the order of the calls.
   *
   * @param {string | Uint8Array<ArrayBuffer>} data
   * @returns {Promise<void>} when it is on its way
   */
  send(data) {
    return new Promise((sent, lost) => {
      this.#outbox.push({ data, sent, lost });
      this.#drain();
    });
  }

  /**
   * Something is owed that was asked for. A network that fails tells nobody: a server that says
   * nothing for too long counts as lost.
   */
  awaitAnswer() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#silence ??= setTimeout(() => this.#abandon(), this.#silenceMs);
  }

  /** Close at once. */
  close() {
    this.#finish(undefined);
    this.#socket?.close(NORMAL_CLOSURE);
  }

  #drain() {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) {
      this.#lose(noConnection("the stream is not connected"));
      return;
    }
    clearTimeout(this.#timer);
    while (socket.bufferedAmount < MOST_BUFFERED) {
      const next = this.#outbox.shift();
      if (next === undefined) {
        if (!this.#listener.isOwed()) this.#stopWaiting();
        return;
      }
      socket.send(next.data);
      next.sent();
    }
    if (socket.bufferedAmount < this.#backlog) this.#stopWaiting(); // it advances
    this.#backlog = socket.bufferedAmount;
    this.awaitAnswer(); // of what is on its way
    this.#timer = setTimeout(() => this.#drain(), LOOK_AGAIN_MS);
  }

  /** @param {InkstreamError} error */
  #lose(error) {
    for (const { lost } of this.#outbox.splice(0)) lost(error);
  }

  #stopWaiting() {
    clearTimeout(this.#silence);
    this.#silence = undefined;
  }

  /** Wait for nothing any more, not even for the connection's own end. */
  #abandon() {
    const socket = /** @type {WebSocket} */ (this.#socket);
    socket.onmessage = socket.onclose = null;
    socket.close();
    this.#closed(this.#fatal ?? noConnection(`the server said nothing for ${this.#silenceMs / 1000} s`));
  }

  /** The open connection is gone. @param {InkstreamError | undefined} error */
  #closed(error) {
    this.#stopWaiting();
    const gone = error ?? noConnection("the stream has ended");
    this.#lose(gone);
    this.#listener.lost(gone);
    if (this.#over) return;
    if (error !== undefined && this.#reconnect && TRY_AGAIN.has(error.code)) {
      this.#tryAgain(error, FIRST_DELAY_MS);
    } else {
      this.#finish(error);
    }
  }

  /** Make the connection anew after a while. @param {InkstreamError} error @param {number} delay */
  #tryAgain(error, delay) {
    const wait = Math.round(delay * (0.5 + Math.random() / 2)); // not all clients at once
    this.#listener.waits(error, wait);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      try {
        const ready = await this.open();
        if (this.#over) this.#socket?.close(NORMAL_CLOSURE);
        else this.#listener.again(ready);
      } catch (problem) {
        const again = /** @type {InkstreamError} */ (problem);
        if (this.#over) return;
        if (TRY_AGAIN.has(again.code)) this.#tryAgain(again, Math.min(2 * delay, LONGEST_DELAY_MS));
        else this.#finish(again);
      }
    }, wait);
  }

  /** Nothing more will come. @param {InkstreamError | undefined} error */
  #finish(error) {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#stopWaiting();
    this.#lose(error ?? noConnection("the stream has ended"));
    this.#listener.over(error);
  }
}

/** @param {string} message */
export function noConnection(message) {
  return new InkstreamError("no_connection", message);
}

/** @param {number} code @param {string} reason */
function errorOfClose(code, reason) {
  const known = CODES.get(code);
  if (known === undefined) return noConnection(reason || `the connection is lost (${code})`);
  return new InkstreamError(known, reason || `the server closed the stream (${code})`);
}

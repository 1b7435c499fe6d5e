/** The connection with a fake WebSocket, because no real network is slow or silent on demand. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";

import { Connection } from "../../../../service/web/client/connection.js";

/** @import { InkstreamError } from "../../../../service/web/client/connection.js" */

const ANSWER_TIMEOUT_MS = 1000;
const READY = { type: "ready" };

/** Fakes a WebSocket; the test acts as the network and the server. */
class FakeSocket {
  static OPEN = 1;
  /** @type {FakeSocket[]} */
  static all = [];

  readyState = FakeSocket.OPEN;
  bufferedAmount = 0;
  /** @type {unknown[]} */
  sent = [];
  /** @type {((event: { data: string }) => void) | null} */
  onmessage = null;
  /** @type {((event: { code: number, reason: string }) => void) | null} */
  onclose = null;

  constructor() {
    FakeSocket.all.push(this);
  }

  /** @param {unknown} data */
  send(data) {
    this.sent.push(data);
  }

  close() {
    this.readyState = 3;
  }

  /** Deliver a message of the server. @param {object} message */
  deliver(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  /** Close the socket from the server's side. @param {number} code */
  end(code) {
    this.close();
    this.onclose?.({ code, reason: "" });
  }
}

/** Records the calls of a connection. */
class Recorder {
  awaiting = true;
  /** @type {unknown[]} */
  messages = [];
  /** @type {InkstreamError[]} */
  errors = [];
  /** @type {number[]} */
  delays = [];
  onReconnect = mock.fn();
  onEnd = mock.fn((/** @type {InkstreamError | undefined} */ _) => undefined);

  isAwaitingAnswer = () => this.awaiting;
  onMessage = (/** @type {unknown} */ message) => void this.messages.push(message);
  onLost = (/** @type {InkstreamError} */ error) => void this.errors.push(error);
  onRetry = (/** @type {InkstreamError} */ _, /** @type {number} */ ms) => void this.delays.push(ms);
}

const { WebSocket } = globalThis;

beforeEach(() => {
  globalThis.WebSocket = /** @type {any} */ (FakeSocket);
  mock.timers.enable({ apis: ["setTimeout"] });
});

afterEach(() => {
  globalThis.WebSocket = WebSocket;
  mock.timers.reset();
  FakeSocket.all.length = 0;
});

/** Return the newest socket. */
function socket() {
  return /** @type {FakeSocket} */ (FakeSocket.all.at(-1));
}

/** Open a connection. */
async function opened(reconnect = false) {
  const recorder = new Recorder();
  const connection = new Connection("ws://pad.test", [], reconnect, ANSWER_TIMEOUT_MS, recorder);
  const opening = connection.open();
  socket().deliver(READY);
  await opening;
  return { connection, recorder };
}

/** Advance the clock in steps of the polling interval. @param {number} ms */
function advance(ms) {
  for (let step = 0; step < ms; step += 5) mock.timers.tick(5);
}

/** Run the callbacks of all settled promises. */
async function settled() {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

describe("sending", () => {
  test("keeps the order, and waits until the buffer has room", async () => {
    const { connection } = await opened();
    await connection.send("first");
    socket().bufferedAmount = 1 << 16;
    const second = connection.send("second");
    const third = connection.send("third");
    mock.timers.tick(20);
    assert.deepEqual(socket().sent, ["first"]);
    socket().bufferedAmount = 0;
    mock.timers.tick(5);
    await Promise.all([second, third]);
    assert.deepEqual(socket().sent, ["first", "second", "third"]);
  });

  test("fails while reconnecting, and the message is not sent later", async () => {
    const { connection, recorder } = await opened(true);
    socket().end(1006);
    mock.timers.tick(250);
    assert.equal(FakeSocket.all.length, 2);
    await assert.rejects(connection.send("early"), { code: "no_connection" });
    socket().deliver(READY);
    await settled();
    assert.equal(recorder.onReconnect.mock.callCount(), 1);
    await connection.send("late");
    assert.deepEqual(socket().sent, ["late"]);
  });
});

describe("the answer timeout", () => {
  test("ends a connection if an answer is due", async () => {
    const { connection, recorder } = await opened();
    await connection.send("question");
    connection.startAnswerTimer();
    mock.timers.tick(ANSWER_TIMEOUT_MS - 1);
    assert.deepEqual(recorder.errors, []);
    mock.timers.tick(1);
    assert.match(String(recorder.onEnd.mock.calls[0]?.arguments[0]), /sent nothing for 1 s/);
  });

  test("starts again after each message, and does not run if no answer is due", async () => {
    const { connection, recorder } = await opened();
    connection.startAnswerTimer();
    for (let answer = 0; answer < 5; answer += 1) {
      mock.timers.tick(ANSWER_TIMEOUT_MS - 1);
      socket().deliver({ type: "result" });
    }
    recorder.awaiting = false;
    socket().deliver({ type: "pong" });
    mock.timers.tick(10 * ANSWER_TIMEOUT_MS);
    assert.equal(recorder.messages.length, 6);
    assert.deepEqual(recorder.errors, []);
  });

  test("does not end a slow connection before its buffer stops draining", async () => {
    const { connection, recorder } = await opened();
    socket().bufferedAmount = 1 << 20;
    const waiting = connection.send("much");
    for (let second = 0; second < 10; second += 1) {
      socket().bufferedAmount -= 1;
      advance(ANSWER_TIMEOUT_MS - 10);
    }
    assert.deepEqual(recorder.errors, []);
    advance(20);
    await assert.rejects(waiting, { code: "no_connection" });
    assert.equal(recorder.onEnd.mock.callCount(), 1);
  });

  test("reports the server's last error", async () => {
    const { connection, recorder } = await opened();
    connection.startAnswerTimer();
    socket().deliver({ type: "error", code: "idle", message: "no message for 60 s", fatal: true });
    mock.timers.tick(ANSWER_TIMEOUT_MS);
    assert.equal(recorder.onEnd.mock.calls[0]?.arguments[0]?.code, "idle");
  });
});

describe("reconnecting", () => {
  test("waits twice as long after each failure, up to 15 seconds", async () => {
    const { recorder } = await opened(true);
    socket().end(1012);
    for (let attempt = 0; attempt < 9; attempt += 1) {
      mock.timers.tick(/** @type {number} */ (recorder.delays.at(-1)));
      socket().end(1006);
      await settled();
    }
    assert.equal(FakeSocket.all.length, 10);
    for (const [attempt, ms] of recorder.delays.entries()) {
      const most = Math.min(250 * 2 ** attempt, 15_000);
      assert.ok(most / 2 <= ms && ms <= most, `${ms} ms before attempt ${attempt}`);
    }
  });

  test("is not attempted after an error that would occur again", async () => {
    const { recorder } = await opened(true);
    socket().end(4429);
    assert.deepEqual(recorder.delays, []);
    assert.equal(recorder.onEnd.mock.calls[0]?.arguments[0]?.code, "too_many_messages");
  });
});

/** The connection with a fake WebSocket, because no real network is slow or silent on demand. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, mock, test } from "node:test";

import { Connection } from "../../../../service/web/client/connection.js";
import { LineLog } from "../../../../service/web/client/line_log.js";

/** @import { InkstreamError } from "../../../../service/web/client/connection.js" */

const ANSWER_TIMEOUT_MS = 1000;
const RECONNECT_MS = 60_000;
/** @type {import("../../../../service/web/client/connection.js").Settings} */
const SETTINGS = { url: "ws://pad.test", protocols: [], reconnectMs: RECONNECT_MS, answerTimeoutMs: ANSWER_TIMEOUT_MS };
const FIRST_RETRY_MS = 50;
const READY = { type: "ready", column_height: 28, model: { digest: "1" } };
const DOCUMENT = new URL("../../../../docs/errors.md", import.meta.url);

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
  onReady = mock.fn();
  onEnd = mock.fn((/** @type {InkstreamError | undefined} */ _) => undefined);

  isAwaitingAnswer = () => this.awaiting;
  onMessage = (/** @type {unknown} */ message) => void this.messages.push(message);
  onRetry = (/** @type {InkstreamError} */ error, /** @type {number} */ ms) => {
    this.errors.push(error);
    this.delays.push(ms);
  };
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

/** Open a connection. @param {boolean} reconnect whether the line can go on over another */
function opened(reconnect = false) {
  const recorder = new Recorder();
  const log = new LineLog(reconnect ? 1 << 20 : 0);
  const connection = new Connection({ ...SETTINGS, reconnectMs: reconnect ? RECONNECT_MS : 0 }, log, recorder);
  connection.open();
  socket().deliver(READY);
  return { connection, recorder };
}

/** Return what was sent over the newest socket behind `resume`. */
function sent() {
  const [resume, ...others] = socket().sent;
  assert.equal(JSON.parse(String(resume)).type, "resume");
  return others;
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
    const { connection } = opened();
    await connection.send("first", "ping");
    socket().bufferedAmount = 1 << 16;
    const second = connection.send("second", "ping");
    const third = connection.send("third", "ping");
    mock.timers.tick(20);
    assert.deepEqual(sent(), ["first"]);
    socket().bufferedAmount = 0;
    mock.timers.tick(5);
    await Promise.all([second, third]);
    assert.deepEqual(sent(), ["first", "second", "third"]);
  });

  test("waits while reconnecting, and comes after what the line has", async () => {
    const { connection } = opened(true);
    await connection.send("before", "ink");
    socket().end(1006);
    mock.timers.tick(FIRST_RETRY_MS);
    assert.equal(FakeSocket.all.length, 2);
    const early = connection.send("early", "ink");
    await settled();
    assert.deepEqual(socket().sent, []);
    socket().deliver(READY);
    await early;
    await connection.send("late", "ink");
    assert.deepEqual(sent(), ["before", "early", "late"]);
  });
});

describe("the answer timeout", () => {
  test("ends a connection if an answer is due", async () => {
    const { connection, recorder } = opened();
    await connection.send("question", "ping");
    connection.startAnswerTimer();
    mock.timers.tick(ANSWER_TIMEOUT_MS - 1);
    assert.deepEqual(recorder.errors, []);
    mock.timers.tick(1);
    assert.match(String(recorder.onEnd.mock.calls[0]?.arguments[0]), /sent nothing for 1 s/);
  });

  test("starts again after each message, and does not run if no answer is due", async () => {
    const { connection, recorder } = opened();
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
    const { connection, recorder } = opened();
    socket().bufferedAmount = 1 << 20;
    const waiting = connection.send("much", "ping");
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
    const { connection, recorder } = opened();
    connection.startAnswerTimer();
    socket().deliver({ type: "error", code: "idle", message: "no message for 60 s", fatal: true });
    mock.timers.tick(ANSWER_TIMEOUT_MS);
    assert.equal(recorder.onEnd.mock.calls[0]?.arguments[0]?.code, "idle");
  });
});

describe("reconnecting", () => {
  test("is tried at once, then after up to 0.05, 0.1 ... 5 seconds, and ends after a minute", async () => {
    const { recorder } = opened(true);
    let nowMs = 0;
    mock.method(performance, "now", () => nowMs);
    socket().end(1012);
    for (let ended = false; !ended; ended = recorder.onEnd.mock.callCount() > 0) {
      const ms = /** @type {number} */ (recorder.delays.at(-1));
      nowMs += ms;
      mock.timers.tick(ms);
      socket().end(1006);
      await settled();
    }
    mock.restoreAll();
    for (const [attempt, ms] of recorder.delays.entries()) {
      const most = attempt === 0 ? 0 : Math.min(FIRST_RETRY_MS * 2 ** (attempt - 1), 5000);
      assert.ok(0 <= ms && ms <= most, `${ms} ms before attempt ${attempt}`);
    }
    assert.ok(55_000 - FIRST_RETRY_MS <= nowMs && nowMs < 60_000, `${nowMs} ms`);
    const error = recorder.onEnd.mock.calls[0]?.arguments[0];
    assert.equal(error?.code, "no_connection");
    const tried = `tried ${recorder.delays.length} times in 60 s to go on elsewhere, at last: the connection is lost`;
    assert.ok(error?.message.includes(tried), error?.message);
  });

  test("is tried for a minute together if the connection is lost before the line goes on", () => {
    const { connection, recorder } = opened(true);
    let nowMs = 0;
    mock.method(performance, "now", () => nowMs);
    for (const isSettled of [true, false, true]) {
      socket().end(1011);
      mock.timers.tick(FIRST_RETRY_MS);
      socket().deliver(READY);
      nowMs += 40_000;
      if (isSettled) connection.settle();
    }
    assert.equal(recorder.onEnd.mock.callCount(), 0);
    socket().end(1011);
    mock.timers.tick(FIRST_RETRY_MS);
    socket().deliver(READY);
    nowMs += 60_000;
    socket().end(1011);
    mock.restoreAll();
    assert.equal(recorder.onReady.mock.callCount(), 5);
    assert.match(String(recorder.onEnd.mock.calls[0]?.arguments[0]), /tried 1 times in 60 s/);
  });

  test("waits with the messages until a snapshot is accepted, and ends if the line cannot be sent again", () => {
    for (const [nMessages, isKept, expected] of /** @type {const} */ ([[2, true, ["c"]], [0, true, ["a", "b", "c"]], [0, false, []]])) {
      const recorder = new Recorder();
      const log = new LineLog(isKept ? 1 << 20 : 2);
      const connection = new Connection(SETTINGS, log, recorder);
      connection.open();
      socket().deliver(READY);
      socket().deliver({ type: "resumed", id: "resume", messages: 0 });
      for (const data of ["a", "b"]) connection.send(data, "ink");
      socket().deliver({ type: "snapshot", messages: 2, blob: "blob" });
      connection.send("c", "ink");
      socket().end(1006);
      mock.timers.tick(0);
      socket().deliver(READY);
      assert.equal(JSON.parse(String(socket().sent[0])).snapshot, "blob");
      assert.deepEqual(sent(), []);
      socket().deliver({ type: "resumed", id: "resume", messages: nMessages });
      assert.deepEqual(sent(), expected);
      assert.deepEqual(recorder.onEnd.mock.calls.map((call) => call.arguments[0]?.code), isKept ? [] : ["not_resumable"]);
    }
  });

  test("is not attempted after an error that would occur again, or if the line cannot go on", async () => {
    for (const [code, reconnect] of /** @type {const} */ ([[4429, true], [1006, false]])) {
      const { recorder } = opened(reconnect);
      socket().end(code);
      assert.deepEqual(recorder.delays, []);
      assert.equal(recorder.onEnd.mock.callCount(), 1);
    }
  });

  test("follows the closes that the document lists, and errors as their closes", async () => {
    const document = await readFile(DOCUMENT, "utf8");
    const [, list = ""] = document.match(/After ([\d,\s]+) a code that/) ?? [];
    const listed = (list.match(/\d{4}/g) ?? []).map(Number);
    assert.equal(listed.length, 6);
    /** @type {[string | undefined, number][]} */
    const ends = [1002, 1007, 1008, 1009, 1012].map((closing) => [undefined, closing]);
    for (const [, names = "", closing] of document.matchAll(/^\| (`\w+`.*) \| (\d{4}) \| \d{3} \|/gm)) {
      ends.push([undefined, Number(closing)]);
      for (const [, code] of names.matchAll(/`(\w+)`/g)) ends.push([code, Number(closing)]);
    }
    assert.ok(ends.length > 50);
    for (const [code, closing] of ends) {
      const { connection, recorder } = opened(true);
      if (code !== undefined) socket().deliver({ type: "error", code, message: "", fatal: true });
      socket().end(closing);
      assert.equal(recorder.delays.length, Number(listed.includes(closing)), `${code} ${closing}`);
      connection.end();
    }
    const { recorder } = opened(true);
    socket().end(4999);
    assert.equal(recorder.delays.length, 1);
  });

  test("waits for a message if none came for so long that the server closed", async () => {
    const { connection, recorder } = opened(true);
    recorder.awaiting = false;
    socket().deliver({ type: "error", code: "idle", message: "no message for 60 s", fatal: true });
    socket().end(4408);
    mock.timers.tick(60 * 60_000);
    assert.equal(FakeSocket.all.length, 1);
    assert.equal(recorder.onEnd.mock.callCount(), 0);
    const sending = connection.send("later", "ink");
    mock.timers.tick(1);
    socket().deliver(READY);
    await sending;
    assert.deepEqual(sent(), ["later"]);
    socket().end(4408);
    connection.end();
    await assert.rejects(connection.send("too late", "ping"), { code: "no_connection" });
    assert.equal(FakeSocket.all.length, 2);
  });

  test("leaves a server that is about to stop", () => {
    const { recorder } = opened(true);
    const left = socket();
    left.deliver({ type: "goaway", reason: "a deploy", time_left_ms: 5000 });
    assert.equal(left.readyState, 3);
    assert.deepEqual(recorder.errors.map(({ code, message }) => [code, message]), [["stopping", "a deploy"]]);
    mock.timers.tick(0);
    socket().deliver(READY);
    assert.notEqual(socket(), left);
    assert.equal(recorder.onReady.mock.callCount(), 2);
  });
});

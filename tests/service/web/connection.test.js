/** The connection below a stream on a network that is slow or silent, as no real one is on demand. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";

import { Connection } from "../../../service/web/client/connection.js";

/** @import { InkstreamError } from "../../../service/web/client/connection.js" */

const SILENCE_MS = 1000;
const READY = { type: "ready" };

/** Stands for a browser's WebSocket: the test is the network and the server. */
class Wire {
  static OPEN = 1;
  /** @type {Wire[]} */
  static all = [];

  readyState = Wire.OPEN;
  bufferedAmount = 0;
  /** @type {unknown[]} */
  sent = [];
  /** @type {((event: { data: string }) => void) | null} */
  onmessage = null;
  /** @type {((event: { code: number, reason: string }) => void) | null} */
  onclose = null;

  constructor() {
    Wire.all.push(this);
  }

  /** @param {unknown} data */
  send(data) {
    this.sent.push(data);
  }

  close() {
    this.readyState = 3;
  }

  /** The server says something. @param {object} message */
  say(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  /** The network, or the server, ends it. @param {number} code */
  end(code) {
    this.close();
    this.onclose?.({ code, reason: "" });
  }
}

/** What a stream is told, and whether it is owed an answer. */
class Ears {
  owed = true;
  /** @type {unknown[]} */
  heard = [];
  /** @type {InkstreamError[]} */
  lostBy = [];
  /** @type {number[]} */
  waited = [];
  again = mock.fn();
  over = mock.fn((/** @type {InkstreamError | undefined} */ _) => undefined);

  isOwed = () => this.owed;
  hear = (/** @type {unknown} */ message) => void this.heard.push(message);
  lost = (/** @type {InkstreamError} */ error) => void this.lostBy.push(error);
  waits = (/** @type {InkstreamError} */ _, /** @type {number} */ ms) => void this.waited.push(ms);
}

const { WebSocket } = globalThis;

beforeEach(() => {
  globalThis.WebSocket = /** @type {any} */ (Wire);
  mock.timers.enable({ apis: ["setTimeout"] });
});

afterEach(() => {
  globalThis.WebSocket = WebSocket;
  mock.timers.reset();
  Wire.all.length = 0;
});

/** The newest one that was made. */
function wire() {
  return /** @type {Wire} */ (Wire.all.at(-1));
}

/** An open connection. */
async function opened(reconnect = false) {
  const ears = new Ears();
  const connection = new Connection("ws://pad.test", [], reconnect, SILENCE_MS, ears);
  const opening = connection.open();
  wire().say(READY);
  await opening;
  return { connection, ears };
}

/** Time passes, in steps in which the outbox is looked at. @param {number} ms */
function pass(ms) {
  for (let step = 0; step < ms; step += 5) mock.timers.tick(5);
}

/** Let promises that are settled be heard. */
async function settled() {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

describe("what is sent", () => {
  test("goes in its order, as soon as there is room", async () => {
    const { connection } = await opened();
    await connection.send("first");
    wire().bufferedAmount = 1 << 16;
    const second = connection.send("second");
    const third = connection.send("third");
    mock.timers.tick(20);
    assert.deepEqual(wire().sent, ["first"]);
    wire().bufferedAmount = 0;
    mock.timers.tick(5);
    await Promise.all([second, third]);
    assert.deepEqual(wire().sent, ["first", "second", "third"]);
  });

  test("is lost before the server says that it is ready, and not said to it then", async () => {
    const { connection, ears } = await opened(true);
    wire().end(1006);
    mock.timers.tick(250);
    assert.equal(Wire.all.length, 2);
    await assert.rejects(connection.send("early"), { code: "no_connection" });
    wire().say(READY);
    await settled();
    assert.equal(ears.again.mock.callCount(), 1);
    await connection.send("late");
    assert.deepEqual(wire().sent, ["late"]);
  });
});

describe("silence", () => {
  test("ends a connection that is owed an answer", async () => {
    const { connection, ears } = await opened();
    await connection.send("question");
    connection.awaitAnswer();
    mock.timers.tick(SILENCE_MS - 1);
    assert.deepEqual(ears.lostBy, []);
    mock.timers.tick(1);
    assert.match(String(ears.over.mock.calls[0]?.arguments[0]), /said nothing for 1 s/);
  });

  test("is none after each answer, nor where nothing is owed", async () => {
    const { connection, ears } = await opened();
    connection.awaitAnswer();
    for (let answer = 0; answer < 5; answer += 1) {
      mock.timers.tick(SILENCE_MS - 1);
      wire().say({ type: "result" });
    }
    ears.owed = false;
    wire().say({ type: "pong" });
    mock.timers.tick(10 * SILENCE_MS);
    assert.equal(ears.heard.length, 6);
    assert.deepEqual(ears.lostBy, []);
  });

  test("is none while a slow network takes what is sent, and is when it takes no more", async () => {
    const { connection, ears } = await opened();
    wire().bufferedAmount = 1 << 20;
    const waiting = connection.send("much");
    for (let second = 0; second < 10; second += 1) {
      wire().bufferedAmount -= 1;
      pass(SILENCE_MS - 10);
    }
    assert.deepEqual(ears.lostBy, []);
    pass(20);
    await assert.rejects(waiting, { code: "no_connection" });
    assert.equal(ears.over.mock.callCount(), 1);
  });

  test("does not hide what the server said last", async () => {
    const { connection, ears } = await opened();
    connection.awaitAnswer();
    wire().say({ type: "error", code: "idle", message: "no message for 60 s", fatal: true });
    mock.timers.tick(SILENCE_MS);
    assert.equal(ears.over.mock.calls[0]?.arguments[0]?.code, "idle");
  });
});

describe("a lost connection", () => {
  test("is tried again after waits that double, up to a quarter of a minute", async () => {
    const { ears } = await opened(true);
    wire().end(1012);
    for (let attempt = 0; attempt < 9; attempt += 1) {
      mock.timers.tick(/** @type {number} */ (ears.waited.at(-1)));
      wire().end(1006);
      await settled();
    }
    assert.equal(Wire.all.length, 10);
    for (const [attempt, ms] of ears.waited.entries()) {
      const most = Math.min(250 * 2 ** attempt, 15_000);
      assert.ok(most / 2 <= ms && ms <= most, `${ms} ms before attempt ${attempt}`);
    }
  });

  test("is over where trying again would not help", async () => {
    const { ears } = await opened(true);
    wire().end(4429);
    assert.deepEqual(ears.waited, []);
    assert.equal(ears.over.mock.calls[0]?.arguments[0]?.code, "too_many_messages");
  });
});

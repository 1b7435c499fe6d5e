/** The JavaScript client with a real server: messages, answers, errors. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";

import { InkstreamError, connect } from "../../../../service/web/client/inkstream.js";
import { randomNumbers } from "../pad/sequences.js";
import { breaking, freePort, serve } from "./server.js";

/** @import { Point } from "../../../../service/web/client/protocol.d.ts" */
/** @import { Message, Stream } from "../../../../service/web/client/inkstream.js" */

/** A wave as wide as a word. @type {Point[]} */
const WAVE = Array.from({ length: 200 }, (_, i) => [10 + 2 * i, 60 + 40 * Math.sin(i / 9)]);
/** @type {Point[]} */
const BAR = [[100, 5], [180, 118]];
const HEIGHT = 120;
const EXAMPLES = new URL("../../../../examples/", import.meta.url);

/** @type {Awaited<ReturnType<typeof serve>>} */
let server;

before(async () => {
  server = await serve(await freePort());
});

after(() => server.stop());

/**
 * Return the messages up to the first one of a type.
 * @param {Stream} stream @param {Message["type"]} type
 */
async function until(stream, type) {
  /** @type {Message[]} */
  const messages = [];
  for await (const message of stream) {
    messages.push(message);
    if (message.type === type) return messages;
  }
  throw new Error(`the stream ended before ${type}`);
}

/** Return all messages until the stream ends. @param {Stream} stream */
async function untilEnd(stream) {
  /** @type {Message[]} */
  const messages = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

/** @template {Message["type"]} T @param {Message[]} messages @param {T} type */
function only(messages, type) {
  return messages.filter(
    /** @returns {message is Extract<Message, { type: T }>} */ (message) => message.type === type,
  );
}

describe("client messages", () => {
  test("columns give a result each, in order", async () => {
    const stream = await connect(server.url, { model: "digits" });
    assert.equal(stream.ready.column_height, 28);
    const pixels = new Uint8Array(28 * 28).map((_, i) => (i % 28 > 8 && i % 28 < 20 ? 255 : 0));
    await stream.columns(pixels);
    const { label, columns } = await stream.flush();
    const results = only(await until(stream, "flushed"), "result");
    assert.deepEqual(results.map(({ column }) => column), [...Array(28).keys()]);
    assert.equal(columns, 28);
    assert.ok(label != null && stream.ready.labels.includes(label));
    stream.close();
  });

  test("many columns are split into several messages", async () => {
    const stream = await connect(server.url, { model: "digits" });
    await stream.columns(new Uint8Array(28 * 5000));
    assert.equal((await stream.flush()).columns, 5000);
    stream.close();
  });

  test("bytes that are not whole columns are refused before they are sent", async () => {
    const stream = await connect(server.url, { model: "digits" });
    await assert.rejects(stream.columns(new Uint8Array(29)), {
      code: "bad_columns",
      message: "29 bytes, expected a multiple of 28",
    });
    assert.equal((await stream.flush()).columns, 0);
    stream.close();
  });

  test("a stroke in parts gives the same text as the whole stroke", async () => {
    const texts = [];
    for (const parts of [[WAVE], [WAVE.slice(0, 50), WAVE.slice(50, 51), WAVE.slice(51)]]) {
      const stream = await connect(server.url, { model: "lines" });
      for (const [number, points] of parts.entries()) {
        stream.ink([{ id: "w", points, last: number === parts.length - 1 }], HEIGHT);
      }
      texts.push((await stream.flush()).text);
      stream.close();
    }
    assert.equal(texts[0], texts[1]);
  });

  test("a long stroke is split into several messages", async () => {
    const fine = Array.from(
      { length: 10_000 },
      (_, i) => /** @type {Point} */ ([10 + i / 40, 60 + 40 * Math.sin(i / 900)]),
    );
    for (const id of ["named", "\u{1f58b}".repeat(128), null]) {
      const stream = await connect(server.url, { model: "lines" });
      await stream.ink([{ id, points: fine }, { points: BAR }], HEIGHT);
      const { columns } = await stream.flush();
      assert.equal(columns, Math.ceil((10 + 9_999 / 40) * (32 / HEIGHT) + 1));
      stream.close();
    }
  });

  test("points with many digits are split by bytes", async () => {
    const stream = await connect(server.url, { model: "lines" });
    const points = Array.from(
      { length: 9_000 },
      (_, i) => /** @type {Point} */ ([10 + i / 30.000001, -1.234567890123456e-6 * (1 + i / 7e8)]),
    );
    assert.ok(JSON.stringify(points.slice(0, 8192)).length > stream.ready.limits.max_frame_bytes);
    await stream.ink([{ points }], HEIGHT);
    assert.ok((await stream.flush()).columns > 70);
    stream.close();
  });

  test("an undone stroke has no effect, and a pause reads up to the pen", async () => {
    const stream = await connect(server.url, { model: "lines" });
    await stream.ink([{ id: 1, points: WAVE }], HEIGHT, { pause: true });
    const { text } = await stream.flush();
    const results = only(await until(stream, "flushed"), "result");
    await stream.ink([{ id: 2, points: BAR }], HEIGHT);
    await stream.undo(2);
    await stream.pause();
    assert.equal((await stream.flush()).text, text);
    const back = only(await until(stream, "flushed"), "revised");
    assert.equal(back.length, 2);
    assert.equal(results.at(-1)?.column, results.length - 1);
    stream.close();
  });

  test("configure, rewind, reset and ping are answered", async () => {
    const stream = await connect(server.url, { model: "digits" });
    const answers = await Promise.all([
      stream.configure({ results: "message", top_k: 2 }),
      stream.columns(new Uint8Array(280)),
      stream.rewind(4),
      stream.reset(),
      stream.ping(),
    ]);
    assert.equal(answers[0].top_k, 2);
    assert.equal(answers[2].column, 4);
    assert.equal(answers[3].type, "reset_done");
    assert.ok(answers[4] > 0);
    stream.close();
  });
});

describe("server messages", () => {
  test("words name the strokes that they cover", async () => {
    const stream = await connect(server.url, { model: "lines" });
    await stream.ink([{ id: "w", points: WAVE }], HEIGHT);
    await stream.flush();
    const messages = await until(stream, "flushed");
    const [word] = only(messages, "word");
    assert.deepEqual(word?.strokes, [{ id: "w", start: 0, end: WAVE.length }]);
    stream.close();
  });

  test("`end` is answered, and the iteration stops after `done`", async () => {
    const stream = await connect(server.url, { model: "digits" });
    await stream.columns(new Uint8Array(280));
    const done = await stream.end();
    assert.equal(done.columns, 10);
    const types = (await untilEnd(stream)).map(({ type }) => type);
    assert.deepEqual(types, [...Array(10).fill("result"), "done"]);
    await assert.rejects(stream.flush(), { code: "no_connection" });
  });

  test("`end` is answered even if another request follows it", async () => {
    const stream = await connect(server.url, { model: "digits" });
    const ending = stream.end();
    const request = assert.rejects(stream.ping(), { code: "no_connection" });
    assert.equal((await ending).type, "done");
    await request;
  });

  test("waiting results are merged, and the newest is kept", async () => {
    const stream = await connect(server.url, { model: "digits" });
    await stream.columns(new Uint8Array(28 * 2000));
    await stream.flush();
    const results = only(await until(stream, "flushed"), "result");
    assert.ok(results.length < 400, `${results.length} results`);
    assert.equal(results.at(-1)?.column, 1999);
    stream.close();
  });

  test("an error says what is allowed, and the stream continues", async () => {
    const stream = await connect(server.url, { model: "digits" });
    await assert.rejects(stream.rewind(7), (error) => {
      assert.ok(error instanceof InkstreamError);
      assert.equal(error.code, "bad_value");
      assert.match(error.message, /column is 7, allowed: 0\.\.0/);
      return true;
    });
    await stream.ink([{ points: [[-4, 2]] }], 28);
    await stream.flush();
    const [error] = only(await until(stream, "flushed"), "error");
    assert.equal(error?.code, "bad_ink");
    stream.close();
  });

  test("closing stops the iteration and rejects open requests", async () => {
    const stream = await connect(server.url, { model: "digits" });
    const waiting = assert.rejects(stream.flush(), { code: "no_connection" });
    stream.close();
    await waiting;
    await untilEnd(stream);
  });
});

describe("failures", () => {
  test("`connect` throws the server's error", async () => {
    await assert.rejects(connect(server.url, { model: "nobody" }), { code: "unknown_model" });
    const { url, stop } = await serve(await freePort(), "--api-keys", "secret-key");
    try {
      await assert.rejects(connect(url), { code: "unauthorized" });
      await assert.rejects(connect(url, { key: "wrong" }), { code: "unauthorized" });
      await assert.rejects(connect(url, { key: "of two words" }), { code: "bad_value" });
      const stream = await connect(url, { key: "secret-key" });
      assert.equal(stream.ready.model.name, "digits");
      stream.close();
    } finally {
      await stop();
    }
  });

  test("`connect` throws if no server answers, or if the address is invalid", async () => {
    const port = await freePort();
    await assert.rejects(connect(`http://127.0.0.1:${port}`), { code: "no_connection" });
    await assert.rejects(connect("ftp://127.0.0.1"), { code: "bad_value" });
    await assert.rejects(connect("somewhere"), { code: "bad_value" });
  });

  test("without `reconnect` a lost connection ends the stream", async () => {
    const { url, stop } = await serve(await freePort());
    const stream = await connect(url, { reconnect: false });
    await stop("SIGKILL");
    await assert.rejects(untilEnd(stream), { code: "no_connection" });
    await assert.rejects(stream.columns(new Uint8Array(28)), { code: "no_connection" });
  });

  test("a closed stream does not reconnect", async () => {
    const { url, stop } = await serve(await freePort());
    const stream = await connect(url);
    await stop("SIGKILL");
    await until(stream, "disconnected");
    stream.close();
    await untilEnd(stream);
  });

  test("after `reconnect_timeout_ms` the stream ends, and the error says what was tried", async () => {
    const { url, stop } = await serve(await freePort());
    const stream = await connect(url, { reconnect_timeout_ms: 300 });
    await stream.ping();
    await stop("SIGKILL");
    const message = /tried \d+ times in 0\.3 s to go on elsewhere, at last: cannot reach/;
    await assert.rejects(stream.flush(), { code: "no_connection", message });
    await assert.rejects(untilEnd(stream), { code: "no_connection", message });
  });
});

describe("another connection", () => {
  const PARTS = [WAVE.slice(0, 80), WAVE.slice(80, 140), WAVE.slice(140)];

  /**
   * Write the wave in parts, and a bar through it, and end.
   *
   * @param {Stream} stream
   * @param {(part: number) => Promise<unknown>} between called after each part
   */
  async function write(stream, between) {
    for (const [part, points] of PARTS.entries()) {
      await stream.ink([{ id: "w", points, last: part === PARTS.length - 1 }], HEIGHT);
      await between(part);
    }
    await stream.ink([{ id: "b", points: BAR }], HEIGHT, { pause: true });
    const done = await stream.end();
    const messages = await untilEnd(stream);
    const told = messages.filter(({ type }) => type !== "disconnected" && type !== "reconnected");
    return { told, messages, done };
  }

  /** @returns {Promise<Message[]>} what a stream is told whose connection stays */
  async function undisturbed() {
    const stream = await connect(server.url, { model: "lines" });
    return (await write(stream, () => stream.ping())).told;
  }

  for (const [signal, what] of /** @type {const} */ ([["SIGKILL", "is killed"], ["SIGTERM", "stops"]])) {
    test(`takes the line on when the server ${what}, and the messages are those of a lone run`, async () => {
      const port = await freePort();
      let running = await serve(port);
      const stream = await connect(running.url, { model: "lines" });
      const { told, messages } = await write(stream, async (part) => {
        await stream.ping();
        if (part === 2) return;
        await running.stop(signal);
        running = await serve(port);
      });
      await running.stop();
      assert.equal(only(messages, "reconnected").length, 2);
      for (const { retry_ms } of only(messages, "disconnected")) assert.ok(retry_ms >= 0);
      assert.deepEqual(told.filter(({ type }) => type !== "goaway"), await undisturbed());
    });
  }

  /** Return the columns of two lines of writing. */
  async function twoLines() {
    const body = await readFile(new URL("hello.png", EXAMPLES));
    const headers = { "content-type": "image/png" };
    const answer = await fetch(`${server.url}/v1/columns?model=lines`, { method: "POST", headers, body });
    const line = new Uint8Array(await answer.arrayBuffer());
    return Buffer.concat([line, new Uint8Array(32 * 75), line, new Uint8Array(32 * 20), line]);
  }

  /** Stream two lines and more, and end; return the messages. @param {string} url */
  async function readColumns(url) {
    const stream = await connect(url, { model: "lines" });
    const messages = untilEnd(stream); // at once, before too many wait
    await stream.configure({ snapshot_columns: 64, line_end_columns: 40, language: "english" });
    const pixels = await twoLines();
    for (let start = 0; start < pixels.length; start += 32 * 7) {
      await stream.columns(pixels.subarray(start, start + 32 * 7));
      if (start % (32 * 70) === 0) await stream.flush();
    }
    await stream.end();
    return (await messages).filter(({ type }) => type !== "disconnected" && type !== "reconnected");
  }

  test("goes on wherever one breaks, and every answer comes once", async () => {
    const expected = await readColumns(server.url);
    assert.match(only(expected, "line_end")[0]?.text ?? "", /world/);
    for (let seed = 0; seed < 2; seed += 1) {
      const random = randomNumbers(seed);
      const proxy = await breaking(server.url, () => Math.floor(16_000 * random()));
      assert.deepEqual(await readColumns(proxy.url), expected);
      assert.ok(proxy.nBroken() > 3, `${proxy.nBroken()} breaks`);
      proxy.stop();
    }
  });

  test("is what a client of sixty lines opens too", async () => {
    const random = randomNumbers(1);
    const proxy = await breaking(server.url, () => 1600 + Math.floor(2000 * random()));
    const script = fileURLToPath(new URL("resume.js", EXAMPLES));
    const url = `${proxy.url.replace("http", "ws")}/v1/stream?model=lines`;
    const client = spawn(process.execPath, ["--experimental-websocket", "--no-warnings", script, url]);
    client.stdin.end(await twoLines());
    assert.equal(await text(client.stdout), "hello, world!\nhello, world! hello, world!\n");
    assert.ok(proxy.nBroken() > 2, `${proxy.nBroken()} breaks`);
    proxy.stop();
  });

  test("answers the requests that were made meanwhile", async () => {
    const port = await freePort();
    const first = await serve(port);
    const stream = await connect(first.url, { model: "digits" });
    await stream.configure({ top_k: 2 });
    await stream.columns(new Uint8Array(28 * 10));
    await stream.ping();
    await first.stop("SIGKILL");
    const answers = Promise.all([stream.rewind(4), stream.columns(new Uint8Array(28)), stream.flush()]);
    const second = await serve(port);
    const [rewound, , flushed] = await answers;
    assert.equal(rewound.column, 4);
    assert.equal(flushed.columns, 5);
    const results = only(await until(stream, "flushed"), "result");
    assert.deepEqual(results.map(({ column }) => column), [...Array(10).keys(), 4]);
    for (const { probabilities } of results) assert.equal(probabilities.length, 2);
    stream.close();
    await second.stop();
  });

  test("takes on a session that has expired", async () => {
    const { url, stop } = await serve(await freePort(), "--max-session-s", "1");
    const stream = await connect(url);
    await stream.columns(new Uint8Array(28));
    const [disconnected] = only(await until(stream, "reconnected"), "disconnected");
    assert.equal(disconnected?.error.code, "session_expired");
    assert.equal((await stream.flush()).columns, 1);
    stream.close();
    await stop();
  });

  test("is opened when something is written after a pause that was too long for the server", async () => {
    const { url, stop } = await serve(await freePort(), "--idle-timeout-s", "0.5");
    const stream = await connect(url);
    await stream.columns(new Uint8Array(28));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await stream.columns(new Uint8Array(28));
    assert.equal((await stream.flush()).columns, 2);
    const messages = await until(stream, "flushed");
    assert.deepEqual(only(messages, "disconnected").map(({ error }) => error.code), ["idle"]);
    assert.deepEqual(only(messages, "result").map(({ column }) => column), [0, 1]);
    stream.close();
    await stop();
  });

  test("replaces that to a server that does not answer in time", async () => {
    const { url, signal, stop } = await serve(await freePort());
    const answer_timeout_ms = 300;
    const [steady, other] = await Promise.all([
      connect(url, { answer_timeout_ms }),
      connect(url, { reconnect: false, answer_timeout_ms }),
    ]);
    await new Promise((resolve) => setTimeout(resolve, 2 * answer_timeout_ms)); // no answer is due
    assert.ok((await steady.ping()) > 0);
    signal("SIGSTOP");
    const pinging = steady.ping();
    const message = /sent nothing for 0\.3 s/;
    const sending = other.columns(new Uint8Array(28 * 500_000)); // more than the network buffers
    await assert.rejects(sending, { code: "no_connection", message });
    await assert.rejects(untilEnd(other), { code: "no_connection", message });
    signal("SIGCONT");
    const messages = await until(steady, "reconnected");
    assert.equal(messages[0]?.type, "disconnected");
    assert.ok((await pinging) > 0);
    await steady.columns(new Uint8Array(28));
    assert.equal((await steady.flush()).columns, 1);
    steady.close();
    await stop();
  });
});

describe("what is wrong is never silent", () => {
  test("an unknown option of connect is named", () => {
    assert.throws(() => connect(server.url, /** @type {any} */ ({ modle: "lines" })), {
      name: "InkstreamError",
      message: /modle is no option of connect, allowed: model, key/,
    });
  });

  test("pressure and time beside x and y are left out", async () => {
    const timed = /** @type {any} */ (WAVE.map(([x, y], i) => [x, y, 0.5, 10 * i]));
    const texts = [WAVE, timed].map(async (points) => {
      const stream = await connect(server.url, { model: "lines" });
      await stream.ink([{ points }], HEIGHT);
      return (await stream.end()).text;
    });
    assert.equal(await texts[1], await texts[0]);
  });

  test("a refused message rejects the end where nothing iterates", async () => {
    const stream = await connect(server.url, { model: "lines" });
    await stream.ink([{ points: WAVE }], -1);
    await assert.rejects(stream.end(), { name: "InkstreamError", message: /height/ });
    stream.close();
  });
});

/**
 * Whatever is written, undone, corrected, reloaded and lost meanwhile: in the end the document is what its model
 * holds, and all its lines are read.
 */

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { InkstreamError } from "../../../../service/web/client/inkstream.js";
import { PadDocument } from "../../../../service/web/pad/document.js";
import { Reader } from "../../../../service/web/pad/reader.js";
import { letterOf, randomNumbers, States } from "./sequences.js";

/** @import { Source } from "../../../../service/web/pad/reader.js" */

const N_SEQUENCES = 2000;
const ANSWER_MS = 20; // from a message to its answer
const N_STEPS = 30;
const MAX_TURNS = 60; // until all is read

/** A server that reads each finished stroke as a letter; `lose` ends its connections. */
class Server {
  isThere = true;
  nFlushes = 0;
  /** Confidence of a letter in the line's own frame, and in the one that fits, if there is another. @type {[number, number] | undefined} */
  confidences;
  /** The ids of the strokes of each message. @type {number[][]} */
  inks = [];
  /** @type {Set<FakeStream>} */
  streams = new Set();

  /** @returns {Promise<any>} */
  async connect() {
    if (!this.isThere) throw new InkstreamError("no_connection", "the server does not answer");
    const stream = new FakeStream(this);
    this.streams.add(stream);
    return stream;
  }

  lose() {
    this.isThere = false;
    for (const stream of this.streams) stream.end(new InkstreamError("no_connection", "lost"));
    this.streams.clear();
  }
}

class FakeStream {
  ready = { column_height: 32 };
  /** @type {Map<number, { points: number, isDone: boolean }>} */
  #strokes = new Map();
  /** @type {object[]} */
  #inbox = [];
  #wake = () => {};
  /** @type {InkstreamError | undefined} */
  #error;
  #isFitted = false;
  #server;

  /** @param {Server} server */
  constructor(server) {
    this.#server = server;
  }

  /** @param {InkstreamError} error */
  end(error) {
    this.#error = error;
    this.#wake();
  }

  /** Answer later, unless the connection is lost until then. @param {object} message */
  async #answer(message) {
    if (this.#error !== undefined) throw this.#error;
    setTimeout(() => {
      if (this.#error !== undefined) return;
      this.#inbox.push(message);
      this.#wake();
    }, ANSWER_MS);
  }

  /** Send a message at once. @param {object} message */
  push(message) {
    this.#inbox.push(message);
    this.#wake();
  }

  get #text() {
    const text = [...this.#strokes.keys()].map(letterOf).join("");
    return this.#isFitted ? text.toUpperCase() : text;
  }

  async configure() {}

  reset() {
    this.#strokes.clear();
    this.#isFitted = false;
    return this.#answer({ type: "reset_done" });
  }

  /** @param {{ id: number, points: unknown[], last: boolean }[]} strokes */
  ink(strokes) {
    this.#server.inks.push(strokes.map(({ id }) => id));
    for (const { id, points, last } of strokes) {
      const known = this.#strokes.get(id) ?? { points: 0, isDone: false };
      assert.ok(!known.isDone, `stroke ${id} was complete`);
      this.#strokes.set(id, { points: known.points + points.length, isDone: last });
    }
    return this.#answer({ type: "result", column: 0, text: this.#text, probabilities: [] });
  }

  /** @param {number} id */
  undo(id) {
    assert.ok(this.#strokes.delete(id), `stroke ${id} was not sent`);
    return this.#answer({ type: "revised", column: 0, letters: 0, words: 0, text: this.#text });
  }

  /** @param {{ fit?: boolean }} [options] */
  async pause({ fit = false } = {}) {
    if (!fit || this.#isFitted || this.#server.confidences === undefined) return;
    this.#isFitted = true;
    await this.#answer({ type: "revised", column: 0, letters: 0, words: 0, text: "", frame: { top: 0, height: 50 } });
  }

  async flush() {
    this.#server.nFlushes += 1;
    const confidence = this.#server.confidences?.[Number(this.#isFitted)];
    if (confidence !== undefined) await this.#answer({ type: "letter", id: 0, confidence });
    await this.#answer({ type: "flushed", text: this.#text });
  }

  close() {
    this.#server.streams.delete(this);
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      for (let next; (next = this.#inbox.shift()) !== undefined; ) yield next;
      if (this.#error !== undefined) throw this.#error;
      await new Promise((wake) => (this.#wake = () => wake(undefined)));
    }
  }
}

/** Let everything happen that waits for nothing but its turn. */
async function turn() {
  for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** What the document should hold: rows, strokes and typed texts of the lines. @typedef {Record<number, ModelLine>} Model */

/** @typedef {{ row: number, strokes: number[], typed: string | null }} ModelLine */

/** @param {PadDocument} pad @returns {Model} */
function contentOf(pad) {
  const lines = pad.lines.map(({ id, row, strokes, correction }) => [
    id,
    { row, strokes: strokes.map((stroke) => stroke.id), typed: correction?.text ?? null },
  ]);
  return Object.fromEntries(lines);
}

/** @param {number} seed */
async function runSequence(seed) {
  const random = randomNumbers(seed);
  const below = (/** @type {number} */ n) => Math.floor(random() * n);
  const server = new Server();
  let pad = new PadDocument("a");
  const states = new States(/** @type {Model} */ ({}));
  /** @type {{ id: number, line: number, row: number, points: [number, number][] } | undefined} */
  let live;
  /** @type {number | undefined} */
  let restedRow;
  const newReader = () => {
    const made = new Reader(() => server.connect(), 96, {
      sources: () => sourcesOf(pad, live, restedRow),
      options: () => ({}),
      onReading: (id, reading) => pad.line(id) && pad.setReading(id, reading),
      onMessage() {},
      onOpen() {},
      onError() {},
      onState() {},
    });
    made.open("transcriber");
    return made;
  };
  let reader = newReader();
  const lift = () => {
    if (live === undefined) return;
    const { id, line, row, points } = live;
    live = undefined;
    restedRow = random() < 0.5 ? row : undefined;
    pad.addStroke({ id, points, pressures: [] }, { id: line, row });
    const next = structuredClone(states.now);
    (next[line] ??= { row, strokes: [], typed: null }).strokes.push(id);
    states.commit(next);
  };
  for (let step = 0; step < N_STEPS; step += 1) {
    switch (below(13)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        lift();
        const row = below(5);
        live = { id: pad.takeId(), line: pad.lineAt(row, 0)?.id ?? pad.takeId(), row, points: [[0, 1]] };
        break;
      }
      case 4:
        live?.points.push([step, step]);
        break;
      case 5:
        lift();
        break;
      case 6:
        assert.equal(pad.undo(), states.undo());
        break;
      case 7:
        assert.equal(pad.redo(), states.redo());
        break;
      case 8:
        if (pad.set({ language: ["", "english"][below(2)] ?? "" })) states.commit(states.now);
        break;
      case 9:
        if (random() < 0.3 && pad.clear()) states.commit({});
        break;
      case 10: {
        const id = pad.lines[below(pad.lines.length)]?.id;
        const typed = `typed ${below(100)}`;
        if (id === undefined || !pad.setText(id, typed)) break;
        const next = structuredClone(states.now);
        /** @type {ModelLine} */ (next[id]).typed = typed;
        states.commit(next);
        break;
      }
      case 11:
        lift(); // as a page does that is about to go
        for (const lineReader of reader.lineReaders) lineReader.close();
        pad = new PadDocument("a", JSON.parse(JSON.stringify(pad.toData()))); // a reload
        restedRow = undefined;
        reader = newReader();
        break;
      default:
        if (server.isThere) server.lose();
        else server.isThere = true;
    }
    reader.update();
    await turn();
    if (random() < 0.3) {
      mock.timers.tick(below(3000));
      await turn();
    }
  }
  lift();
  server.isThere = true;
  reader.update();
  for (let i = 0; i < MAX_TURNS && !pad.lines.every((line) => pad.isRead(line)); i += 1) {
    mock.timers.tick(500);
    await turn();
  }
  assert.deepEqual(contentOf(pad), states.now, `seed ${seed}`);
  for (const line of pad.lines) {
    assert.ok(pad.isRead(line), `seed ${seed}: a line is not read`);
    if (line.correction !== null) continue;
    const expected = line.strokes.map(({ id }) => letterOf(id)).sort();
    assert.deepEqual([...pad.text(line)].sort(), expected, `seed ${seed}`);
  }
  for (const lineReader of reader.lineReaders) lineReader.close();
}

/**
 * @param {PadDocument} pad
 * @param {{ id: number, line: number, row: number, points: [number, number][] } | undefined} live
 * @param {number | undefined} restedRow row that the pen has just left
 * @returns {Source[]}
 */
function sourcesOf(pad, live, restedRow) {
  const lines = pad.lines;
  if (live !== undefined && pad.line(live.line) === undefined) {
    lines.push({ id: live.line, row: live.row, reads: "text", strokes: [], correction: null });
  }
  return lines.map((line) => {
    const strokes = line.strokes.map(({ id, points }) => ({ id, points, isDone: true }));
    const isWriting = live?.line === line.id;
    if (isWriting) strokes.push({ id: live.id, points: live.points, isDone: false });
    return {
      id: line.id,
      name: pad.nameOf(line),
      settings: pad.settingsOf(line),
      reads: line.reads,
      strokes,
      hasText: pad.reading(line.id) !== undefined,
      isRead: pad.isRead(line) && !isWriting,
      isWriting,
      isActive: isWriting,
      restedMs: line.row === restedRow ? 0 : Infinity,
    };
  });
}

test("the document is what its model holds, and all lines are read in the end", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  for (let seed = 0; seed < N_SEQUENCES; seed += 1) await runSequence(seed);
  mock.timers.reset();
});

/** Return a server, a document with a reader, and a function that writes a stroke. */
function opened() {
  const server = new Server();
  const pad = new PadDocument("a");
  /** @type {string[]} */
  const texts = [];
  const reader = new Reader(() => server.connect(), 96, {
    sources: () => sourcesOf(pad, undefined, 0),
    options: () => ({}),
    onReading(id, reading) {
      pad.setReading(id, reading);
      texts.push(reading.text);
    },
    onMessage() {},
    onOpen() {},
    onError() {},
    onState() {},
  });
  const write = (/** @type {number} */ id, /** @type {number} */ x) => {
    pad.addStroke({ id, points: [[x, 1]], pressures: [] }, { id: 1, row: 0 });
    reader.update();
  };
  return { server, pad, texts, reader, write };
}

/** Let time pass. @param {number} ms */
async function pass(ms) {
  await turn();
  mock.timers.tick(ms);
  await turn();
}

test("a word that is being written while its stream opens is not decided by halves", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { server, pad, reader, write } = opened();
  write(2, 2);
  reader.open("transcriber");
  await turn();
  write(3, 3);
  await turn();
  assert.equal(server.nFlushes, 0);
  await pass(1200);
  await pass(ANSWER_MS);
  assert.ok(pad.lines.every((line) => pad.isRead(line)));
  for (const lineReader of reader.lineReaders) lineReader.close();
  mock.timers.reset();
});

test("strokes to the left of what was read are sent in one message when the pen rests", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { server, pad, reader, write } = opened();
  reader.open("transcriber");
  await turn();
  write(2, 0);
  write(3, 500);
  write(4, 250);
  write(5, 260);
  assert.deepEqual(server.inks, [[2], [3]]);
  await pass(250);
  assert.deepEqual(server.inks, [[2], [3], [4, 5]]);
  write(6, 240);
  write(7, 510); // ahead again: what waits is sent with it
  assert.deepEqual(server.inks.slice(3), [[6, 7]]);
  await pass(1200);
  await pass(ANSWER_MS);
  assert.ok(pad.lines.every((line) => pad.isRead(line)));
  for (const lineReader of reader.lineReaders) lineReader.close();
  mock.timers.reset();
});

test("the text stays as it is while columns are read again", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { server, texts, reader, write } = opened();
  reader.open("transcriber");
  await turn();
  write(2, 0);
  await pass(ANSWER_MS);
  const [stream] = server.streams;
  assert.ok(stream);
  const result = (/** @type {number} */ column, /** @type {string} */ text) =>
    stream.push({ type: "result", column, text, probabilities: [] });
  for (const [column, text] of ["", "a", "ab"].entries()) result(column, text);
  await turn();
  texts.length = 0;
  stream.push({ type: "revised", column: 1, letters: 0, words: 0, text: "" });
  result(1, "x");
  await turn();
  assert.deepEqual(texts, []);
  result(2, "xb");
  await turn();
  assert.deepEqual(texts, ["xb"]);
  for (const lineReader of reader.lineReaders) lineReader.close();
  mock.timers.reset();
});

for (const [confidences, kept] of /** @type {[[number, number], string][]} */ ([
  [[0.6, 0.9], "C"],
  [[0.9, 0.85], "C"],
  [[0.9, 0.6], "c"],
])) {
  test(`a line stays in its own frame if the model is much surer there: ${confidences}`, async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const { server, pad, texts, reader, write } = opened();
    server.confidences = confidences;
    reader.open("transcriber");
    await turn();
    write(2, 0);
    await pass(500); // decided in the frame of the line
    await pass(700); // in the one that fits
    for (let i = 0; i < 4; i += 1) await pass(ANSWER_MS);
    assert.equal(texts.at(-1), kept);
    assert.ok(pad.lines.every((line) => pad.isRead(line)));
    write(3, 10);
    await pass(ANSWER_MS);
    assert.equal(texts.at(-1), kept === "C" ? "CD" : "cd"); // goes on in the frame that was kept
    for (const lineReader of reader.lineReaders) lineReader.close();
    mock.timers.reset();
  });
}

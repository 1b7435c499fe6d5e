/** The document loses nothing: random operations, compared with a model that keeps a copy of every state. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { PadDocument } from "../../../../service/web/pad/document.js";
import { letterOf, randomNumbers, States } from "./sequences.js";

/** @import { DocumentData, Reads } from "../../../../service/web/pad/document.js" */

const N_SEQUENCES = 10_000;
const N_STEPS = 30;

/**
 * The model: what the document should hold, as a text for each line, a letter for each stroke.
 * @typedef {{ row: number, strokes: number[], typed: string | null }} ModelLine
 * @typedef {{ lines: Record<number, ModelLine>, reads: Reads }} State
 */

/** Read all lines that are out of date, as a server would. @param {PadDocument} pad */
function read(pad) {
  for (const line of pad.lines) {
    if (pad.isRead(line)) continue;
    const text = line.strokes.map(({ id }) => letterOf(id)).join("");
    pad.setReading(line.id, { of: pad.nameOf(line), text, letters: [], words: [] });
  }
}

/** Return the document's content. @param {PadDocument} pad @returns {State} */
function stateOf(pad) {
  const lines = pad.lines.map(({ id, row, strokes, correction }) => [
    id,
    { row, strokes: strokes.map((stroke) => stroke.id), typed: correction?.text ?? null },
  ]);
  return { lines: Object.fromEntries(lines), reads: pad.settings.reads };
}

/** Return a stroke at a place of a row. @param {number} id @param {number} x */
function stroke(id, x) {
  return { id, points: /** @type {[number, number][]} */ ([[x, 10], [x + 5, 60]]), pressures: [0.5, 0.5] };
}

/** Run one random sequence. @param {number} seed */
function runSequence(seed) {
  const random = randomNumbers(seed);
  const below = (/** @type {number} */ n) => Math.floor(random() * n);
  let pad = new PadDocument("a");
  let isServerThere = true;
  const states = new States(/** @type {State} */ ({ lines: {}, reads: "text" }));
  for (let step = 0; step < N_STEPS; step += 1) {
    const ids = Object.keys(states.now.lines).map(Number);
    const id = ids[below(ids.length)];
    const next = structuredClone(states.now);
    const line = id === undefined ? undefined : next.lines[id];
    switch (below(11)) {
      case 0:
      case 1:
      case 2: {
        const row = below(5);
        const x = below(400);
        const known = pad.lineAt(row, x);
        const lineId = known?.id ?? pad.takeId();
        const strokeId = pad.takeId();
        pad.addStroke(stroke(strokeId, x), { id: lineId, row });
        next.lines[lineId] ??= { row, strokes: [], typed: null };
        next.lines[lineId]?.strokes.push(strokeId);
        states.commit(next);
        break;
      }
      case 3: {
        const victim = line?.strokes[below(line.strokes.length)];
        const isErased = pad.erase(new Set(victim === undefined ? [] : [victim]));
        assert.equal(isErased, victim !== undefined);
        if (line === undefined || victim === undefined || id === undefined) break;
        line.strokes = line.strokes.filter((each) => each !== victim);
        if (line.strokes.length === 0) delete next.lines[id];
        states.commit(next);
        break;
      }
      case 4: {
        const isCleared = pad.clear();
        assert.equal(isCleared, ids.length > 0);
        if (isCleared) states.commit({ ...next, lines: {} });
        break;
      }
      case 5: {
        if (line === undefined || id === undefined) break;
        const typed = `typed ${below(100)}`;
        if (pad.setText(id, typed)) {
          line.typed = typed;
          states.commit(next);
        }
        break;
      }
      case 6: {
        const row = below(5);
        const moved = Object.values(next.lines).filter((each) => each.row >= row);
        for (const each of moved) each.row += 1;
        pad.insertRow(row);
        if (moved.length > 0) states.commit(next);
        break;
      }
      case 7: {
        const reads = /** @type {Reads[]} */ (["text", "digit", "number"])[below(3)] ?? "text";
        if (pad.set({ reads })) states.commit({ ...next, reads });
        break;
      }
      case 8:
        assert.equal(pad.undo(), states.undo());
        break;
      case 9:
        assert.equal(pad.redo(), states.redo());
        break;
      default:
        pad = new PadDocument("a", structuredClone(pad.toData())); // a reload
        isServerThere = random() < 0.5;
    }
    if (isServerThere) read(pad);
    assert.deepEqual(stateOf(pad), states.now, `seed ${seed}, step ${step}`);
  }
  read(pad);
  for (const line of pad.lines) {
    assert.ok(pad.isRead(line));
    if (line.correction === null) {
      assert.equal(pad.text(line), line.strokes.map((each) => letterOf(each.id)).join(""), `seed ${seed}`);
    }
  }
  const stored = JSON.parse(JSON.stringify(pad.toData()));
  assert.deepEqual(stateOf(new PadDocument("a", stored)), states.now);
}

test("random sequences of operations leave what their model holds", () => {
  for (let seed = 0; seed < N_SEQUENCES; seed += 1) runSequence(seed);
});

/** Return a document with a line of ink that was read. @param {string} text */
function written(text) {
  const pad = new PadDocument("a");
  const id = pad.takeId(); // 1
  for (const i of [...text].keys()) pad.addStroke(stroke(100 + i, 30 * i), { id, row: 0 });
  recognize(pad, text);
  return pad;
}

/** @param {PadDocument} pad @param {string} text */
function recognize(pad, text) {
  const line = pad.line(1);
  assert.ok(line);
  pad.setReading(1, { of: pad.nameOf(line), text, letters: [], words: [] });
}

test("a correction is part of the text at once and can be undone", () => {
  const pad = written("claste");
  pad.setText(1, "classes");
  assert.equal(pad.wholeText, "classes");
  pad.undo();
  assert.equal(pad.wholeText, "claste");
  pad.redo();
  assert.equal(pad.wholeText, "classes");
});

test("a correction outlives a reading that differs, and more ink follows it", () => {
  const pad = written("Hel");
  pad.setText(1, "Jel");
  recognize(pad, "zello wor");
  assert.equal(pad.wholeText, "Jello wor");
});

test("the text of ink that was undone is there at once when it is done again", () => {
  const pad = written("ab");
  pad.clear();
  assert.equal(pad.wholeText, "");
  pad.undo();
  assert.equal(pad.wholeText, "ab");
});

test("digits of one row that lie apart are lines of their own", () => {
  const pad = new PadDocument("a");
  pad.set({ reads: "digit" });
  pad.addStroke(stroke(1, 10), { id: 10, row: 0 });
  assert.equal(pad.lineAt(0, 30)?.id, 10);
  assert.equal(pad.lineAt(0, 80), undefined);
  assert.equal(pad.lineAt(1, 10), undefined);
  pad.set({ reads: "text" });
  assert.equal(pad.lineAt(0, 10), undefined);
});

test("an inserted row moves the lines below it down", () => {
  const pad = written("a");
  pad.insertRow(1);
  assert.equal(pad.line(1)?.row, 0);
  assert.equal(pad.canUndo, true);
  pad.insertRow(0);
  assert.equal(pad.line(1)?.row, 1);
});

test("texts without ink enter the document below all lines", () => {
  const pad = written("a");
  pad.addImage([{ text: "second" }, { text: "third" }]);
  assert.equal(pad.wholeText, "a\nsecond\nthird");
});

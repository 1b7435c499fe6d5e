/** Documents are exported and imported. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { PadDocument, ROW_HEIGHT } from "../../../../service/web/pad/document.js";
import { exported } from "../../../../service/web/pad/export.js";
import { readInk } from "../../../../service/web/pad/files.js";

/** Return a document of two lines, the second one without ink. */
function written() {
  const pad = new PadDocument("a");
  const id = pad.takeId();
  for (const points of /** @type {[number, number][][]} */ ([[[10, 10], [12, 80]], [[30, 50]]])) {
    pad.addStroke({ id: pad.takeId(), points, pressures: [0.5] }, { id, row: 0 });
  }
  const line = pad.line(id);
  assert.ok(line);
  pad.setReading(id, { of: pad.nameOf(line), text: "a < b", letters: [], words: [] });
  pad.addImage([{ text: "* typed" }]);
  return pad;
}

test("text has a line for each row", () => {
  assert.equal(exported(written(), "text").text, "a < b\n* typed\n");
});

test("Markdown keeps the characters as they are, and the lines apart", () => {
  assert.equal(exported(written(), "markdown").text, "a \\< b  \n\\* typed\n");
});

test("a drawing has a path for each stroke, a dot among them", () => {
  const { text } = exported(written(), "svg");
  assert.deepEqual([...text.matchAll(/ d="(.+?)"/gu)].map(([, path]) => path), ["M10 10L12 80", "M30 50L30.01 50"]);
  assert.ok(text.includes("a &lt; b"));
});

test("training data have the lines with ink, with their corrected text", () => {
  const pad = written();
  const [line] = pad.lines;
  assert.ok(line);
  pad.setText(line.id, "a > b");
  const lines = exported(pad, "jsonl").text.trim().split("\n").map((each) => JSON.parse(each));
  assert.deepEqual(lines, [{ label: "a > b", height: ROW_HEIGHT, strokes: [[[10, 10], [12, 80]], [[30, 50]]] }]);
});

test("ink that was exported is imported as the same shape", () => {
  const [strokes = [], ...others] = readInk(exported(written(), "jsonl").text);
  assert.equal(others.length, 0);
  assert.deepEqual(strokes.map(({ points }) => points.length), [2, 1]);
  for (const [x, y] of strokes.flatMap(({ points }) => points)) assert.ok(x >= 0 && y >= 0 && y <= ROW_HEIGHT);
});

test("imported ink enters the document below its lines, and can be undone", () => {
  const pad = written();
  pad.addInk([[{ points: [[0, 0], [5, 5]], pressures: [0.5, 0.5] }], [{ points: [[1, 1]], pressures: [0.5] }]]);
  assert.deepEqual(pad.lines.map(({ row }) => row), [0, 1, 2, 3]);
  pad.undo();
  assert.equal(pad.lines.length, 2);
});

test("a file that is no ink is refused", () => {
  for (const text of ["hello", '{"label": "a"}', '{"strokes": [[["a", 1]]]}']) {
    assert.throws(() => readInk(text), SyntaxError);
  }
});

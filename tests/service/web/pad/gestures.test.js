/** A stroke that goes back and forth over ink scratches it out; letters do not. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { struckOut } from "../../../../service/web/pad/gestures.js";

/** @import { DocumentLine } from "../../../../service/web/pad/document.js" */
/** @import { Point } from "../../../../service/web/client/protocol.d.ts" */

/** @type {DocumentLine[]} */
const LINES = [0, 1].map((row) => ({
  id: row,
  row,
  reads: "text",
  correction: null,
  strokes: [50, 150, 400].map((x, i) => ({ id: 10 * row + i, points: [[x, 30], [x + 5, 60]], pressures: [] })),
}));

/** Return a stroke through turns of x, going down. @param {...number} turns @returns {Point[]} */
function zigzag(...turns) {
  return turns.flatMap((to, i) => {
    const from = turns[i - 1] ?? to;
    return [0.25, 0.5, 0.75, 1].map((share) => /** @type {Point} */ ([from + share * (to - from), 10 + 9 * (i + share)]));
  });
}

test("a stroke that goes back and forth removes the strokes below it in its row", () => {
  assert.deepEqual(struckOut(zigzag(20, 200, 20, 200, 20, 200, 20), 0, LINES, true), new Set([0, 1]));
});

test("a stroke that turns once is writing", () => {
  assert.equal(struckOut(zigzag(20, 200, 20), 0, LINES, true).size, 0);
});

test("a wave that goes on to the right is writing", () => {
  assert.equal(struckOut(zigzag(20, 60, 40, 90, 70, 120, 100, 150, 130, 180, 160), 0, LINES, true).size, 0);
});

test("a scribble beside all ink removes nothing", () => {
  assert.equal(struckOut(zigzag(500, 600, 500, 600, 500, 600, 500), 0, LINES, true).size, 0);
});

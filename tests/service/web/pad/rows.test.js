/** Strokes are put into rows by the ink beside them, so that slanted, large and close writing stays apart. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ROW_HEIGHT } from "../../../../service/web/pad/document.js";
import { barBefore, findRow } from "../../../../service/web/pad/rows.js";

/** @import { Point } from "../../../../service/web/client/protocol.d.ts" */
/** @import { DocumentLine } from "../../../../service/web/pad/document.js" */

/** Write letters, each by its left end, top and bottom, in heights of a row; return the rows they get. */
class Writer {
  /** @type {Map<number, DocumentLine>} */
  #lines = new Map();
  #activeRow = 0;

  /** @param {...[x: number, top: number, bottom: number]} letters @returns {number[]} */
  write(...letters) {
    return letters.map(([x, top, bottom], id) => {
      const at = (/** @type {number} */ from) => [
        /** @type {Point} */ ([x * ROW_HEIGHT, (top - from) * ROW_HEIGHT]),
        /** @type {Point} */ ([(x + 0.2) * ROW_HEIGHT, (bottom - from) * ROW_HEIGHT]),
      ];
      const row = findRow(at(0), [...this.#lines.values()], this.#activeRow);
      const line = this.#lines.get(row) ?? { id: row, row, reads: "text", strokes: [], correction: null };
      const points = at(row);
      this.#lines.set(row, { ...line, strokes: [...line.strokes, { id, points, pressures: [] }] });
      this.#activeRow = row;
      return row;
    });
  }
}

/** Return letters of a word, alternately low and high. @param {number} top @param {number} [slope] @returns {[number, number, number][]} */
function word(top, slope = 0) {
  return Array.from({ length: 20 }, (_, i) => {
    const at = top + 0.3 * i * slope;
    return [0.3 * i, at + (i % 3 === 0 ? 0.1 : 0.4), at + 0.7];
  });
}

test("ink on empty paper belongs to the row between whose rules its middle lies", () => {
  assert.deepEqual(new Writer().write([0, 0.9, 1.7]), [1]);
  assert.deepEqual(new Writer().write([0, -0.4, -0.1]), [0]);
});

for (const slope of [0.15, -0.15]) {
  test(`a line with slope ${slope} stays one line across the rules`, () => {
    assert.deepEqual(new Set(new Writer().write(...word(1, slope))), new Set([1]));
  });
}

test("rows that are closer together than the rules are different lines", () => {
  const writer = new Writer();
  const rows = [0, 0.65, 1.3, 1.95].map((top) => new Set(writer.write(...word(top))));
  assert.deepEqual(rows, [0, 1, 2, 3].map((row) => new Set([row])));
});

test("writing that is higher than a row is one line", () => {
  const letters = /** @type {[number, number, number][]} */ ([[0, 0.2, 1.7], [0.5, 0.9, 1.7], [1, 0.9, 2.4], [1.5, 0.2, 0.4]]);
  assert.equal(new Set(new Writer().write(...letters)).size, 1);
});

test("dots and commas belong to the line that they stand in", () => {
  const writer = new Writer();
  writer.write(...word(1));
  writer.write(...word(2));
  assert.deepEqual(writer.write([1, 1.2, 1.22], [1, 2.15, 2.2], [6, 1.65, 1.85], [6, 2.65, 2.85]), [1, 2, 1, 2]);
});

test("a letter below a dot that was written first is of its line", () => {
  assert.deepEqual(new Writer().write([0.3, 1.18, 1.21], [0.1, 1.43, 1.82]), [1, 1]);
});

test("a word below a short word is another line, wherever its first stroke begins", () => {
  const writer = new Writer();
  writer.write([0, 0.1, 0.7], [0.3, 0.4, 1]);
  assert.deepEqual(writer.write([0, 1.05, 1.7], [0.3, 1.4, 1.7]), [1, 1]);
});

test("a top bar stays with its letter, below a word with descenders", () => {
  const writer = new Writer();
  writer.write(...word(0), [0.1, 0.4, 1.05], [0.4, 0.4, 1.05], [0.7, 0.4, 1.05]);
  assert.deepEqual(writer.write([0.1, 1.02, 1.7], [0.1, 1.0, 1.04], [0.12, 1.3, 1.33]), [1, 1, 1]);
});

test("a bar that was drawn before its letter moves to the letter's row, and no other bar does", () => {
  for (const { bar, stem, moves } of [
    { bar: [0.1, 0.35], stem: [1.04, 1.7], moves: true }, // of an F below a descender
    { bar: [-0.6, 0.35], stem: [1.04, 1.7], moves: false }, // of a t in the row above
  ]) {
    const stroke = (/** @type {number} */ id, /** @type {[number, number][]} */ points) => ({
      id,
      points: points.map(([x, y]) => /** @type {Point} */ ([x * ROW_HEIGHT, y * ROW_HEIGHT])),
      pressures: [],
    });
    const [top = 0, width = 0] = bar;
    const above = /** @type {DocumentLine} */ ({
      id: 1, row: 0, reads: "text", correction: null,
      strokes: [stroke(1, [[0.2, 0.4], [0.2, 0.85]]), stroke(2, [[0.1, 0.9 + top], [0.1 + width, 0.92 + top]])],
    });
    const found = barBefore(stroke(3, stem.map((y) => [0.12, y])).points, 1, [above]);
    assert.equal(found?.stroke.id, moves ? 2 : undefined);
  }
});

test("two dots stay with the letter below them", () => {
  const writer = new Writer();
  writer.write(...word(0), [0.1, 0.4, 0.95], [0.4, 0.4, 0.95]);
  assert.deepEqual(writer.write([0.1, 1.1, 1.7], [0.3, 1.1, 1.7], [0.15, 1.0, 1.01], [0.35, 1.0, 1.01]), [1, 1, 1, 1]);
});

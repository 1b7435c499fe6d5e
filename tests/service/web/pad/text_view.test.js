/** What a word may also be. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { PadDocument } from "../../../../service/web/pad/document.js";
import { alternatives } from "../../../../service/web/pad/text_view.js";

test("words that the server considered come before those with a letter exchanged", () => {
  const pad = new PadDocument("a");
  const id = pad.takeId();
  pad.addStroke({ id: pad.takeId(), points: [[0, 0]], pressures: [0.5] }, { id, row: 0 });
  const line = pad.line(id);
  assert.ok(line);
  const at = { start: 0, end: 1, column: 4, strokes: null };
  const letters = [..."prnk"].map((char, i) => ({
    ...at, type: /** @type {const} */ ("letter"), seq: i, id: i, char, mark: false, confidence: 0.5,
    alternatives: i === 1 ? [{ char: "a", p: 0.4 }] : [],
  }));
  const word = { ...at, type: /** @type {const} */ ("word"), seq: 9, id: 0, text: "prnk", confidence: 0.5, alternatives: [{ text: "pink", p: 0.2 }] };
  pad.setReading(id, { of: pad.nameOf(line), text: "prnk", letters, words: [word] });
  const token = { start: 0, end: 4, text: "prnk", from: 0, to: 4 };
  assert.deepEqual(alternatives(pad, line, token).slice(0, 2), ["pink", "pank"]);
});

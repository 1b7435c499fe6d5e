/** Rows of writing are joined into lines of text. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { joinRows } from "../../../../service/web/pad/paragraphs.js";

const WIDTH = 390; // of a phone
const LETTER = 26; // pixels a letter takes

/** Return rows of a phone's paper, one below the other; null: an empty one. @param {(string | null)[]} texts @param {number[]} [asked] rows that were asked for */
function rowsOf(texts, asked = []) {
  return texts.flatMap((text, row) => {
    if (text === null) return [];
    return [{ row, text, left: 20, right: 20 + LETTER * text.length, width: WIDTH, isNew: asked.includes(row) }];
  });
}

/** Break a text into the rows that a hand would write. @param {string} text */
function wrapped(text) {
  /** @type {string[]} */
  const rows = [];
  for (const word of text.split(" ")) {
    const row = rows.length === 0 ? word : `${rows.at(-1)} ${word}`;
    if (rows.length > 0 && 20 + LETTER * row.length <= WIDTH - 48) rows[rows.length - 1] = row;
    else rows.push(word);
  }
  return rows;
}

const SENTENCE = "we met at noon and spoke about the new house by the river";

for (const { name, rows, text } of [
  { name: "a sentence over many rows is one line", rows: rowsOf(wrapped(SENTENCE)), text: SENTENCE },
  { name: "a list keeps its lines", rows: rowsOf(["milk", "eggs", "frozen pizza", "tea", "salt"]), text: "milk\neggs\nfrozen pizza\ntea\nsalt" },
  {
    name: "an empty row begins a line",
    rows: rowsOf([...wrapped(SENTENCE), null, ...wrapped(SENTENCE)]),
    text: `${SENTENCE}\n${SENTENCE}`,
  },
  { name: "what was asked for begins a line", rows: rowsOf(["one line here", "another line"], [1]), text: "one line here\nanother line" },
  { name: "a broken word is whole again", rows: rowsOf(["the hippopo-", "tamus swims in", "the water"]), text: "the hippopotamus swims in the water" },
  {
    name: "rows of unknown paper stay apart",
    rows: rowsOf(wrapped(SENTENCE)).map((row) => ({ ...row, width: undefined })),
    text: wrapped(SENTENCE).join("\n"),
  },
]) {
  test(name, () => assert.equal(joinRows(rows), text));
}

/** Corrections stay where they were made while the recognized text changes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { correct, findHunks } from "../../../../service/web/pad/merge.js";

/** @param {string} base @param {string} text @param {string} recognized */
const merged = (base, text, recognized) => correct({ base, text }, recognized).text;

test("without a correction the text is the recognized one", () => {
  assert.deepEqual(correct(null, "ab"), { text: "ab", origins: [0, 1] });
});

test("an unchanged recognition gives exactly the corrected text", () => {
  for (const text of ["hello", "help", "", "he said hello", "xyz", "oh well, hello"]) {
    assert.equal(merged("hello", text, "hello"), text);
  }
});

test("what is recognized later follows the correction", () => {
  assert.equal(merged("Hel", "Jel", "Hello"), "Jello");
  assert.equal(merged("Hel", "Help", "Hello"), "Helplo");
  assert.equal(merged("", "My", "house"), "Myhouse");
});

test("a correction stands where the recognized text has changed the same characters", () => {
  assert.equal(merged("zf it rains", "If it rains", "lf it rains"), "If it rains");
  assert.equal(merged("If it", "If so", "zf it rains"), "zf so rains");
});

test("words that are inserted before a correction leave it at its word", () => {
  assert.equal(merged("one tree", "one three", "just one tree"), "just one three");
});

test("a correction goes with the ink that was erased", () => {
  assert.equal(merged("one tree", "one three", "one "), "one ");
  assert.equal(merged("one tree", "one three", ""), "");
});

test("each character is traced to its place in the recognized text", () => {
  const { text, origins } = correct({ base: "cat", text: "cart" }, "a cat!");
  assert.equal(text, "a cart!");
  assert.deepEqual(origins, [0, 1, 2, 3, -1, 4, 5]);
});

test("changes applied to a text give the other one", () => {
  const texts = ["", "a", "kitten", "sitting", "the quick fox", "a quick brown box"];
  for (const text of texts) {
    for (const other of texts) {
      let result = "";
      let position = 0;
      for (const { start, end, from, to } of findHunks(text, other)) {
        result += text.slice(position, start) + other.slice(from, to);
        position = end;
      }
      assert.equal(result + text.slice(position), other);
    }
  }
});

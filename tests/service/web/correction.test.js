/** The field that follows what is read, and keeps what was corrected in it. */

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { Correction } from "../../../service/web/pad/correction.js";

/** Stands for the page's input: a value, and the focus that it may have. */
class Field extends EventTarget {
  value = "";

  focus() {
    page.activeElement = this;
  }

  blur() {
    page.activeElement = undefined;
  }

  /** Somebody writes into it, and leaves it. @param {string} value */
  write(value) {
    this.focus();
    this.value = value;
    this.dispatchEvent(new Event("input"));
    this.blur();
  }
}

const page = { activeElement: /** @type {Field | undefined} */ (undefined) };
const { document } = globalThis;
/** @type {Field} */
let field;
/** @type {Correction} */
let correction;

before(() => {
  globalThis.document = /** @type {any} */ (page);
});

after(() => {
  globalThis.document = document;
});

beforeEach(() => {
  field = new Field();
  correction = new Correction(/** @type {any} */ (field));
});

test("it follows what is read, but not under somebody's hand", () => {
  correction.follow("he");
  assert.equal(field.value, "he");
  field.focus();
  correction.follow("hel");
  assert.equal(field.value, "he");
  field.blur();
  correction.follow("help");
  assert.equal(correction.text, "help");
});

test("what was corrected stays while more is read, and goes where it is read otherwise", () => {
  correction.follow("cot");
  field.write("cat");
  correction.follow("cots");
  assert.equal(field.value, "cats");
  correction.follow("dots");
  assert.equal(field.value, "dots");
});

test("a letter is replaced where it stands", () => {
  correction.follow("cot");
  correction.replace("cot", 1, "o", "a");
  assert.equal(field.value, "cat");
  assert.equal(page.activeElement, field);
});

test("before an insertion a letter is replaced where it is read, behind one where it moved to", () => {
  correction.follow("wod");
  field.write("word");
  correction.replace("wod", 0, "w", "W");
  assert.equal(field.value, "Word");
  correction.replace("wod", 2, "d", "k");
  assert.equal(field.value, "Work");
});

test("a letter that was corrected away is not replaced in another's place", () => {
  correction.follow("rnap on");
  field.write("map on");
  correction.replace("rnap on", 1, "n", "h");
  assert.equal(field.value, "map on");
  correction.replace("rnap on", 6, "n", "h");
  assert.equal(field.value, "map oh");
});

test("two corrections both stay", () => {
  correction.follow("tbe cot");
  correction.replace("tbe cot", 1, "b", "h");
  correction.replace("tbe cot", 5, "o", "a");
  field.blur();
  correction.follow("tbe cot sat");
  assert.equal(field.value, "the cat sat");
});

test("who empties it has what is read again", () => {
  correction.follow("cot");
  field.write("cat");
  field.write("");
  correction.follow("cots");
  assert.equal(field.value, "cots");
});

test("a new line knows nothing of the last one's corrections", () => {
  correction.follow("cot");
  field.write("cat");
  correction.clear();
  assert.equal(field.value, "");
  correction.follow("cot");
  assert.equal(field.value, "cot");
});

/** The correction field shows the recognized text and keeps the corrections made in it. */

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { Correction } from "../../../../service/web/pad/correction.js";

/** Fakes the page's input element: its value and its focus. */
class Field extends EventTarget {
  value = "";

  focus() {
    page.activeElement = this;
  }

  blur() {
    page.activeElement = undefined;
  }

  /** Type a value and leave the field. @param {string} value */
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

test("it shows the recognized text, except while it has the focus", () => {
  correction.update("he");
  assert.equal(field.value, "he");
  field.focus();
  correction.update("hel");
  assert.equal(field.value, "he");
  field.blur();
  correction.update("help");
  assert.equal(correction.text, "help");
});

test("a correction stays when text is added, and is dropped when the corrected text changes", () => {
  correction.update("cot");
  field.write("cat");
  correction.update("cots");
  assert.equal(field.value, "cats");
  correction.update("dots");
  assert.equal(field.value, "dots");
});

test("a letter is replaced at its place", () => {
  correction.update("cot");
  correction.replace("cot", 1, "o", "a");
  assert.equal(field.value, "cat");
  assert.equal(page.activeElement, field);
});

test("a letter after an inserted one is replaced at its new place", () => {
  correction.update("wod");
  field.write("word");
  correction.replace("wod", 0, "w", "W");
  assert.equal(field.value, "Word");
  correction.replace("wod", 2, "d", "k");
  assert.equal(field.value, "Work");
});

test("a letter that a correction removed is not replaced", () => {
  correction.update("rnap on");
  field.write("map on");
  correction.replace("rnap on", 1, "n", "h");
  assert.equal(field.value, "map on");
  correction.replace("rnap on", 6, "n", "h");
  assert.equal(field.value, "map oh");
});

test("two corrections both stay", () => {
  correction.update("tbe cot");
  correction.replace("tbe cot", 1, "b", "h");
  correction.replace("tbe cot", 5, "o", "a");
  field.blur();
  correction.update("tbe cot sat");
  assert.equal(field.value, "the cat sat");
});

test("emptying the field drops the corrections", () => {
  correction.update("cot");
  field.write("cat");
  field.write("");
  correction.update("cots");
  assert.equal(field.value, "cots");
});

test("a new line starts without corrections", () => {
  correction.update("cot");
  field.write("cat");
  correction.clear();
  assert.equal(field.value, "");
  correction.update("cot");
  assert.equal(field.value, "cot");
});

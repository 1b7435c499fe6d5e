/**
 * The row of decided letters, aligned with the ink, with words as brackets, and a popover with alternatives.
 *
 * @import { Letter } from "../client/protocol.d.ts"
 * @import { Line } from "./line.js"
 */

import { t } from "./messages.js";

const SURE = 0.8; // confidence below which a letter is marked
const MIN_SHOWN = 0.005; // probability from which on an alternative is shown
const LEAVE_MS = 250; // until the popover closes: time for the mouse to reach it

export class Letters {
  #row;
  #line;
  #onCorrect;
  #pixelsPerColumn = 1;
  #offset = 0;
  #popover = document.createElement("div");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #leaveTimer;

  /**
   * @param {HTMLElement} row
   * @param {Line} line
   * @param {(letter: Letter, char: string) => void} onCorrect an alternative was chosen
   */
  constructor(row, line, onCorrect) {
    this.#row = row;
    this.#line = line;
    this.#onCorrect = onCorrect;
    this.#popover.popover = "auto";
    this.#popover.addEventListener("pointerenter", () => clearTimeout(this.#leaveTimer));
    this.#popover.addEventListener("pointerleave", () => this.#hideSoon());
  }

  /** Show another line. @param {Line} line */
  show(line) {
    this.#line = line;
    line.lettersChanged = true;
    this.draw();
  }

  /** Align the letters with the pad. @param {number} pixelsPerColumn @param {number} offset CSS pixels */
  align(pixelsPerColumn, offset) {
    this.#pixelsPerColumn = pixelsPerColumn;
    this.#offset = offset;
    this.#line.lettersChanged = true;
    this.draw();
  }

  /** Draw the letters and words if any has changed. */
  draw() {
    if (!this.#line.lettersChanged) return;
    this.#line.lettersChanged = false;
    const isVisible = (/** @type {{ end: number }} */ { end }) => end * this.#pixelsPerColumn > this.#offset;
    const letters = this.#line.letters.filter(isVisible).map((letter) => this.#createItem(letter));
    const brackets = this.#line.words.filter(isVisible).map(({ start, end }) => {
      const bracket = document.createElement("i");
      this.#setPosition(bracket, start, end);
      return bracket;
    });
    const focusedId = document.activeElement?.getAttribute("data-id");
    this.#row.replaceChildren(...letters, ...brackets);
    if (focusedId !== null && focusedId !== undefined) {
      /** @type {HTMLElement | null} */ (this.#row.querySelector(`[data-id="${focusedId}"]`))?.focus();
    }
  }

  /** @param {HTMLElement} element @param {number} start @param {number} end columns */
  #setPosition(element, start, end) {
    element.style.left = `${start * this.#pixelsPerColumn - this.#offset}px`;
    element.style.width = `${Math.max(1, end - start) * this.#pixelsPerColumn - 2}px`;
  }

  /** @param {Letter} letter */
  #createItem(letter) {
    const item = document.createElement("span");
    item.role = "listitem";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = letter.char;
    button.dataset["id"] = String(letter.id);
    const values = { letter: letter.char, confidence: percent(letter.confidence) };
    button.ariaLabel = t("{letter}, {confidence} sure; show alternatives", values);
    if (letter.confidence < SURE) button.dataset["unsure"] = "";
    this.#setPosition(button, letter.start, letter.end);
    button.addEventListener("click", () => this.#showAlternatives(letter, button));
    button.addEventListener("pointerenter", ({ pointerType }) => {
      if (pointerType === "mouse") this.#showAlternatives(letter, button);
    });
    button.addEventListener("pointerleave", () => this.#hideSoon());
    item.append(button);
    return item;
  }

  /** Hide the popover unless the mouse enters it or a letter in time. */
  #hideSoon() {
    clearTimeout(this.#leaveTimer);
    this.#leaveTimer = setTimeout(() => this.#popover.hidePopover(), LEAVE_MS);
  }

  /** @param {Letter} letter @param {HTMLElement} button */
  #showAlternatives(letter, button) {
    clearTimeout(this.#leaveTimer);
    const alternatives = letter.alternatives.filter(({ p }) => p >= MIN_SHOWN);
    const choices = alternatives.map(({ char, p }) => {
      const choice = document.createElement("button");
      choice.type = "button";
      choice.textContent = `${char} ${percent(p)}`;
      choice.addEventListener("click", () => {
        this.#popover.hidePopover();
        this.#onCorrect(letter, char);
      });
      return choice;
    });
    const text = document.createElement("p");
    const values = { letter: letter.char, confidence: percent(letter.confidence) };
    text.textContent =
      choices.length > 0
        ? t("{letter}: {confidence} sure. Alternatives:", values)
        : t("{letter}: {confidence} sure.", values);
    this.#popover.replaceChildren(text, ...choices);
    button.after(this.#popover); // so that the Tab key moves from the letter into the popover
    const { left, bottom } = button.getBoundingClientRect();
    this.#popover.style.left = `${Math.min(left, innerWidth - 300)}px`;
    this.#popover.style.top = `${bottom + 4}px`;
    this.#popover.showPopover();
  }
}

/** @param {number} share */
function percent(share) {
  return `${Math.round(100 * share)} %`;
}

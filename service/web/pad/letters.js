/**
 * The decided letters above their ink's columns, words as brackets, and what else a letter may be.
 *
 * @import { Letter } from "../client/protocol.d.ts"
 * @import { Line } from "./line.js"
 */

const SURE = 0.8; // confidence from which on a letter is not marked
const LEAST = 0.005; // probability of an alternative that is shown
const LEAVE_MS = 250; // a mouse that left a letter may still reach what is said of it

export class Letters {
  #row;
  #line;
  #onCorrect;
  #pixelsPerColumn = 1;
  #offset = 0;
  #popover = document.createElement("div");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #leaving;

  /**
   * @param {HTMLElement} row
   * @param {Line} line
   * @param {(letter: Letter, char: string) => void} onCorrect another one was chosen
   */
  constructor(row, line, onCorrect) {
    this.#row = row;
    this.#line = line;
    this.#onCorrect = onCorrect;
    this.#popover.popover = "auto";
    this.#popover.addEventListener("pointerenter", () => clearTimeout(this.#leaving));
    this.#popover.addEventListener("pointerleave", () => this.#leave());
  }

  /** Lie under a pad. @param {number} pixelsPerColumn @param {number} offset CSS pixels */
  align(pixelsPerColumn, offset) {
    this.#pixelsPerColumn = pixelsPerColumn;
    this.#offset = offset;
    this.#line.changedLetters = true;
    this.draw();
  }

  /** Show the letters, if any changed. */
  draw() {
    if (!this.#line.changedLetters) return;
    this.#line.changedLetters = false;
    const isSeen = (/** @type {{ end: number }} */ { end }) => end * this.#pixelsPerColumn > this.#offset;
    const shown = this.#line.letters.filter(isSeen).map((letter) => this.#button(letter));
    const brackets = this.#line.words.filter(isSeen).map(({ start, end }) => {
      const bracket = document.createElement("i");
      this.#place(bracket, start, end);
      return bracket;
    });
    const held = document.activeElement?.getAttribute("data-id");
    this.#row.replaceChildren(...shown, ...brackets);
    if (held !== null && held !== undefined) {
      /** @type {HTMLElement | null} */ (this.#row.querySelector(`[data-id="${held}"]`))?.focus();
    }
  }

  /** @param {HTMLElement} element @param {number} start @param {number} end columns */
  #place(element, start, end) {
    element.style.left = `${start * this.#pixelsPerColumn - this.#offset}px`;
    element.style.width = `${Math.max(1, end - start) * this.#pixelsPerColumn - 2}px`;
  }

  /** @param {Letter} letter */
  #button(letter) {
    const item = document.createElement("span");
    item.role = "listitem";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = letter.char;
    button.dataset["id"] = String(letter.id);
    button.ariaLabel = `${letter.char}, ${percent(letter.confidence)} sure; what else?`;
    if (letter.confidence < SURE) button.dataset["unsure"] = "";
    this.#place(button, letter.start, letter.end);
    button.addEventListener("click", () => this.#explain(letter, button));
    button.addEventListener("pointerenter", ({ pointerType }) => {
      if (pointerType === "mouse") this.#explain(letter, button);
    });
    button.addEventListener("pointerleave", () => this.#leave());
    item.append(button);
    return item;
  }

  /** The mouse is on its way, perhaps to the explanation. */
  #leave() {
    clearTimeout(this.#leaving);
    this.#leaving = setTimeout(() => this.#popover.hidePopover(), LEAVE_MS);
  }

  /** @param {Letter} letter @param {HTMLElement} button */
  #explain(letter, button) {
    clearTimeout(this.#leaving);
    const likely = letter.alternatives.filter(({ p }) => p >= LEAST);
    const others = likely.map(({ char, p }) => {
      const other = document.createElement("button");
      other.type = "button";
      other.textContent = `${char} ${percent(p)}`;
      other.addEventListener("click", () => {
        this.#popover.hidePopover();
        this.#onCorrect(letter, char);
      });
      return other;
    });
    const words = document.createElement("p");
    const more = others.length > 0 ? " It may be:" : "";
    words.textContent = `${letter.char}: ${percent(letter.confidence)} sure.${more}`;
    this.#popover.replaceChildren(words, ...others);
    button.after(this.#popover); // where the keyboard goes next
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

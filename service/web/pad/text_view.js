/**
 * The text of the document beside its ink: a paragraph for each line, a button for each word, and a popover
 * with what the word may be.
 *
 * @import { Point } from "../client/protocol.d.ts"
 * @import { DocumentLine, PadDocument } from "./document.js"
 */

const MIN_SHOWN = 0.005; // probability from which on an alternative is shown
const MAX_ALTERNATIVES = 6;
const [UNSURE, MAX_CANDIDATES] = [0.8, 3]; // confidence of a letter below which readings of its word are offered
const MARGIN = 4; // CSS pixels between the popover and what it stands beside
const WORDS = /[\p{L}\p{N}](?:\S*[\p{L}\p{N}])?/gu; // without the marks around them

/**
 * A word of the text: where it is in the text, and which characters of what was read it comes from.
 * @typedef {{ start: number, end: number, text: string, from: number | undefined, to: number | undefined }} Token
 */

/**
 * @typedef {object} Listener
 * @property {(lineId: number, text: string) => void} onText a line's text was changed by the user
 * @property {(lineId: number, from: number, to: number) => boolean} onRemove remove the ink of some of what was
 *   read; false if it is not known
 * @property {(text: string) => void} onType a line was typed
 * @property {(word: string) => void} onLearn
 * @property {(lineId: number) => void} onSelect a line was chosen
 * @property {(lineId: number, from: number, to: number) => DOMRect | undefined} onOpen a word's popover opens:
 *   marks the ink of these characters of what was read, and returns the box around it
 * @property {() => void} onClose
 * @property {(lineId: number, from: number, to: number) => DOMRect | undefined} inkOf returns the box around the
 *   ink of these characters of what was read
 */

export class TextView {
  #list;
  #popover;
  #field;
  #choices;
  #candidates;
  #listener;
  /** @type {PadDocument | undefined} */
  #document;
  /** The word whose popover is open; it has no line if a line is typed. @type {{ line?: number, token: Token } | undefined} */
  #open;

  /**
   * @param {{ list: HTMLElement, popover: HTMLElement, field: HTMLInputElement, choices: HTMLElement,
   *   candidates: HTMLElement, form: HTMLFormElement, remove: HTMLElement, learn: HTMLElement }} elements
   * @param {Listener} listener
   */
  constructor({ list, popover, field, choices, candidates, form, remove, learn }, listener) {
    this.#list = list;
    this.#popover = popover;
    this.#field = field;
    this.#choices = choices;
    this.#candidates = candidates;
    this.#listener = listener;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#replace(field.value.trim());
    });
    remove.addEventListener("click", () => {
      const { line, token } = this.#open ?? {};
      if (line === undefined || token?.from === undefined || !listener.onRemove(line, token.from, token.to ?? 0)) this.#replace("");
      this.#open = undefined;
      popover.hidePopover();
    });
    // What was typed is kept however the popover is closed, unless by Escape.
    popover.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") this.#open = undefined;
    });
    popover.addEventListener("toggle", () => {
      const typed = field.value.trim();
      if (!this.isOpen) listener.onClose();
      if (!this.isOpen && typed !== "" && typed !== this.#open?.token.text) this.#replace(typed);
    });
    learn.addEventListener("click", () => {
      this.#replace(field.value.trim());
      for (const word of field.value.match(WORDS) ?? []) listener.onLearn(word);
    });
  }

  /** Whether the user is correcting a word. */
  get isOpen() {
    return this.#popover.matches(":popover-open");
  }

  /** Show a document. @param {PadDocument} document @param {number} activeRow */
  draw(document, activeRow) {
    this.#document = document;
    const lines = document.lines;
    const items = [...this.#list.children];
    const known = new Map(items.map((item) => [/** @type {HTMLElement} */ (item).dataset["line"], item]));
    /** @type {HTMLElement | undefined} */
    let changed; // of the active line
    const wanted = lines.map((line) => {
      const item = /** @type {HTMLElement} */ (known.get(String(line.id)) ?? this.#createItem(line));
      const isActive = line.row === activeRow;
      if ((this.#fill(item, line) || !item.hasAttribute("data-active")) && isActive) changed = item;
      item.toggleAttribute("data-active", isActive);
      item.style.setProperty("--at", String(line.row + 1)); // the grid row beside its ink on wide screens
      return item;
    });
    const isSame = wanted.length === items.length && wanted.every((item, i) => item === items[i]);
    if (!isSame) this.#list.replaceChildren(...wanted);
    if (changed !== undefined) reveal(changed);
  }

  /** @param {DocumentLine} line */
  #createItem(line) {
    const item = document.createElement("li");
    item.dataset["line"] = String(line.id);
    return item;
  }

  /** @param {HTMLElement} item @param {DocumentLine} line @returns {boolean} whether the text has changed */
  #fill(item, line) {
    const pad = /** @type {PadDocument} */ (this.#document);
    const { text, origins } = pad.corrected(line);
    const nDecided = decidedLength(pad, line);
    const key = `${text}\n${nDecided}`;
    if (item.dataset["key"] === key) return false;
    item.dataset["key"] = key;
    /** @type {(Node | string)[]} */
    const parts = [];
    let position = 0;
    for (const token of tokensOf(text, origins)) {
      parts.push(text.slice(position, token.start), this.#createWord(line.id, token, nDecided));
      position = token.end;
    }
    item.replaceChildren(...parts, text.slice(position));
    return true;
  }

  /** @param {number} lineId @param {Token} token @param {number} nDecided */
  #createWord(lineId, token, nDecided) {
    const button = document.createElement("button");
    button.type = "button";
    const decided = token.from === undefined ? token.text.length : Math.max(0, nDecided - token.from);
    const tentative = document.createElement("span");
    tentative.textContent = token.text.slice(decided);
    button.append(token.text.slice(0, decided), ...(tentative.textContent === "" ? [] : [tentative]));
    if (token.from === undefined) button.dataset["typed"] = "";
    button.addEventListener("click", ({ detail }) => {
      this.#show(lineId, token, button.getBoundingClientRect());
      const isByKey = detail === 0;
      if (isByKey) (this.#choices.querySelector("button") ?? this.#field).focus();
    });
    return button;
  }

  /** Open the popover of the word that a character of what was read belongs to, beside its ink. @param {number} lineId @param {number} index */
  open(lineId, index) {
    const token = this.#tokenAt(lineId, index);
    // The browser closes popovers when the pointer that the tap came from is up.
    if (token !== undefined) setTimeout(() => this.#show(lineId, token));
  }

  /** @param {number} lineId @param {number} index of a character of what was read */
  #tokenAt(lineId, index) {
    const line = this.#document?.line(lineId);
    if (line === undefined || this.#document === undefined) return undefined;
    const { text, origins } = this.#document.corrected(line);
    return tokensOf(text, origins).find(({ from = Infinity, to = 0 }) => from <= index && index < to);
  }

  /** Offer other readings of an unsure word beside its ink. @param {number} lineId @param {number} index of one of its characters in what was read */
  offer(lineId, index) {
    const token = this.#tokenAt(lineId, index);
    const [line, reading] = [this.#document?.line(lineId), this.#document?.reading(lineId)];
    if (!line || !reading || token?.from === undefined || token.to === undefined || this.isOpen) return;
    const letters = reading.letters.slice(countLetters(reading.text, token.from), countLetters(reading.text, token.to));
    const ink = letters.some(({ confidence }) => confidence < UNSURE) ? this.#listener.inkOf(lineId, token.from, token.to) : undefined;
    if (ink === undefined) return;
    const texts = alternatives(/** @type {PadDocument} */ (this.#document), line, token).slice(0, MAX_CANDIDATES);
    this.#candidates.replaceChildren(...texts.map((text) => this.#createChoice(text, { line: lineId, token })));
    this.#candidates.showPopover();
    place(this.#candidates, ink, ink);
  }

  /** Offer no more readings. */
  withdraw() {
    this.#candidates.hidePopover();
  }

  /** Return the reading that is offered at a point of the window. @param {Point} point */
  candidateAt([x, y]) {
    return [...this.#candidates.querySelectorAll("button")].find((button) => {
      const { left, right, top, bottom } = button.getBoundingClientRect();
      return left <= x && x <= right && top <= y && y <= bottom;
    });
  }

  /** @param {string} text @param {{ line: number, token: Token }} word */
  #createChoice(text, word) {
    const choice = document.createElement("button");
    choice.type = "button";
    choice.textContent = text;
    choice.addEventListener("click", () => {
      this.#open = word;
      this.#replace(text);
    });
    return choice;
  }

  /** Open the popover for a line that is typed. @param {DOMRect} anchor */
  openNew(anchor) {
    this.#open = { token: { start: 0, end: 0, text: "", from: undefined, to: undefined } };
    this.#field.value = "";
    this.#choices.replaceChildren();
    this.#popover.toggleAttribute("data-new", true);
    this.#popover.showPopover();
    place(this.#popover, anchor, anchor);
    this.#field.focus();
  }

  /** @param {number} lineId @param {Token} token @param {DOMRect} [anchor] what the popover stands beside, if not the word's ink */
  #show(lineId, token, anchor) {
    const line = this.#document?.line(lineId);
    if (line === undefined || this.#document === undefined) return;
    this.#open = { line: lineId, token };
    this.#listener.onSelect(lineId);
    this.#field.value = token.text;
    this.#popover.toggleAttribute("data-new", false);
    const texts = alternatives(this.#document, line, token);
    this.#choices.replaceChildren(...texts.map((text) => this.#createChoice(text, { line: lineId, token })));
    const ink = token.from === undefined ? undefined : this.#listener.onOpen(lineId, token.from, token.to ?? 0);
    this.#popover.showPopover();
    const box = ink ?? anchor ?? this.#list.getBoundingClientRect(); // ink may belong to two words
    place(this.#popover, anchor ?? box, box);
  }

  /** Replace the word whose popover is open. @param {string} replacement */
  #replace(replacement) {
    const open = this.#open;
    this.#open = undefined;
    this.#popover.hidePopover();
    if (open !== undefined && open.line === undefined && replacement !== "") return this.#listener.onType(replacement);
    const line = open?.line === undefined ? undefined : this.#document?.line(open.line);
    if (open?.line === undefined || line === undefined || this.#document === undefined) return;
    const text = this.#document.text(line);
    const at = placeOf(text, open.token);
    if (at < 0) return;
    const [before, after] = [text.slice(0, at), text.slice(at + open.token.text.length)];
    const isRemoved = replacement === "";
    this.#listener.onText(open.line, isRemoved ? (before.trimEnd() + after).trim() : before + replacement + after);
  }
}

/** Place a popover below or above something, and not over the ink that it is about: beside that, if there is no room else. @param {HTMLElement} popover @param {DOMRect} anchor @param {DOMRect} ink */
export function place({ style, offsetWidth, offsetHeight }, anchor, ink) {
  const tops = [anchor, ink].flatMap(({ top, bottom }) => [bottom + MARGIN, top - MARGIN - offsetHeight]);
  const isFree = (/** @type {number} */ top) => top >= ink.bottom || top + offsetHeight <= ink.top;
  const isSeen = (/** @type {number} */ top) => top >= 0 && top + offsetHeight <= innerHeight;
  const top = tops.find((top) => isFree(top) && isSeen(top));
  const left = top === undefined ? ink.right + MARGIN : anchor.left;
  style.left = `${Math.max(8, Math.min(left, innerWidth - offsetWidth - 8))}px`;
  style.top = `${top ?? tops.find(isSeen) ?? 8}px`;
}

/** Scroll the text so that a line of it is seen; `scrollIntoView` would move the paper too. @param {HTMLElement} item */
function reveal({ offsetParent, offsetTop, offsetHeight }) {
  if (offsetParent === null) return; // the text is hidden
  const { scrollTop, clientHeight } = offsetParent;
  offsetParent.scrollTop = Math.min(offsetTop, Math.max(scrollTop, offsetTop + offsetHeight - clientHeight));
}

/** Find a word again in a text that may have changed since. @param {string} text @param {Token} token */
function placeOf(text, token) {
  if (text.slice(token.start, token.end) === token.text) return token.start;
  return text.indexOf(token.text);
}

/** Return how many letters a text has before an index. @param {string} text @param {number} end */
function countLetters(text, end) {
  return text.slice(0, end).match(/\S/gu)?.length ?? 0;
}

/** Return how many code units of what was read are decided. @param {PadDocument} pad @param {DocumentLine} line */
function decidedLength(pad, line) {
  const reading = pad.reading(line.id);
  if (reading === undefined || reading.of !== "") return Infinity;
  let end = 0;
  for (let n = 0; n < reading.letters.length && end < reading.text.length; end += 1) {
    if (reading.text[end] !== " ") n += 1;
  }
  return end;
}

/** Return the words of a text. @param {string} text @param {readonly number[]} origins @returns {Token[]} */
export function tokensOf(text, origins) {
  return [...text.matchAll(/\S+/gu)].map((match) => {
    const start = match.index;
    const end = start + match[0].length;
    const read = origins.slice(start, end).filter((origin) => origin >= 0);
    return { start, end, text: match[0], from: read[0], to: (read.at(-1) ?? -1) + 1 };
  });
}

/**
 * Return other texts that a word may have, the most probable first.
 *
 * @param {PadDocument} pad
 * @param {DocumentLine} line
 * @param {Token} token
 * @returns {string[]}
 */
export function alternatives(pad, line, { text, from, to }) {
  const reading = pad.reading(line.id);
  if (reading === undefined || from === undefined) return [];
  const asRead = reading.text.slice(from, to);
  /** @type {Map<string, number>} */
  const found = new Map([[asRead, 1]]);
  const add = (/** @type {string} */ other, /** @type {number} */ p) => {
    if (p >= MIN_SHOWN) found.set(other, Math.max(p, found.get(other) ?? 0));
  };
  const isBefore = countLetters(reading.text, from);
  for (const word of reading.words) {
    // Words that the server considered come before those made by exchanging a letter.
    if (word.text === asRead) for (const other of word.alternatives) add(other.text, 1 + other.p);
  }
  [...asRead].forEach((char, i) => {
    const letter = reading.letters[isBefore + i];
    if (letter?.char !== char) return;
    for (const other of letter.alternatives) {
      add([...asRead].with(i, other.char).join(""), other.p / letter.confidence);
    }
  });
  const isLower = asRead === asRead.toLowerCase();
  add(isLower ? asRead.charAt(0).toUpperCase() + asRead.slice(1) : asRead.toLowerCase(), MIN_SHOWN);
  return [...found]
    .sort(([, one], [, other]) => other - one)
    .map(([other]) => other)
    .filter((other) => other !== text)
    .slice(0, MAX_ALTERNATIVES);
}

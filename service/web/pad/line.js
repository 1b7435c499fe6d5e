/**
 * What is known of the line that is being written: results by column, letters and words by id.
 *
 * @import { Letter, Ready, Result, Word } from "../client/protocol.d.ts"
 * @import { Message } from "../client/inkstream.js"
 */

export class Line {
  /** @type {Result[]} */
  results = [];
  /** @type {Letter[]} */
  letters = [];
  /** @type {Word[]} */
  words = [];
  /** Everything so far, of a transcriber. */
  text = "";
  /** Height of the frame that it was fitted into, if it was. @type {number | undefined} */
  height;
  /** The first column that changed since it was drawn. */
  changedFrom = 0;
  /** Whether letters or words changed since they were drawn. */
  changedLetters = true;
  #resets = 0; // that are not answered yet

  /** Begin a new line. @param {boolean} [isAsked] by a reset: until its answer all is of the old one */
  begin(isAsked = false) {
    this.#resets = isAsked ? this.#resets + 1 : 0;
    this.results = [];
    this.letters = [];
    this.words = [];
    this.text = "";
    this.height = undefined;
    this.changedFrom = 0;
    this.changedLetters = true;
  }

  /** Whether what is said is of it. */
  get isMeant() {
    return this.#resets === 0;
  }

  /** Take in what a server says. @param {Message} message @returns {boolean} whether it changes the line */
  hear(message) {
    if (message.type === "reset_done") this.#resets -= 1;
    if (!this.isMeant) return false;
    this.changedLetters ||= message.type !== "result";
    switch (message.type) {
      case "result":
        this.results[message.column] = message;
        this.text = message.text ?? "";
        this.changedFrom = Math.min(this.changedFrom, message.column);
        return true;
      case "letter":
      case "punctuation":
        this.letters[message.id] = message;
        return true;
      case "word":
        this.words[message.id] = message;
        return true;
      case "rewound":
        this.results.length = Math.min(this.results.length, message.column);
        this.letters.length = Math.min(this.letters.length, message.letters);
        this.words.length = Math.min(this.words.length, message.words);
        this.text = message.text ?? "";
        this.height = message.frame?.height;
        this.changedFrom = Math.min(this.changedFrom, message.column);
        return true;
      case "flushed":
        this.text = message.text ?? message.label ?? "";
        return true;
      default:
        return false;
    }
  }

  /** The text, cut where what is decided ends. @returns {[decided: string, tentative: string]} */
  get parts() {
    let end = 0;
    for (let n = 0; n < this.letters.length && end < this.text.length; end += 1) {
      if (this.text[end] !== " ") n += 1;
    }
    return [this.text.slice(0, end), this.text.slice(end)];
  }
}

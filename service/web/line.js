/**
 * What is known of the line that is being written: results by column, letters and words by id.
 *
 * @import { Letter, Ready, Result, Word } from "./protocol.d.ts"
 * @import { Message } from "./inkstream.js"
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
  /** The first column that changed since it was drawn. */
  changedFrom = 0;
  /** Whether letters or words changed since they were drawn. */
  changedLetters = true;

  /** Begin a new line. */
  begin() {
    this.results = [];
    this.letters = [];
    this.words = [];
    this.text = "";
    this.changedFrom = 0;
    this.changedLetters = true;
  }

  /** Take in what a server says. @param {Message} message @returns {boolean} whether it changes the line */
  hear(message) {
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
        this.changedFrom = Math.min(this.changedFrom, message.column);
        return true;
      case "flushed":
        this.text = message.text ?? message.label ?? "";
        return true;
      case "reset_done":
      case "reconnected":
        this.begin();
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

/**
 * The state of the current line, from the server's messages: results by column, letters and words by id.
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
  /** The recognized text; a classifier's is empty until it was flushed. */
  text = "";
  /** Height of the frame that `fit` has chosen, if it has. @type {number | undefined} */
  height;
  /** The first column that has changed since the last drawing. */
  changedFrom = 0;
  /** Whether letters or words have changed since the last drawing. */
  lettersChanged = true;
  #nPendingResets = 0;

  /**
   * Begin a new line.
   *
   * @param {boolean} [isRequested] whether a reset was sent; until it is answered, the messages that come
   *   belong to the old line
   */
  begin(isRequested = false) {
    this.#nPendingResets = isRequested ? this.#nPendingResets + 1 : 0;
    this.results = [];
    this.letters = [];
    this.words = [];
    this.text = "";
    this.height = undefined;
    this.changedFrom = 0;
    this.lettersChanged = true;
  }

  /** Whether the server's messages belong to this line, not to one before. */
  get isCurrent() {
    return this.#nPendingResets === 0;
  }

  /** Update the line by a message. @param {Message} message @returns {boolean} whether the line has changed */
  update(message) {
    if (message.type === "reset_done") this.#nPendingResets -= 1;
    if (!this.isCurrent) return false;
    this.lettersChanged ||= message.type !== "result";
    switch (message.type) {
      case "result":
        this.results[message.column] = message;
        this.text = message.text ?? "";
        this.changedFrom = Math.min(this.changedFrom, message.column);
        return true;
      case "letter":
        this.letters[message.id] = message;
        return true;
      case "word":
        this.words[message.id] = message;
        return true;
      case "revised":
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

  /** Return a copy of what was read. */
  copy() {
    const { results, letters, words, text, height } = this;
    return { results: [...results], letters: [...letters], words: [...words], text, height };
  }

  /** Have what was read be a copy. @param {ReturnType<Line["copy"]>} copy */
  restore(copy) {
    Object.assign(this, copy, { changedFrom: 0, lettersChanged: true });
  }

  /** The text in two parts. @returns {[decided: string, tentative: string]} */
  get parts() {
    let end = 0;
    for (let n = 0; n < this.letters.length && end < this.text.length; end += 1) {
      if (this.text[end] !== " ") n += 1;
    }
    return [this.text.slice(0, end), this.text.slice(end)];
  }
}

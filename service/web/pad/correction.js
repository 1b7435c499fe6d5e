/**
 * The field that says what was written: it follows what is read, and what was corrected in it stays.
 */

export class Correction {
  #field;
  #read = ""; // the text that the field follows
  #wrong = ""; // its beginning up to where it was corrected last
  #right = ""; // what that should be

  /** @param {HTMLInputElement} field */
  constructor(field) {
    this.#field = field;
    field.addEventListener("input", () => this.#keep());
  }

  /** What was written. */
  get text() {
    return this.#field.value.trim();
  }

  /** Begin a new line. */
  clear() {
    this.#field.value = this.#read = this.#wrong = this.#right = "";
  }

  /** Leave it to the pen. */
  leave() {
    this.#field.blur();
  }

  /** Follow what is read, but not under somebody's hand. @param {string} text */
  follow(text) {
    if (document.activeElement === this.#field) return;
    const isWrong = text.startsWith(this.#wrong);
    const value = isWrong ? this.#right + text.slice(this.#wrong.length) : text;
    if (this.#field.value !== value) this.#field.value = value;
    this.#read = text;
  }

  /**
   * One character of what is read is another one.
   *
   * @param {string} text that is read
   * @param {number} place of the character in it
   * @param {string} read the character
   * @param {string} meant the other one
   */
  replace(text, place, read, meant) {
    this.leave();
    this.follow(text);
    const { value } = this.#field;
    const end = place + read.length;
    const moved = value.length - text.length;
    const isBefore = value.startsWith(text.slice(0, end)); // what was corrected
    const isPlain = isBefore || moved === 0 || place >= this.#wrong.length; // else it is gone
    const at = isBefore ? place : place + moved;
    if (isPlain) this.#field.value = value.slice(0, at) + meant + value.slice(at + read.length);
    this.#keep();
    this.#field.focus();
  }

  /** Remember what was corrected: nothing where nothing is read, or nothing is left. */
  #keep() {
    const [read, { value }] = [this.#read, this.#field];
    let tail = 0; // characters at the end that are right
    while (tail < Math.min(read.length, value.length) && read.at(-1 - tail) === value.at(-1 - tail)) tail += 1;
    const isCorrected = read !== "" && value !== "";
    this.#wrong = isCorrected ? read.slice(0, read.length - tail) : "";
    this.#right = isCorrected ? value.slice(0, value.length - tail) : "";
  }
}

/**
 * The field for the correct text: it shows the recognized text, and keeps the corrections made in it.
 */

export class Correction {
  #field;
  #recognized = ""; // the text that the field was filled from
  #wrongStart = ""; // start of that text, up to the end of the last correction
  #correctStart = ""; // what the corrections made of it

  /** @param {HTMLInputElement} field */
  constructor(field) {
    this.#field = field;
    field.addEventListener("input", () => this.#remember());
  }

  /** The field's text. */
  get text() {
    return this.#field.value.trim();
  }

  /** Empty the field for a new line. */
  clear() {
    this.#field.value = this.#recognized = this.#wrongStart = this.#correctStart = "";
  }

  /** Remove the focus from the field. */
  blur() {
    this.#field.blur();
  }

  /** Show the recognized text with the corrections, unless the field has the focus. @param {string} text */
  update(text) {
    if (document.activeElement === this.#field) return;
    const stillApplies = text.startsWith(this.#wrongStart);
    const value = stillApplies ? this.#correctStart + text.slice(this.#wrongStart.length) : text;
    if (this.#field.value !== value) this.#field.value = value;
    this.#recognized = text;
  }

  /**
   * Replace one character of the recognized text, unless a correction has removed it.
   *
   * @param {string} text the recognized text
   * @param {number} index of the character in it
   * @param {string} char the character
   * @param {string} replacement
   */
  replace(text, index, char, replacement) {
    this.blur();
    this.update(text);
    const { value } = this.#field;
    const end = index + char.length;
    const shift = value.length - text.length;
    const isBeforeCorrections = value.startsWith(text.slice(0, end));
    const isThere = isBeforeCorrections || shift === 0 || index >= this.#wrongStart.length;
    const at = isBeforeCorrections ? index : index + shift;
    if (isThere) this.#field.value = value.slice(0, at) + replacement + value.slice(at + char.length);
    this.#remember();
    this.#field.focus();
  }

  /** Store the corrections: none if the recognized text or the field is empty. */
  #remember() {
    const [recognized, { value }] = [this.#recognized, this.#field];
    const maxTail = Math.min(recognized.length, value.length);
    let tail = 0; // characters at the end that both have
    while (tail < maxTail && recognized.at(-1 - tail) === value.at(-1 - tail)) tail += 1;
    const isCorrected = recognized !== "" && value !== "";
    this.#wrongStart = isCorrected ? recognized.slice(0, recognized.length - tail) : "";
    this.#correctStart = isCorrected ? value.slice(0, value.length - tail) : "";
  }
}

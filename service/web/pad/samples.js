/**
 * Labelled lines for training a model on one's own handwriting. They are stored in this page alone.
 *
 * @import { Point } from "../client/protocol.d.ts"
 */

export class Samples {
  /** @type {string[]} */
  #lines = []; // JSON
  #button;

  /** @param {HTMLButtonElement} button that downloads the lines */
  constructor(button) {
    this.#button = button;
    button.addEventListener("click", () => this.#download());
    this.#show();
  }

  /** @param {readonly (readonly Point[])[]} strokes @param {number} height @param {string} label */
  add(strokes, height, label) {
    this.#lines.push(JSON.stringify({ label, height, strokes }));
    this.#show();
  }

  #show() {
    const n = this.#lines.length;
    this.#button.disabled = n === 0;
    this.#button.textContent = `Download ${n} ${n === 1 ? "line" : "lines"}`;
  }

  #download() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(this.#lines.map((line) => `${line}\n`)));
    link.download = "my_hand.jsonl";
    link.click();
    URL.revokeObjectURL(link.href);
  }
}

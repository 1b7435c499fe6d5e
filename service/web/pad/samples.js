/**
 * Lines that were kept with what they say, to teach a net one's own hand. They stay in this page.
 *
 * @import { Point } from "../client/protocol.d.ts"
 */

export class Samples {
  /** @type {string[]} */
  #lines = [];
  #button;

  /** @param {HTMLButtonElement} button that downloads them */
  constructor(button) {
    this.#button = button;
    button.addEventListener("click", () => this.#download());
    this.#show();
  }

  /** @param {readonly (readonly Point[])[]} strokes @param {number} height @param {string} label */
  keep(strokes, height, label) {
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

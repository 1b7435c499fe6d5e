/**
 * A page of writing as it was photographed or scanned, with a box around each line.
 *
 * @import { Box } from "./image.js"
 */

import { t } from "./messages.js";

const MAX_WIDTH = 1600; // pixels of the canvas: photos have many more than a screen

export class PageView {
  #container;
  #onChoose;
  /** @type {HTMLButtonElement[]} */
  #boxes = [];

  /**
   * @param {HTMLElement} container
   * @param {(index: number) => void} onChoose a line that was read was chosen
   */
  constructor(container, onChoose) {
    this.#container = container;
    this.#onChoose = onChoose;
  }

  /**
   * Show a page; nothing if the image is none, or of a format that the browser does not know.
   *
   * @param {Blob} file
   * @param {{ width: number, height: number, boxes: Box[] } | undefined} page
   */
  async show(file, page) {
    this.#container.hidden = true;
    this.#boxes = [];
    if (page === undefined) return;
    const boxes = page.boxes.map((box, index) => this.#createBox(box, index, page));
    this.#boxes = boxes;
    const image = await createImageBitmap(file).catch(() => undefined);
    if (image === undefined || boxes !== this.#boxes) return;
    const canvas = document.createElement("canvas");
    canvas.width = Math.min(MAX_WIDTH, page.width);
    canvas.height = Math.round((canvas.width * page.height) / page.width);
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    const sheet = document.createElement("div");
    sheet.append(canvas, ...boxes);
    this.#container.replaceChildren(sheet);
    this.#container.hidden = false;
  }

  /** Set the text of a line: it can be chosen now. @param {number} index @param {string} text */
  setText(index, text) {
    const box = this.#boxes[index];
    if (box === undefined) return;
    box.disabled = false;
    box.ariaLabel = t("Line {number}: {text}", { number: index + 1, text });
  }

  /**
   * @param {Box} box
   * @param {number} index
   * @param {{ width: number, height: number }} page
   */
  #createBox(box, index, { width, height }) {
    const [xs, ys] = [box.map(([x]) => x), box.map(([, y]) => y)];
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    const made = document.createElement("button");
    made.type = "button";
    made.disabled = true;
    made.ariaLabel = t("Line {number}", { number: index + 1 });
    made.style.left = `${(100 * left) / width}%`;
    made.style.top = `${(100 * top) / height}%`;
    made.style.width = `${(100 * (Math.max(...xs) - left)) / width}%`;
    made.style.height = `${(100 * (Math.max(...ys) - top)) / height}%`;
    made.addEventListener("click", () => {
      for (const other of this.#boxes) other.ariaCurrent = String(other === made);
      this.#onChoose(index);
    });
    return made;
  }
}

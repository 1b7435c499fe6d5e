/**
 * Images of writing on the page: a line drawn from its columns, and a page with a box around each line.
 *
 * @import { Box } from "./image.js"
 */

import { t } from "./messages.js";

const UNREAD_OPACITY = 0.3;
const MAX_WIDTH = 1600; // pixels of a page's canvas: photos have many more than a screen

/** A line or a digit: columns that were read are dark, the others are pale. */
export class Picture {
  nColumns;
  #canvas = document.createElement("canvas");

  /**
   * @param {Uint8Array} pixels columns, oldest first, each from top to bottom: 0 = paper, 255 = ink
   * @param {number} columnHeight
   */
  constructor(pixels, columnHeight) {
    this.nColumns = pixels.length / columnHeight;
    this.#canvas.width = this.nColumns;
    this.#canvas.height = columnHeight;
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    const image = context.createImageData(this.nColumns, columnHeight);
    for (let column = 0; column < this.nColumns; column += 1) {
      for (let row = 0; row < columnHeight; row += 1) {
        const alpha = pixels[column * columnHeight + row] ?? 0;
        image.data[4 * (row * this.nColumns + column) + 3] = alpha;
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** Return the width of a column on a canvas. @param {number} height of the canvas */
  columnWidth(height) {
    return height / this.#canvas.height;
  }

  /**
   * Draw the image over the whole height of a canvas.
   *
   * @param {CanvasRenderingContext2D} context in CSS pixels
   * @param {{ height: number, offset: number, nRead: number, colour: string }} options height of the
   *   canvas and how far it has scrolled, CSS pixels; how many columns were read; colour of the ink
   */
  draw(context, { height, offset, nRead, colour }) {
    this.#setColour(colour);
    const rows = this.#canvas.height;
    const width = this.columnWidth(height);
    const drawColumns = (/** @type {number} */ start, /** @type {number} */ end) => {
      const n = end - start;
      if (n === 0) return;
      context.drawImage(this.#canvas, start, 0, n, rows, start * width - offset, 0, n * width, height);
    };
    drawColumns(0, nRead);
    context.globalAlpha = UNREAD_OPACITY;
    drawColumns(nRead, this.nColumns);
    context.globalAlpha = 1;
  }

  /** Set the colour of the ink. @param {string} colour */
  #setColour(colour) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    context.globalCompositeOperation = "source-in";
    context.fillStyle = colour;
    context.fillRect(0, 0, this.nColumns, this.#canvas.height);
  }
}

/** A page as it was photographed or scanned. */
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
   * Show a page; nothing if the image is none.
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
    const image = await createImageBitmap(file);
    if (boxes !== this.#boxes) return;
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

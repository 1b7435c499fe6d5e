/**
 * An image on the pad, drawn from its columns: columns that were read are dark, the others are pale.
 */

const UNREAD_OPACITY = 0.3;

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

/**
 * An image's columns on the pad: what was read is dark, what is still to come is pale.
 */

const PALE = 0.3; // opacity of what is still to come

export class Picture {
  /** Columns in all. */
  length;
  #canvas = document.createElement("canvas");

  /**
   * @param {Uint8Array} pixels columns, oldest first, each top to bottom: 0 = paper, 255 = ink
   * @param {number} columnHeight
   */
  constructor(pixels, columnHeight) {
    this.length = pixels.length / columnHeight;
    this.#canvas.width = this.length;
    this.#canvas.height = columnHeight;
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    const image = context.createImageData(this.length, columnHeight);
    for (let column = 0; column < this.length; column += 1) {
      for (let row = 0; row < columnHeight; row += 1) {
        const alpha = pixels[column * columnHeight + row] ?? 0;
        image.data[4 * (row * this.length + column) + 3] = alpha;
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** How wide a column is. @param {number} height of the canvas */
  wide(height) {
    return height / this.#canvas.height;
  }

  /**
   * Draw it over the whole height of a canvas.
   *
   * @param {CanvasRenderingContext2D} context in CSS pixels
   * @param {{ height: number, offset: number, place: number, colour: string }} how height of the
   *   canvas and what the paper has moved to the left, CSS pixels; columns that were read; of the ink
   */
  draw(context, { height, offset, place, colour }) {
    this.#dye(colour);
    const rows = this.#canvas.height;
    const wide = this.wide(height);
    const part = (/** @type {number} */ from, /** @type {number} */ to) => {
      const span = to - from;
      if (span === 0) return;
      context.drawImage(this.#canvas, from, 0, span, rows, from * wide - offset, 0, span * wide, height);
    };
    part(0, place);
    context.globalAlpha = PALE;
    part(place, this.length);
    context.globalAlpha = 1;
  }

  /** Give the ink a colour. @param {string} colour */
  #dye(colour) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    context.globalCompositeOperation = "source-in";
    context.fillStyle = colour;
    context.fillRect(0, 0, this.length, this.#canvas.height);
  }
}

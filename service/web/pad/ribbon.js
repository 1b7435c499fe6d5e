/**
 * The net's view, under the ink and aligned with it: for every column what it believes, and how sure
 * it is that a letter ended there.
 *
 * @import { Result } from "../client/protocol.d.ts"
 * @import { Line } from "./line.js"
 */

import { fit } from "./pad.js";

const ENDS = 0.22; // of the height: where letter ends are shown
const BELIEVED = 0.5; // share from which on a label is named
const PALE = 0.35; // opacity of what is hardly believed; what is certain has 1

export class Ribbon {
  #canvas;
  #context;
  #line;
  #pixelsPerColumn = 1;
  #offset = 0;

  /** @param {HTMLCanvasElement} canvas @param {Line} line */
  constructor(canvas, line) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.#line = line;
    new ResizeObserver(() => this.drawAll()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.drawAll());
  }

  /** Lie under a pad. @param {number} pixelsPerColumn @param {number} offset CSS pixels */
  align(pixelsPerColumn, offset) {
    this.#pixelsPerColumn = pixelsPerColumn;
    this.#offset = offset;
    this.drawAll();
  }

  drawAll() {
    fit(this.#canvas, this.#context);
    this.#line.changedFrom = 0;
    this.draw();
  }

  /** Draw the columns that changed. */
  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const { results, changedFrom } = this.#line;
    const wide = this.#pixelsPerColumn;
    const from = this.#runStart(Math.min(changedFrom, results.length));
    const first = Math.max(from, Math.floor(this.#offset / wide));
    this.#context.clearRect(first * wide - this.#offset, 0, width, height);
    const end = Math.min(results.length, Math.ceil((this.#offset + width) / wide));
    const colour = getComputedStyle(this.#canvas).getPropertyValue("--end");
    for (let column = first; column < end; column += 1) {
      const result = results[column];
      if (result === undefined) continue; // merged into a newer one
      const x = column * wide - this.#offset;
      this.#column(result, x, wide, height * (result.letter_end === undefined ? 0 : ENDS), height);
      if (result.letter_end !== undefined) {
        this.#context.fillStyle = colour;
        this.#context.globalAlpha = result.letter_end;
        this.#context.fillRect(x, height * ENDS * (1 - result.letter_end), 2, height * ENDS);
        this.#context.globalAlpha = 1;
      }
    }
    this.#name(first, end, wide, height);
    this.#line.changedFrom = results.length;
  }

  /** The label that is named at a column, if any. @param {number} column */
  #believed(column) {
    const [label, p] = best(this.#line.results[column]);
    return p >= BELIEVED ? label : undefined;
  }

  /** Where the run of a column begins: its name stands in its middle. @param {number} column */
  #runStart(column) {
    let start = column;
    while (start > 0 && this.#believed(start - 1) === this.#believed(column)) start -= 1;
    const before = this.#believed(start - 1);
    while (start > 0 && this.#believed(start - 1) === before) start -= 1; // it may have grown
    return start;
  }

  /**
   * Write into every run of columns what is believed there.
   *
   * @param {number} first
   * @param {number} end
   * @param {number} wide
   * @param {number} height
   */
  #name(first, end, wide, height) {
    const context = this.#context;
    context.fillStyle = "#fff";
    context.font = "600 13px ui-monospace, monospace";
    context.textAlign = "center";
    const believed = (/** @type {number} */ column) => this.#believed(column);
    for (let start = first, next; start < end; start = next) {
      const label = believed(start);
      for (next = start + 1; next < end && believed(next) === label; ) next += 1;
      if (label === undefined || label === " " || (next - start) * wide < 12) continue;
      context.fillText(label, ((start + next) / 2) * wide - this.#offset, height - 6);
    }
  }

  /**
   * One column's labels, the most probable at the bottom.
   *
   * @param {Result} result
   * @param {number} x
   * @param {number} wide
   * @param {number} top
   * @param {number} height
   */
  #column({ probabilities }, x, wide, top, height) {
    let y = height;
    const sorted = Object.entries(probabilities).sort(([, one], [, other]) => other - one);
    for (const [label, p] of sorted) {
      const high = p * (height - top);
      this.#context.fillStyle = colourOf(label);
      this.#context.globalAlpha = PALE + (1 - PALE) * p;
      this.#context.fillRect(x, y - high, wide - (wide > 3 ? 0.6 : 0), high);
      y -= high;
    }
    this.#context.globalAlpha = 1;
  }
}

/** The most probable label. @param {Result | undefined} result @returns {[label: string, p: number]} */
function best(result) {
  return Object.entries(result?.probabilities ?? {}).reduce(
    (one, other) => (other[1] > one[1] ? other : one),
    ["", 0],
  );
}

/** A colour for a label: neighbours in the alphabet differ. @param {string} label */
export function colourOf(label) {
  const code = label.codePointAt(0) ?? 0;
  return label === " " ? "#8884" : `hsl(${(code * 137.5) % 360} 55% 50%)`;
}

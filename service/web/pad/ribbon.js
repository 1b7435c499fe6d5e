/**
 * The ribbon under the pad: a chart of each column's probabilities, aligned with the ink, and of the
 * probability that a letter has ended there.
 *
 * @import { Result } from "../client/protocol.d.ts"
 * @import { Line } from "./line.js"
 */

import { scaleCanvas } from "./paper.js";

const LETTER_ENDS = 0.22; // of the height: the part at the top that shows letter ends
const MIN_NAMED = 0.5; // probability from which on a label is written into the chart
const MIN_OPACITY = 0.35; // at probability 0; it is 1 at probability 1
const N_HUES = 26; // a colour for each letter
const HUE_STEP = 11; // colours between two neighbours in the alphabet

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

  /** Align the ribbon with the pad. @param {number} pixelsPerColumn @param {number} offset CSS pixels */
  align(pixelsPerColumn, offset) {
    this.#pixelsPerColumn = pixelsPerColumn;
    this.#offset = offset;
    this.drawAll();
  }

  /** Show another line. @param {Line} line */
  show(line) {
    this.#line = line;
    this.drawAll();
  }

  drawAll() {
    scaleCanvas(this.#canvas, this.#context);
    this.#line.changedFrom = 0;
    this.draw();
  }

  /** Draw the columns that have changed. */
  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const { results, changedFrom } = this.#line;
    const columnWidth = this.#pixelsPerColumn;
    const runStart = this.#findRunStart(Math.min(changedFrom, results.length));
    const start = Math.max(runStart, Math.floor(this.#offset / columnWidth));
    this.#context.clearRect(start * columnWidth - this.#offset, 0, width, height);
    const end = Math.min(results.length, Math.ceil((this.#offset + width) / columnWidth));
    const style = getComputedStyle(this.#canvas);
    const colour = style.getPropertyValue("--end");
    const lightness = style.getPropertyValue("--bar-lightness");
    for (let column = start; column < end; column += 1) {
      const result = results[column];
      if (result === undefined) continue; // it was merged with a later one
      const x = column * columnWidth - this.#offset;
      const top = height * (result.letter_end === undefined ? 0 : LETTER_ENDS);
      this.#drawColumn(result, lightness, x, columnWidth, top, height);
      if (result.letter_end !== undefined) {
        this.#context.fillStyle = colour;
        this.#context.globalAlpha = result.letter_end;
        this.#context.fillRect(x, height * LETTER_ENDS * (1 - result.letter_end), 2, height * LETTER_ENDS);
        this.#context.globalAlpha = 1;
      }
    }
    this.#drawLabels(start, end, columnWidth, height);
    this.#line.changedFrom = results.length;
  }

  /** Return the label to be written at a column, if it has one. @param {number} column */
  #labelAt(column) {
    const [label, p] = mostProbable(this.#line.results[column]);
    return p >= MIN_NAMED ? label : undefined;
  }

  /**
   * Return the start of the run of equal labels before a column's run. A run's label is written in its
   * middle, so it must be drawn again when the run has grown.
   *
   * @param {number} column
   */
  #findRunStart(column) {
    let start = column;
    while (start > 0 && this.#labelAt(start - 1) === this.#labelAt(column)) start -= 1;
    const previous = this.#labelAt(start - 1);
    while (start > 0 && this.#labelAt(start - 1) === previous) start -= 1;
    return start;
  }

  /**
   * Write the label of each run of columns in its middle.
   *
   * @param {number} start
   * @param {number} end
   * @param {number} columnWidth
   * @param {number} height
   */
  #drawLabels(start, end, columnWidth, height) {
    const context = this.#context;
    context.fillStyle = getComputedStyle(this.#canvas).getPropertyValue("--ink");
    context.font = "600 13px ui-monospace, monospace";
    context.textAlign = "center";
    for (let first = start, next; first < end; first = next) {
      const label = this.#labelAt(first);
      for (next = first + 1; next < end && this.#labelAt(next) === label; ) next += 1;
      if (label === undefined || label === " " || (next - first) * columnWidth < 12) continue;
      const x = ((first + next) / 2) * columnWidth - this.#offset;
      context.fillText(label, x, height - 6);
    }
  }

  /**
   * Draw one column's labels as a stacked bar, the most probable at the bottom.
   *
   * @param {Result} result
   * @param {string} lightness
   * @param {number} x
   * @param {number} columnWidth
   * @param {number} top
   * @param {number} height
   */
  #drawColumn({ probabilities }, lightness, x, columnWidth, top, height) {
    let y = height;
    const sorted = probabilities.toSorted(([, one], [, other]) => other - one);
    for (const [label, p] of sorted) {
      const barHeight = p * (height - top);
      this.#context.fillStyle = labelColour(label, lightness);
      this.#context.globalAlpha = MIN_OPACITY + (1 - MIN_OPACITY) * p;
      this.#context.fillRect(x, y - barHeight, columnWidth - (columnWidth > 3 ? 0.6 : 0), barHeight);
      y -= barHeight;
    }
    this.#context.globalAlpha = 1;
  }
}

/** @param {Result | undefined} result @returns {[label: string, p: number]} */
function mostProbable(result) {
  return (result?.probabilities ?? []).reduce((one, other) => (other[1] > one[1] ? other : one), ["", 0]);
}

/**
 * Return a colour for a label; neighbours in the alphabet differ, and so do e and r.
 *
 * @param {string} label
 * @param {string} lightness from 0 to 1, as a person sees it: with that of a bar, ink is legible on each colour
 */
export function labelColour(label, lightness) {
  const code = label.codePointAt(0) ?? 0;
  return label === " " ? "#8884" : `oklch(${lightness} 0.11 ${((code * HUE_STEP) % N_HUES) * (360 / N_HUES)})`;
}

/**
 * Curves of the probabilities of a classifier's labels over the columns.
 *
 * @import { Line } from "./line.js"
 */

import { scaleCanvas } from "./paper.js";
import { labelColour } from "./ribbon.js";

const MIN_NAMED = 0.15; // probability from which on a label is written at the end of its curve
const MARGIN = 9; // CSS pixels above and below
const NAME_WIDTH = 22; // CSS pixels at the right for the labels
const MIN_COLUMNS = 28; // that the width has room for

export class Curve {
  #canvas;
  #context;
  #line;

  /** @param {HTMLCanvasElement} canvas @param {Line} line */
  constructor(canvas, line) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.#line = line;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Show another line. @param {Line} line */
  show(line) {
    this.#line = line;
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const { results } = this.#line;
    const context = this.#context;
    scaleCanvas(this.#canvas, context);
    const style = getComputedStyle(this.#canvas);
    const y = (/** @type {number} */ p) => height - MARGIN - p * (height - 2 * MARGIN);
    context.strokeStyle = style.getPropertyValue("--rule");
    context.lineWidth = 1;
    for (const level of [0, 0.5, 1].map((p) => Math.round(y(p)) + 0.5)) {
      polyline(context, [[0, level], [width - NAME_WIDTH, level]]);
    }
    const columnWidth = (width - NAME_WIDTH) / Math.max(MIN_COLUMNS, results.length);
    context.font = "600 14px ui-monospace, monospace";
    context.textBaseline = "middle";
    context.lineWidth = 2;
    for (const [label, p] of results.at(-1)?.probabilities ?? []) {
      /** @type {[number, number][]} */
      const points = [];
      results.forEach(({ probabilities }, column) => {
        points.push([(column + 1) * columnWidth, y(new Map(probabilities).get(label) ?? 0)]);
      });
      context.strokeStyle = context.fillStyle = labelColour(label, style.getPropertyValue("--curve-lightness"));
      polyline(context, points);
      if (p >= MIN_NAMED) context.fillText(label, results.length * columnWidth + 6, y(p));
    }
  }
}

/** @param {CanvasRenderingContext2D} context @param {[x: number, y: number][]} points */
function polyline(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}

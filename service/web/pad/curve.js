/**
 * Curves of a classifier's labels over the columns: how each one rose and fell.
 *
 * @import { Line } from "./line.js"
 */

import { fit } from "./pad.js";
import { colourOf } from "./ribbon.js";

const NAMED = 0.15; // share from which on a label is named at its curve's end
const PAD = 9; // CSS pixels above and below
const RIGHT = 22; // CSS pixels for the names
const COLUMNS = 28; // that the width holds at least

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

  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const { results } = this.#line;
    const context = this.#context;
    fit(this.#canvas, context);
    const style = getComputedStyle(this.#canvas);
    const y = (/** @type {number} */ p) => height - PAD - p * (height - 2 * PAD);
    context.strokeStyle = style.getPropertyValue("--rule");
    context.lineWidth = 1;
    for (const level of [0, 0.5, 1].map((p) => Math.round(y(p)) + 0.5)) {
      polyline(context, [[0, level], [width - RIGHT, level]]);
    }
    const step = (width - RIGHT) / Math.max(COLUMNS, results.length);
    context.font = "600 14px ui-monospace, monospace";
    context.textBaseline = "middle";
    context.lineWidth = 2;
    for (const [label, p] of Object.entries(results.at(-1)?.probabilities ?? {})) {
      /** @type {[number, number][]} */
      const points = [];
      results.forEach(({ probabilities }, column) => {
        points.push([(column + 1) * step, y(probabilities[label] ?? 0)]);
      });
      context.strokeStyle = context.fillStyle = colourOf(label);
      polyline(context, points);
      if (p >= NAMED) context.fillText(label, results.length * step + 6, y(p));
    }
  }
}

/** @param {CanvasRenderingContext2D} context @param {[x: number, y: number][]} points */
function polyline(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}

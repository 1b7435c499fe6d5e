/**
 * How a classifier sees a digit: bars of the newest column's probabilities, and curves of those of all columns.
 *
 * @import { Result } from "../client/protocol.d.ts"
 * @import { Line } from "./line.js"
 */

import { scaleCanvas } from "./paper.js";
import { labelColour } from "./ribbon.js";

const MIN_NAMED = 0.15; // probability from which on a label is written at the end of its curve
const MARGIN = 9; // CSS pixels above and below the curves
const NAME_WIDTH = 22; // CSS pixels at the right for the labels
const MIN_COLUMNS = 28; // that the curves have room for

/** Bars of the probabilities of the labels. */
export class Bars {
  #box;
  /** @type {Map<string, { item: HTMLElement, bar: HTMLElement, percentage: HTMLElement }>} */
  #bars = new Map();

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
  }

  /** Replace the bars by empty ones for these labels. @param {readonly string[]} labels */
  setLabels(labels) {
    this.#bars.clear();
    this.#box.replaceChildren(
      ...labels.map((label) => {
        const item = document.createElement("div");
        const frame = document.createElement("div");
        const bar = document.createElement("span");
        const name = document.createElement("b");
        const percentage = document.createElement("small");
        item.role = "listitem";
        frame.className = "bar";
        name.textContent = label;
        frame.append(bar);
        item.append(frame, name, document.createElement("br"), percentage);
        this.#bars.set(label, { item, bar, percentage });
        return item;
      }),
    );
    this.draw(undefined);
  }

  /** Show a column's probabilities; undefined before the first column. @param {Result | undefined} result */
  draw(result) {
    const probabilities = new Map(result?.probabilities);
    const best = Math.max(...probabilities.values());
    for (const [label, { item, bar, percentage }] of this.#bars) {
      const p = probabilities.get(label) ?? 0;
      bar.style.height = `${100 * p}%`;
      percentage.textContent = result === undefined ? "–" : `${Math.round(100 * p)} %`;
      item.toggleAttribute("data-best", result !== undefined && p === best);
    }
  }
}

/** Curves of the probabilities of the labels over the columns. */
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

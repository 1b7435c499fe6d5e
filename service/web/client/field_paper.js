/**
 * The paper of `<ink-pad>`: follows one pointer at a time, leaves the palm out, and draws the ink.
 *
 * @import { Point } from "./protocol.d.ts"
 */

const PEN_WIDTH = 2.2; // CSS pixels
const PALM_SIZE = 60; // CSS pixels: a contact that is as wide or as high is no fingertip
const BASELINE = 0.72; // of a row's height

let wasPenSeen = false; // on this page: a touch is then the hand that holds the pen

/** @typedef {{ id: number, row: number, points: Point[], isDone: boolean }} PadStroke */

/**
 * @typedef {object} Listener
 * @property {() => boolean} canBegin whether the field can be written in
 * @property {(point: Point) => void} onBegin
 * @property {(points: Point[]) => void} onMove
 * @property {(isKept: boolean) => void} onEnd the pen was lifted, or the stroke is no writing
 */

export class FieldPaper {
  canvas = document.createElement("canvas");
  #listener;
  /** How the stroke that is being written began. @type {PointerEvent | undefined} */
  #begin;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
    const { canvas } = this;
    canvas.ariaHidden = "true"; // the text field beside it says what was written
    canvas.tabIndex = -1; // takes the focus from a text field, whose keyboard would cover the page
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event, true));
    canvas.addEventListener("pointercancel", (event) => this.#up(event, event.pointerType !== "touch"));
    canvas.addEventListener("mousedown", (event) => event.preventDefault()); // no selection is dragged
  }

  /** @param {readonly PadStroke[]} strokes @param {number} rows @param {string} colour */
  draw(strokes, rows, colour) {
    const { canvas } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
    context.scale(devicePixelRatio, devicePixelRatio);
    context.fillStyle = context.strokeStyle = colour;
    context.globalAlpha = 0.2;
    for (let row = 0; row < rows; row += 1) context.fillRect(12, ((row + BASELINE) * height) / rows, width - 24, 1);
    context.globalAlpha = 1;
    context.lineWidth = PEN_WIDTH;
    context.lineCap = context.lineJoin = "round";
    for (const { points } of strokes) {
      context.beginPath();
      for (const [x, y] of points) context.lineTo(x, y);
      const [first] = points;
      if (points.length === 1 && first !== undefined) context.lineTo(first[0] + 0.01, first[1]); // a dot
      context.stroke();
    }
  }

  /** @param {PointerEvent} event @returns {Point} */
  #position({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    return [Math.max(0, clientX - box.left), clientY - box.top];
  }

  /** @param {PointerEvent} event */
  #down(event) {
    const isPen = event.pointerType === "pen";
    if (isPen && this.#begin?.pointerType === "touch") this.#end(false);
    wasPenSeen ||= isPen;
    const isPalm = event.pointerType === "touch" && (wasPenSeen || isLarge(event));
    if (this.#begin !== undefined || isPalm || event.button > 0 || !this.#listener.canBegin()) return;
    this.#begin = event;
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    this.#listener.onBegin(this.#position(event));
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (event.pointerId !== this.#begin?.pointerId) return;
    if (event.pointerType === "touch" && isLarge(event)) return this.#end(false);
    const coalesced = event.getCoalescedEvents?.() ?? [];
    this.#listener.onMove((coalesced.length > 0 ? coalesced : [event]).map((part) => this.#position(part)));
  }

  /** @param {PointerEvent} event @param {boolean} isKept */
  #up(event, isKept) {
    if (event.pointerId === this.#begin?.pointerId) this.#end(isKept);
  }

  /** @param {boolean} isKept */
  #end(isKept) {
    this.#begin = undefined;
    this.#listener.onEnd(isKept);
  }
}

/** @param {PointerEvent} event */
function isLarge({ width, height }) {
  return Math.max(width, height) >= PALM_SIZE;
}

/**
 * The writing pad: turns pointer events into strokes and draws their ink on a canvas.
 *
 * @import { Picture } from "./picture.js"
 * @import { Point, Stroke } from "../client/protocol.d.ts"
 */

const SEND_INTERVAL_MS = 12; // at least; points that come meanwhile are sent together
const PEN_WIDTH = 2.4; // CSS pixels at half pressure
const WIDTH_STEP = 0.25; // CSS pixels between two widths of a stroke
const SCROLL_AT = 0.8; // of the canvas's width: ink beyond it makes the paper scroll
const SCROLL_TO = 0.4; // of the canvas's width: where the ink ends after scrolling

/**
 * @typedef {object} PadStroke
 * @property {number} id
 * @property {Point[]} points
 * @property {number[]} pressures
 * @property {number} nSent points that `onInk` has received; one more when it has received the end
 * @property {boolean} done
 */

/**
 * @typedef {object} Listener
 * @property {(strokes: Stroke[], since: number) => void} onInk new points, and when the first was written
 * @property {() => void} onLift the pen has left the paper
 * @property {() => void} onPalm the newest stroke came from the palm
 */

export class Pad {
  /** Strokes of this line, in their order. @type {PadStroke[]} */
  strokes = [];
  /** CSS pixels by which the paper has scrolled to the left. */
  offset = 0;
  /** An image that is shown instead of ink. @type {Picture | undefined} */
  picture;
  /** How many of the image's columns were read. */
  nRead = 0;

  #canvas;
  #context;
  #listener;
  #lastId = 0;
  #lineHeight = 0; // height of the canvas when the line was begun
  /** @type {number | undefined} */
  #pointerId; // of the pointer that is writing
  #penSeen = false; // if true, a touch is a palm
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #unsentSince = 0; // when the first point came that was not sent yet
  #lastSent = 0; // when points were sent last

  /** @param {HTMLCanvasElement} canvas @param {Listener} listener */
  constructor(canvas, listener) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.#listener = listener;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#up(event));
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Height of the writing's frame, in CSS pixels. */
  get height() {
    return this.strokes.length > 0 ? this.#lineHeight : this.#canvas.clientHeight;
  }

  /** Return all strokes of the line, to be sent to a new session. @returns {Stroke[]} */
  takeAll() {
    for (const stroke of this.strokes) stroke.nSent = 0;
    return this.#takeUnsent();
  }

  /** Remove the newest finished stroke. @returns {number | undefined} its id */
  undo() {
    const newest = this.strokes.findLast(({ done }) => done);
    if (newest === undefined) return undefined;
    this.strokes = this.strokes.filter((stroke) => stroke !== newest);
    if (this.#right < this.offset) this.scroll();
    this.draw();
    return newest.id;
  }

  /** Clear the paper. @param {PadStroke} [first] a stroke to keep; by default the one being written */
  clear(first = this.strokes.find(({ done }) => !done)) {
    this.strokes = first === undefined ? [] : [first];
    if (first !== undefined) first.points = first.points.map(([x, y]) => [Math.max(0, x - this.offset), y]);
    this.picture = undefined;
    this.offset = 0;
    this.draw();
  }

  /** @param {PointerEvent} event */
  #down(event) {
    const isPen = event.pointerType === "pen";
    if (isPen && !this.#penSeen && this.#pointerId !== undefined) this.#lift(true);
    this.#penSeen ||= isPen;
    const isPalm = event.pointerType === "touch" && this.#penSeen;
    if (this.#pointerId !== undefined || isPalm || event.button > 0) return;
    this.#pointerId = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#lastId += 1;
    this.#lineHeight = this.height;
    this.strokes.push({ id: this.#lastId, points: [], pressures: [], nSent: 0, done: false });
    this.#addPoints([event]);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (event.pointerId !== this.#pointerId) return;
    const coalesced = event.getCoalescedEvents?.() ?? [];
    this.#addPoints(coalesced.length > 0 ? coalesced : [event]);
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (event.pointerId !== this.#pointerId) return;
    this.#lift(event.type === "pointercancel" && event.pointerType === "touch");
  }

  /** @param {boolean} isPalm whether the stroke came from the palm */
  #lift(isPalm) {
    this.#pointerId = undefined;
    const stroke = this.strokes.at(-1);
    if (stroke !== undefined) stroke.done = true;
    this.#sendUnsent();
    if (isPalm) this.#listener.onPalm();
    else this.#listener.onLift();
  }

  /** @param {readonly PointerEvent[]} events */
  #addPoints(events) {
    const stroke = this.strokes.at(-1);
    if (stroke === undefined) return;
    const box = this.#canvas.getBoundingClientRect();
    const firstNew = stroke.points.length;
    for (const { clientX, clientY, pressure } of events) {
      const x = Math.max(0, clientX - box.left - this.#canvas.clientLeft + this.offset);
      stroke.points.push([x, clientY - box.top - this.#canvas.clientTop]);
      stroke.pressures.push(pressure || 0.5);
    }
    this.#drawStroke(stroke, firstNew);
    if (this.#timer !== undefined) return;
    this.#unsentSince = performance.now();
    const wait = this.#lastSent + SEND_INTERVAL_MS - this.#unsentSince;
    if (wait <= 0) this.#sendUnsent();
    else this.#timer = setTimeout(() => this.#sendUnsent(), wait);
  }

  #sendUnsent() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#lastSent = performance.now();
    const strokes = this.#takeUnsent();
    if (strokes.length > 0) this.#listener.onInk(strokes, this.#unsentSince);
  }

  /** Return the points that were not sent yet, and count them as sent. @returns {Stroke[]} */
  #takeUnsent() {
    const unsent = [];
    for (const stroke of this.strokes) {
      const { id, points, nSent, done } = stroke;
      const nToSend = points.length + Number(done); // the end is sent too
      if (nSent === nToSend) continue;
      unsent.push({ id, points: points.slice(nSent), last: done });
      stroke.nSent = nToSend;
    }
    return unsent;
  }

  /** Right end of the ink, CSS pixels from the start of the line. */
  get #right() {
    return this.strokes.flatMap(({ points }) => points).reduce((most, [x]) => Math.max(most, x), 0);
  }

  /**
   * Scroll the paper if it is nearly full. Call it only while the user does not write, because it moves
   * the ink away from the pen.
   *
   * @param {number} right end of what is on the paper, CSS pixels
   */
  scroll(right = this.#right) {
    const width = this.#canvas.clientWidth;
    if (right >= this.offset && right - this.offset < SCROLL_AT * width) return;
    this.offset = Math.max(0, Math.round(right - SCROLL_TO * width));
    this.draw();
  }

  /** Show an image of which some columns were read. @param {Picture} picture @param {number} nRead */
  show(picture, nRead) {
    this.picture = picture;
    this.nRead = nRead;
    const columnWidth = picture.columnWidth(this.height);
    if (nRead === 0) this.offset = 0;
    if (columnWidth * picture.nColumns > this.#canvas.clientWidth + 1) this.scroll(columnWidth * nRead);
    this.draw();
  }

  /** Draw everything. */
  draw() {
    const { clientWidth, clientHeight } = this.#canvas;
    scaleCanvas(this.#canvas, this.#context);
    const style = getComputedStyle(this.#canvas);
    this.#context.strokeStyle = style.getPropertyValue("--rule");
    this.#context.lineWidth = 1;
    for (const share of [0.3, 0.7]) {
      const y = Math.round(share * clientHeight) + 0.5;
      this.#context.beginPath();
      this.#context.moveTo(0, y);
      this.#context.lineTo(clientWidth, y);
      this.#context.stroke();
    }
    for (const stroke of this.strokes) this.#drawStroke(stroke, 0);
    this.picture?.draw(this.#context, {
      height: clientHeight,
      offset: this.offset,
      nRead: this.nRead,
      colour: style.getPropertyValue("--ink"),
    });
  }

  /**
   * Draw a stroke from one of its points on. Parts of equal pressure are one path each, because edges
   * get darker where paths overlap.
   *
   * @param {PadStroke} stroke
   * @param {number} first
   */
  #drawStroke({ points, pressures }, first) {
    const context = this.#context;
    context.strokeStyle = getComputedStyle(this.#canvas).getPropertyValue("--ink");
    context.lineCap = context.lineJoin = "round";
    const width = (/** @type {number} */ i) =>
      Math.round((PEN_WIDTH * (0.6 + 0.8 * (pressures[i] ?? 0.5))) / WIDTH_STEP) * WIDTH_STEP;
    for (let i = first, next; i < points.length; i = next) {
      context.lineWidth = width(i);
      context.beginPath();
      for (next = Math.max(0, i - 1); next < points.length; next += 1) {
        if (next > i && width(next) !== context.lineWidth) break;
        const [x, y] = /** @type {Point} */ (points[next]);
        context.lineTo(x - this.offset, y);
        if (points.length === 1) context.lineTo(x - this.offset + 0.01, y); // makes a dot visible
      }
      context.stroke();
    }
  }
}

/**
 * Clear a canvas and give it one pixel for each pixel of the screen, with CSS pixels as coordinates.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2D} context
 */
export function scaleCanvas(canvas, context) {
  const scale = devicePixelRatio;
  canvas.width = Math.round(canvas.clientWidth * scale);
  canvas.height = Math.round(canvas.clientHeight * scale);
  context.setTransform(scale, 0, 0, scale, 0, 0);
}

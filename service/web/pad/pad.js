/**
 * The pad: pointers in, strokes out, and their ink on a canvas.
 *
 * @import { Picture } from "./picture.js"
 * @import { Point, Stroke } from "../client/protocol.d.ts"
 */

const SEND_EVERY_MS = 12; // at the most often: points that come meanwhile go together
const NIB = 2.4; // CSS pixels of the pen at half pressure
const WIDTHS = 0.25; // CSS pixels between the widths of a line
const FULL = 0.8; // of the width: beyond it the paper moves on
const KEPT = 0.4; // of the width: what is still to be seen then

/**
 * @typedef {object} Written
 * @property {number} id
 * @property {Point[]} points
 * @property {number[]} pressures
 * @property {number} sent how many points were given to `onInk`
 * @property {boolean} done
 */

/**
 * @typedef {object} Listener
 * @property {(pieces: Stroke[], since: number) => void} onInk pieces, and when their first point came
 * @property {() => void} onLift the pen left the paper
 * @property {() => void} onPalm the newest stroke is none
 */

export class Pad {
  /** Strokes of this line, in their order. @type {Written[]} */
  strokes = [];
  /** CSS pixels by which the paper has moved to the left. */
  offset = 0;
  /** An image that lies on the paper instead. @type {Picture | undefined} */
  picture;
  /** How many of its columns were read. */
  place = 0;

  #canvas;
  #context;
  #listener;
  #newestId = 0;
  #tall = 0; // height when the line was begun
  /** @type {number | undefined} */
  #pointer; // that is writing
  #penSeen = false; // from then on a touch is a palm
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #since = 0; // when the first point came that was not given yet
  #given = 0; // when the newest ones were

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
    return this.strokes.length > 0 ? this.#tall : this.#canvas.clientHeight;
  }

  /** Everything that is written, as if it had not been given yet. @returns {Stroke[]} */
  all() {
    for (const stroke of this.strokes) stroke.sent = 0;
    return this.#pieces();
  }

  /** Take the newest stroke back. @returns {number | undefined} its id */
  undo() {
    const newest = this.strokes.findLast(({ done }) => done);
    if (newest === undefined) return undefined;
    this.strokes = this.strokes.filter((stroke) => stroke !== newest);
    if (this.#right < this.offset) this.moveOn();
    this.draw();
    return newest.id;
  }

  /** Take new paper. @param {Written} [first] stroke that stays: else what is being written */
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
    if (isPen && !this.#penSeen && this.#pointer !== undefined) this.#lift(true);
    this.#penSeen ||= isPen;
    const isPalm = event.pointerType === "touch" && this.#penSeen;
    if (this.#pointer !== undefined || isPalm || event.button > 0) return;
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#newestId += 1;
    this.#tall = this.height;
    this.strokes.push({ id: this.#newestId, points: [], pressures: [], sent: 0, done: false });
    this.#add([event]);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const all = event.getCoalescedEvents?.() ?? [];
    this.#add(all.length > 0 ? all : [event]);
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#lift(event.type === "pointercancel" && event.pointerType === "touch");
  }

  /** @param {boolean} isPalm that wrote */
  #lift(isPalm) {
    this.#pointer = undefined;
    const stroke = this.strokes.at(-1);
    if (stroke !== undefined) stroke.done = true;
    this.#give();
    if (isPalm) this.#listener.onPalm();
    else this.#listener.onLift();
  }

  /** @param {readonly PointerEvent[]} events */
  #add(events) {
    const stroke = this.strokes.at(-1);
    if (stroke === undefined) return;
    const box = this.#canvas.getBoundingClientRect();
    const before = stroke.points.length;
    for (const { clientX, clientY, pressure } of events) {
      const x = Math.max(0, clientX - box.left - this.#canvas.clientLeft + this.offset);
      stroke.points.push([x, clientY - box.top - this.#canvas.clientTop]);
      stroke.pressures.push(pressure || 0.5);
    }
    this.#drawFrom(stroke, before);
    if (this.#timer !== undefined) return;
    this.#since = performance.now();
    const wait = this.#given + SEND_EVERY_MS - this.#since;
    if (wait <= 0) this.#give();
    else this.#timer = setTimeout(() => this.#give(), wait);
  }

  #give() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#given = performance.now();
    const pieces = this.#pieces();
    if (pieces.length > 0) this.#listener.onInk(pieces, this.#since);
  }

  /** What was not given yet. @returns {Stroke[]} */
  #pieces() {
    const pieces = [];
    for (const stroke of this.strokes) {
      const { id, points, sent, done } = stroke;
      if (sent === points.length + Number(done)) continue;
      pieces.push({ id, points: points.slice(sent), last: done });
      stroke.sent = points.length + Number(done); // the end is given too
    }
    return pieces;
  }

  /** Where the ink ends, CSS pixels. */
  get #right() {
    return this.strokes.flatMap(({ points }) => points).reduce((most, [x]) => Math.max(most, x), 0);
  }

  /**
   * Move the paper on if little of it is left. Not while a hand writes: it would miss its place.
   * @param {number} right CSS pixels: up to there it is used
   */
  moveOn(right = this.#right) {
    const width = this.#canvas.clientWidth;
    if (right >= this.offset && right - this.offset < FULL * width) return;
    this.offset = Math.max(0, Math.round(right - KEPT * width));
    this.draw();
  }

  /** Show an image, of which so many columns were read. @param {Picture} picture @param {number} place */
  show(picture, place) {
    this.picture = picture;
    this.place = place;
    const wide = picture.wide(this.height);
    if (place === 0) this.offset = 0;
    if (wide * picture.length > this.#canvas.clientWidth + 1) this.moveOn(wide * place);
    this.draw();
  }

  // On the canvas

  /** Draw everything anew. */
  draw() {
    const { clientWidth, clientHeight } = this.#canvas;
    fit(this.#canvas, this.#context);
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
    for (const stroke of this.strokes) this.#drawFrom(stroke, 0);
    this.picture?.draw(this.#context, {
      height: clientHeight,
      offset: this.offset,
      place: this.place,
      colour: style.getPropertyValue("--ink"),
    });
  }

  /**
   * Draw a stroke from one of its points on: pieces of even pressure as one path each, since
   * where paths overlap their edges darken.
   *
   * @param {Written} stroke
   * @param {number} first
   */
  #drawFrom({ points, pressures }, first) {
    const context = this.#context;
    context.strokeStyle = getComputedStyle(this.#canvas).getPropertyValue("--ink");
    context.lineCap = context.lineJoin = "round";
    const width = (/** @type {number} */ i) =>
      Math.round((NIB * (0.6 + 0.8 * (pressures[i] ?? 0.5))) / WIDTHS) * WIDTHS;
    for (let i = first, next; i < points.length; i = next) {
      context.lineWidth = width(i);
      context.beginPath();
      for (next = Math.max(0, i - 1); next < points.length; next += 1) {
        if (next > i && width(next) !== context.lineWidth) break;
        const [x, y] = /** @type {Point} */ (points[next]);
        context.lineTo(x - this.offset, y);
        if (points.length === 1) context.lineTo(x - this.offset + 0.01, y); // a dot is seen
      }
      context.stroke();
    }
  }
}

/**
 * Give a canvas as many pixels as the screen has for it, blank, to be drawn on in CSS pixels.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2D} context
 */
export function fit(canvas, context) {
  const scale = devicePixelRatio;
  canvas.width = Math.round(canvas.clientWidth * scale);
  canvas.height = Math.round(canvas.clientHeight * scale);
  context.setTransform(scale, 0, 0, scale, 0, 0);
}

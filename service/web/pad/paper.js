/**
 * The paper: ruled lines to write on. It turns pointer events into strokes and draws the document's ink.
 *
 * @import { DocumentLine, InkStroke, LineImage } from "./document.js"
 * @import { Point } from "../client/protocol.d.ts"
 * @import { Colour } from "./strokes.js"
 */

import { INKS, boxOf, distance, drawCurve, isInside } from "./strokes.js";
import { BASELINE, IMAGE_LEFT, IMAGE_TOP, ROW_HEIGHT, TEXT_SIZE, right, typedText } from "./document.js";
import { bitmapOf } from "./line_images.js";
import { findRow } from "./rows.js";

const FOLLOW_MS = 500; // the pen has left a row's word: the paper may move
const FOLLOW_SHARE = 0.8; // of the view's width: ink beyond it has the paper move to the left, where it can
const SEND_INTERVAL_MS = 12; // at least; points that come meanwhile are read together
const REST_MS = 500; // after which a stroke is no part of the letter before
const PEN_WIDTH = 2.2; // CSS pixels at half pressure
const GLOW = 12; // pixels around marked ink
const WIDTH_STEP = 0.25; // CSS pixels between two widths of a stroke
const SPARE_ROWS = 2; // below the last line with ink
const ERASER_RADIUS = 10; // CSS pixels
const PAN_MS = 200; // a second finger that comes so soon after the first one moves the paper
const PALM = 60; // CSS pixels that a palm touches, and a fingertip does not
const MIN_ZOOM = 0.5;
const MAX_ZOOM = 4;
const WHEEL_ZOOM = 0.002; // of one pixel of a wheel, as a power of e

/**
 * The stroke that is being written; `isRested`: the pen had rested before it.
 * @typedef {{ line: number, row: number, isRested: boolean, points: Point[], pressures: number[], times: number[] } & InkStroke} LiveStroke
 */

/**
 * @typedef {object} Listener
 * @property {() => DocumentLine[]} lines
 * @property {() => number} onBegin a stroke begins: returns its id
 * @property {(row: number, x: number) => number} lineOf returns the id of the line that a stroke in a row belongs to
 * @property {(since: number) => void} onInk points came; when the first of them was written
 * @property {(stroke: LiveStroke) => void} onEnd the pen has left the paper
 * @property {() => void} onCancel the stroke came from the palm, or moved the paper
 * @property {(ids: Set<number>) => void} onErase the eraser was lifted
 * @property {(ids: Set<number>) => void} onChoose the lasso was closed around strokes
 * @property {(by: Point) => void} onMove the marked strokes were moved; how far to the right, and down
 * @property {(zoom: number) => void} onZoom
 */

export class Paper {
  /** @type {LiveStroke | undefined} */
  live;
  /** Row that was written in last. */
  activeRow = 0;
  /** What the pen is. @type {"pen" | "eraser" | "lasso"} */
  tool = "pen";
  /** Of what is written next. @type {Colour} */
  colour = "black";
  /** CSS pixels on the screen for each of the paper. */
  zoom = 1;

  #scroller;
  #canvas;
  #sheet;
  #context;
  #listener;
  /** @type {number | undefined} */
  #pointerId; // of the pointer that is writing
  #penSeen = false; // if true, a touch is a palm
  #liftedAt = -Infinity; // when the pen left the paper last
  #beganAt = 0; // when the live stroke was begun
  #rowBefore = 0; // that was written in before it
  /** Fingers that move the paper: where each was last. @type {Map<number, { x: number, y: number }>} */
  #fingers = new Map();
  #isPanning = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #followTimer;
  #unsentSince = 0; // when the first point came that was not passed on yet
  #lastSent = 0; // when points were passed on last
  #isDrawPending = false;
  /** Strokes that stand out. @type {ReadonlySet<number>} */
  #marked = new Set();
  /** Strokes that the eraser has touched since it was put down. @type {Set<number>} */
  #erased = new Set();
  /** Where the lasso went, or whither it moves the marked strokes. @type {Point[] | undefined} */
  #loop;
  #isMoving = false;
  /** Example ink that is shown while the paper is empty. @type {readonly (readonly Point[])[]} */
  #example = [];

  /**
   * @param {{ scroller: HTMLElement, canvas: HTMLCanvasElement, sheet: HTMLElement }} elements
   * @param {Listener} listener
   */
  constructor({ scroller, canvas, sheet }, listener) {
    this.#scroller = scroller;
    this.#canvas = canvas;
    this.#sheet = sheet;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.#listener = listener;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#up(event));
    scroller.addEventListener("scroll", () => this.draw());
    scroller.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    new ResizeObserver(() => this.resize()).observe(scroller);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** How far the paper has been moved to the left, CSS pixels of the screen. */
  get offset() {
    return this.#scroller.scrollLeft;
  }

  /** For how long the pen has rested, milliseconds. */
  get restedMs() {
    return performance.now() - this.#liftedAt;
  }

  /** Pass on the points that wait, and end the stroke: the page is about to go. */
  finish() {
    if (this.live !== undefined) this.#lift();
  }

  /** Fit the canvas and the sheet into the page. */
  resize() {
    this.fitSheet();
    this.show(this.activeRow);
    scaleCanvas(this.#canvas, this.#context);
    this.#drawNow();
  }

  /** Make the sheet as large as its ink. */
  fitSheet() {
    const { clientWidth, clientHeight } = this.#scroller;
    const rowHeight = this.zoom * ROW_HEIGHT;
    let width = 0;
    let rows = Math.max(Math.floor(clientHeight / rowHeight), this.activeRow + 1 + SPARE_ROWS);
    for (const line of this.#listener.lines()) {
      rows = Math.max(rows, line.row + 1 + SPARE_ROWS);
      width = Math.max(width, this.zoom * right(line));
    }
    if (width > clientWidth) width += rowHeight;
    const least = Math.max(1, this.zoom); // views
    this.#sheet.style.width = `${Math.max(width, least * clientWidth)}px`;
    this.#sheet.style.height = `${Math.max(least * clientHeight, rows * rowHeight)}px`;
  }

  /** Scroll to a line, with the next one in view where both fit. @param {number} row */
  show(row) {
    const { scrollTop, clientHeight } = this.#scroller;
    const rowHeight = this.zoom * ROW_HEIGHT;
    const [top, bottom] = [row * rowHeight, (row + 2) * rowHeight];
    const least = Math.ceil((bottom - clientHeight) / rowHeight) * rowHeight;
    if (top < scrollTop) this.#scroller.scrollTo({ top });
    else if (bottom > scrollTop + clientHeight) this.#scroller.scrollTo({ top: Math.min(top, least) });
  }

  /**
   * Show the paper larger or smaller.
   *
   * @param {number} zoom
   * @param {{ x: number, y: number }} [centre] what stays where it is, CSS pixels from the upper left of the view
   */
  zoomTo(zoom, centre = { x: 0, y: 0 }) {
    const after = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom));
    const change = after / this.zoom;
    const { scrollLeft, scrollTop } = this.#scroller;
    this.zoom = after;
    this.fitSheet();
    this.#scroller.scrollTo({
      left: (scrollLeft + centre.x) * change - centre.x,
      top: (scrollTop + centre.y) * change - centre.y,
    });
    this.draw();
    this.#listener.onZoom(after);
  }

  /** Mark strokes, and return the box around them in the window; undefined if there are none. @param {ReadonlySet<number>} ids */
  mark(ids) {
    this.#marked = ids;
    this.draw();
    return this.boxOf(ids);
  }

  /** Return the box around strokes in the window; undefined if there are none. @param {ReadonlySet<number>} ids */
  boxOf(ids) {
    const box = this.#boxOf(ids);
    if (box.right < box.left) return undefined;
    const [x, y] = this.inWindow([box.left, box.top]);
    return new DOMRect(x, y, this.zoom * (box.right - box.left), this.zoom * (box.bottom - box.top));
  }

  /** Return where a point of the paper is in the window. @param {Point} point @returns {Point} */
  inWindow([x, y]) {
    const { left, top } = this.#canvas.getBoundingClientRect();
    const { scrollLeft, scrollTop } = this.#scroller;
    return [left + this.zoom * x - scrollLeft, top + this.zoom * y - scrollTop];
  }

  /** Return where strokes lie, y from the top of the paper. @param {ReadonlySet<number>} ids */
  #boxOf(ids) {
    const points = this.#listener.lines().flatMap(({ row, strokes }) =>
      strokes
        .filter(({ id }) => ids.has(id))
        .flatMap((stroke) => stroke.points.map(([x, y]) => /** @type {Point} */ ([x, y + row * ROW_HEIGHT]))),
    );
    return boxOf(points);
  }

  /** Show ink that is not in the document. @param {readonly (readonly Point[])[]} strokes */
  showExample(strokes) {
    this.#example = strokes;
    this.draw();
  }

  /** Draw everything in the next animation frame. */
  draw() {
    if (this.#isDrawPending) return;
    this.#isDrawPending = true;
    requestAnimationFrame(() => {
      this.#isDrawPending = false;
      this.#drawNow();
    });
  }

  // Pointers

  /** @param {PointerEvent} event @returns {Point} where it is on the paper */
  #position({ clientX, clientY }) {
    const box = this.#canvas.getBoundingClientRect();
    const { scrollLeft, scrollTop } = this.#scroller;
    return [Math.max(0, clientX - box.left + scrollLeft) / this.zoom, (clientY - box.top + scrollTop) / this.zoom];
  }

  /** @param {PointerEvent} event */
  #down(event) {
    const isPen = event.pointerType === "pen";
    if (isPen && !this.#penSeen && this.#pointerId !== undefined) this.#cancel();
    this.#penSeen ||= isPen;
    if (event.pointerType === "touch" && (Math.max(event.width, event.height) > PALM || this.#holdFinger(event))) return;
    if (this.#pointerId !== undefined || event.button > 0) return;
    clearTimeout(this.#followTimer);
    this.#pointerId = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    if (this.tool === "lasso") return this.#beginLoop(event);
    if (this.tool === "eraser" || event.buttons === 32) return this.#erase(event);
    const [x, y] = this.#position(event);
    this.#rowBefore = this.activeRow;
    const row = findRow([[x, y]], this.#listener.lines(), this.#rowBefore);
    const [id, line] = [this.#listener.onBegin(), this.#listener.lineOf(row, x)];
    const isRested = event.timeStamp - this.#liftedAt > REST_MS;
    this.live = { id, line, row, isRested, colour: this.colour, points: [], pressures: [], times: [] };
    this.#beganAt = event.timeStamp;
    this.activeRow = row;
    this.#addPoints([event]);
  }

  /**
   * Follow a finger if it moves the paper: beside a pen, or with another finger.
   *
   * @param {PointerEvent} event
   * @returns {boolean} whether the finger does not write
   */
  #holdFinger({ pointerId, clientX, clientY, timeStamp }) {
    const isSecond = this.live !== undefined && timeStamp - this.#beganAt < PAN_MS && !this.#penSeen;
    this.#fingers.set(pointerId, { x: clientX, y: clientY });
    if (isSecond) {
      this.#cancel();
      this.#isPanning = true;
    }
    return this.#penSeen || this.#isPanning;
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const isPanning = this.#isPanning || (this.#penSeen && this.#pointerId === undefined); // else it is the palm
    if (isPanning && this.#fingers.has(event.pointerId)) this.#followFinger(event);
    if (event.pointerId !== this.#pointerId) return;
    if (this.#loop !== undefined) {
      this.#loop.push(this.#position(event));
      return this.draw();
    }
    if (this.live === undefined) return this.#erase(event);
    const coalesced = event.getCoalescedEvents?.() ?? [];
    this.#addPoints(coalesced.length > 0 ? coalesced : [event]);
  }

  /** Move the paper with the middle of the fingers, and zoom it with the distance of two. @param {PointerEvent} event */
  #followFinger({ pointerId, clientX, clientY }) {
    const before = this.#grip();
    this.#fingers.set(pointerId, { x: clientX, y: clientY });
    const after = this.#grip();
    this.#scroller.scrollBy(before.x - after.x, before.y - after.y);
    if (before.distance > 0 && after.distance > 0) {
      this.zoomTo((this.zoom * after.distance) / before.distance, after);
    }
  }

  /** Return the middle of the fingers, in CSS pixels of the view, and the distance of two. */
  #grip() {
    const box = this.#canvas.getBoundingClientRect();
    const fingers = [...this.#fingers.values()];
    const [one, other] = fingers;
    return {
      x: fingers.reduce((sum, { x }) => sum + x, 0) / fingers.length - box.left,
      y: fingers.reduce((sum, { y }) => sum + y, 0) / fingers.length - box.top,
      distance: fingers.length === 2 && one && other ? Math.hypot(one.x - other.x, one.y - other.y) : 0,
    };
  }

  /** Zoom by a wheel with Ctrl, which is how browsers report a touchpad's pinch. @param {WheelEvent} event */
  #wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = this.#canvas.getBoundingClientRect();
    const centre = { x: event.clientX - box.left, y: event.clientY - box.top };
    this.zoomTo(this.zoom * Math.exp(-WHEEL_ZOOM * event.deltaY), centre);
  }

  /** @param {PointerEvent} event */
  #up(event) {
    this.#fingers.delete(event.pointerId);
    if (this.#fingers.size === 0) this.#isPanning = false;
    if (event.pointerId !== this.#pointerId) return;
    if (this.#loop !== undefined) this.#endLoop(this.#loop);
    else if (this.live === undefined) {
      this.#pointerId = undefined;
      if (this.#erased.size > 0) this.#listener.onErase(this.#erased);
      this.#erased = new Set();
    } else if (event.type === "pointercancel" && event.pointerType === "touch") this.#cancel();
    else this.#lift();
  }

  #lift() {
    const stroke = /** @type {LiveStroke} */ (this.live);
    this.#stopTimer();
    this.#pointerId = this.live = undefined;
    this.#liftedAt = performance.now();
    const placed = this.#placed(stroke);
    this.#listener.onEnd(placed);
    this.#followTimer = setTimeout(() => this.#follow(placed), FOLLOW_MS);
  }

  /** Have the next row in view, and room to the right of a stroke. @param {LiveStroke} stroke */
  #follow({ points }) {
    this.show(this.activeRow);
    const { scrollLeft, clientWidth } = this.#scroller;
    const end = this.zoom * boxOf(points).right - scrollLeft;
    if (end > FOLLOW_SHARE * clientWidth) this.#scroller.scrollBy({ left: clientWidth / 2 });
  }

  /** Place a whole stroke: where it began did not show that it belongs to another row. @param {LiveStroke} stroke @returns {LiveStroke} */
  #placed(stroke) {
    const points = stroke.points.map(([x, y]) => /** @type {Point} */ ([x, y + stroke.row * ROW_HEIGHT]));
    const row = findRow(points, this.#listener.lines(), this.#rowBefore);
    if (row === stroke.row) return stroke;
    this.activeRow = row;
    const [[x]] = /** @type {[Point]} */ (points);
    const moved = points.map(([x, y]) => /** @type {Point} */ ([x, y - row * ROW_HEIGHT]));
    return { ...stroke, row, line: this.#listener.lineOf(row, x), points: moved };
  }

  #cancel() {
    this.#stopTimer();
    this.#pointerId = this.live = this.#loop = undefined;
    this.activeRow = this.#rowBefore;
    this.#listener.onCancel();
    this.draw();
  }

  /** @param {readonly PointerEvent[]} events */
  #addPoints(events) {
    const { live } = this;
    if (live === undefined) return;
    const firstNew = live.points.length;
    for (const event of events) {
      const [x, y] = this.#position(event);
      live.points.push([x, y - live.row * ROW_HEIGHT]);
      live.pressures.push(event.pressure || 0.5);
      live.times.push(Math.round(event.timeStamp - this.#beganAt));
    }
    this.#setColour(live);
    this.#drawStroke(live, live.row, firstNew);
    if (this.#timer !== undefined) return;
    this.#unsentSince = performance.now();
    const wait = this.#lastSent + SEND_INTERVAL_MS - this.#unsentSince;
    if (wait <= 0) this.#passOn();
    else this.#timer = setTimeout(() => this.#passOn(), wait);
  }

  #passOn() {
    this.#stopTimer();
    this.#lastSent = performance.now();
    this.#listener.onInk(this.#unsentSince);
  }

  #stopTimer() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Erase the strokes under a pointer. @param {PointerEvent} event */
  #erase(event) {
    const [x, y] = this.#position(event);
    const ids = new Set(
      this.#listener.lines().flatMap(({ row, strokes }) => {
        const at = /** @type {Point} */ ([x, y - row * ROW_HEIGHT]);
        return strokes.filter(({ points }) => distance(at, points) < ERASER_RADIUS / this.zoom).map(({ id }) => id);
      }),
    );
    for (const id of ids) this.#erased.add(id);
    if (ids.size > 0) this.draw();
  }

  /** Begin a loop around strokes, or move those that are marked. @param {PointerEvent} event */
  #beginLoop(event) {
    const [x, y] = this.#position(event);
    const { left, right, top, bottom } = this.#boxOf(this.#marked);
    const reach = ERASER_RADIUS / this.zoom;
    this.#isMoving = left - reach < x && x < right + reach && top - reach < y && y < bottom + reach;
    this.#loop = [[x, y]];
  }

  /** Choose the strokes that are inside a loop by more than half, or move the marked ones. @param {readonly Point[]} loop */
  #endLoop(loop) {
    const by = this.#moved;
    this.#pointerId = this.#loop = undefined;
    this.draw();
    if (this.#isMoving) return this.#listener.onMove(by);
    const isChosen = (/** @type {readonly Point[]} */ points, /** @type {number} */ top) =>
      2 * points.filter(([x, y]) => isInside([x, y + top], loop)).length > points.length;
    const ids = this.#listener
      .lines()
      .flatMap(({ row, strokes }) => strokes.filter(({ points }) => isChosen(points, row * ROW_HEIGHT)).map(({ id }) => id));
    this.#listener.onChoose(new Set(ids));
  }

  /** How far the lasso has moved the marked strokes. @returns {Point} */
  get #moved() {
    const loop = this.#isMoving ? this.#loop : undefined;
    const [[x, y], [toX, toY]] = [loop?.[0] ?? [0, 0], loop?.at(-1) ?? [0, 0]];
    return [toX - x, toY - y];
  }

  // Drawing

  #drawNow() {
    const { clientWidth, clientHeight } = this.#canvas;
    const { scrollTop } = this.#scroller;
    const context = this.#context;
    context.clearRect(0, 0, clientWidth, clientHeight);
    const style = getComputedStyle(this.#canvas);
    const rowHeight = this.zoom * ROW_HEIGHT;
    const first = Math.floor(scrollTop / rowHeight);
    const last = Math.floor((scrollTop + clientHeight) / rowHeight);
    context.lineWidth = 1;
    for (let row = first; row <= last; row += 1) {
      const isActive = row === this.activeRow;
      context.strokeStyle = style.getPropertyValue(isActive ? "--rule-active" : "--rule");
      const y = Math.round((row + BASELINE) * rowHeight - scrollTop) + 0.5;
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(clientWidth, y);
      context.stroke();
    }
    context.font = `${this.zoom * TEXT_SIZE}px serif`;
    context.fillStyle = style.getPropertyValue("--ink");
    for (const line of this.#listener.lines()) {
      const { row, strokes, image } = line;
      context.fillText(typedText(line), this.zoom * IMAGE_LEFT - this.offset, (row + BASELINE) * rowHeight - scrollTop);
      if (image !== undefined && first <= row && row <= last) this.#drawImage(image, row);
      for (const stroke of strokes.filter(({ id }) => !this.#erased.has(id))) {
        const { top, bottom } = boxOf(stroke.points);
        const isInView = row + bottom / ROW_HEIGHT >= first && row + top / ROW_HEIGHT <= last + 1;
        if (!isInView) continue;
        this.#setColour(stroke);
        context.save();
        if (this.#marked.has(stroke.id)) {
          [context.shadowColor, context.shadowBlur] = [style.getPropertyValue("--accent"), GLOW];
          const [right, down] = this.#moved;
          context.translate(this.zoom * right, this.zoom * down);
        }
        this.#drawStroke(stroke, row, 0);
        context.restore();
      }
    }
    if (this.live !== undefined) {
      this.#setColour(this.live);
      this.#drawStroke(this.live, this.live.row, 0);
    }
    context.strokeStyle = style.getPropertyValue("--soft");
    if (this.#loop !== undefined && !this.#isMoving) {
      context.setLineDash([4, 6]);
      this.#drawStroke({ points: this.#loop, pressures: [] }, 0, 0);
      context.setLineDash([]);
    }
    for (const points of this.#example) this.#drawStroke({ points, pressures: [] }, 0, 0);
  }

  /** @param {LineImage} image @param {number} row */
  #drawImage(image, row) {
    const bitmap = bitmapOf(image, () => this.draw());
    if (bitmap === undefined) return;
    const { zoom } = this;
    const { scrollLeft, scrollTop } = this.#scroller;
    const [x, y] = [zoom * IMAGE_LEFT - scrollLeft, zoom * (row * ROW_HEIGHT + IMAGE_TOP) - scrollTop];
    this.#context.drawImage(bitmap, x, y, zoom * image.width, zoom * image.height);
  }

  /** @param {InkStroke} stroke */
  #setColour({ colour = "black" }) {
    this.#context.strokeStyle = getComputedStyle(this.#canvas).getPropertyValue(INKS[colour].property);
  }

  /**
   * Draw a stroke from one of its points on, as curves through the middles between its points. Parts of equal
   * pressure are one path each, because edges get darker where paths overlap.
   *
   * @param {{ points: readonly Point[], pressures: readonly number[] }} stroke
   * @param {number} row
   * @param {number} first
   */
  #drawStroke({ points, pressures }, row, first) {
    const context = this.#context;
    const { scrollLeft, scrollTop } = this.#scroller;
    const { zoom } = this;
    const top = row * zoom * ROW_HEIGHT - scrollTop;
    context.lineCap = context.lineJoin = "round";
    const width = (/** @type {number} */ i) =>
      Math.round((zoom * PEN_WIDTH * (0.6 + 0.8 * (pressures[i] ?? 0.5))) / WIDTH_STEP) * WIDTH_STEP;
    for (let i = first, next; i < points.length; i = next) {
      context.lineWidth = width(i);
      context.beginPath();
      for (next = i; next < points.length; next += 1) {
        if (next > i && width(next) !== context.lineWidth) break;
      }
      const at = (/** @type {Point} */ [x, y]) => /** @type {Point} */ ([zoom * x - scrollLeft, zoom * y + top]);
      drawCurve(context, points, Math.max(0, i - 1), next, at);
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

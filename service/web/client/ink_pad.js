/**
 * `<ink-pad>`: a field that is written in by hand, for any page.
 *
 *     <script type="module" src="https://ink.example/web/client/ink_pad.js"></script>
 *     <ink-pad server="https://ink.example"></ink-pad>
 *
 * Attributes: `server` (by default that of the page), `model`, `key`, `language` (a language model). Its `text` is
 * what was read so far. It dispatches `input` when the text has changed, `change` when all that was written is
 * decided, and `error` with the error as `detail`.
 *
 * @import { Point } from "./protocol.d.ts"
 * @import { Stream } from "./inkstream.js"
 */

import { InkstreamError, connect } from "./inkstream.js";

const FLUSH_MS = 700; // after the pen was lifted the text is decided
const RETRY_MS = 2000;
const STYLE = `
  :host { display: block; height: 120px; background: Canvas; border: 1px solid GrayText; border-radius: 8px; }
  canvas { display: block; width: 100%; height: 100%; touch-action: none; cursor: crosshair; }
`;
const PEN_WIDTH = 2.2; // CSS pixels

/** @typedef {{ id: number, points: Point[], nSent: number, isDone: boolean }} PadStroke */

export class InkPad extends HTMLElement {
  #canvas = document.createElement("canvas");
  /** @type {PadStroke[]} */
  #strokes = [];
  #lastId = 0;
  #height = 0; // of the field when the line was begun
  #text = "";
  /** @type {Stream | undefined} */
  #stream;
  #nResets = 0; // that are not answered: what comes is about ink that was cleared
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  constructor() {
    super();
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet]; // a style element would need a policy that allows it
    root.append(this.#canvas);
    this.#canvas.role = "img";
    this.#canvas.ariaLabel = "Write here";
    this.#canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.#canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"]) this.#canvas.addEventListener(kind, () => this.#lift());
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
  }

  connectedCallback() {
    void this.#run();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#stream = undefined;
  }

  /** What was read so far. */
  get text() {
    return this.#text;
  }

  /** Remove all ink. */
  clear() {
    this.#strokes = [];
    this.#nResets += Number(this.#stream !== undefined);
    this.#stream?.reset().catch(() => {});
    this.#setText("");
    this.#draw();
  }

  /** Take the newest stroke back. */
  undo() {
    const stroke = this.#strokes.findLast(({ isDone }) => isDone);
    if (stroke === undefined) return;
    this.#strokes = this.#strokes.filter((other) => other !== stroke);
    if (stroke.nSent > 0) this.#stream?.undo(stroke.id).catch(() => {});
    this.#draw();
    this.#flushSoon();
  }

  // The stream

  async #run() {
    while (this.isConnected) {
      try {
        const stream = await connect(this.getAttribute("server") ?? location.href, {
          model: this.getAttribute("model") ?? "lines",
          ...(this.hasAttribute("key") && { key: this.getAttribute("key") ?? "" }),
        });
        if (!this.isConnected) return stream.close();
        this.#stream = stream;
        this.#nResets = 0;
        const language = this.getAttribute("language");
        if (language !== null) stream.configure({ language: language }).catch((error) => this.#fail(error));
        for (const stroke of this.#strokes) stroke.nSent = 0;
        this.#send();
        if (this.#strokes.length > 0) this.#flushSoon();
        await this.#receive(stream);
      } catch (error) {
        if (!(error instanceof InkstreamError)) throw error;
        if (!this.isConnected) return;
        this.#stream = undefined;
        this.#fail(error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /** @param {Stream} stream */
  async #receive(stream) {
    for await (const message of stream) {
      if (message.type === "reset_done") this.#nResets -= 1;
      else if (message.type === "error") this.#fail(new InkstreamError(message.code, message.message));
      if (this.#nResets > 0) continue;
      if (message.type === "result" || message.type === "revised") this.#setText(message.text ?? "");
      if (message.type !== "flushed") continue;
      this.#setText(message.text ?? message.label ?? "");
      this.dispatchEvent(new Event("change", { bubbles: true }));
    }
  }

  /** @param {InkstreamError} error */
  #fail(error) {
    this.dispatchEvent(new CustomEvent("error", { detail: error }));
  }

  /** @param {string} text */
  #setText(text) {
    if (text === this.#text) return;
    this.#text = text;
    this.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /** Send the points that were not sent yet. */
  #send() {
    if (this.#stream === undefined) return;
    const unsent = [];
    for (const stroke of this.#strokes) {
      const nToSend = stroke.points.length + Number(stroke.isDone); // the end is sent too
      if (stroke.nSent === nToSend) continue;
      unsent.push({ id: stroke.id, points: stroke.points.slice(stroke.nSent), last: stroke.isDone });
      stroke.nSent = nToSend;
    }
    if (unsent.length > 0) this.#stream.ink(unsent, this.#height).catch(() => {}); // messages report errors
  }

  #flushSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#strokes.length > 0) this.#stream?.pause({ fit: true }).catch(() => {});
      this.#stream?.flush().catch(() => {});
    }, FLUSH_MS);
  }

  // The pen

  /** The stroke that is being written. */
  get #live() {
    return this.#strokes.find(({ isDone }) => !isDone);
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (this.#live !== undefined || event.button > 0) return;
    clearTimeout(this.#timer);
    this.#canvas.setPointerCapture(event.pointerId);
    if (this.#strokes.length === 0) this.#height = this.#canvas.clientHeight;
    this.#lastId += 1;
    this.#strokes.push({ id: this.#lastId, points: [], nSent: 0, isDone: false });
    this.#move(event);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const stroke = this.#live;
    if (stroke === undefined) return;
    const box = this.#canvas.getBoundingClientRect();
    const events = event.getCoalescedEvents?.() ?? [];
    for (const { clientX, clientY } of events.length > 0 ? events : [event]) {
      stroke.points.push([Math.max(0, clientX - box.left), clientY - box.top]);
    }
    this.#send();
    this.#draw();
  }

  #lift() {
    const stroke = this.#live;
    if (stroke === undefined) return;
    stroke.isDone = true;
    this.#send();
    this.#flushSoon();
  }

  #draw() {
    const canvas = this.#canvas;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    context.scale(devicePixelRatio, devicePixelRatio);
    context.strokeStyle = getComputedStyle(this).color;
    context.lineWidth = PEN_WIDTH;
    context.lineCap = context.lineJoin = "round";
    for (const { points } of this.#strokes) {
      context.beginPath();
      for (const [x, y] of points) context.lineTo(x, y);
      const [first] = points;
      if (points.length === 1 && first !== undefined) context.lineTo(first[0] + 0.01, first[1]); // a dot
      context.stroke();
    }
  }
}

customElements.define("ink-pad", InkPad);

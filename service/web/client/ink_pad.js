/**
 * `<ink-pad>`: a form field that is written in by hand, for any page.
 *
 *     <script type="module" src="https://ink.example/web/client/ink_pad.js"></script>
 *     <form><ink-pad name="city" server="https://ink.example" required></ink-pad></form>
 *
 * It behaves as `<input>` does: name, value, validity, label, focus, reset, `input` and `change`. README.md lists its
 * attributes. On a server the module can be imported, and does nothing.
 *
 * @import { Point, SessionOptions } from "./protocol.d.ts"
 * @import { InkstreamError, Stream } from "./inkstream.js"
 * @import { PadStroke } from "./field_paper.js"
 */

import { FieldPaper } from "./field_paper.js";
import { FieldReader, otherReadings } from "./field_reader.js";
import { connect } from "./inkstream.js";

const ROW_HEIGHT = 120; // CSS pixels, unless the page makes the field higher
const ROWS = 3; // with `multiline`
const ABOVE = 0.35; // of a row's height: a dot or a bar may begin so far above its row
const STYLE = `
  :host { display: flex; flex-flow: column; box-sizing: border-box; overflow: hidden; background: Field;
    color: FieldText; border: 1px solid GrayText; border-radius: 8px; }
  :host([hidden]) { display: none; }
  :host(:focus-within) { outline: 2px solid Highlight; outline-offset: 2px; }
  :host(:disabled) { opacity: .5; }
  canvas { order: -2; flex: 1 0 auto; width: 100%; min-height: 0; touch-action: none; cursor: crosshair; outline: 0; }
  :host(:disabled) canvas, :host([readonly]) canvas { cursor: default; }
  div { display: flex; flex-wrap: wrap; gap: 4px; padding: 4px; }
  [part=candidates] { order: -1; }
  [part=text] { flex: 1 1 8em; min-width: 0; padding: 4px 8px; font: inherit; color: inherit; background: none; border: 0;
    outline: 0; resize: none; }
  button { padding: 4px 12px; min-height: 32px; font: inherit; color: inherit; background: none; border: 0;
    border-radius: 6px; cursor: pointer; }
  [part=candidate] { border: 1px solid GrayText; }
  button:hover { background: color-mix(in srgb, currentColor 10%, transparent); }
  button:focus-visible { outline: 2px solid Highlight; }
  [hidden] { display: none; }
`;
/** Attributes that the text field has too: it checks the value and says in the reader's language what is wrong. */
const OF_TEXT = ["inputmode", "maxlength", "minlength", "pattern", "placeholder", "readonly", "required"];
/** Values of `inputmode` that are made of some characters alone. @type {Readonly<Record<string, string>>} */
const CHARACTERS = { numeric: "0123456789", decimal: "0123456789.,-", tel: "0123456789+-() " };

/** @typedef {{ typed: string, strokes: readonly PadStroke[] }} State what `undo` brings back */

/** @type {typeof HTMLElement} */
const Element = globalThis.HTMLElement ?? class {}; // there is none on a server

export class InkPad extends Element {
  static formAssociated = true;
  static observedAttributes = ["aria-label", "multiline", "rows", "value", ...OF_TEXT];
  /** Texts of all fields, which a page may replace before they are shown. */
  static strings = {
    label: "Handwriting", // of a field without one
    undo: "Undo",
    clear: "Clear",
    candidates: "Other readings",
    unread: "The writing could not be read yet. Check the connection, or type the text.",
  };

  #internals = this.attachInternals();
  #paper = new FieldPaper({
    canBegin: () => !this.#text.matches(":read-only"),
    onBegin: (point) => this.#begin(point),
    onMove: (points) => this.#write(points),
    onEnd: (isKept) => this.#lift(isKept),
  });
  #reader = new FieldReader({
    connect: () => {
      const key = this.getAttribute("api-key");
      const model = this.getAttribute("model") ?? "lines";
      return connect(this.getAttribute("server") ?? location.href, { model, ...(key !== null && { key }) });
    },
    options: (stream) => this.#options(stream),
    onChange: () => this.#update(),
    onError: (error) => this.dispatchEvent(new CustomEvent("error", { detail: error })),
  });
  /** @type {HTMLInputElement | HTMLTextAreaElement} */
  #text = document.createElement("input");
  #undo = document.createElement("button");
  #clear = document.createElement("button");
  #candidates = document.createElement("div");
  /** Text that was typed, chosen or set; the ink's follows it. */
  #typed = "";
  /** @type {readonly PadStroke[]} */
  #strokes = [];
  /** @type {State[]} */
  #history = [];
  #lastId = 0;
  #value = ""; // that the page knows
  #committed = ""; // with the newest `change`
  #isDirty = false; // if false, the value is the attribute's
  #customError = "";
  /** The submission that waits until the ink is read. @type {{ submitter: HTMLElement | null } | undefined} */
  #submission;
  /** @type {HTMLFormElement | null} */
  #form = null;

  constructor() {
    super();
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    root.adoptedStyleSheets = [sheet]; // a style element would need a policy that allows it
    const bar = document.createElement("div");
    bar.append(this.#text, this.#undo, this.#clear);
    root.append(bar, this.#paper.canvas, this.#candidates);
    const parts = { bar, ink: this.#paper.canvas, undo: this.#undo, clear: this.#clear, candidates: this.#candidates };
    for (const [name, element] of Object.entries(parts)) element.part.add(name);
    this.#undo.type = this.#clear.type = "button";
    this.#undo.addEventListener("click", () => this.undo());
    this.#clear.addEventListener("click", () => this.clear());
    this.#candidates.role = "group";
    this.#useText(this.#text);
    root.addEventListener("keydown", (event) => this.#press(/** @type {KeyboardEvent} */ (event)));
    for (const kind of ["focusin", "pointerenter"]) this.addEventListener(kind, () => this.#prepare());
    new ResizeObserver(() => this.#draw()).observe(this.#paper.canvas);
  }

  // What a form field has

  get form() { return this.#internals.form; }
  get labels() { return this.#internals.labels; }
  get validity() { return this.#internals.validity; }
  get validationMessage() { return this.#internals.validationMessage; }
  get willValidate() { return this.#internals.willValidate; }
  get name() { return this.getAttribute("name") ?? ""; }
  set name(name) { this.setAttribute("name", name); }
  get required() { return this.hasAttribute("required"); }
  set required(value) { this.toggleAttribute("required", value); }
  get disabled() { return this.hasAttribute("disabled"); }
  set disabled(value) { this.toggleAttribute("disabled", value); }
  get readOnly() { return this.hasAttribute("readonly"); }
  set readOnly(value) { this.toggleAttribute("readonly", value); }
  get multiline() { return this.hasAttribute("multiline"); }
  set multiline(value) { this.toggleAttribute("multiline", value); }

  /** What was typed and what was read so far. */
  get value() {
    const texts = [this.#typed, ...this.#reader.rows.map(({ text }) => text)];
    return texts.filter((text) => text !== "").join(this.multiline ? "\n" : " ");
  }

  /** Have another text in the place of the ink; the same text keeps it. */
  set value(value) {
    this.#isDirty = true;
    if (value !== this.value) this.#set(value);
  }

  checkValidity() { return this.#internals.checkValidity(); }
  reportValidity() { return this.#internals.reportValidity(); }

  /** @param {string} message what is wrong with the value; "" if nothing is */
  setCustomValidity(message) {
    this.#customError = message;
    this.#validate();
  }

  /** Remove the ink and the text; `undo` brings them back. */
  clear() {
    this.#change({ typed: "", strokes: [] });
  }

  /** Take the newest stroke back, or what was done in its place. */
  undo() {
    const state = this.#history.pop();
    if (state !== undefined) this.#restore(state);
  }

  connectedCallback() {
    this.#prepare();
    this.#useRows();
    this.#reader.read(this.#strokes);
  }

  disconnectedCallback() {
    this.#submission = undefined;
    this.#reader.close();
  }

  /** @param {string} name @param {string | null} _before @param {string | null} value */
  attributeChangedCallback(name, _before, value) {
    if (name === "value" && !this.#isDirty) this.#set(value ?? "");
    if (name === "multiline" || name === "rows") this.#useRows();
    if (OF_TEXT.includes(name)) this.#forward(name, value);
    this.#prepare();
    this.#validate();
  }

  /** @param {HTMLFormElement | null} form */
  formAssociatedCallback(form) {
    this.#form?.removeEventListener("submit", this.#hold, true);
    this.#form = form;
    form?.addEventListener("submit", this.#hold, true);
  }

  /** @param {boolean} isDisabled */
  formDisabledCallback(isDisabled) {
    for (const element of [this.#text, this.#undo, this.#clear]) element.disabled = isDisabled;
    this.#update();
  }

  formResetCallback() {
    this.#isDirty = false;
    this.#set(this.getAttribute("value") ?? "");
  }

  /** @param {string} state the value as it was, when a page is gone back to */
  formStateRestoreCallback(state) {
    this.value = state;
  }

  // The text field

  /** Have a text field of one line or several. @param {HTMLInputElement | HTMLTextAreaElement} text */
  #useText(text) {
    text.part.add("text");
    text.value = this.#text.value;
    text.disabled = this.#text.disabled;
    text.autocomplete = "off";
    text.addEventListener("input", () => this.#type()); // goes on to the page
    text.addEventListener("change", () => this.#commit());
    this.#text.replaceWith(text);
    this.#text = text;
    for (const name of OF_TEXT) this.#forward(name, this.getAttribute(name));
  }

  /** @param {string} name @param {string | null} value */
  #forward(name, value) {
    if (value === null) this.#text.removeAttribute(name);
    else this.#text.setAttribute(name, value);
  }

  #useRows() {
    const rows = this.multiline ? Number(this.getAttribute("rows")) || ROWS : 1;
    const kind = this.multiline ? "textarea" : "input";
    if (this.#text.localName !== kind) this.#useText(document.createElement(kind));
    this.#paper.canvas.style.flexBasis = `${rows * ROW_HEIGHT}px`;
    if (rows === this.#reader.rows.length) return;
    this.#typed = this.value;
    this.#strokes = [];
    this.#history = [];
    this.#reader.begin(rows);
    this.#update();
  }

  #type() {
    const { value } = this.#text;
    if (this.#strokes.length > 0) this.#history.push({ typed: this.#typed, strokes: this.#strokes });
    this.#isDirty = true;
    this.#value = value; // the text field's own event reaches the page
    this.#restore({ typed: value, strokes: [] });
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const isInText = event.target === this.#text;
    const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === "z";
    if (isUndo && (!isInText || this.#strokes.length > 0)) this.undo(); // else the text field undoes what was typed
    else if (event.key === "Delete" && event.target === this.#paper.canvas) this.clear();
    else if (event.key === "Enter" && isInText && !this.multiline) this.#submit();
    else return;
    event.preventDefault();
  }

  /** Submit the form as Enter in a text field does. */
  #submit() {
    this.#commit();
    const button = [...(this.form?.elements ?? [])].find((element) => "type" in element && element.type === "submit");
    if (button === undefined) this.form?.requestSubmit();
    else /** @type {HTMLElement} */ (button).click();
  }

  // The pen

  /** @param {Point} point */
  #begin([x, y]) {
    const { rows } = this.#reader;
    if (this.#strokes.length === 0) this.#reader.height = this.#paper.canvas.clientHeight / rows.length;
    const row = this.#rowOf(x, y / this.#reader.height);
    this.#lastId += 1;
    this.#history.push({ typed: this.#typed, strokes: this.#strokes });
    this.#strokes = [...this.#strokes, { id: this.#lastId, row, points: [], isDone: false }];
    this.#write([[x, y]]);
  }

  /** Return the row of a stroke that begins at a point. @param {number} x @param {number} y in rows */
  #rowOf(x, y) {
    const last = this.#strokes.at(-1)?.row ?? 0;
    const xs = this.#strokes.filter(({ row }) => row === last).flatMap(({ points }) => points.map(([other]) => other));
    const isAtItsInk = Math.min(...xs) < x && x < Math.max(...xs) + this.#reader.height;
    if (isAtItsInk && last - ABOVE < y && y < last) return last;
    return Math.max(0, Math.min(Math.floor(y), this.#reader.rows.length - 1));
  }

  /** @param {Point[]} points */
  #write(points) {
    this.#strokes.at(-1)?.points.push(...points);
    this.#reader.read(this.#strokes);
    this.#draw();
  }

  /** @param {boolean} isKept */
  #lift(isKept) {
    const stroke = this.#strokes.at(-1);
    if (stroke !== undefined) stroke.isDone = true;
    if (isKept) this.#reader.read(this.#strokes);
    else this.undo();
    this.#update();
  }

  // The state

  /** Take a change of the writer's. @param {State} state */
  #change(state) {
    this.#history.push({ typed: this.#typed, strokes: this.#strokes });
    this.#restore(state);
    this.#commit();
  }

  /** @param {State} state */
  #restore({ typed, strokes }) {
    this.#typed = typed;
    this.#strokes = strokes;
    this.#reader.read(strokes);
    this.#update();
  }

  /** Take a value of the page's. @param {string} value */
  #set(value) {
    this.#text.value = value; // without line breaks where there is one line
    this.#history = [];
    this.#committed = this.#value = this.#text.value;
    this.#restore({ typed: this.#text.value, strokes: [] });
  }

  /** Show what is known, tell the page what has changed, and go on with what waited for it. */
  #update() {
    const { value } = this;
    if (this.#text.value !== value) this.#text.value = value;
    this.#internals.setFormValue(value);
    this.#undo.hidden = this.#history.length === 0;
    this.#clear.hidden = value === "" && this.#strokes.length === 0;
    this.#draw();
    this.#validate();
    this.#offer();
    if (value !== this.#value) {
      this.#isDirty = true;
      this.#value = value;
      this.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
    }
    if (this.#strokes.length > 0 && this.#reader.isRead) this.#commit();
    const submission = this.#submission;
    if (submission === undefined || this.#reader.isReading) return;
    this.#submission = undefined;
    this.form?.requestSubmit(submission.submitter);
  }

  #commit() {
    if (this.value === this.#committed) return;
    this.#committed = this.value;
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #validate() {
    const { isRead, isReading } = this.#reader;
    const text = this.#text;
    const message = this.#customError || (isRead || isReading ? "" : InkPad.strings.unread);
    if (message !== "") this.#internals.setValidity({ customError: true }, message, text);
    else if (isReading || !text.willValidate) this.#internals.setValidity({});
    else this.#internals.setValidity(text.validity, text.validationMessage, text);
  }

  /** Offer other readings of the row that was written in last. */
  #offer() {
    const { rows } = this.#reader;
    const row = rows[this.#strokes.at(-1)?.row ?? -1];
    const buttons = (row?.isRead && !this.#text.disabled ? otherReadings(row) : []).map(({ word, text }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.part.add("candidate");
      button.textContent = word;
      button.addEventListener("click", () => {
        const texts = [this.#typed, ...rows.map((other) => (other === row ? text : other.text))];
        this.#change({ typed: texts.filter((part) => part !== "").join(this.multiline ? "\n" : " "), strokes: [] });
        this.#text.focus();
      });
      return button;
    });
    this.#candidates.replaceChildren(...buttons);
    this.#candidates.hidden = buttons.length === 0;
  }

  /** Have the names that the page gives now, which may have come after the field. */
  #prepare() {
    const { label, undo, clear, candidates } = InkPad.strings;
    const labels = [...this.#internals.labels].map(({ textContent }) => textContent?.trim());
    this.#text.ariaLabel = this.ariaLabel || labels.join(" ") || label;
    this.#undo.textContent = undo;
    this.#clear.textContent = clear;
    this.#candidates.ariaLabel = candidates;
  }

  /** Have a submission wait until all ink is read. @param {SubmitEvent} event */
  #hold = (event) => {
    if (!this.#reader.isReading) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.#submission = { submitter: event.submitter };
    this.#reader.decide();
  };

  /** @param {Stream} stream @returns {SessionOptions[]} */
  #options({ ready: { labels, limits, model } }) {
    const allowed = CHARACTERS[this.getAttribute("inputmode") ?? ""];
    const characters = allowed === undefined ? null : labels.filter((label) => allowed.includes(label)).join("");
    if (model.kind === "classifier") return [{ characters }];
    const context = [...this.#typed].slice(-limits.max_hint_characters).join("");
    const pattern = this.#typed === "" && !this.multiline ? this.getAttribute("pattern") : null; // of the whole value
    return [{ characters, context }, { language: this.getAttribute("language") }, { pattern }];
  }

  #draw() {
    this.#paper.draw(this.#strokes, this.#reader.rows.length, getComputedStyle(this).color);
  }
}

if (globalThis.customElements?.get("ink-pad") === undefined) globalThis.customElements?.define("ink-pad", InkPad);

/**
 * An image that is read as if a scanner's line saw it: it is chosen, dropped or pasted, becomes
 * columns on the server, and these are played to the stream at a pace, held, and stepped through.
 */

import { element } from "./dom.js";

const ALL = "all"; // the pace that waits for nothing

/**
 * @typedef {object} Listener
 * @property {(file: Blob) => void} onImage one was chosen, dropped or pasted
 * @property {(pixels: Uint8Array) => void} onColumns the next ones
 * @property {() => void} onPlace so many are played now
 * @property {() => void} onOver all are played
 * @property {() => void} onAgain the image is to be played from its beginning
 */

export class Player {
  /** Columns that were played. */
  place = 0;

  /** Columns of each line of the newest image. @type {Uint8Array[]} */
  lines = [new Uint8Array(0)];
  /** Which line is played. */
  number = 0;
  /** Height of each column. */
  height = 1;

  #play = element("play", HTMLElement);
  #step = element("step", HTMLButtonElement);
  #pace = element("pace", HTMLSelectElement);
  #listener;
  #image = element("image", HTMLElement);
  #waiting = 0; // images that become columns
  #running = false;
  #due = 0; // columns, and the part of one
  #before = 0; // when it was so, milliseconds

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
    const file = element("file", HTMLInputElement);
    this.#image.addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      this.#take(file.files);
      file.value = ""; // so that the same one may be chosen again
    });
    this.#play.addEventListener("click", () => {
      if (this.place === this.#length) listener.onAgain();
      else if (this.#running) this.hold();
      else this.#run();
    });
    this.#step.addEventListener("click", () => {
      this.hold();
      this.#advance(this.place + 1);
    });
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.#take(event.dataTransfer?.files);
    });
    addEventListener("paste", (event) => this.#take(event.clipboardData?.files));
  }

  /** Columns of the line that is played. */
  get pixels() {
    return /** @type {Uint8Array} */ (this.lines[this.number]);
  }

  /** Whether no line follows. */
  get isLast() {
    return this.number + 1 === this.lines.length;
  }

  get #length() {
    return this.pixels.length / this.height;
  }

  /** What was played, to be played again to a new session. */
  get played() {
    return this.pixels.subarray(0, this.place * this.height);
  }

  /**
   * Begin to play.
   *
   * @param {Uint8Array[]} lines columns of each
   * @param {number} height of a column
   * @param {number} number of the line to begin with, from 0
   */
  load(lines, height, number) {
    this.lines = lines;
    this.number = number;
    this.height = height;
    this.place = 0;
    this.#run();
  }

  /** So many images more, or fewer, become columns. @param {1 | -1} more */
  wait(more) {
    this.#waiting += more;
    this.#image.textContent = this.#waiting > 0 ? "Preparing …" : "Read an image";
  }

  /** Play no further. */
  hold() {
    this.#running = false;
    this.#show();
  }

  /** @param {FileList | null | undefined} files */
  #take(files) {
    const [file] = files ?? [];
    if (file !== undefined) this.#listener.onImage(file);
  }

  #run() {
    this.#running = true;
    this.#due = this.place;
    this.#before = performance.now();
    this.#show();
    requestAnimationFrame(() => this.#tick());
  }

  #tick() {
    if (!this.#running) return;
    const now = performance.now();
    const pace = this.#pace.value;
    this.#due += pace === ALL ? this.#length : (Number(pace) * (now - this.#before)) / 1000;
    this.#before = now;
    this.#advance(Math.min(Math.floor(this.#due), this.#length));
    requestAnimationFrame(() => this.#tick());
  }

  /** Play up to a column. @param {number} place */
  #advance(place) {
    if (place === this.place) return;
    const columns = this.pixels.subarray(this.place * this.height, place * this.height);
    this.place = place;
    this.#running &&= place < this.#length;
    this.#show();
    this.#listener.onColumns(columns);
    this.#listener.onPlace();
    if (place === this.#length) this.#listener.onOver();
  }

  #show() {
    const over = this.place === this.#length;
    this.#play.textContent = over ? "Again" : this.#running ? "Pause" : "Play";
    this.#step.disabled = over;
    const line = this.lines.length > 1 ? `Line ${this.number + 1} of ${this.lines.length}, ` : "";
    element("place", HTMLElement).textContent = `${line}${this.place} of ${this.#length} columns`;
  }
}

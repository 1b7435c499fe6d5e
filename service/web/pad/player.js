/**
 * The player of images: plays the columns of an image's lines to the stream at a chosen speed, as a line
 * scanner would.
 */

import { element } from "./dom.js";
import { t } from "./messages.js";

const UNLIMITED = "all"; // the speed at which all columns are played at once
const LINE_SPEED = "60"; // of a single line, where none was chosen; a page would take minutes

/**
 * @typedef {object} Listener
 * @property {(pixels: Uint8Array) => void} onColumns columns were played
 * @property {() => void} onAdvance `nPlayed` has changed
 * @property {() => void} onLineEnd the whole line was played
 * @property {() => void} onReplay the image is to be played again from its first line
 */

export class Player {
  /** How many columns of the line were played. */
  nPlayed = 0;
  /** The columns of each line of the newest image. @type {Uint8Array[]} */
  lines = [new Uint8Array(0)];
  /** Index of the line that is played. */
  lineIndex = 0;
  columnHeight = 1;

  #playButton = element("play", HTMLElement);
  #stepButton = element("step", HTMLButtonElement);
  #speed = element("speed", HTMLSelectElement);
  #listener;
  #imageLabel = element("image-label", HTMLElement);
  #nPreparing = 0; // images that the server is converting
  #isPlaying = false;
  #isSpeedChosen = false; // by the user
  #due = 0; // columns that should have been played by now, with the fraction
  #lastTick = 0; // milliseconds

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
    this.#speed.addEventListener("change", () => (this.#isSpeedChosen = true));
    this.#playButton.addEventListener("click", () => {
      if (this.nPlayed === this.#nColumns) listener.onReplay();
      else if (this.#isPlaying) this.pause();
      else this.#start();
    });
    this.#stepButton.addEventListener("click", () => {
      this.pause();
      this.#advance(this.nPlayed + 1);
    });
  }

  /** The columns of the line that is played. */
  get pixels() {
    return /** @type {Uint8Array} */ (this.lines[this.lineIndex]);
  }

  get isLastLine() {
    return this.lineIndex + 1 === this.lines.length;
  }

  get #nColumns() {
    return this.pixels.length / this.columnHeight;
  }

  /** The columns that were played, to be sent to a new session. */
  get playedPixels() {
    return this.pixels.subarray(0, this.nPlayed * this.columnHeight);
  }

  /**
   * Load an image's lines and play one of them.
   *
   * @param {Uint8Array[]} lines columns of each
   * @param {number} columnHeight
   * @param {number} lineIndex
   */
  load(lines, columnHeight, lineIndex) {
    this.lines = lines;
    this.lineIndex = lineIndex;
    this.columnHeight = columnHeight;
    this.nPlayed = 0;
    if (!this.#isSpeedChosen) this.#speed.value = lines.length > 1 ? UNLIMITED : LINE_SPEED;
    this.#start();
  }

  /** Change the number of images that the server is converting. @param {1 | -1} change */
  countPreparing(change) {
    this.#nPreparing += change;
    this.#imageLabel.textContent = this.#nPreparing > 0 ? t("Preparing …") : t("Image");
  }

  pause() {
    this.#isPlaying = false;
    this.#show();
  }

  /** Pause, and say that another line is shown, which was played. @param {number} lineIndex */
  pauseAt(lineIndex) {
    this.pause();
    const nColumns = /** @type {Uint8Array} */ (this.lines[lineIndex]).length / this.columnHeight;
    this.#showPosition(lineIndex, nColumns, nColumns);
  }

  #start() {
    this.#isPlaying = true;
    this.#due = this.nPlayed;
    this.#lastTick = performance.now();
    this.#show();
    requestAnimationFrame(() => this.#tick());
  }

  #tick() {
    if (!this.#isPlaying) return;
    const now = performance.now();
    const speed = this.#speed.value;
    this.#due += speed === UNLIMITED ? this.#nColumns : (Number(speed) * (now - this.#lastTick)) / 1000;
    this.#lastTick = now;
    this.#advance(Math.min(Math.floor(this.#due), this.#nColumns));
    requestAnimationFrame(() => this.#tick());
  }

  /** Play columns until `nPlayed` were played. @param {number} nPlayed */
  #advance(nPlayed) {
    if (nPlayed === this.nPlayed) return;
    const { columnHeight } = this;
    const columns = this.pixels.subarray(this.nPlayed * columnHeight, nPlayed * columnHeight);
    this.nPlayed = nPlayed;
    this.#isPlaying &&= nPlayed < this.#nColumns;
    this.#show();
    this.#listener.onColumns(columns);
    this.#listener.onAdvance();
    if (nPlayed === this.#nColumns) this.#listener.onLineEnd();
  }

  #show() {
    const isEnd = this.nPlayed === this.#nColumns;
    this.#playButton.textContent = isEnd ? t("Replay") : this.#isPlaying ? t("Pause") : t("Play");
    this.#stepButton.disabled = isEnd;
    this.#showPosition(this.lineIndex, this.nPlayed, this.#nColumns);
  }

  /** @param {number} lineIndex @param {number} played @param {number} columns */
  #showPosition(lineIndex, played, columns) {
    const values = { line: lineIndex + 1, lines: this.lines.length, percent: Math.floor((100 * played) / columns) };
    element("position", HTMLElement).textContent =
      this.lines.length > 1
        ? t("Line {line} of {lines}, {percent} %", values)
        : t("{percent} %", values);
  }
}

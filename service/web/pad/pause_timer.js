/**
 * Timers that start when the pen is lifted: soon the columns that the pen still touches are read, then all
 * that is undecided is decided, and after a longer rest the line is read in the frame that fits it, which
 * half a word would not show.
 */

const PAUSE_MS = 250;
const FLUSH_MS = 500;
export const FIT_MS = 1200;

export class PauseTimer {
  #acts;
  /** @type {ReturnType<typeof setTimeout>[]} */
  #timers = [];

  /** @param {{ onPause: () => void, onFlush: () => void, onFit: () => void }} listener */
  constructor({ onPause, onFlush, onFit }) {
    this.#acts = /** @type {const} */ ([[onPause, PAUSE_MS], [onFlush, FLUSH_MS], [onFit, FIT_MS]]);
  }

  /** Start all timers, again if they run. */
  start() {
    this.stop();
    this.#timers = this.#acts.map(([act, wait]) => setTimeout(act, wait));
  }

  stop() {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}

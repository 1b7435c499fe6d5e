/**
 * Timers that start when the pen is lifted: after a short pause the columns that the pen still touches
 * are read, after a longer one the line is flushed.
 */

const PAUSE_MS = 350;
const FLUSH_MS = 1200;

export class PauseTimer {
  #listener;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pauseTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #flushTimer;

  /** @param {{ onPause: () => void, onFlush: () => void }} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /** Start both timers, again if they run. */
  start() {
    this.stop();
    this.#pauseTimer = setTimeout(this.#listener.onPause, PAUSE_MS);
    this.#flushTimer = setTimeout(this.#listener.onFlush, FLUSH_MS);
  }

  stop() {
    clearTimeout(this.#pauseTimer);
    clearTimeout(this.#flushTimer);
  }
}

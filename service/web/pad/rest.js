/**
 * When the pen rests: for a moment, so that what it still touches is read, and for longer, so that
 * nobody goes on and all is decided.
 */

const PAUSE_MS = 350;
const FLUSH_MS = 1200;

export class Rest {
  #listener;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pausing;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #flushing;

  /** @param {{ onPause: () => void, onFlush: () => void }} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /** The pen was lifted. */
  begin() {
    this.end();
    this.#pausing = setTimeout(this.#listener.onPause, PAUSE_MS);
    this.#flushing = setTimeout(this.#listener.onFlush, FLUSH_MS);
  }

  /** It writes again, or what it wrote is gone. */
  end() {
    clearTimeout(this.#pausing);
    clearTimeout(this.#flushing);
  }
}

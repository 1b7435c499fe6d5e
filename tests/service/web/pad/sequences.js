/** What random sequences of operations are made of. */

/** Return a generator of numbers from 0 to 1 (mulberry32). @param {number} seed */
export function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Return the letter that a stroke is read as. @param {number} id */
export const letterOf = (id) => String.fromCharCode(97 + (id % 26));

/** The states of a model, with undo and redo; a state is never changed. @template State */
export class States {
  /** @type {State[]} */
  #past = [];
  /** @type {State[]} */
  #future = [];

  /** @param {State} now */
  constructor(now) {
    this.now = now;
  }

  /** @param {State} next */
  commit(next) {
    this.#past.push(this.now);
    this.#future = [];
    this.now = next;
  }

  /** @returns {boolean} whether there was a state before */
  undo() {
    return this.#go(this.#past, this.#future);
  }

  /** @returns {boolean} whether there was a state that was taken back */
  redo() {
    return this.#go(this.#future, this.#past);
  }

  /** @param {State[]} from @param {State[]} to */
  #go(from, to) {
    const state = from.pop();
    if (state === undefined) return false;
    to.push(this.now);
    this.now = state;
    return true;
  }
}

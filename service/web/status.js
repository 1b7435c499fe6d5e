/**
 * What the page says of its connection, and what to do about what went wrong.
 *
 * @import { InkstreamError } from "./inkstream.js"
 */

/** What to do about an error. @type {Record<string, string>} */
const ADVICE = {
  no_connection: "The server does not answer. Is it running? It is tried again by itself.",
  stopping: "The server stops. It is tried again by itself.",
  server_full: "The server has as many writers as it takes. It is tried again by itself.",
  too_many_sessions: "Too many pages of yours are open: close one, and load this one again.",
  unknown_model: "The server does not have this model: choose the other one.",
  forbidden_origin: "The server does not let this address's pages in.",
  idle: "Nothing was written for long. Load the page again to go on.",
  session_expired: "This session was open for as long as one may be. Load the page again.",
};

/** @typedef {{ state: HTMLElement, words: HTMLElement, problem: HTMLElement, keyForm: HTMLElement }} Places */

export class Status {
  #places;

  /** @param {Places} places */
  constructor(places) {
    this.#places = places;
  }

  /** All is well. */
  open() {
    this.#show("open", "connected");
    this.#places.keyForm.hidden = true;
    this.calm();
  }

  /** It will be well again. @param {string} words */
  wait(words) {
    this.#show("waiting", words);
  }

  /** Say what went wrong, and what to do. @param {InkstreamError} error */
  complain({ code, message }) {
    this.#places.problem.textContent = ADVICE[code] ?? message;
    this.#places.problem.hidden = false;
  }

  /** Nothing is wrong any more. */
  calm() {
    this.#places.problem.hidden = true;
  }

  /** Ask for a key. @param {boolean} hadOne that the server does not know */
  askForKey(hadOne) {
    const { problem, keyForm } = this.#places;
    problem.textContent = hadOne ? "The key is not known." : "This server asks for a key.";
    problem.hidden = keyForm.hidden = false;
    this.#show("over", "not connected");
  }

  /** @param {"open" | "waiting" | "over"} state @param {string} words */
  #show(state, words) {
    this.#places.state.dataset["state"] = state;
    this.#places.words.textContent = words;
  }
}

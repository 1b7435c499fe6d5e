/**
 * What the page says of its connection, and what to do about what went wrong.
 */

import { element } from "./dom.js";

/** What to do about an error. @type {Record<string, string>} */
const ADVICE = {
  no_connection: "The server does not answer. Is it running? It is tried again by itself.",
  stopping: "The server stops. It is tried again by itself.",
  server_full: "The server has as many writers as it takes. It is tried again by itself.",
  too_many_sessions: "Too many pages of yours are open: close one, and load this one again.",
  unknown_model: "The server does not have this model: choose the other one.",
  forbidden_origin: "The server does not let this address's pages in.",
};

export class Status {
  #state = element("state", HTMLElement);
  #problem = element("problem", HTMLElement);
  #keyForm = element("key-form", HTMLElement);

  /** All is well. */
  open() {
    this.#show("open", "connected");
    this.#keyForm.hidden = true;
    this.calm();
  }

  /** It will be well again. @param {string} words */
  wait(words) {
    this.#show("waiting", words);
  }

  /** Say what went wrong, and what to do. @param {{ code: string, message: string }} error */
  complain({ code, message }) {
    this.#problem.textContent = ADVICE[code] ?? message;
    this.#problem.hidden = false;
  }

  /** Nothing is wrong any more, if there is a connection. */
  calm() {
    this.#problem.hidden ||= this.#state.dataset["state"] === "open";
  }

  /** Nothing is tried any more. */
  close() {
    this.#show("over", "not connected");
  }

  /** Ask for a key. @param {boolean} hadOne that the server does not know */
  askForKey(hadOne) {
    this.#problem.textContent = hadOne ? "The key is not known." : "This server asks for a key.";
    this.#problem.hidden = this.#keyForm.hidden = false;
    this.close();
  }

  /** @param {"open" | "waiting" | "over"} state @param {string} words */
  #show(state, words) {
    this.#state.dataset["state"] = state;
    element("state-words", HTMLElement).textContent = words;
  }
}

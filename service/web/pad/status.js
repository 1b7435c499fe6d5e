/**
 * The state of the connection, the newest error with advice, and the form for an API key.
 */

import { element } from "./dom.js";
import { t } from "./messages.js";

/** What the user can do about an error; for other errors its message is shown. @type {Record<string, string>} */
const ADVICE = {
  no_connection: t("The server does not answer. Your writing is kept here, and read as soon as it does."),
  stopping: t("The server is stopping. Your writing is kept here, and read as soon as it is back."),
  server_full: t("The server is busy. Your writing is kept here, and read as soon as it has time."),
  too_many_sessions: t("You have too many of these pages open. Close one and reload this one."),
  unknown_model: t("The server does not have this model: choose the other one."),
  unreadable: t("The server cannot read this image. Another photo or scan of the same paper may help."),
  bad_image: t("This file is not an image of writing, or it is damaged or blank. A photo or a scan can be read."),
  over_limit: t("This file is too large for this server. A smaller scan, or fewer pages at once, can be read."),
  forbidden_origin: t("The server does not accept pages of this address. Ask the person who runs it to allow this one."),
};

export class Status {
  #state = element("state", HTMLElement);
  #error = element("error", HTMLElement);
  #keyForm = element("key-form", HTMLElement);

  showConnected() {
    this.#show("open", t("connected"));
    this.#keyForm.hidden = true;
    this.hideError();
  }

  /** Show that the page is not connected at the moment. @param {string} words */
  showWaiting(words) {
    this.#show("waiting", words);
  }

  /** Show that the page is not connected and does not try again. */
  showClosed() {
    this.#show("closed", t("not connected"));
  }

  /** @param {{ code: string, message: string }} error */
  showError({ code, message }) {
    this.#error.textContent = ADVICE[code] ?? message;
    this.#error.hidden = false;
  }

  /** Say whether the browser keeps what is written. @param {boolean} isKept */
  showKept(isKept) {
    element("unkept", HTMLElement).hidden = isKept;
  }

  /** Say that a document is in another window, and offer to go on with it here. @param {string} message @param {() => unknown} goOn */
  offerToGoOn(message, goOn) {
    const bar = element("elsewhere", HTMLElement);
    element("elsewhere-words", HTMLElement).textContent = message;
    bar.hidden = false;
    element("go-on", HTMLElement).onclick = () => {
      bar.hidden = true;
      void goOn();
    };
  }

  /** Hide the offer: another document was opened, or begun. */
  hideOffer() {
    element("elsewhere", HTMLElement).hidden = true;
  }

  /** Hide the error if the page is connected. */
  hideError() {
    this.#error.hidden ||= this.#state.dataset["state"] === "open";
  }

  /** Show the form for an API key. @param {boolean} wasRefused whether the server refused a key */
  askForKey(wasRefused) {
    this.#error.textContent = wasRefused ? t("The server does not accept this key.") : t("This server requires an API key.");
    this.#error.hidden = this.#keyForm.hidden = false;
    this.showClosed();
  }

  /** @param {"open" | "waiting" | "closed"} state @param {string} words */
  #show(state, words) {
    this.#state.dataset["state"] = state;
    element("state-words", HTMLElement).textContent = words;
  }
}

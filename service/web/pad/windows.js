/** Which documents other windows of this browser have open; they let them go when they are asked to. */

const ANSWER_MS = 150; // in which a window that has the document answers
const LET_GO_MS = 1000; // in which it stores the document

/** @typedef {{ kind: "ask" | "take" | "answer" | "saved", id: string }} Note */

export class Windows {
  #channel;
  /** Questions that wait for an answer: what is called with it, by the document's id. @type {Map<string, () => void>} */
  #waiting = new Map();

  /**
   * @param {string} path pages below other paths have other documents
   * @param {object} listener
   * @param {(id: string) => boolean} listener.has whether this window has a document open
   * @param {(id: string) => Promise<void>} listener.onTake another window goes on with it: store it and let it go
   * @param {(id: string) => void} listener.onConflict another window has stored it meanwhile
   */
  constructor(path, { has, onTake, onConflict }) {
    this.#channel = new BroadcastChannel(`inkstream ${path}`);
    this.#channel.addEventListener("message", async ({ data }) => {
      const { kind, id } = /** @type {Note} */ (data);
      if (kind === "answer") return this.#waiting.get(id)?.();
      if (!has(id)) return;
      if (kind === "saved") return onConflict(id);
      if (kind === "take") await onTake(id);
      this.#post("answer", id);
    });
  }

  /** Return whether another window has a document open. @param {string} id */
  async isElsewhere(id) {
    return this.#request("ask", id, ANSWER_MS);
  }

  /** Have the window that has a document open store it and let it go. @param {string} id */
  async take(id) {
    await this.#request("take", id, LET_GO_MS);
  }

  /** Tell the other windows that a document was stored: one that did not answer may have it open too. @param {string} id */
  saved(id) {
    this.#post("saved", id);
  }

  /** @param {Note["kind"]} kind @param {string} id */
  #post(kind, id) {
    this.#channel.postMessage(/** @type {Note} */ ({ kind, id }));
  }

  /** @param {"ask" | "take"} kind @param {string} id @param {number} timeoutMs @returns {Promise<boolean>} whether it was answered */
  #request(kind, id, timeoutMs) {
    return new Promise((resolve) => {
      const end = (/** @type {boolean} */ isAnswered) => {
        this.#waiting.delete(id);
        resolve(isAnswered);
      };
      this.#waiting.set(id, () => end(true));
      setTimeout(end, timeoutMs, false);
      this.#post(kind, id);
    });
  }
}

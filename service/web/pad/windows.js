/** Which documents other windows of this browser have open; they let them go when they are asked to. */

const ANSWER_MS = 150; // in which a window that has the document answers
const BUSY_MS = 1000; // in which it answers when another window is about to go on with the document
const LET_GO_MS = 30_000; // in which it stores the document and lets it go

/** @typedef {{ kind: "ask" | "has" | "take" | "gone" | "saved", id: string }} Note */

export class Windows {
  #channel;
  /** Requests that wait for an answer. @type {Set<Note & { end: (isAnswered: boolean) => void }>} */
  #waiting = new Set();

  /**
   * @param {string} path pages below other paths have other documents
   * @param {object} listener
   * @param {(id: string) => boolean} listener.has whether this window has a document open
   * @param {(id: string) => Promise<void>} listener.onTake another window goes on with it: store it and let it go
   * @param {(id: string) => void} listener.onLateAnswer another window has it open too, and was too busy to say so
   * @param {(id: string) => void} listener.onConflict another window has stored it meanwhile
   */
  constructor(path, { has, onTake, onLateAnswer, onConflict }) {
    this.#channel = new BroadcastChannel(`inkstream ${path}`);
    this.#channel.addEventListener("message", async ({ data }) => {
      const { kind, id } = /** @type {Note} */ (data);
      const answered = [...this.#waiting].filter((request) => request.kind === kind && request.id === id);
      for (const { end } of answered) end(true);
      if (answered.length > 0) return;
      if (!has(id)) return;
      if (kind === "ask") this.#post("has", id);
      else if (kind === "has") onLateAnswer(id);
      else if (kind === "saved") onConflict(id);
      else if (kind === "take") {
        await onTake(id);
        this.#post("gone", id);
      }
    });
  }

  /** Return whether another window has a document open. @param {string} id */
  async isElsewhere(id) {
    return this.#request("ask", id, "has", ANSWER_MS);
  }

  /** Have the window that has a document open store it and let it go. @param {string} id */
  async take(id) {
    if (await this.#request("ask", id, "has", BUSY_MS)) await this.#request("take", id, "gone", LET_GO_MS);
  }

  /** Tell the other windows that a document was stored: one that did not answer may have it open too. @param {string} id */
  saved(id) {
    this.#post("saved", id);
  }

  /** @param {Note["kind"]} kind @param {string} id */
  #post(kind, id) {
    this.#channel.postMessage(/** @type {Note} */ ({ kind, id }));
  }

  /** @param {"ask" | "take"} kind @param {string} id @param {"has" | "gone"} answer @param {number} timeoutMs @returns {Promise<boolean>} whether it was answered */
  #request(kind, id, answer, timeoutMs) {
    return new Promise((resolve) => {
      const request = {
        kind: answer,
        id,
        end: (/** @type {boolean} */ isAnswered) => {
          clearTimeout(timer);
          this.#waiting.delete(request);
          resolve(isAnswered);
        },
      };
      this.#waiting.add(request);
      const timer = setTimeout(request.end, timeoutMs, false);
      this.#post(kind, id);
    });
  }
}

/**
 * The documents of this browser, in IndexedDB: they outlive a reload, a crash, a week. What the browser
 * cannot store, because its storage is full or forbidden, is kept until the page is closed.
 *
 * @import { DocumentData } from "./document.js"
 */

const DOCUMENTS = "documents";
const VERSION = 1;

const TRASH_MS = 30 * 24 * 3600 * 1000; // for which a deleted document can be brought back

/** A document with what a list shows of it; `deleted`: when it was, milliseconds since 1970. @typedef {DocumentData & { title: string, text?: string, deleted?: number }} Stored */

export class Store {
  /** @type {IDBDatabase | undefined} */
  #database;
  /** @type {Map<string, Stored>} */
  #unstored = new Map(); // which the browser could not store
  /** Newest states, while older ones are being written, by the id of the document. @type {Map<string, () => Stored>} */
  #waiting = new Map();
  /** The writing of what waits, while it lasts. @type {Promise<void> | undefined} */
  #writing;
  #listener;

  /**
   * @param {object} listener
   * @param {(id: string) => void} listener.onKept a document was stored, and all that could not be before
   * @param {() => void} listener.onFailed a document could not be stored
   */
  constructor(listener) {
    this.#listener = listener;
  }

  /** Open the documents of an address: pages below other paths have others. @param {string} path */
  async open(path) {
    this.#database = await new Promise((resolve) => {
      try {
        const request = indexedDB.open(`inkstream ${path}`, VERSION);
        request.onupgradeneeded = () => request.result.createObjectStore(DOCUMENTS, { keyPath: "id" });
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => resolve(undefined);
        request.onblocked = () => resolve(undefined);
      } catch {
        resolve(undefined); // the browser forbids it
      }
    });
  }

  /**
   * Write a document. While one is being written, only the newest state of each waits.
   *
   * @param {string} id
   * @param {() => Stored} take returns the state to be written
   */
  save(id, take) {
    this.#waiting.set(id, take);
    this.#writing ??= this.#write();
  }

  /** Hand the state that waits to the browser at once, and wait until all is written: the page or the document is about to go. */
  async finish() {
    await Promise.all([this.#writeNewest(), this.#writing]);
  }

  async #write() {
    try {
      while (this.#waiting.size > 0) await this.#writeNewest();
    } finally {
      this.#writing = undefined; // else nothing would ever be written again
    }
  }

  async #writeNewest() {
    for (const [id, take] of this.#waiting) {
      this.#waiting.delete(id);
      await this.put(take());
    }
  }

  /** Write a document, and those that could not be written before. @param {Stored} data */
  async put(data) {
    this.#unstored.set(data.id, data);
    try {
      for (const unstored of this.#unstored.values()) {
        await this.#run("readwrite", (documents) => documents.put(unstored));
        if (this.#unstored.get(unstored.id) === unstored) this.#unstored.delete(unstored.id);
        this.#listener.onKept(unstored.id);
      }
    } catch {
      this.#listener.onFailed(); // the next change tries again
    }
  }

  /** @param {string} id @returns {Promise<Stored | undefined>} */
  async load(id) {
    return this.#unstored.get(id) ?? (this.#database && this.#run("readonly", (documents) => documents.get(id)));
  }

  /** @param {string} id */
  async remove(id) {
    this.#unstored.delete(id);
    if (this.#database) await this.#run("readwrite", (documents) => documents.delete(id));
  }

  /** Return all documents, the one that was changed last first, and remove those that were long in the trash. @returns {Promise<Stored[]>} */
  async list() {
    /** @type {Stored[]} */
    const stored = this.#database ? await this.#run("readonly", (documents) => documents.getAll()) : [];
    const all = [...stored.filter(({ id }) => !this.#unstored.has(id)), ...this.#unstored.values()];
    const isKept = (/** @type {Stored} */ { deleted }) => deleted === undefined || Date.now() - deleted < TRASH_MS;
    for (const { id } of all.filter((data) => !isKept(data))) await this.remove(id);
    return all.filter(isKept).sort((one, other) => other.changed - one.changed);
  }

  /**
   * @param {IDBTransactionMode} mode
   * @param {(documents: IDBObjectStore) => IDBRequest} act
   * @returns {Promise<any>} the result
   */
  #run(mode, act) {
    return new Promise((resolve, reject) => {
      const database = this.#database;
      if (database === undefined) throw new DOMException("the browser keeps nothing", "InvalidStateError");
      const transaction = database.transaction(DOCUMENTS, mode);
      const request = act(transaction.objectStore(DOCUMENTS));
      transaction.commit(); // else it would be lost with a page that goes before the answer
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  }
}

/**
 * The documents of this browser, in IndexedDB: they outlive a reload, a crash, a week. What the browser
 * cannot store, because its storage is full or forbidden, is kept until the page is closed.
 *
 * @import { DocumentData } from "./document.js"
 */

const DOCUMENTS = "documents";
const VERSION = 1;

/** What a list of documents shows. @typedef {{ id: string, changed: number, title: string }} Entry */

export class Store {
  /** @type {IDBDatabase | undefined} */
  #database;
  /** @type {Map<string, DocumentData & { title: string }>} */
  #unstored = new Map(); // which the browser could not store
  /** @type {(() => DocumentData & { title: string }) | undefined} */
  #waiting; // the newest state, while an older one is being written
  #isWriting = false;
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
   * Write a document. While one is being written, only the newest state waits.
   *
   * @param {() => DocumentData & { title: string }} take returns the state to be written
   */
  save(take) {
    this.#waiting = take;
    if (!this.#isWriting) void this.#write();
  }

  /** Hand the state that waits to the browser at once: the page or the document is about to go. */
  async finish() {
    if (this.#waiting !== undefined) await this.#writeNewest();
  }

  async #write() {
    this.#isWriting = true;
    try {
      while (this.#waiting !== undefined) await this.#writeNewest();
    } finally {
      this.#isWriting = false; // else nothing would ever be written again
    }
  }

  async #writeNewest() {
    const take = this.#waiting;
    this.#waiting = undefined;
    if (take !== undefined) await this.put(take());
  }

  /** Write a document, and those that could not be written before. @param {DocumentData & { title: string }} data */
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

  /** @param {string} id @returns {Promise<(DocumentData & { title: string }) | undefined>} */
  async load(id) {
    return this.#unstored.get(id) ?? (this.#database && this.#run("readonly", (documents) => documents.get(id)));
  }

  /** @param {string} id */
  async remove(id) {
    this.#unstored.delete(id);
    if (this.#database) await this.#run("readwrite", (documents) => documents.delete(id));
  }

  /** Return all documents, the one that was changed last first. @returns {Promise<Entry[]>} */
  async list() {
    /** @type {Entry[]} */
    const stored = this.#database ? await this.#run("readonly", (documents) => documents.getAll()) : [];
    return [...stored.filter(({ id }) => !this.#unstored.has(id)), ...this.#unstored.values()]
      .map(({ id, changed, title }) => ({ id, changed, title }))
      .sort((one, other) => other.changed - one.changed);
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

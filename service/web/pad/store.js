/**
 * The documents of this browser, in IndexedDB: they outlive a reload, a crash, a week. Where the browser
 * has no IndexedDB, documents are kept until the page is closed.
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
  #unstored = new Map(); // where there is no database
  /** @type {(() => DocumentData & { title: string }) | undefined} */
  #waiting; // the newest state, while an older one is being written
  #isWriting = false;

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
    while (this.#waiting !== undefined) await this.#writeNewest();
    this.#isWriting = false;
  }

  async #writeNewest() {
    const data = this.#waiting?.();
    this.#waiting = undefined;
    if (data === undefined) return;
    await this.put(data).catch(() => {});
  }

  /** Write a document that was deleted. @param {DocumentData & { title: string }} data */
  async put(data) {
    if (this.#database) await this.#run("readwrite", (documents) => documents.put(data));
    else this.#unstored.set(data.id, data);
  }

  /** @param {string} id @returns {Promise<(DocumentData & { title: string }) | undefined>} */
  async load(id) {
    return this.#database ? this.#run("readonly", (documents) => documents.get(id)) : this.#unstored.get(id);
  }

  /** @param {string} id */
  async remove(id) {
    if (this.#database) await this.#run("readwrite", (documents) => documents.delete(id));
    else this.#unstored.delete(id);
  }

  /** Return all documents, the one that was changed last first. @returns {Promise<Entry[]>} */
  async list() {
    /** @type {Entry[]} */
    const entries = this.#database
      ? await this.#run("readonly", (documents) => documents.getAll())
      : [...this.#unstored.values()];
    return entries
      .map(({ id, changed, title }) => ({ id, changed, title }))
      .sort((one, other) => other.changed - one.changed);
  }

  /**
   * @param {IDBTransactionMode} mode
   * @param {(documents: IDBObjectStore) => IDBRequest} act
   * @returns {Promise<any>} the result
   */
  #run(mode, act) {
    const database = /** @type {IDBDatabase} */ (this.#database);
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(DOCUMENTS, mode);
      const request = act(transaction.objectStore(DOCUMENTS));
      transaction.commit(); // else it would be lost with a page that goes before the answer
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  }
}

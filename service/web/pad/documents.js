/**
 * The list of documents: names, dates, small pictures, search, and a trash that keeps for 30 days.
 *
 * @import { Store, Stored } from "./store.js"
 */

import { ROW_HEIGHT } from "./document.js";
import { element } from "./dom.js";
import { t } from "./messages.js";
import { INKS } from "./strokes.js";

const PICTURE = { width: 72, height: 54 }; // CSS pixels
const PICTURE_WIDTH = 640; // of the paper, in a picture

/**
 * @typedef {object} Listener
 * @property {() => string} openId of the document that is open
 * @property {(id: string) => Promise<void>} onOpen
 * @property {(id: string, name: string) => Promise<void>} onRename
 * @property {(id: string) => Promise<boolean>} onRemove lets a document go; returns whether that was possible
 */

export class Documents {
  #store;
  #listener;
  #list = element("document-list", HTMLElement);
  #trash = element("trash-list", HTMLElement);
  #search = element("search", HTMLInputElement);

  /** @param {Store} store @param {Listener} listener */
  constructor(store, listener) {
    this.#store = store;
    this.#listener = listener;
    this.#search.addEventListener("input", () => void this.show());
    element("documents", HTMLElement).addEventListener("toggle", () => void this.show());
  }

  /** Show the documents that the search finds, the one that was changed last first. */
  async show() {
    const wanted = this.#search.value.trim().toLowerCase();
    const all = await this.#store.list();
    const matching = all.filter(({ title, text }) => `${title}\n${text ?? ""}`.toLowerCase().includes(wanted));
    this.#list.replaceChildren(...matching.filter(({ deleted }) => !deleted).map((data) => this.#createItem(data)));
    const deleted = matching.filter((data) => data.deleted);
    this.#trash.replaceChildren(...deleted.map((data) => this.#createDeleted(data)));
    element("trash", HTMLElement).hidden = deleted.length === 0;
  }

  /** @param {Stored} data */
  #createItem(data) {
    const title = titleOf(data);
    const opens = createButton(title, () => {
      element("documents", HTMLElement).hidePopover();
      return this.#listener.onOpen(data.id);
    });
    if (data.id === this.#listener.openId()) opens.ariaCurrent = "true";
    const rename = createButton(t("Rename"), async () => {
      const name = prompt(t("Name of the document"), title)?.trim();
      if (name) await this.#listener.onRename(data.id, name);
      await this.show();
    });
    rename.ariaLabel = t("Rename {title}", { title });
    const remove = createButton(t("Delete"), async () => {
      if (!(await this.#listener.onRemove(data.id))) return;
      await this.#store.put({ ...((await this.#store.load(data.id)) ?? data), deleted: Date.now() });
      await this.show();
      element("trash", HTMLDetailsElement).open = true;
      this.#trash.querySelector("button")?.focus();
    });
    remove.ariaLabel = t("Delete {title}", { title });
    return createItem(data, opens, rename, remove);
  }

  /** @param {Stored} data */
  #createDeleted(data) {
    const title = document.createElement("span");
    title.textContent = titleOf(data);
    const back = createButton(t("Bring back"), async () => {
      const { deleted, ...kept } = data;
      await this.#store.put(kept);
      await this.show();
    });
    const remove = createButton(t("Delete for good"), async () => {
      await this.#store.remove(data.id);
      await this.show();
    });
    return createItem(data, title, back, remove);
  }
}

/** @param {Stored} data */
function titleOf({ title, changed }) {
  return title || new Date(changed).toLocaleString();
}

/** @param {Stored} data @param {HTMLElement[]} parts the title first */
function createItem(data, ...parts) {
  const item = document.createElement("li");
  const date = document.createElement("time");
  date.textContent = new Date(data.changed).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
  item.append(draw(data), ...parts, date);
  return item;
}

/** @param {string} words @param {() => unknown} act */
function createButton(words, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = words;
  button.addEventListener("click", () => void act());
  return button;
}

/** Draw the first lines of a document. @param {Stored} data */
function draw({ lines }) {
  const canvas = document.createElement("canvas");
  canvas.ariaHidden = "true";
  canvas.width = PICTURE.width * devicePixelRatio;
  canvas.height = PICTURE.height * devicePixelRatio;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const scale = canvas.width / PICTURE_WIDTH;
  context.scale(scale, scale);
  const style = getComputedStyle(document.documentElement);
  context.lineWidth = 1 / scale;
  const first = Math.min(...lines.map(({ row }) => row));
  for (const { row, strokes } of lines) {
    context.setTransform(scale, 0, 0, scale, 0, scale * (row - first) * ROW_HEIGHT);
    for (const { points, colour = "black" } of strokes) {
      context.strokeStyle = style.getPropertyValue(INKS[colour].property);
      context.beginPath();
      for (const [x, y] of points) context.lineTo(x, y);
      context.stroke();
    }
  }
  return canvas;
}

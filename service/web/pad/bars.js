/**
 * Bar chart of the probabilities of a classifier's labels.
 *
 * @import { Result } from "../client/protocol.d.ts"
 */

export class Bars {
  #box;
  /** @type {Map<string, { item: HTMLElement, bar: HTMLElement, percentage: HTMLElement }>} */
  #bars = new Map();

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
  }

  /** Replace the bars by empty ones for these labels. @param {readonly string[]} labels */
  setLabels(labels) {
    this.#bars.clear();
    this.#box.replaceChildren(
      ...labels.map((label) => {
        const item = document.createElement("div");
        const frame = document.createElement("div");
        const bar = document.createElement("span");
        const name = document.createElement("b");
        const percentage = document.createElement("small");
        item.role = "listitem";
        frame.className = "bar";
        name.textContent = label;
        frame.append(bar);
        item.append(frame, name, document.createElement("br"), percentage);
        this.#bars.set(label, { item, bar, percentage });
        return item;
      }),
    );
    this.draw(undefined);
  }

  /** Show a column's probabilities; undefined before the first column. @param {Result | undefined} result */
  draw(result) {
    const probabilities = new Map(result?.probabilities);
    const best = Math.max(...probabilities.values());
    for (const [label, { item, bar, percentage }] of this.#bars) {
      const p = probabilities.get(label) ?? 0;
      bar.style.height = `${100 * p}%`;
      percentage.textContent = result === undefined ? "–" : `${Math.round(100 * p)} %`;
      item.toggleAttribute("data-best", result !== undefined && p === best);
    }
  }
}

/**
 * Bars of a classifier's labels.
 *
 * @import { Result } from "../client/protocol.d.ts"
 */

export class Bars {
  #box;
  /** @type {Map<string, { item: HTMLElement, bar: HTMLElement, share: HTMLElement }>} */
  #bars = new Map();

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
  }

  /** Show these labels. @param {readonly string[]} labels */
  begin(labels) {
    this.#bars.clear();
    this.#box.replaceChildren(
      ...labels.map((label) => {
        const item = document.createElement("div");
        const well = document.createElement("div");
        const bar = document.createElement("span");
        const name = document.createElement("b");
        const share = document.createElement("small");
        item.role = "listitem";
        well.className = "bar";
        name.textContent = label;
        well.append(bar);
        item.append(well, name, document.createElement("br"), share);
        this.#bars.set(label, { item, bar, share });
        return item;
      }),
    );
    this.draw(undefined);
  }

  /** Show what is believed after a column; nothing before the first. @param {Result | undefined} result */
  draw(result) {
    const probabilities = result?.probabilities ?? {};
    const best = Math.max(...Object.values(probabilities));
    for (const [label, { item, bar, share }] of this.#bars) {
      const p = probabilities[label] ?? 0;
      bar.style.height = `${100 * p}%`;
      share.textContent = result === undefined ? "–" : `${Math.round(100 * p)} %`;
      item.toggleAttribute("data-best", result !== undefined && p === best);
    }
  }
}

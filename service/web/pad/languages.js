/** The choice of the language that a line is expected in, where the server offers any. */

export class Languages {
  #label;
  #select;

  /** @param {HTMLElement} label @param {HTMLSelectElement} select @param {() => void} onChange */
  constructor(label, select, onChange) {
    this.#label = label;
    this.#select = select;
    select.addEventListener("change", onChange);
  }

  /** What is chosen; null is any text. */
  get chosen() {
    return this.#select.value || null;
  }

  /** What there is to choose from. @param {string[]} names */
  offer(names) {
    const { chosen } = this;
    const options = names.map((name) => new Option(name[0]?.toUpperCase() + name.slice(1), name));
    this.#select.replaceChildren(new Option("any text", ""), ...options);
    this.#select.value = chosen !== null && names.includes(chosen) ? chosen : "";
    this.#label.hidden = names.length === 0;
  }
}

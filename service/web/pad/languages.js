/** The menu of language models, which is hidden if the server has none. */

export class LanguageMenu {
  #label;
  #select;

  /** @param {HTMLElement} label @param {HTMLSelectElement} select @param {() => void} onChange */
  constructor(label, select, onChange) {
    this.#label = label;
    this.#select = select;
    select.addEventListener("change", onChange);
  }

  /** The chosen language model, or null. */
  get chosen() {
    return this.#select.value || null;
  }

  /** Set the menu's language models; keep the choice if it is among them. @param {string[]} names */
  setLanguages(names) {
    const { chosen } = this;
    const options = names.map((name) => new Option(name[0]?.toUpperCase() + name.slice(1), name));
    this.#select.replaceChildren(new Option("none", ""), ...options);
    this.#select.value = chosen !== null && names.includes(chosen) ? chosen : "";
    this.#label.hidden = names.length === 0;
  }
}

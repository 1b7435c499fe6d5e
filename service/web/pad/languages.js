/** The menu of language models, which is hidden if the server has none. */

import { CODES } from "../client/languages.js";

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
    const options = names.map(option);
    this.#select.replaceChildren(new Option("none", ""), ...options);
    this.#select.value = chosen !== null && names.includes(chosen) ? chosen : "";
    this.#label.hidden = names.length === 0;
  }
}

/** Return the option of a language model, with the language's name in that language. @param {string} name */
function option(name) {
  const code = CODES[name];
  const own = code && new Intl.DisplayNames(code, { type: "language" }).of(code);
  const text = own || name;
  const found = new Option(text.slice(0, 1).toUpperCase() + text.slice(1), name);
  if (code) found.lang = code;
  return found;
}

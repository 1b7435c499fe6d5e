/** What the lines before this one say. */

export class Before {
  #list;

  /** @param {HTMLElement} list */
  constructor(list) {
    this.#list = list;
  }

  /** Put a line away. @param {string} text */
  add(text) {
    if (text === "") return;
    const item = document.createElement("li");
    item.textContent = text;
    this.#list.append(item);
  }
}

/** The page's elements. */

/**
 * One of them.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 * @throws {TypeError} if there is none of that kind
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new TypeError(`no such ${kind.name}: ${id}`);
  return found;
}

/**
 * Change a text, if it is another one: what stays need not be laid out anew.
 *
 * @param {HTMLElement} place
 * @param {string} text
 */
export function put(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

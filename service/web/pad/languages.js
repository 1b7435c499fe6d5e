/** The language that text is expected in. */

import { CODES, modelOf } from "../client/languages.js";
import { t } from "./messages.js";

/** Setting that stands for the browser's language, where the server has a model of it. */
export const AUTOMATIC = "auto";

/**
 * Return the language model for a setting: one of those of the server, or null.
 *
 * @param {string} setting a language model, "" for none, or `AUTOMATIC`
 * @param {readonly string[]} models of the server
 * @param {readonly string[]} languages of the browser, the preferred one first: BCP 47 tags
 * @returns {string | null}
 */
export function chooseLanguage(setting, models, languages) {
  if (setting !== AUTOMATIC) return models.includes(setting) ? setting : null;
  const model = modelOf(languages[0] ?? "");
  return model !== undefined && models.includes(model) ? model : null;
}

/**
 * Fill the menu with the server's language models.
 *
 * @param {HTMLSelectElement} menu
 * @param {readonly string[]} models
 * @param {string} chosen setting
 */
export function fillMenu(menu, models, chosen) {
  const automatic = chooseLanguage(AUTOMATIC, models, navigator.languages);
  const options = [
    new Option(automatic === null ? t("Automatic: no language") : t("Automatic: {language}", { language: titled(automatic) }), AUTOMATIC),
    ...models.map(option),
    new Option(t("No language"), ""),
  ];
  menu.replaceChildren(...options);
  menu.value = options.some(({ value }) => value === chosen) ? chosen : AUTOMATIC;
}

/** Return the option of a language model. @param {string} name */
function option(name) {
  const made = new Option(titled(name), name);
  if (CODES[name]) made.lang = CODES[name];
  return made;
}

/** Return the language's name in that language. @param {string} name */
function titled(name) {
  const code = CODES[name];
  const own = (code && new Intl.DisplayNames(code, { type: "language" }).of(code)) || name;
  return own.charAt(0).toUpperCase() + own.slice(1);
}

/** Languages by the names of the server's language models, and their codes (ISO 639-1). */

/** @type {Readonly<Record<string, string>>} */
export const CODES = {
  danish: "da",
  dutch: "nl",
  english: "en",
  finnish: "fi",
  french: "fr",
  german: "de",
  italian: "it",
  norwegian: "nb",
  portuguese: "pt",
  spanish: "es",
  swedish: "sv",
};

/**
 * Return the name of the language model for a language.
 *
 * @param {string} tag a BCP 47 tag, such as en, en-GB or no
 * @returns {string | undefined} undefined if no model is known
 */
export function modelOf(tag) {
  const code = tag.toLowerCase().split("-")[0];
  const macro = code === "no" ? "nb" : code; // no is Norwegian of either kind
  return Object.keys(CODES).find((name) => CODES[name] === macro);
}

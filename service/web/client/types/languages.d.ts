/** Languages by the names of the server's language models, and their codes (ISO 639-1). */
/** @type {Readonly<Record<string, string>>} */
export declare const CODES: Readonly<Record<string, string>>;
/**
 * Return the name of the language model for a language.
 *
 * @param {string} tag a BCP 47 tag, such as en, en-GB or no
 * @returns {string | undefined} undefined if no model is known
 */
export declare function modelOf(tag: string): string | undefined;

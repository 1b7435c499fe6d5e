/** Patterns by example: what a person writes stands for all that looks like it. */

const ALPHABETS = ["0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"];
const EXPRESSION = /[[({|\\]/u; // none of these stands in an example
const STEP = 3; // letters and digits further on: "AB 1234" becomes "DE 4567"

/** Return the pattern of docs/protocol.md for an example; one that is a regular expression already stays. @param {string} example */
export function patternOf(example) {
  if (EXPRESSION.test(example)) return example;
  const parts = [...example].map((char) => {
    const alphabet = ALPHABETS.find((chars) => chars.includes(char));
    return alphabet === undefined ? char.replace(/[.*+?^$\])}]/u, "\\$&") : `[${alphabet[0]}-${alphabet.at(-1)}]`;
  });
  return parts.join("").replace(/(\[.-.\])\1+/gu, (run, part) => `${part}{${run.length / part.length}}`);
}

/** Return whether an example gives a pattern. @param {string} example */
export function isPattern(example) {
  try {
    return new RegExp(patternOf(example), "u") instanceof RegExp;
  } catch {
    return false;
  }
}

/** Return another text that is read with the pattern of an example; "" for a regular expression. @param {string} example */
export function another(example) {
  if (EXPRESSION.test(example)) return "";
  return [...example].map((char) => {
    const alphabet = ALPHABETS.find((chars) => chars.includes(char));
    return alphabet === undefined ? char : alphabet[(alphabet.indexOf(char) + STEP) % alphabet.length];
  }).join("");
}

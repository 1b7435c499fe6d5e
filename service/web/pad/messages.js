/**
 * The page's texts in the browser's language. The English texts are the keys of the files in `messages/`, one for
 * each other language; a text that a file lacks stays English.
 */

const LANGUAGES = ["de", "es", "fr"]; // beside English
const ATTRIBUTES = ["aria-label", "placeholder", "content"]; // that people read; `content` of the description alone

/** @returns {string} the first language of the browser that the page has */
function chooseLanguage() {
  const wanted = navigator.languages.map((tag) => tag.split("-")[0] ?? "");
  return wanted.find((language) => language === "en" || LANGUAGES.includes(language)) ?? "en";
}

const language = chooseLanguage();

/** @type {Record<string, string>} */
const messages = language === "en" ? {} : (await import(`./messages/${language}.js`)).default;

/**
 * Return a text in the browser's language.
 *
 * @param {string} text in English, with names in braces for values
 * @param {Record<string, string | number>} [values] by name
 */
export function t(text, values = {}) {
  return (messages[text] ?? text).replace(/\{(\w+)\}/gu, (braces, name) => String(values[name] ?? braces));
}

/** Translate the page as it was loaded. */
export function translatePage() {
  if (language === "en") return;
  document.documentElement.lang = language;
  const walker = document.createTreeWalker(document, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const text = (node.nodeValue ?? "").trim();
    if (text !== "") node.nodeValue = (node.nodeValue ?? "").replace(text, () => t(text.replace(/\s+/gu, " ")));
  }
  for (const name of ATTRIBUTES) {
    for (const item of document.querySelectorAll(name === "content" ? "meta[name=description]" : `[${name}]`)) {
      item.setAttribute(name, t(item.getAttribute(name) ?? ""));
    }
  }
}

/** Images as the columns that the net would see: the server prepares them. */

import { InkstreamError } from "../client/inkstream.js";

/**
 * The lines of an image: a page has many, any other image one.
 *
 * @param {Blob} file
 * @param {{ model: string, isPage: boolean }} how model that they are for, and whether to look for lines
 * @param {Record<string, string>} headers of the request
 * @returns {Promise<Uint8Array[]>} columns of each, one after another, each top to bottom: 0 = paper,
 *   255 = ink
 * @throws {InkstreamError} the server's refusal, or "no_connection"
 */
export async function linesOf(file, { model, isPage }, headers) {
  if (isPage) {
    /** @type {{ lines: { columns: string }[] }} */
    const page = JSON.parse(new TextDecoder().decode(await ask(file, { model, page: "true" }, headers)));
    if (page.lines.length > 1) return page.lines.map(({ columns }) => bytesOf(columns));
  }
  return [await ask(file, { model }, headers)];
}

/** @param {string} base64 */
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** @param {Blob} file @param {Record<string, string>} query @param {Record<string, string>} headers */
async function ask(file, query, headers) {
  const answer = await fetch(`v1/columns?${new URLSearchParams(query)}`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/octet-stream" },
    body: file,
  }).catch(() => undefined);
  const body = await answer?.arrayBuffer().catch(() => undefined);
  if (answer === undefined || body === undefined) {
    throw new InkstreamError("no_connection", "the server does not answer");
  }
  if (answer.ok) return new Uint8Array(body);
  throw refusal(new TextDecoder().decode(body), answer.status);
}

/** What a refusal says; it may be a proxy's, in any words. @param {string} text @param {number} status */
function refusal(text, status) {
  try {
    const { code, message } = JSON.parse(text).error;
    return new InkstreamError(code, message);
  } catch {
    return new InkstreamError("internal", `The server's answer was ${status}. Try again later.`);
  }
}

/** Images as the columns that the net would see: the server prepares them. */

import { InkstreamError } from "./inkstream.js";

/**
 * The columns of an image.
 *
 * @param {Blob} file
 * @param {string} model that they are for
 * @param {Record<string, string>} headers of the request
 * @returns {Promise<Uint8Array>} one after another, each top to bottom: 0 = paper, 255 = ink
 * @throws {InkstreamError} the server's refusal, or "no_connection"
 */
export async function columnsOf(file, model, headers) {
  const answer = await fetch(`v1/columns?model=${encodeURIComponent(model)}`, {
    method: "POST",
    headers: { ...headers, "content-type": file.type || "application/octet-stream" },
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

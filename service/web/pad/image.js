/** Conversion of documents into images, and of images into columns, done by the server. */

import { InkstreamError } from "../client/inkstream.js";
import { decodeBase64 } from "./line_images.js";
import { t } from "./messages.js";

const LINE_SHARE = 0.5; // of an image's height: it shows nothing but a line that is as high

/** @typedef {{ box: Box, columns: string }} PageLine */

/** Four corners in pixels of the image, clockwise from the writing's upper left. @typedef {[number, number][]} Box */

/**
 * An image as columns.
 * @typedef {object} Converted
 * @property {Uint8Array[]} lines each line's columns, oldest first, each from top to bottom: 0 = paper, 255 = ink
 * @property {{ width: number, height: number, boxes: Box[] } | undefined} page size and lines of the image, in
 *   its pixels, if it is a page
 * @property {boolean} looksLikeText whether it was converted as a digit and looks like a line
 */

/**
 * Yield the images of a file: itself, or what the server draws if the browser cannot, as the pages of a PDF.
 *
 * @param {Blob} file
 * @param {boolean} isDocument
 * @param {Record<string, string>} headers of requests
 * @returns {AsyncGenerator<Blob, void>}
 * @throws {InkstreamError} the server's error, or "no_connection"
 */
export async function* imagesOf(file, isDocument, headers) {
  const bitmap = isDocument ? undefined : await createImageBitmap(file).catch(() => undefined);
  if (bitmap !== undefined) return yield file;
  for (let page = 1, nPages = 1; page <= nPages; page += 1) {
    const drawn = await request("page/image", file, { page: String(page) }, headers);
    nPages = Number(drawn.headers.get("x-inkstream-pages"));
    yield new Blob([drawn.body], { type: "image/jpeg" });
  }
}

/**
 * Have the server convert an image into the columns of its lines. A page may have many; the image of a
 * line or a digit is converted as one, even if it looks like a page of one line.
 *
 * @param {Blob} file
 * @param {{ model: string, isText: boolean }} options the model that will read the columns; whether
 *   to search for lines
 * @param {Record<string, string>} headers of the request
 * @returns {Promise<Converted>}
 * @throws {InkstreamError} the server's error, or "no_connection"
 */
export async function imageLines(file, { model, isText }, headers) {
  if (isText) {
    const { body } = await request("page/columns", file, { model }, headers);
    /** @type {{ width: number, height: number, lines: PageLine[] }} */
    const { width, height, lines } = parseJson(body);
    const isPage = lines.length > 1 || lines.some((line) => lineHeight(line) < LINE_SHARE * height);
    if (isPage) {
      const page = { width, height, boxes: lines.map(({ box }) => box) };
      return { lines: lines.map(({ columns }) => decodeBase64(columns)), page, looksLikeText: false };
    }
  }
  const { body } = await request("columns", file, { model }, headers);
  const looksLikeText = !isText && Boolean(parseJson((await request("recognize", file, { model, page: "false" }, headers)).body).hint);
  return { lines: [body], page: undefined, looksLikeText };
}

/** Return the height of a line in pixels of the image. @param {PageLine} line */
function lineHeight({ box: [upperLeft = [0, 0], , , lowerLeft = [0, 0]] }) {
  return Math.hypot(lowerLeft[0] - upperLeft[0], lowerLeft[1] - upperLeft[1]);
}

/**
 * @param {"columns" | "page/columns" | "page/image" | "recognize"} call
 * @param {Blob} file
 * @param {Record<string, string>} query
 * @param {Record<string, string>} headers
 */
async function request(call, file, query, headers) {
  const answer = await fetch(`v1/${call}?${new URLSearchParams(query)}`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/octet-stream" },
    body: file,
  }).catch(() => undefined);
  const body = await answer?.arrayBuffer().catch(() => undefined);
  if (answer === undefined || body === undefined) {
    throw new InkstreamError("no_connection", "the server does not answer");
  }
  if (answer.ok) return { body: new Uint8Array(body), headers: answer.headers };
  throw parseError(body, answer.status);
}

/** @param {BufferSource} body @returns {any} */
function parseJson(body) {
  return JSON.parse(new TextDecoder().decode(body));
}

/** Parse an error's body, which a proxy may have written. @param {BufferSource} body @param {number} status */
function parseError(body, status) {
  try {
    const { code, message } = parseJson(body).error;
    return new InkstreamError(code, message);
  } catch {
    return new InkstreamError("internal", t("The server's answer was {status}. Try again later.", { status }));
  }
}

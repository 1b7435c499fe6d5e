/**
 * Files that are chosen, dropped or pasted: images, PDF, backups, and ink of other programs (InkML, or the JSON
 * lines that `inkstream train hand` reads).
 *
 * @import { Point } from "../client/protocol.d.ts"
 */

import { ROW_HEIGHT } from "./document.js";
import { element } from "./dom.js";

const MARGIN = 0.1; // of the height of a line: above and below the ink

/** What a file is taken for. @typedef {"image" | "pdf" | "text"} FileKind */

/** Call a function with the files that the user gives, all of them at once. @param {(files: File[]) => unknown} take */
export function listenForFiles(take) {
  const field = element("file", HTMLInputElement);
  for (const id of ["image", "import"]) element(id, HTMLElement).addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    const files = [...(field.files ?? [])];
    field.value = ""; // else choosing the same file again would raise no event
    take(files);
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    take([...(event.dataTransfer?.files ?? [])]);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) take([...event.clipboardData.files]);
  });
}

/** Tell what a file is, by its beginning; undefined for a folder. @param {File} file @returns {Promise<FileKind | undefined>} */
export async function kindOf(file) {
  const beginning = await file.slice(0, 512).arrayBuffer().catch(() => undefined);
  if (beginning === undefined) return undefined;
  const bytes = new Uint8Array(beginning);
  if (String.fromCharCode(...bytes.subarray(0, 5)) === "%PDF-") return "pdf";
  const isText = bytes.every((byte) => byte > 31 || [9, 10, 13].includes(byte));
  return isText && !file.type.startsWith("image/") ? "text" : "image";
}

/** @typedef {Point[][]} Strokes */

/**
 * Read a file of ink: a line of strokes for each of its lines, fitted into the height of a line.
 *
 * @param {string} text
 * @returns {Strokes[]}
 * @throws {SyntaxError} if it is neither
 */
export function readInk(text) {
  const lines = text.trimStart().startsWith("<") ? readInkml(text) : readJsonLines(text);
  return lines.filter((strokes) => strokes.flat().length > 0).map(fit);
}

/** @param {string} text @returns {Strokes[]} */
function readJsonLines(text) {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      /** @type {{ strokes?: Strokes }} */
      const { strokes } = JSON.parse(line);
      const isInk = strokes?.every?.((points) => Array.isArray(points) && points.every(isPoint));
      if (strokes === undefined || !isInk) throw new SyntaxError("a line has no strokes");
      return strokes.map((points) => points.map(([x, y]) => /** @type {Point} */ ([x, y])));
    });
}

/** Read traces of x and y, a line for each group of traces. @param {string} text @returns {Strokes[]} */
function readInkml(text) {
  const groups = [...text.matchAll(/<traceGroup\b[^>]*>(.*?)<\/traceGroup>/gsu)].map(([, inner = ""]) => inner);
  return (groups.length > 0 ? groups : [text]).map((group) =>
    [...group.matchAll(/<trace\b[^>]*>(.*?)<\/trace>/gsu)].map(([, trace = ""]) =>
      trace.split(",").map((numbers) => {
        const [x, y] = numbers.trim().split(/\s+/u).map(Number);
        if (!isPoint([x, y])) throw new SyntaxError("a trace has other values than numbers");
        return /** @type {Point} */ ([x, y]);
      }),
    ),
  );
}

/** @param {unknown} point @returns {boolean} */
function isPoint(point) {
  return Array.isArray(point) && Number.isFinite(point[0]) && Number.isFinite(point[1]);
}

/** Move and scale strokes into a line of the paper. @param {Strokes} strokes @returns {Strokes} */
function fit(strokes) {
  const points = strokes.flat();
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const least = (/** @type {number[]} */ values) => values.reduce((one, other) => Math.min(one, other));
  const most = (/** @type {number[]} */ values) => values.reduce((one, other) => Math.max(one, other));
  const [left, top, height] = [least(xs), least(ys), most(ys) - least(ys)];
  const margin = MARGIN * ROW_HEIGHT;
  const scale = (ROW_HEIGHT - 2 * margin) / Math.max(height, (most(xs) - left) / 20, 1e-6); // a dash stays small
  const down = margin + (ROW_HEIGHT - 2 * margin - scale * height) / 2;
  return strokes.map((stroke) =>
    stroke.map(([x, y]) => /** @type {Point} */ ([margin + scale * (x - left), down + scale * (y - top)])),
  );
}

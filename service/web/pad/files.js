/**
 * Files that are chosen, dropped or pasted: images, PDF, backups, and ink of other programs (InkML, or the JSON
 * lines that `inkstream train hand` reads).
 *
 * @import { Point } from "../client/protocol.d.ts"
 * @import { InkStroke } from "./document.js"
 * @import { Colour } from "./strokes.js"
 */

import { ROW_HEIGHT } from "./document.js";
import { element } from "./dom.js";
import { INKS, boxOf } from "./strokes.js";

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

/** A stroke of a file. @typedef {Omit<InkStroke, "id">} Stroke */

/**
 * Read a file of ink: a line of strokes for each of its lines, fitted into the height of a line.
 *
 * @param {string} text
 * @returns {Stroke[][]}
 * @throws {SyntaxError} if it is neither
 */
export function readInk(text) {
  const lines = text.trimStart().startsWith("<") ? readInkml(text) : readJsonLines(text);
  return lines.filter((strokes) => strokes.some(({ points }) => points.length > 0)).map(fit);
}

/** @param {string} text @returns {Stroke[][]} */
function readJsonLines(text) {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      /** @type {{ strokes?: number[][][] }} */
      const { strokes } = JSON.parse(line);
      if (!Array.isArray(strokes) || !strokes.every(Array.isArray)) throw new SyntaxError("a line has no strokes");
      return strokes.map((values) => strokeOf(values));
    });
}

/** Read traces, a line for each outer group of them. @param {string} text @returns {Stroke[][]} */
function readInkml(text) {
  const ink = new DOMParser().parseFromString(text, "application/xml");
  if (ink.querySelector("parsererror") !== null) throw new SyntaxError("this is no XML");
  const groups = [...ink.querySelectorAll("traceGroup")].filter(({ parentElement }) => !parentElement?.closest("traceGroup"));
  const channels = [...ink.querySelectorAll("traceFormat > channel")].map((channel) => channel.getAttribute("name"));
  return (groups.length > 0 ? groups : [ink]).map((group) =>
    [...group.querySelectorAll("trace")].map((trace) => {
      const points = (trace.textContent ?? "").split(",").map((point) => point.split(":").map((part) => part.trim().split(/\s+/u).map(Number)));
      const colour = /** @type {Colour} */ (trace.getAttribute("brushRef")?.slice(1));
      const force = channels.indexOf("F");
      const stroke = strokeOf(points.map(([values = []]) => values), force);
      const times = points.map(([, [time = NaN] = []]) => time);
      return { ...stroke, ...(times.every(Number.isFinite) && { times }), ...(colour in INKS && { colour }) };
    }),
  );
}

/** Return a stroke of points that begin with x and y. @param {readonly number[][]} values of each @param {number} [force] which of them is the pressure */
function strokeOf(values, force = -1) {
  const points = values.map(([x, y]) => {
    if (!Number.isFinite(x) || !Number.isFinite(y)) throw new SyntaxError("a point has other values than numbers");
    return /** @type {Point} */ ([x, y]);
  });
  return { points, pressures: values.map((each) => each[force] || 0.5) };
}

/** Move and scale strokes into a line of the paper. @param {Stroke[]} strokes @returns {Stroke[]} */
function fit(strokes) {
  const { left, right, top, bottom } = boxOf(strokes.flatMap(({ points }) => points));
  const margin = MARGIN * ROW_HEIGHT;
  const scale = (ROW_HEIGHT - 2 * margin) / Math.max(bottom - top, (right - left) / 20, 1e-6); // a dash stays small
  const down = margin + (ROW_HEIGHT - 2 * margin - scale * (bottom - top)) / 2;
  return strokes.map((stroke) => ({
    ...stroke,
    points: stroke.points.map(([x, y]) => /** @type {Point} */ ([margin + scale * (x - left), down + scale * (y - top)])),
  }));
}

/**
 * Ink from other programs: the JSON lines that `inkstream train hand` reads, and InkML.
 *
 * @import { Point } from "../client/protocol.d.ts"
 */

import { ROW_HEIGHT } from "./document.js";

const MARGIN = 0.1; // of the height of a line: above and below the ink

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

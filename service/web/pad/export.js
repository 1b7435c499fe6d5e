/**
 * The document in other formats.
 *
 * @import { PadDocument } from "./document.js"
 * @import { Point } from "../client/protocol.d.ts"
 */

import { ROW_HEIGHT, right } from "./document.js";

const MARGIN = 16; // around the drawing, CSS pixels
const PEN_WIDTH = 2.2;

/** @typedef {{ name: string, type: string, text: string }} File */

/** Return a document as a file. @param {PadDocument} pad @param {string} format @returns {File} */
export function exported(pad, format) {
  switch (format) {
    case "markdown":
      return { name: "document.md", type: "text/markdown", text: markdown(pad) };
    case "svg":
      return { name: "document.svg", type: "image/svg+xml", text: svg(pad) };
    case "inkml":
      return { name: "document.inkml", type: "application/inkml+xml", text: inkml(pad) };
    case "jsonl":
      return { name: "my_hand.jsonl", type: "application/jsonl", text: jsonLines(pad) };
    default:
      return { name: "document.txt", type: "text/plain", text: `${pad.wholeText}\n` };
  }
}

/** Return the text as Markdown: each line ends in a line break. @param {PadDocument} pad */
function markdown(pad) {
  const lines = pad.wholeText.split("\n").map((line) => line.replace(/[\\`*_[\]<>]/gu, "\\$&").replace(/^([#>+-]|\d+[.)])(?=\s)/u, "\\$1"));
  return `${lines.join("  \n")}\n`;
}

/** Return the lines with ink and text, as `inkstream train hand --data` reads them. @param {PadDocument} pad */
function jsonLines(pad) {
  return pad.lines
    .map((line) => ({
      label: pad.text(line).trim(),
      height: ROW_HEIGHT,
      strokes: line.strokes.map(({ points }) => points.map(([x, y]) => [round(x), round(y)])),
    }))
    .filter(({ label, strokes }) => label !== "" && strokes.length > 0)
    .map((line) => `${JSON.stringify(line)}\n`)
    .join("");
}

/** Return the size of the drawing. @param {PadDocument} pad */
export function drawingSize(pad) {
  const inked = pad.lines.filter(({ strokes }) => strokes.length > 0);
  return {
    width: Math.ceil(Math.max(0, ...inked.map(right))) + 2 * MARGIN,
    height: (Math.max(-1, ...inked.map(({ row }) => row)) + 1) * ROW_HEIGHT + 2 * MARGIN,
  };
}

/** Return the ink as a drawing (SVG 1.1). @param {PadDocument} pad */
export function svg(pad) {
  const { width, height } = drawingSize(pad);
  const paths = pad.lines.flatMap((line) =>
    line.strokes.map(({ points }) => {
      const [first = [0, 0]] = points;
      const all = points.length === 1 ? [first, first] : points;
      return `<path d="M${all.map((point) => numbers(point, line.row)).join("L")}"/>`;
    }),
  );
  const style = `fill="none" stroke="#1b2430" stroke-width="${PEN_WIDTH}" stroke-linecap="round" stroke-linejoin="round"`;
  const group = `<g transform="translate(${MARGIN} ${MARGIN})" ${style}>\n${paths.join("\n")}\n</g>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">\n<title>${escaped(pad.wholeText)}</title>\n${group}\n</svg>\n`;
}

/** Return the ink as InkML (W3C 2011): a group of traces for each line, with its text. @param {PadDocument} pad */
function inkml(pad) {
  const groups = pad.lines
    .filter(({ strokes }) => strokes.length > 0)
    .map((line) => {
      const traces = line.strokes.map(
        ({ points }) => `<trace>${points.map((point) => numbers(point, line.row)).join(", ")}</trace>`,
      );
      const text = `<annotation type="truth">${escaped(pad.text(line))}</annotation>`;
      return `<traceGroup>\n${text}\n${traces.join("\n")}\n</traceGroup>`;
    });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<ink xmlns="http://www.w3.org/2003/InkML">\n${groups.join("\n")}\n</ink>\n`;
}

/** @param {Point} point @param {number} row */
function numbers([x, y], row) {
  return `${round(x)} ${round(y + row * ROW_HEIGHT)}`;
}

/** @param {number} value */
function round(value) {
  return Math.round(100 * value) / 100;
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/&/gu, "&amp;").replace(/</gu, "&lt;").replace(/>/gu, "&gt;");
}

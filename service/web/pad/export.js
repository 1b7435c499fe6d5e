/**
 * The document in other formats.
 *
 * @import { DocumentLine, InkStroke, PadDocument } from "./document.js"
 */

import { BASELINE, IMAGE_LEFT, IMAGE_TOP, ROW_HEIGHT, TEXT_SIZE, right, typedText } from "./document.js";
import { bitmapOf } from "./line_images.js";
import { INKS, drawCurve } from "./strokes.js";

const MARGIN = 16; // around the drawing, CSS pixels
const PEN_WIDTH = 2.2;

/** @typedef {{ name: string, type: string, text: string }} File */

/** Return a document as a file. @param {PadDocument} pad @param {string} format @returns {File} */
export function exported(pad, format) {
  switch (format) {
    case "markdown":
      return { name: "document.md", type: "text/markdown", text: markdown(pad) };
    case "svg":
      return { name: "document.svg", type: "image/svg+xml", text: svg(pad.lines, pad.wholeText) };
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

/** Return the size of a drawing, CSS pixels. @param {readonly DocumentLine[]} lines */
function drawingSize(lines) {
  return {
    width: Math.ceil(Math.max(0, ...lines.map(right))) + 2 * MARGIN,
    height: (Math.max(-1, ...lines.map(({ row }) => row)) + 1) * ROW_HEIGHT + 2 * MARGIN,
  };
}

/** Return the paths of a line's ink (SVG 1.1), and their colours. @param {DocumentLine} line */
function paths({ strokes, row }) {
  return strokes.map(({ points, colour = "black" }) => {
    let path = "";
    const add = (/** @type {string} */ letter) => (/** @type {number[]} */ ...numbers) => void (path += letter + numbers.map(round).join(" "));
    const pen = { moveTo: add("M"), lineTo: add("L"), quadraticCurveTo: add("Q") };
    drawCurve(pen, points, 0, points.length, ([x, y]) => [x, y + row * ROW_HEIGHT]);
    return { path, colour: INKS[colour].onWhite };
  });
}

/** Return lines as a drawing (SVG 1.1). @param {readonly DocumentLine[]} lines @param {string} title */
function svg(lines, title) {
  const { width, height } = drawingSize(lines);
  const parts = lines.flatMap((line) => [
    ...(line.image === undefined
      ? []
      : [`<image x="${IMAGE_LEFT}" y="${line.row * ROW_HEIGHT + IMAGE_TOP}" width="${line.image.width}" height="${line.image.height}" href="data:image/jpeg;base64,${line.image.jpeg}"/>`]),
    ...(typedText(line) === ""
      ? []
      : [`<text x="${IMAGE_LEFT}" y="${(line.row + BASELINE) * ROW_HEIGHT}" font-family="serif" font-size="${TEXT_SIZE}" fill="${INKS.black.onWhite}">${escaped(typedText(line))}</text>`]),
    ...paths(line).map(({ path, colour }) => `<path stroke="${colour}" d="${path}"/>`),
  ]);
  const style = `fill="none" stroke-width="${PEN_WIDTH}" stroke-linecap="round" stroke-linejoin="round"`;
  const group = `<g transform="translate(${MARGIN} ${MARGIN})" ${style}>\n${parts.join("\n")}\n</g>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">\n<title>${escaped(title)}</title>\n${group}\n</svg>\n`;
}

/** Return the document as an image, dark on white. @param {PadDocument} pad @returns {Promise<Blob>} */
export async function png(pad) {
  const { width, height } = drawingSize(pad.lines);
  const canvas = new OffscreenCanvas(2 * width, 2 * height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(2, 2);
  context.translate(MARGIN, MARGIN);
  context.lineWidth = PEN_WIDTH;
  context.lineCap = context.lineJoin = "round";
  for (const line of pad.lines) {
    const bitmap = line.image && bitmapOf(line.image);
    if (line.image && bitmap) context.drawImage(bitmap, IMAGE_LEFT, line.row * ROW_HEIGHT + IMAGE_TOP, line.image.width, line.image.height);
    context.fillStyle = INKS.black.onWhite;
    context.font = `${TEXT_SIZE}px serif`;
    context.fillText(typedText(line), IMAGE_LEFT, (line.row + BASELINE) * ROW_HEIGHT);
    for (const { path, colour } of paths(line)) {
      context.strokeStyle = colour;
      context.stroke(new Path2D(path));
    }
  }
  return canvas.convertToBlob();
}

/** Return the document as it is printed: each line whole, its text beneath. @param {PadDocument} pad @returns {HTMLElement[]} */
export function printout(pad) {
  return pad.lines.map((line) => {
    const item = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = pad.text(line);
    const bitmap = line.image && bitmapOf(line.image);
    if (bitmap) {
      const canvas = document.createElement("canvas"); // an image element would need a policy that allows it
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      canvas.style.width = `${line.image?.width}px`;
      canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
      item.append(canvas);
    } else if (line.strokes.length > 0) {
      const drawing = new DOMParser().parseFromString(svg([{ ...line, row: 0 }], ""), "image/svg+xml");
      item.append(document.importNode(drawing.documentElement, true));
    }
    item.append(caption);
    return item;
  });
}

/** Return the ink as InkML (W3C 2011): a group of traces for each line, with its text; pressure, and time if it is known. @param {PadDocument} pad */
function inkml(pad) {
  const point = (/** @type {InkStroke} */ { points, pressures, times }, /** @type {number} */ row) =>
    points.map(([x, y], i) => {
      const values = [x, y + row * ROW_HEIGHT, pressures[i] ?? 0.5].map(round).join(" ");
      return times === undefined ? values : `${values}:${times[i]}`;
    });
  const groups = pad.lines
    .filter(({ strokes }) => strokes.length > 0)
    .map((line) => {
      const traces = line.strokes.map((stroke) => `<trace brushRef="#${stroke.colour ?? "black"}">${point(stroke, line.row).join(", ")}</trace>`);
      const text = `<annotation type="truth">${escaped(pad.text(line))}</annotation>`;
      return `<traceGroup>\n${text}\n${traces.join("\n")}\n</traceGroup>`;
    });
  const brushes = Object.entries(INKS).map(([name, { onWhite }]) => `<brush xml:id="${name}"><brushProperty name="color" value="${onWhite}"/></brush>`);
  return `<?xml version="1.0" encoding="UTF-8"?>
<ink xmlns="http://www.w3.org/2003/InkML">
<definitions>
${brushes.join("\n")}
</definitions>
<context><traceFormat>
<channel name="X" type="decimal"/><channel name="Y" type="decimal"/><channel name="F" type="decimal" min="0" max="1"/>
<intermittentChannels><channel name="T" type="integer" units="ms"/></intermittentChannels>
</traceFormat></context>
${groups.join("\n")}
</ink>
`;
}

/** @param {number} value */
function round(value) {
  return Math.round(100 * value) / 100;
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/&/gu, "&amp;").replace(/</gu, "&lt;").replace(/>/gu, "&gt;");
}

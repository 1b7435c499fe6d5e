/** Counts the drawings that strike out the word they are meant for, and the strokes of writing taken for gestures. */

import { readFileSync } from "node:fs";

import { PadDocument } from "../../../../service/web/pad/document.js";
import { roomFor, struckOut, tapped } from "../../../../service/web/pad/gestures.js";

/** @import { Point } from "../../../../service/web/client/protocol.d.ts" */

/** Return strokes as a line whose ids count from 0. @param {Point[][]} strokes */
function lineOf(strokes) {
  const numbered = strokes.map((points, id) => ({ id, points, pressures: [] }));
  return { id: 1, row: 0, reads: /** @type {const} */ ("text"), strokes: numbered, correction: null };
}

/** Return the left and the right end of strokes. @param {{ points: readonly Point[] }[]} strokes */
function ends(strokes) {
  const xs = strokes.flatMap(({ points }) => points.map(([x]) => x));
  return [Math.min(...xs), Math.max(...xs)];
}

/** Return whether room was made for what was written between words, and only there. @param {{ before: Point[][], after: Point[][], drawn: Point[][] }} insertion */
function isInserted({ before, after, drawn }) {
  const pad = new PadDocument("");
  const id = pad.takeId();
  let isCaret = false;
  /** @type {Point[][]} */
  const written = [];
  const add = (/** @type {Point[]} */ points, /** @type {ReturnType<typeof roomFor>} */ room = undefined) => {
    isCaret ||= room?.isCaret ?? false;
    pad.addStroke({ id: pad.takeId(), points, pressures: [] }, { id, row: 0 }, undefined, room);
  };
  for (const points of [...before, ...after]) add(points);
  for (const points of drawn) {
    const ink = pad.line(id)?.strokes.slice(0, before.length + after.length) ?? [];
    written.push(points);
    add(points, roomFor(written, ink));
  }
  const { strokes = [] } = pad.line(id) ?? {};
  const [left, right, word] = [strokes.slice(0, before.length), strokes.slice(before.length, before.length + after.length), strokes.slice(before.length + after.length)];
  const moved = right.map(({ points }, i) => (points[0]?.[0] ?? 0) - (after[i]?.[0]?.[0] ?? 0));
  const isTogether = moved.every((by) => by > 0 && Math.abs(by - (moved[0] ?? 0)) < 1e-6);
  const isKept = left.every(({ points }, i) => points === before[i]);
  return isTogether && isKept && (isCaret ? word.length === 0 : (ends(word)[1] ?? 0) + 9 < (ends(right)[0] ?? 0));
}

/** @type {{ insertions: Record<string, { before: Point[][], after: Point[][], drawn: Point[][] }[]>, drawings: Record<string, { words: Point[][][], word: number, drawn: Point[] }[]>, pages: Point[][][][] }} */
const { insertions, drawings, pages } = JSON.parse(readFileSync(0, "utf8"));
/** @type {Record<string, number>} */
const counts = {};
for (const [kind, all] of Object.entries(drawings)) {
  counts[kind] = all.filter(({ words, word, drawn }) => {
    const struck = struckOut(drawn, 0, [lineOf(words.flat())], true);
    const first = words.slice(0, word).flat().length;
    const meant = words[word]?.length ?? 0;
    const right = [...struck].filter((id) => first <= id && id < first + meant).length;
    return right === struck.size && right >= 0.8 * meant; // a dot may stay
  }).length;
}
for (const [kind, all] of Object.entries(insertions)) counts[kind] = all.filter(isInserted).length;
counts["mistaken"] = counts["tapped"] = counts["moved"] = 0;
for (const page of pages) {
  const all = page.flat();
  all.forEach((points, i) => {
    const before = [lineOf(all.slice(0, i))];
    if (struckOut(points, 0, before, false).size > 0) counts["mistaken"] += 1;
    if (tapped(points, 0, before) !== undefined) counts["tapped"] += 1;
  });
  for (const line of page) {
    line.forEach((points, i) => {
      if (roomFor([points], lineOf(line.slice(0, i)).strokes) !== undefined) counts["moved"] += 1;
    });
  }
}
process.stdout.write(JSON.stringify(counts));

/** Counts the drawings that strike out the word they are meant for, and the strokes of writing taken for gestures. */

import { readFileSync } from "node:fs";

import { struckOut, tapped } from "../../../../service/web/pad/gestures.js";

/** @import { Point } from "../../../../service/web/client/protocol.d.ts" */

/** Return strokes as a line whose ids count from 0. @param {Point[][]} strokes */
function lineOf(strokes) {
  const numbered = strokes.map((points, id) => ({ id, points, pressures: [] }));
  return { id: 1, row: 0, reads: /** @type {const} */ ("text"), strokes: numbered, correction: null };
}

/** @type {{ drawings: Record<string, { words: Point[][][], word: number, drawn: Point[] }[]>, pages: Point[][][] }} */
const { drawings, pages } = JSON.parse(readFileSync(0, "utf8"));
/** @type {Record<string, number>} */
const counts = {};
for (const [kind, all] of Object.entries(drawings)) {
  counts[kind] = all.filter(({ words, word, drawn }) => {
    const struck = struckOut(drawn, 0, [lineOf(words.flat())]);
    const first = words.slice(0, word).flat().length;
    const meant = words[word]?.length ?? 0;
    const right = [...struck].filter((id) => first <= id && id < first + meant).length;
    return right === struck.size && right >= 0.8 * meant; // a dot may stay
  }).length;
}
counts["mistaken"] = counts["tapped"] = 0;
for (const page of pages) {
  page.forEach((points, i) => {
    if (struckOut(points, 0, [lineOf(page.slice(0, i))]).size > 0) counts["mistaken"] += 1;
    if (tapped(points, 0, [lineOf(page.slice(0, i))]) !== undefined) counts["tapped"] += 1;
  });
}
process.stdout.write(JSON.stringify(counts));

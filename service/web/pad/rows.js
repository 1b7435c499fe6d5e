/**
 * Rows of the paper: which of them a stroke belongs to. Writing may be slanted, cross the rules, or stand in
 * rows that are closer together than the rules.
 *
 * @import { Point } from "../client/protocol.d.ts"
 * @import { DocumentLine } from "./document.js"
 */

import { boxOf } from "./box.js";
import { ROW_HEIGHT } from "./document.js";

const NEAR = 0.5 * ROW_HEIGHT; // ink so far to the left or right of a stroke shows where its row runs
const AHEAD = 4 * ROW_HEIGHT; // the same, to the left in the row that was written in last
const ABOVE = 0.35 * ROW_HEIGHT; // so far above a row's ink the middle of a stroke may lie, as that of a dot
const BELOW = 0.2 * ROW_HEIGHT; // and so far below it

const MARK = 0.1 * ROW_HEIGHT; // lower ink is a dot or a dash, which does not show how far its row goes down,
const LETTER = 0.5 * ROW_HEIGHT; // so it counts as so high

/** Where the ink of a row lies near a stroke. @typedef {{ top: number, bottom: number, middle: number }} Band */

/**
 * Return the row that a stroke belongs to: where there is ink near it, the row whose ink it lies beside, or
 * else the next one above or below; where there is none, the row between whose rules its middle lies.
 *
 * @param {readonly Point[]} points of the stroke, y from the top of the paper
 * @param {readonly DocumentLine[]} lines
 * @param {number} activeRow that was written in last
 * @returns {number}
 */
export function findRow(points, lines, activeRow) {
  const { left, right, top, bottom } = boxOf(points);
  const middle = (top + bottom) / 2;
  const bands = bandsNear(left, right, lines, activeRow);
  const beside = [...bands].filter(([, band]) => band.top - ABOVE <= middle && middle <= band.bottom + BELOW);
  const [nearest] = beside.sort(([, one], [, other]) => Math.abs(one.middle - middle) - Math.abs(other.middle - middle));
  if (nearest !== undefined) return nearest[0];
  const row = Math.max(0, Math.floor(middle / ROW_HEIGHT));
  const step = middle > (bands.get(row)?.middle ?? 0) ? 1 : -1;
  let free = row;
  while (free >= 0 && bands.has(free)) free += step;
  return free < 0 ? row : free;
}

/**
 * Return where the ink of each row lies near a stroke.
 *
 * @param {number} left
 * @param {number} right
 * @param {readonly DocumentLine[]} lines
 * @param {number} activeRow
 */
function bandsNear(left, right, lines, activeRow) {
  /** @type {Map<number, number[]>} */
  const ys = new Map();
  for (const { row, strokes } of lines) {
    const [from, to] = [left - (row === activeRow ? AHEAD : NEAR), right + NEAR];
    const ofRow = ys.get(row) ?? [];
    for (const { points } of strokes) {
      const box = boxOf(points);
      if (box.right < from || box.left > to) continue;
      for (const [x, y] of points) if (from <= x && x <= to) ofRow.push(y + row * ROW_HEIGHT);
    }
    if (ofRow.length > 0) ys.set(row, ofRow);
  }
  return new Map([...ys].map(([row, ofRow]) => [row, bandOf(ofRow)]));
}

/** @param {readonly number[]} ys @returns {Band} */
function bandOf(ys) {
  const { top, bottom } = boxOf(ys.map((y) => [0, y]));
  const middle = ys.reduce((sum, y) => sum + y, 0) / ys.length;
  return { top, bottom: bottom - top < MARK ? top + LETTER : bottom, middle };
}

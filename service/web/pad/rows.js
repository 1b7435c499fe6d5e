/**
 * Rows of the paper: which of them a stroke belongs to. Writing may be slanted, cross the rules, or stand in
 * rows that are closer together than the rules.
 *
 * @import { Point } from "../client/protocol.d.ts"
 * @import { DocumentLine, InkStroke } from "./document.js"
 */

import { boxOf } from "./strokes.js";
import { ROW_HEIGHT } from "./document.js";

const NEAR = 0.5 * ROW_HEIGHT; // ink so far to the left or right of a stroke shows where its row runs
const AHEAD = 4 * ROW_HEIGHT; // the same, to the left in the row that was written in last
const ABOVE = 0.35 * ROW_HEIGHT; // so far above a row's ink the middle of a stroke may lie, as that of a dot
const BELOW = 0.2 * ROW_HEIGHT; // and so far below it

const MARK = 0.1 * ROW_HEIGHT; // lower ink is a dot or a dash, which does not show how far its row goes down,
const BAR = { height: 0.2 * ROW_HEIGHT, width: ROW_HEIGHT }; // of the top bar of an F, at most, or of a dot
const REACH = 0.25 * ROW_HEIGHT; // from a bar or a dot to the ink of its letter
const ELSEWHERE = 2; // ink of a row that was not written in last seems so many times as far
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
  if (isBar(points)) {
    const touched = rowOfNearestInk(points, lines, activeRow);
    if (touched !== undefined) return touched;
  }
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

/** Return whether a stroke may be a bar or a dot of a letter. @param {readonly Point[]} points */
function isBar(points) {
  const { left, right, top, bottom } = boxOf(points);
  return bottom - top < BAR.height && right - left < BAR.width;
}

/**
 * Return the newest stroke if it is a bar or a dot that was put into another row, and belongs to the letter
 * that a stroke now goes on with: the top bar of an F is often drawn before its stem.
 *
 * @param {readonly Point[]} points of the stroke, y from the top of the paper
 * @param {number} row of it
 * @param {readonly DocumentLine[]} lines without it
 * @returns {{ line: DocumentLine, stroke: InkStroke } | undefined}
 */
export function barBefore(points, row, lines) {
  const all = lines.flatMap((line) => line.strokes.map((stroke) => ({ line, stroke })));
  const newest = all.reduce((one, other) => (other.stroke.id > one.stroke.id ? other : one), all[0] ?? { line: undefined, stroke: { id: 0 } });
  if (newest.line === undefined || newest.line.row === row) return undefined;
  const bar = /** @type {{ line: DocumentLine, stroke: InkStroke }} */ (newest);
  const onPaper = bar.stroke.points.map(([x, y]) => /** @type {Point} */ ([x, y + bar.line.row * ROW_HEIGHT]));
  if (!isBar(onPaper)) return undefined;
  const letter = { ...bar.line, row: 0, strokes: [{ id: 0, points, pressures: [] }] };
  const others = bar.line.strokes.filter((stroke) => stroke !== bar.stroke);
  const gap = gapTo(onPaper, letter);
  return gap < REACH && gap < gapTo(onPaper, { ...bar.line, strokes: others }) ? bar : undefined;
}

/** Return how far a stroke is from the ink of a line. @param {readonly Point[]} points @param {DocumentLine} line */
function gapTo(points, { row, strokes }) {
  let least = Infinity;
  for (const [x, y] of strokes.flatMap((stroke) => stroke.points)) {
    for (const [atX, atY] of points) least = Math.min(least, Math.hypot(x - atX, y + row * ROW_HEIGHT - atY));
  }
  return least;
}

/**
 * Return the row whose ink a bar or a dot lies at: it may be closer to the middle of another row.
 *
 * @param {readonly Point[]} points of the stroke, y from the top of the paper
 * @param {readonly DocumentLine[]} lines
 * @param {number} activeRow
 * @returns {number | undefined} undefined if there is none within reach
 */
function rowOfNearestInk(points, lines, activeRow) {
  const gaps = lines.map((line) => ({ row: line.row, gap: gapTo(points, line) * (line.row === activeRow ? 1 : ELSEWHERE) }));
  const [nearest] = gaps.filter(({ gap }) => gap < REACH).sort((one, other) => one.gap - other.gap);
  return nearest?.row;
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

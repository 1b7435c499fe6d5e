/**
 * Gestures on ink: a stroke that goes back and forth over it, in any direction, or a bar through a word removes
 * what it strikes out; a tap on ink chooses its word.
 *
 * @import { Point } from "../client/protocol.d.ts"
 * @import { DocumentLine, InkStroke } from "./document.js"
 */

import { boxOf, distance } from "./strokes.js";
import { ROW_HEIGHT } from "./document.js";

const MIN_LEGS = 3; // from side to side
const MIN_LEG = 0.2; // length of a leg, in heights of a line
const MIN_SHARED = 0.5; // of the stroke's width: so much of it each leg goes over
const MIN_COVERED = 0.6; // of a stroke's points: so many lie within the scratch
const MIN_FILLED = 0.5; // of a scratch's width and height: so much of them has ink that it covers
const AXES = 12; // directions in which a stroke may go back and forth

const FLAT = 0.22; // height of a bar, of its width
const MIN_WIDTH = 0.35; // of a bar, in heights of a line: that of a small t is shorter
const WITHIN = 0.6; // of a word's width: so much of it a bar goes through
const [HIGHEST, LOWEST] = [0, 1]; // of the height of small letters, where a bar goes through: above is that of a t, below an underline
const BODY = [0.2, 0.85]; // shares of a word's points between which its small letters lie
const MIN_CROSSED = 3; // times that a bar crosses the ink: it may cross a letter by chance
const NEAR = 0.5 * ROW_HEIGHT; // from a bar to the ink of the words that it may strike out
const GAP = 0.2 * ROW_HEIGHT; // between words
const MIN_STRUCK = 0.6; // of a bar's width: so much of it has ink

const TAP = 4; // CSS pixels that a tap may move
const REACH = 4; // the same, from a tap to the ink that is meant

/**
 * Return the stroke that another one only touches, and its line; undefined if it is writing.
 *
 * @param {readonly Point[]} points of the other stroke, y from the top of its row
 * @param {number} row
 * @param {readonly DocumentLine[]} lines
 * @returns {{ line: number, stroke: number } | undefined} their ids
 */
export function tapped(points, row, lines) {
  const [[x, y] = [0, 0]] = points;
  if (points.some(([toX, toY]) => Math.hypot(toX - x, toY - y) > TAP)) return undefined;
  const near = lines.flatMap(({ id: line, row: of, strokes }) => {
    const at = /** @type {Point} */ ([x, y + (row - of) * ROW_HEIGHT]);
    return strokes.map((stroke) => ({ line, stroke: stroke.id, away: distance(at, stroke.points) }));
  });
  return near.filter(({ away }) => away < REACH).sort((one, other) => one.away - other.away)[0];
}

/**
 * Return the ids of the strokes that a stroke strikes out; none if it is writing.
 *
 * @param {readonly Point[]} points of the stroke, y from the top of its row
 * @param {number} row
 * @param {readonly DocumentLine[]} lines
 * @returns {Set<number>}
 */
export function struckOut(points, row, lines) {
  const ink = lines.flatMap((line) => {
    const down = (line.row - row) * ROW_HEIGHT;
    return line.strokes.map(({ id, points: of }) => ({ id, points: of.map(([x, y]) => /** @type {Point} */ ([x, y + down])) }));
  });
  const struck = barred(points, ink);
  return new Set(struck.length > 0 ? struck : scratchedOut(points, ink));
}

/** @typedef {Pick<InkStroke, "id" | "points">} Ink whose y counts from the top of the gesture's row */

/** @param {readonly Point[]} points @param {readonly Ink[]} ink @returns {number[]} */
function scratchedOut(points, ink) {
  for (let axis = 0; axis < AXES; axis += 1) {
    const [cos, sin] = [Math.cos((axis * Math.PI) / AXES), Math.sin((axis * Math.PI) / AXES)];
    const turn = (/** @type {Point} */ [x, y]) => /** @type {Point} */ ([x * cos + y * sin, y * cos - x * sin]);
    const along = points.map(turn);
    const { left, right, top, bottom } = boxOf(along);
    const least = Math.max(MIN_LEG * ROW_HEIGHT, MIN_SHARED * (right - left));
    if (legs(along).filter((length) => length >= least).length < MIN_LEGS) continue;
    const isCovered = (/** @type {Ink} */ { points: of }) => {
      const within = of.map(turn).filter(([x, y]) => left <= x && x <= right && top <= y && y <= bottom);
      return within.length >= MIN_COVERED * of.length;
    };
    const covered = ink.filter(isCovered);
    const box = boxOf(covered.flatMap(({ points: of }) => of.map(turn)));
    const isFilled = box.right - box.left >= MIN_FILLED * (right - left) && box.bottom - box.top >= MIN_FILLED * (bottom - top);
    if (isFilled) return covered.map(({ id }) => id);
  }
  return [];
}

/**
 * Return the strokes that a bar strikes out: it goes through the middle of whole letters, from end to end.
 *
 * @param {readonly Point[]} points
 * @param {readonly Ink[]} ink
 * @returns {number[]}
 */
function barred(points, ink) {
  const { left, right, top, bottom } = boxOf(points);
  const width = right - left;
  if (width < MIN_WIDTH * ROW_HEIGHT || bottom - top > FLAT * width) return [];
  const beside = ink.filter(({ points: of }) => {
    const box = boxOf(of);
    return box.top < bottom + NEAR && top - NEAR < box.bottom;
  });
  const struck = piecesOf(beside).filter((piece) => {
    const box = boxOf(piece.flatMap(({ points: of }) => [...of]));
    const shared = Math.min(right, box.right) - Math.max(left, box.left);
    return shared >= WITHIN * (box.right - box.left) && box.top <= bottom && top <= box.bottom;
  });
  const inked = struck.flat().flatMap(({ points: of }) => [...of]);
  const all = boxOf(inked);
  const ys = inked.map(([, y]) => y).sort((one, other) => one - other);
  const [head = 0, foot = 0] = BODY.map((share) => ys[Math.floor(share * ys.length)]); // of small letters
  const share = ((top + bottom) / 2 - head) / (foot - head);
  const crossed = struck.flat().reduce((sum, { points: of }) => sum + crossings(points, of), 0);
  const isThrough = HIGHEST <= share && share <= LOWEST && crossed >= MIN_CROSSED;
  return isThrough && all.right - all.left >= MIN_STRUCK * width ? struck.flat().map(({ id }) => id) : [];
}

/** Return ink in pieces with gaps between them: words, or letters that stand apart. @param {readonly Ink[]} ink */
function piecesOf(ink) {
  const boxed = ink.map((stroke) => ({ stroke, box: boxOf(stroke.points) })).sort((one, other) => one.box.left - other.box.left);
  /** @type {Ink[][]} */
  const pieces = [];
  let end = -Infinity;
  for (const { stroke, box } of boxed) {
    if (box.left > end + GAP) pieces.push([]);
    pieces.at(-1)?.push(stroke);
    end = Math.max(end, box.right);
  }
  return pieces;
}

/** Return how often ink crosses a bar. @param {readonly Point[]} bar @param {readonly Point[]} points */
function crossings(bar, points) {
  const heightAt = (/** @type {number} */ x) => {
    const after = Math.max(1, bar.findIndex(([to]) => to >= x));
    const [[fromX, fromY], [toX, toY]] = /** @type {[Point, Point]} */ ([bar[after - 1], bar[after] ?? bar.at(-1)]);
    return fromY + ((toY - fromY) * (x - fromX)) / (toX - fromX || 1);
  };
  const isAbove = points.map(([x, y]) => y < heightAt(x));
  return isAbove.filter((above, i) => i > 0 && above !== isAbove[i - 1]).length;
}

/** Return how far a stroke goes before it turns, each time: to the right, to the left. @param {readonly Point[]} points */
function legs(points) {
  const lengths = [];
  const [[start] = [0]] = points;
  let [turn, furthest, direction] = [start, start, 0];
  for (const [x] of points) {
    if (direction === 0) direction = Math.sign(x - start);
    if ((x - furthest) * direction > 0) furthest = x;
    // A turn is one only if the stroke comes back by as much as half a leg: hands tremble.
    if ((furthest - x) * direction < (MIN_LEG * ROW_HEIGHT) / 2) continue;
    lengths.push(Math.abs(furthest - turn));
    [turn, furthest, direction] = [furthest, x, -direction];
  }
  lengths.push(Math.abs(furthest - turn));
  return lengths;
}

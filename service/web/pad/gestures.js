/**
 * Gestures on ink: a stroke that goes back and forth over it, in any direction, or a bar through a word removes
 * what it strikes out; a tap on ink chooses its word; a caret between two words, or what is written there, makes
 * room.
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
const BODY = { head: 0.2, foot: 0.85 }; // shares of a word's points between which its small letters lie
const MIN_CROSSED = { rested: 2, writing: 3 }; // times that a bar crosses the ink: that of a t crosses its letter, or the next one
const NEAR = 0.5 * ROW_HEIGHT; // from a bar to the ink of the words that it may strike out
const GAP = 0.2 * ROW_HEIGHT; // between words
const MIN_STRUCK = 0.6; // of a bar's width: so much of it has ink

const TAP = 4; // CSS pixels that a tap may move
const REACH = 4; // the same, from a tap to the ink that is meant

/** Return whether a stroke does not move from where it begins. @param {readonly Point[]} points */
export function isTap(points) {
  const [[x, y] = [0, 0]] = points;
  return points.every(([toX, toY]) => Math.hypot(toX - x, toY - y) <= TAP);
}

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
  if (!isTap(points)) return undefined;
  const near = lines.flatMap(({ id: line, row: of, strokes }) => {
    const at = /** @type {Point} */ ([x, y + (row - of) * ROW_HEIGHT]);
    return strokes.map((stroke) => ({ line, stroke: stroke.id, away: distance(at, stroke.points) }));
  });
  return near.filter(({ away }) => away < REACH).sort((one, other) => one.away - other.away)[0];
}

const OVERLAP = 0.05 * ROW_HEIGHT; // of what is written in a gap with the word before it
const MIN_HEIGHT = 0.1; // of what is no dot, of the height of small letters
const SLOPE = 0.1; // height of what is no underline, of its width
const WITHIN_GAP = 0.12 * ROW_HEIGHT; // from its beginning to the next word: a bar of its letters begins nearer
const MIN_AFTER = 0.25 * ROW_HEIGHT; // width of what moves: less of it belongs to the same letter
const SPARE = 0.5 * ROW_HEIGHT; // in front of the next word, for the next letter
const ROOM = { letter: 1.25 * ROW_HEIGHT, caret: 2 * ROW_HEIGHT }; // that is made
const CARET = { least: 0.1, most: 0.7, straight: 1.8, foot: 0.5, apart: 0.3, below: 0.15 };

/** Room for ink: the strokes with these ids move to the right. @typedef {{ ids: ReadonlySet<number>, by: number, isCaret: boolean }} Room */

/**
 * Return the room that ink between two words of a line asks for: a caret, or letters in front of whose
 * successor there is none.
 *
 * @param {readonly (readonly Point[])[]} written strokes since the pen has rested, the newest one last
 * @param {readonly Ink[]} ink that the line had before
 * @returns {Room | undefined} undefined if it is writing that needs no room
 */
export function roomFor(written, ink) {
  const { left, right, top, bottom } = boxOf(written.flat());
  const pieces = piecesOf(ink);
  const points = (/** @type {readonly Ink[]} */ piece) => piece.flatMap(({ points: of }) => [...of]);
  const caret = written.length === 1 && isCaret(/** @type {Point[]} */ (written[0]));
  const middle = (left + right) / 2;
  const next = pieces.findIndex((piece) => boxOf(points(piece)).left > (caret ? middle : left));
  if (next < 1) return undefined;
  const [before = [], after = []] = [pieces[next - 1], pieces.slice(next).flat()];
  const { left: from, right: end } = boxOf(points(after));
  if (boxOf(points(before)).right > middle + OVERLAP || end - from < MIN_AFTER) return undefined;
  const ids = new Set(after.map(({ id }) => id));
  const [head, foot] = bodyOf(points([...before, .../** @type {Ink[]} */ (pieces[next])]));
  if (caret && bottom > foot + CARET.below * (bottom - top) && (top + bottom) / 2 > (head + foot) / 2) return { ids, by: ROOM.caret, isCaret: true };
  const isLetter = bottom - top > Math.max(MIN_HEIGHT * (foot - head), SLOPE * (right - left)) && bottom > head && (top + bottom) / 2 < foot && from - left > WITHIN_GAP;
  return isLetter && from - right < SPARE ? { ids, by: ROOM.letter - (from - right), isCaret: false } : undefined;
}

/** Return whether a stroke goes straight up, and straight down again. @param {readonly Point[]} points */
function isCaret(points) {
  const { left, right, top, bottom } = boxOf(points);
  const [width, height] = [(right - left) / ROW_HEIGHT, (bottom - top) / ROW_HEIGHT];
  if (Math.min(width, height) < CARET.least || Math.max(width, height) > CARET.most) return false;
  const [start, end] = /** @type {[Point, Point]} */ ([points[0], points.at(-1)]);
  const apex = /** @type {Point} */ (points.find(([, y]) => y === top));
  const isApart = Math.abs(end[0] - start[0]) > CARET.apart * (right - left);
  const isFoot = Math.min(start[1], end[1]) > top + CARET.foot * (bottom - top);
  const length = (/** @type {readonly Point[]} */ of) => of.reduce((sum, [x, y], i) => sum + Math.hypot(x - (of[i - 1] ?? [x])[0], y - (of[i - 1] ?? [x, y])[1]), 0);
  return isApart && isFoot && length(points) < CARET.straight * length([start, apex, end]);
}

/** Return the top and the bottom of the small letters of some ink. @param {readonly Point[]} points @returns {[number, number]} */
function bodyOf(points) {
  const ys = points.map(([, y]) => y).sort((one, other) => one - other);
  const at = (/** @type {number} */ share) => ys[Math.floor(share * ys.length)] ?? 0;
  return [at(BODY.head), at(BODY.foot)];
}

/**
 * Return the ids of the strokes that a stroke strikes out; none if it is writing.
 *
 * @param {readonly Point[]} points of the stroke, y from the top of its row
 * @param {number} row
 * @param {readonly DocumentLine[]} lines
 * @param {boolean} isRested the pen has rested before: else the stroke may be a part of the letter before
 * @returns {Set<number>}
 */
export function struckOut(points, row, lines, isRested) {
  const ink = lines.flatMap((line) => {
    const down = (line.row - row) * ROW_HEIGHT;
    return line.strokes.map(({ id, points: of }) => ({ id, points: of.map(([x, y]) => /** @type {Point} */ ([x, y + down])) }));
  });
  const struck = barred(points, ink, isRested ? MIN_CROSSED.rested : MIN_CROSSED.writing);
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
 * @param {number} minCrossed times that it crosses them
 * @returns {number[]}
 */
function barred(points, ink, minCrossed) {
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
  const [head, foot] = bodyOf(inked);
  const share = ((top + bottom) / 2 - head) / (foot - head);
  const crossed = struck.flat().reduce((sum, { points: of }) => sum + crossings(points, of), 0);
  const isThrough = HIGHEST <= share && share <= LOWEST && crossed >= minCrossed;
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
  const along = bar.toSorted(([x], [toX]) => x - toX); // it may be drawn from right to left
  const heightAt = (/** @type {number} */ x) => {
    const after = Math.max(1, along.findIndex(([to]) => to >= x));
    const [[fromX, fromY], [toX, toY]] = /** @type {[Point, Point]} */ ([along[after - 1], along[after]]);
    return fromY + ((toY - fromY) * (x - fromX)) / (toX - fromX || 1);
  };
  const { left, right } = boxOf(bar);
  const isAbove = points.filter(([x]) => left <= x && x <= right).map(([x, y]) => y < heightAt(x));
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

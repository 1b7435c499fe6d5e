/**
 * Scratching out: a stroke that goes back and forth over ink removes what it covers.
 *
 * @import { Point } from "../client/protocol.d.ts"
 * @import { DocumentLine } from "./document.js"
 */

import { boxOf } from "./box.js";
import { ROW_HEIGHT } from "./document.js";

const MIN_LEGS = 6; // from side to side: letters have fewer that cover one another
const MIN_LEG = 0.25; // length of a leg, in heights of a line
const MIN_SHARED = 0.5; // of the stroke's width: so much of it each leg goes over
const MIN_COVERED = 0.6; // of a stroke's points: so many lie within the scratch

/**
 * Return the ids of the strokes that a stroke scratches out; none if it is writing.
 *
 * @param {readonly Point[]} points of the stroke, y from the top of its row
 * @param {number} row
 * @param {readonly DocumentLine[]} lines
 * @returns {Set<number>}
 */
export function scratchedOut(points, row, lines) {
  /** @type {Set<number>} */
  const found = new Set();
  const { left, right, top, bottom } = boxOf(points);
  const least = Math.max(MIN_LEG * ROW_HEIGHT, MIN_SHARED * (right - left));
  if (legs(points).filter((length) => length >= least).length < MIN_LEGS) return found;
  for (const line of lines) {
    for (const stroke of line.strokes) {
      const within = stroke.points.filter(([x, y]) => {
        const at = y + (line.row - row) * ROW_HEIGHT;
        return left <= x && x <= right && top <= at && at <= bottom;
      });
      if (within.length >= MIN_COVERED * stroke.points.length) found.add(stroke.id);
    }
  }
  return found;
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

/**
 * Boxes around strokes, which are kept: they are asked for with each stroke that is written.
 *
 * @import { Point } from "../client/protocol.d.ts"
 */

/** Where points lie. @typedef {{ left: number, right: number, top: number, bottom: number }} Box */

/** @type {WeakMap<readonly Point[], Box>} */
const boxes = new WeakMap();

/** Return the box around the points of a finished stroke. @param {readonly Point[]} points @returns {Box} */
export function boxOf(points) {
  const known = boxes.get(points);
  if (known !== undefined) return known;
  const box = { left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity };
  for (const [x, y] of points) {
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
  }
  boxes.set(points, box);
  return box;
}

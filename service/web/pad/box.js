/**
 * Where strokes lie. Their boxes are kept: they are asked for with each stroke that is written.
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

/** Return how far a point is from a stroke. @param {Point} at @param {readonly Point[]} points */
export function distance([x, y], points) {
  let least = Infinity;
  points.forEach(([toX, toY], i) => {
    const [fromX, fromY] = points[i - 1] ?? [toX, toY];
    const [dx, dy] = [toX - fromX, toY - fromY];
    const share = ((x - fromX) * dx + (y - fromY) * dy) / (dx * dx + dy * dy) || 0;
    const nearest = Math.min(1, Math.max(0, share));
    least = Math.min(least, Math.hypot(x - fromX - nearest * dx, y - fromY - nearest * dy));
  });
  return least;
}

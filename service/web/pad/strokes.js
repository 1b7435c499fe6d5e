/**
 * What strokes look like, and where they lie. Their boxes are kept: they are asked for with each stroke that
 * is written.
 *
 * @import { Point } from "../client/protocol.d.ts"
 */

/** The colours of ink: on the page, as a property of its style, and on white paper. */
export const INKS = {
  black: { property: "--ink", onWhite: "#1b2430" },
  blue: { property: "--accent", onWhite: "#2257d6" },
  red: { property: "--bad", onWhite: "#b42318" },
};
/** @typedef {keyof typeof INKS} Colour */

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

/** Return whether a point is inside a closed line (even-odd rule). @param {Point} at @param {readonly Point[]} line */
export function isInside([x, y], line) {
  let inside = false;
  line.forEach(([toX, toY], i) => {
    const [fromX, fromY] = /** @type {Point} */ (line.at(i - 1));
    if (toY > y !== fromY > y && x < fromX + ((y - fromY) * (toX - fromX)) / (toY - fromY)) inside = !inside;
  });
  return inside;
}

/**
 * Draw a part of a stroke: through the middles between its points, each point bending the line.
 *
 * @param {Pick<CanvasPath, "moveTo" | "lineTo" | "quadraticCurveTo">} path
 * @param {readonly Point[]} points of the stroke
 * @param {number} first of the part
 * @param {number} end after it
 * @param {(point: Point) => Point} at where a point is drawn
 */
export function drawCurve(path, points, first, end, at) {
  const middle = (/** @type {number} */ i) => {
    const [[x, y], [toX, toY]] = /** @type {[Point, Point]} */ ([points[i], points[i + 1]]);
    return at([(x + toX) / 2, (y + toY) / 2]);
  };
  const start = /** @type {Point} */ (points[first]);
  path.moveTo(...(first === 0 || points[first + 1] === undefined ? at(start) : middle(first)));
  for (let i = first + 1; i + 1 < points.length && i < end; i += 1) {
    path.quadraticCurveTo(...at(/** @type {Point} */ (points[i])), ...middle(i));
  }
  const [x, y] = at(/** @type {Point} */ (points[end - 1]));
  if (end === points.length) path.lineTo(points.length === 1 ? x + 0.01 : x, y); // makes a dot visible
}

/**
 * An example that writes itself on the empty paper, and can be put into the document.
 *
 * @import { Point } from "../client/protocol.d.ts"
 */

export const TEXT = "hello, world!";
const HEIGHT = 175; // of the strokes, in their units
const WIDTH = 1040; // the same
const FOOT = 168; // where its letters stand, the same
const BASELINE = 0.72; // of the height of a line
const SIZE = 0.64; // the same, of the strokes: the highest stay below the paper's edge
const POINTS_PER_S = 110; // of the pen that is shown
const STROKES =
  "15,6 10,90 2,169|4,123 10,98 14,88 20,80 28,75 38,70 47,69 54,73 61,76 66,84 72,92 73,104 74,117 73,138 68,170|115,116 183,108 186,106 187,110 185,95 182,87 177,78 174,70 165,63 159,60 154,60 144,62 138,68 130,71 123,82 120,91 117,101 113,115 113,128 115,135 118,144 122,154 130,161 136,166 144,167 151,163 160,161 167,154 172,145|228,11 223,94 219,156 227,173 237,170|280,12 274,96 268,159 275,171 285,168|360,72 371,78 379,84 385,95 388,102 390,117 387,130 384,142 377,150 369,160 362,167 351,170 341,171 330,168 324,160 316,153 314,141 313,131 314,116 316,106 324,94 330,85 340,78 349,72 360,71 367,76|421,161 422,178 411,198|536,66 549,122 551,164 574,102 579,75 585,124 592,165 612,113 630,67|719,67 729,69 736,80 742,84 745,99 747,112 747,124 741,135 735,146 729,159 717,162 707,165 695,165 691,163 682,156 677,148 671,139 669,122 671,110 675,96 681,87 687,77 696,72 706,65 715,65 726,69|778,82 779,120 770,168|777,117 778,104 784,98 786,89 792,80 799,78 805,75 814,74 819,78 828,79|869,3 868,89 860,149 868,169 878,164|974,95 968,87 962,79 954,76 946,77 936,78 929,85 921,92 915,101 911,112 907,123 908,134 910,145 913,156 918,161 927,170 935,171 941,171 952,171 960,162 970,156 972,150|994,8 985,93 983,165 994,173|1037,11 1028,80 1023,126|1020,164 1020,166";

/**
 * Return the strokes.
 *
 * @param {number} height of a line
 * @param {number} left where they begin
 * @param {number} width of the paper
 * @returns {Point[][]}
 */
export function exampleStrokes(height, left, width) {
  const scale = Math.min((SIZE * height) / HEIGHT, (width - 2 * left) / WIDTH);
  return STROKES.split("|").map((stroke) =>
    stroke.split(" ").map((point) => {
      const [x = 0, y = 0] = point.split(",").map(Number);
      return /** @type {Point} */ ([left + scale * x, BASELINE * height + scale * (y - FOOT)]);
    }),
  );
}

export class Example {
  /** @type {Point[][]} */
  #strokes = [];
  #onFrame;
  #isRunning = false;

  /**
   * @param {(strokes: Point[][], text: string) => void} onFrame shows what is written so far
   */
  constructor(onFrame) {
    this.#onFrame = onFrame;
  }

  /** Write it once; all of it at once for a user who wants no motion. @param {Point[][]} strokes */
  start(strokes) {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#strokes = strokes;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.#onFrame(this.#strokes, TEXT);
    const began = performance.now();
    const nPoints = this.#strokes.reduce((sum, points) => sum + points.length, 0);
    const tick = () => {
      if (!this.#isRunning) return;
      const n = ((performance.now() - began) / 1000) * POINTS_PER_S;
      this.#show(n);
      if (n < nPoints) requestAnimationFrame(tick);
    };
    tick();
  }

  stop() {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.#onFrame([], "");
  }

  /** @param {number} nPoints that are written */
  #show(nPoints) {
    /** @type {Point[][]} */
    const written = [];
    let left = nPoints;
    for (const points of this.#strokes) {
      if (left <= 0) break;
      written.push(points.slice(0, Math.ceil(left)));
      left -= points.length;
    }
    const right = (/** @type {Point[][]} */ strokes) => Math.max(0, ...strokes.flat().map(([x]) => x));
    const share = right(written) / right(this.#strokes);
    this.#onFrame(written, left >= 0 ? TEXT : TEXT.slice(0, Math.max(0, Math.ceil(share * TEXT.length) - 1)));
  }
}

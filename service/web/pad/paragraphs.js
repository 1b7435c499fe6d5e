/** Lines of text from rows of writing: rows that were filled are one line, rows of a list stay apart. */

const GAP = 29; // between two words, CSS pixels without zoom
const EDGE = 48; // from the paper's right side, the same: nobody writes up to it
const FILLED = 0.6; // share of a block's rows from which on it is running text, not a list

/**
 * A row of writing. `width`: of the paper when it was written; undefined: unknown, or it is no running text.
 * `isNew`: the writer asked for a new line there.
 * @typedef {{ row: number, text: string, left: number, right: number, width: number | undefined, isNew: boolean }} Row
 */

/**
 * Join rows into lines of text. Rows belong together where none is empty between them and nobody asked for a
 * new line. In such a block a row is filled if the first word of the next one would not have fitted behind it;
 * if most are, the block is running text, and its filled rows go on in the next one.
 *
 * @param {readonly Row[]} rows from top to bottom, with text
 * @returns {string}
 */
export function joinRows(rows) {
  /** @type {Row[][]} */
  const blocks = [];
  for (const row of rows) {
    const last = blocks.at(-1)?.at(-1);
    if (last === undefined || row.isNew || row.row !== last.row + 1) blocks.push([row]);
    else blocks.at(-1)?.push(row);
  }
  return blocks.map(joinBlock).join("\n");
}

/** @param {readonly Row[]} block */
function joinBlock(block) {
  const filled = block.slice(0, -1).map((row, i) => isFilled(row, /** @type {Row} */ (block[i + 1])));
  const isRunning = filled.filter(Boolean).length >= FILLED * filled.length;
  return block.reduce((text, row, i) => {
    if (i === 0) return row.text;
    if (!isRunning || !filled[i - 1]) return `${text}\n${row.text}`;
    // A word that was broken at the edge is whole again.
    return /\p{Ll}-$/u.test(text) && /^\p{Ll}/u.test(row.text) ? text.slice(0, -1) + row.text : `${text} ${row.text}`;
  }, "");
}

/** @param {Row} row @param {Row} next */
function isFilled({ right, width }, next) {
  if (width === undefined || next.width === undefined) return false;
  const [word = ""] = next.text.split(" ");
  const wordWidth = ((next.right - next.left) * word.length) / next.text.length;
  return right + GAP + wordWidth > width - EDGE;
}

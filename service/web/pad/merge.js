/** Corrections of a recognized text: they stay where they were made while the recognized text changes. */

/**
 * One change from one text to another: `text.slice(start, end)` became `other.slice(from, to)`.
 * @typedef {{ start: number, end: number, from: number, to: number }} Hunk
 */

/**
 * A text that was corrected: `base` is the text that the user saw, `text` what they made of it.
 * @typedef {{ base: string, text: string }} Correction
 */

/**
 * Apply a correction to a text that may have changed since (three-way merge). Where both have changed the
 * same characters the correction stands, unless the recognized text has lost them: their ink was erased.
 *
 * @param {Correction | null} correction
 * @param {string} recognized
 * @returns {{ text: string, origins: number[] }} the text, and for each of its code units the index in
 *   `recognized`, or -1 where the user wrote it
 */
export function correct(correction, recognized) {
  const { base, text: corrected } = correction ?? { base: recognized, text: recognized };
  const mine = findHunks(base, corrected);
  const theirs = findHunks(base, recognized);
  let text = "";
  /** @type {number[]} */
  const origins = [];
  let position = 0; // in `base`
  let shift = 0; // from an index in `base` to one in `recognized`
  const add = (/** @type {string} */ added, /** @type {number} */ origin) => {
    text += added;
    for (let i = 0; i < added.length; i += 1) origins.push(origin < 0 ? -1 : origin + i);
  };
  const keepUntil = (/** @type {number} */ end) => {
    if (end > position) add(base.slice(position, end), position + shift);
    position = Math.max(position, end);
  };
  while (mine.length > 0 || theirs.length > 0) {
    const isMine = mine[0] !== undefined && (theirs[0] === undefined || precedes(mine[0], theirs[0]));
    const first = /** @type {Hunk} */ (isMine ? mine.shift() : theirs.shift());
    const [own, other] = isMine ? [[first], []] : [[], [first]];
    const range = { start: first.start, end: first.end };
    for (let grown = true; grown; ) {
      grown = false;
      for (const [waiting, taken] of /** @type {[Hunk[], Hunk[]][]} */ ([[mine, own], [theirs, other]])) {
        const [next] = waiting;
        if (next === undefined || !overlaps(next, range)) continue;
        taken.push(next);
        waiting.shift();
        range.end = Math.max(range.end, next.end);
        grown = true;
      }
    }
    keepUntil(range.start);
    const [firstOfOther, lastOfOther] = [other[0], other.at(-1)];
    const isErased =
      other.length === 1 &&
      lastOfOther !== undefined &&
      lastOfOther.from === lastOfOther.to &&
      own.every(({ start, end }) => lastOfOther.start <= start && end <= lastOfOther.end);
    if (own.length === 0 && firstOfOther !== undefined) {
      add(recognized.slice(firstOfOther.from, firstOfOther.to), firstOfOther.from);
    } else if (!isErased) {
      for (const { start, end, from, to } of own) {
        keepUntil(start);
        add(corrected.slice(from, to), -1);
        position = Math.max(position, end);
      }
      keepUntil(range.end);
    }
    position = range.end;
    if (lastOfOther !== undefined) shift = lastOfOther.to - lastOfOther.end;
  }
  keepUntil(base.length);
  return { text, origins };
}

/** @param {Hunk} one @param {Hunk} other */
function precedes(one, other) {
  return one.start < other.start || (one.start === other.start && one.end <= other.end);
}

/** @param {Hunk} hunk @param {{ start: number, end: number }} range */
function overlaps({ start, end }, range) {
  return start < range.end && range.start < end;
}

/** Return the changes that make one text of another, by their longest common subsequence. @param {string} text @param {string} other */
export function findHunks(text, other) {
  let head = 0; // characters at the start that both have
  while (head < Math.min(text.length, other.length) && text[head] === other[head]) head += 1;
  let tail = 0; // the same at the end
  const most = Math.min(text.length, other.length) - head;
  while (tail < most && text.at(-1 - tail) === other.at(-1 - tail)) tail += 1;
  const [m, n] = [text.length - head - tail, other.length - head - tail];
  // lengths[i * (n + 1) + j]: of the longest common subsequence from the i-th and the j-th character on
  const lengths = new Uint32Array((m + 1) * (n + 1));
  const at = (/** @type {number} */ i, /** @type {number} */ j) => lengths[i * (n + 1) + j] ?? 0;
  for (let i = m - 1; i >= 0; i -= 1) {
    for (let j = n - 1; j >= 0; j -= 1) {
      const isSame = text[head + i] === other[head + j];
      lengths[i * (n + 1) + j] = isSame ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  /** @type {Hunk[]} */
  const hunks = [];
  let [i, j] = [0, 0];
  while (i < m || j < n) {
    if (i < m && j < n && text[head + i] === other[head + j]) {
      i += 1;
      j += 1;
      continue;
    }
    const [start, from] = [i, j];
    while (i < m || j < n) {
      if (i < m && j < n && text[head + i] === other[head + j]) break;
      if (i < m && (j === n || at(i + 1, j) >= at(i, j + 1))) i += 1;
      else j += 1;
    }
    hunks.push({ start: head + start, end: head + i, from: head + from, to: head + j });
  }
  return hunks;
}

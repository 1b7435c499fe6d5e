/**
 * The browser's Handwriting Recognition API, answered by inkstream: pages that are written for
 * `navigator.createHandwritingRecognizer` run on it (https://wicg.github.io/handwriting-recognition).
 *
 *     const recognizer = await createHandwritingRecognizer({ languages: ["en"] }, { url });
 *     const drawing = recognizer.startDrawing({ alternatives: 3 });
 *     drawing.addStroke(stroke);
 *     const [best] = await drawing.getPrediction();
 *
 * @import { Choices, Letter, Point, Ready } from "./protocol.d.ts"
 */

import { connect } from "./inkstream.js";

const LANGUAGES = ["en"]; // whose letters and words the net was trained on
const LANGUAGE_MODEL = "english"; // which is followed where the server has it
const FRAME = 1.1; // heights of the drawing that its frame has, so that no ink lies on its edge
// Ink whose pen went no further than so many times its width is a dash or a dot: how high it is says
// nothing of the frame, which is taken to be so many times as high as the dash is wide.
const FLAT_WAY = 1.3;
const FLAT_FRAME = 0.7;
const ALTERNATIVES = 3;

/** @typedef {{ languages: readonly string[] }} Constraint */

/**
 * @typedef {object} Hints
 * @property {string} [recognitionType] "text", or "per-character": without words
 * @property {string} [inputType] of no matter here: all pens draw alike
 * @property {string} [textContext] the text before the drawing
 * @property {number} [alternatives] predictions at most
 */

/** @typedef {{ x: number, y: number, t?: number }} HandwritingPoint */

/** @typedef {{ strokeIndex: number, beginPointIndex: number, endPointIndex: number }} DrawingSegment */

/**
 * @typedef {object} Segment
 * @property {string} grapheme
 * @property {number} beginIndex in the text
 * @property {number} endIndex the one after the last
 * @property {DrawingSegment[]} drawingSegments half open, as all of these are
 */

/** @typedef {{ text: string, segmentationResult: Segment[] }} Prediction */

/**
 * What is offered for some languages.
 *
 * @param {Constraint} constraint
 * @returns {Promise<object | null>} null where one of them is not read
 */
export async function queryHandwritingRecognizer({ languages }) {
  if (!languages.every(isRead)) return null;
  return {
    textAlternatives: true,
    textSegmentation: true,
    hints: {
      recognitionType: ["text", "per-character"],
      inputType: ["mouse", "stylus", "touch"],
      textContext: true,
      alternatives: true,
    },
  };
}

/**
 * A recognizer that asks an inkstream server.
 *
 * @param {Constraint} constraint
 * @param {{ url: string | URL, model?: string, key?: string }} server
 * @returns {Promise<HandwritingRecognizer>}
 * @throws {DOMException} "NotSupportedError" for a language that is not read
 * @throws {import("./inkstream.js").InkstreamError} the server's refusal
 */
export async function createHandwritingRecognizer({ languages }, { url, model = "lines", key }) {
  const other = languages.find((language) => !isRead(language));
  if (other !== undefined) {
    const known = LANGUAGES.join(", ");
    throw new DOMException(`language is ${other}, allowed: ${known}`, "NotSupportedError");
  }
  const stream = await connect(url, { model, ...(key !== undefined && { key }) });
  return new HandwritingRecognizer(stream);
}

/** @param {string} language a BCP 47 tag */
function isRead(language) {
  return LANGUAGES.includes(language.toLowerCase().split("-")[0] ?? "");
}

export class HandwritingStroke {
  /** @type {HandwritingPoint[]} */
  #points = [];

  /** @param {HandwritingPoint} point */
  addPoint({ x, y, t }) {
    this.#points.push(t === undefined ? { x, y } : { x, y, t });
  }

  getPoints() {
    return this.#points.map((point) => ({ ...point }));
  }

  clear() {
    this.#points = [];
  }
}

export class HandwritingRecognizer {
  #stream;
  /** @type {Promise<unknown>} */
  #newest = Promise.resolve(); // the reading that was asked for last: one at a time
  #finished = false;

  /** Made by `createHandwritingRecognizer`. @param {import("./inkstream.js").Stream} stream */
  constructor(stream) {
    this.#stream = stream;
  }

  /** @param {Hints} [hints] @returns {HandwritingDrawing} */
  startDrawing(hints = {}) {
    this.#check();
    return new HandwritingDrawing(hints, (strokes) => {
      this.#check();
      const reading = this.#newest.catch(() => {}).then(() => this.#read(strokes, hints));
      this.#newest = reading;
      return reading;
    });
  }

  /** Let go of the server; nothing can be asked any more. */
  finish() {
    this.#finished = true;
    this.#stream.close();
  }

  #check() {
    if (this.#finished) throw new DOMException("the recognizer is finished", "InvalidStateError");
  }

  /**
   * @param {Point[][]} strokes
   * @param {Hints} hints
   * @returns {Promise<{ text: string, letters: Letter[] }>}
   */
  async #read(strokes, hints) {
    const stream = this.#stream;
    const { points, height } = framed(strokes);
    const asked = Promise.all([
      stream.configure({ every: "message", ...choicesOf(hints, stream.ready) }),
      stream.reset(),
      stream.ink(points.map((own, id) => ({ id, points: own })), height),
      stream.flush(),
    ]);
    asked.catch(() => {}); // the messages end with what went wrong
    /** @type {Letter[] | undefined} */
    let letters;
    for await (const message of stream) {
      if (message.type === "reset_done") letters = [];
      if (letters === undefined) continue; // of a drawing before, that could not be read
      if (message.type === "letter" || message.type === "punctuation") letters[message.id] = message;
      if (message.type === "rewound") letters.length = Math.min(letters.length, message.letters);
      if (message.type === "error") throw new DOMException(message.message, "DataError");
      if (message.type === "flushed") return { text: message.text ?? "", letters };
    }
    throw new DOMException("the recognizer is finished", "InvalidStateError");
  }
}

export class HandwritingDrawing {
  #hints;
  #read;
  /** @type {HandwritingStroke[]} */
  #strokes = [];

  /**
   * Made by `startDrawing`.
   * @param {Hints} hints
   * @param {(strokes: Point[][]) => Promise<{ text: string, letters: Letter[] }>} read
   */
  constructor(hints, read) {
    this.#hints = hints;
    this.#read = read;
  }

  /** @param {HandwritingStroke} stroke */
  addStroke(stroke) {
    this.#strokes.push(stroke);
  }

  /** @param {HandwritingStroke} stroke */
  removeStroke(stroke) {
    this.#strokes = this.#strokes.filter((own) => own !== stroke);
  }

  clear() {
    this.#strokes = [];
  }

  getStrokes() {
    return [...this.#strokes];
  }

  /** @returns {Promise<Prediction[]>} the most probable first; none where nothing is written */
  async getPrediction() {
    const strokes = this.#strokes.map((stroke) =>
      stroke.getPoints().map(({ x, y }) => /** @type {Point} */ ([x, y])),
    );
    if (strokes.every((points) => points.length === 0)) return [];
    const { text, letters } = await this.#read(strokes);
    return predictionsOf(text, letters, this.#hints.alternatives ?? ALTERNATIVES);
  }
}

/**
 * What a server is told of a drawing: single characters have neither spaces nor a language.
 *
 * @param {Hints} hints
 * @param {Ready} ready
 * @returns {Choices}
 */
function choicesOf({ recognitionType, textContext = "" }, { labels, languages, limits }) {
  if (recognitionType === "per-character") {
    return { characters: labels.filter((label) => label !== " ").join(""), language_model: null };
  }
  const language_model = languages.includes(LANGUAGE_MODEL) ? LANGUAGE_MODEL : null;
  const context = [...textContext].slice(-limits.max_hint_characters).join("");
  return { characters: null, language_model, context };
}

/**
 * Strokes in the frame that they give themselves: on columns from 0 on.
 * @param {Point[][]} strokes
 */
function framed(strokes) {
  const all = strokes.flat();
  const left = all.reduce((least, [x]) => Math.min(least, x), Infinity);
  const right = all.reduce((most, [x]) => Math.max(most, x), -Infinity);
  const top = all.reduce((least, [, y]) => Math.min(least, y), Infinity);
  const bottom = all.reduce((most, [, y]) => Math.max(most, y), -Infinity);
  const width = right - left;
  const way = strokes.reduce((sum, own) => sum + lengthOf(own), 0);
  const least = way <= FLAT_WAY * width ? FLAT_FRAME * width : 0;
  const height = FRAME * Math.max(bottom - top, least) || 1;
  const middle = (top + bottom) / 2;
  const points = strokes.map((own) =>
    own.map(([x, y]) => /** @type {Point} */ ([x - left + height / 8, y - middle + height / 2])),
  );
  return { points, height };
}

/** How far the pen goes. @param {Point[]} points */
function lengthOf(points) {
  return points.reduce((sum, [x, y], i) => {
    const [fromX, fromY] = points[i - 1] ?? [x, y];
    return sum + Math.hypot(x - fromX, y - fromY);
  }, 0);
}

/**
 * The text as it was read, and with the likeliest other letters in the places of the least sure.
 *
 * @param {string} text
 * @param {Letter[]} letters
 * @param {number} most
 * @returns {Prediction[]}
 */
function predictionsOf(text, letters, most) {
  /** @type {Segment[]} */
  const segments = [];
  const places = [...text.matchAll(/\S/gu)].map(({ index }) => index);
  for (const [number, letter] of letters.entries()) {
    const beginIndex = places[number] ?? text.length;
    segments.push({
      grapheme: letter.char,
      beginIndex,
      endIndex: beginIndex + letter.char.length,
      drawingSegments: (letter.strokes ?? []).map(({ id, start, end }) => ({
        strokeIndex: Number(id),
        beginPointIndex: start,
        endPointIndex: end,
      })),
    });
  }
  const others = letters.flatMap((letter, number) =>
    letter.alternatives.map(({ char, p }) => ({ number, char, odds: p / letter.confidence })),
  );
  others.sort((one, other) => other.odds - one.odds);
  const predictions = [{ text, segmentationResult: segments }];
  for (const { number, char } of others.slice(0, Math.max(0, most - 1))) {
    const own = /** @type {Segment} */ (segments[number]);
    const segmentationResult = segments.with(number, { ...own, grapheme: char });
    const before = text.slice(0, own.beginIndex);
    predictions.push({ text: before + char + text.slice(own.endIndex), segmentationResult });
  }
  return predictions.slice(0, Math.max(1, most));
}

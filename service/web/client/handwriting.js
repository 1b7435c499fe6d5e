/**
 * The Handwriting Recognition API of browsers, with an inkstream server as the recognizer. Pages that
 * use `navigator.createHandwritingRecognizer` can use this module instead:
 * https://wicg.github.io/handwriting-recognition
 *
 *     const recognizer = await createHandwritingRecognizer({ languages: ["en"] }, { url });
 *     const drawing = recognizer.startDrawing({ alternatives: 3 });
 *     drawing.addStroke(stroke);
 *     const [best] = await drawing.getPrediction();
 *
 * @import { Letter, Point, Ready, SessionOptions } from "./protocol.d.ts"
 */

import { connect } from "./inkstream.js";
import { CODES, modelOf } from "./languages.js";

const FRAME_HEIGHT = 1.1; // in heights of the drawing, so that no ink touches the frame
// If the strokes together are at most `FLAT_LENGTH` times as long as the drawing is wide, it is a dash
// or a dot. Its height does not show how large the writing is, so its width gives the frame's height.
const FLAT_LENGTH = 1.3;
const FLAT_FRAME_HEIGHT = 0.7; // in widths of the drawing

/** @typedef {{ languages: readonly string[] }} Constraint */

/**
 * @typedef {object} Hints
 * @property {string} [recognitionType] "text", or "per-character" for characters without spaces or words
 * @property {string} [inputType] accepted but not used
 * @property {string} [textContext] the text before the drawing
 * @property {number} [alternatives] maximum number of predictions, by default 3
 */

/** @typedef {{ x: number, y: number, t?: number }} HandwritingPoint */

/** @typedef {{ strokeIndex: number, beginPointIndex: number, endPointIndex: number }} DrawingSegment */

/**
 * @typedef {object} Segment
 * @property {string} grapheme
 * @property {number} beginIndex index of its first code unit in the text
 * @property {number} endIndex index after its last code unit
 * @property {DrawingSegment[]} drawingSegments its points; end indexes are not included
 */

/** @typedef {{ text: string, segmentationResult: Segment[] }} Prediction */

/**
 * Describe the recognizer for some languages.
 *
 * @param {Constraint} constraint
 * @returns {Promise<object | null>} null if one of the languages is not supported
 */
export async function queryHandwritingRecognizer({ languages }) {
  if (!languages.every(modelOf)) return null;
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
 * Create a recognizer that uses an inkstream server. The first of the languages is expected.
 *
 * @param {Constraint} constraint
 * @param {{ url: string | URL, model?: string, key?: string, reconnect?: boolean }} server
 * @returns {Promise<HandwritingRecognizer>}
 * @throws {DOMException} "NotSupportedError" if a language is not supported
 * @throws {import("./inkstream.js").InkstreamError} the server's error, or "no_connection"
 */
export async function createHandwritingRecognizer({ languages }, { url, model = "lines", ...options }) {
  const stream = await connect(url, { model, ...options });
  const supported = new Set(["english", ...stream.ready.languages]); // English also without its language model
  const unsupported = languages.find((language) => !supported.has(modelOf(language) ?? ""));
  if (unsupported === undefined) return new HandwritingRecognizer(stream, languages[0]);
  stream.close();
  const allowed = [...supported].flatMap((name) => CODES[name] ?? []).join(", ");
  throw new DOMException(`language is ${unsupported}, allowed: ${allowed}`, "NotSupportedError");
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
  #language;
  /** @type {Promise<unknown>} */
  #lastRecognition = Promise.resolve(); // the next one waits for it: the session has one line
  #finished = false;

  /**
   * Use `createHandwritingRecognizer` instead.
   * @param {import("./inkstream.js").Stream} stream
   * @param {string} [language] a BCP 47 tag
   */
  constructor(stream, language = "en") {
    this.#stream = stream;
    this.#language = stream.ready.languages.find((name) => name === modelOf(language)) ?? null;
  }

  /** @param {Hints} [hints] @returns {HandwritingDrawing} */
  startDrawing(hints = {}) {
    this.#check();
    return new HandwritingDrawing(hints, (strokes) => {
      this.#check();
      const previous = this.#lastRecognition.catch(() => {});
      const recognition = previous.then(() => this.#recognize(strokes, hints));
      this.#lastRecognition = recognition;
      return recognition;
    });
  }

  /** Close the connection. The recognizer and its drawings cannot be used afterwards. */
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
  async #recognize(strokes, hints) {
    const stream = this.#stream;
    const { moved, height } = fitFrame(strokes);
    const requests = Promise.all([
      stream.configure({ results: "none", ...sessionOptions(hints, stream.ready, this.#language) }),
      stream.reset(),
      stream.ink(moved.map((points, id) => ({ id, points })), height),
      stream.flush(),
    ]);
    requests.catch(() => {}); // iterating over the messages throws the same error
    /** @type {Letter[] | undefined} */
    let letters;
    for await (const message of stream) {
      if (message.type === "reset_done") letters = [];
      if (letters === undefined) continue; // messages of an earlier drawing that failed
      if (message.type === "letter") letters[message.id] = message;
      if (message.type === "revised") letters.length = Math.min(letters.length, message.letters);
      if (message.type === "error") throw new DOMException(message.message, "DataError");
      if (message.type === "flushed") return { text: message.text ?? "", letters };
    }
    throw new DOMException("the recognizer is finished", "InvalidStateError");
  }
}

export class HandwritingDrawing {
  #hints;
  #recognize;
  /** @type {HandwritingStroke[]} */
  #strokes = [];

  /**
   * Use `startDrawing` instead.
   * @param {Hints} hints
   * @param {(strokes: Point[][]) => Promise<{ text: string, letters: Letter[] }>} recognize
   */
  constructor(hints, recognize) {
    this.#hints = hints;
    this.#recognize = recognize;
  }

  /** @param {HandwritingStroke} stroke */
  addStroke(stroke) {
    this.#strokes.push(stroke);
  }

  /** @param {HandwritingStroke} stroke */
  removeStroke(stroke) {
    this.#strokes = this.#strokes.filter((other) => other !== stroke);
  }

  clear() {
    this.#strokes = [];
  }

  getStrokes() {
    return [...this.#strokes];
  }

  /** @returns {Promise<Prediction[]>} the most probable first; empty if there are no points */
  async getPrediction() {
    const strokes = this.#strokes.map((stroke) =>
      stroke.getPoints().map(({ x, y }) => /** @type {Point} */ ([x, y])),
    );
    if (strokes.every((points) => points.length === 0)) return [];
    const { text, letters } = await this.#recognize(strokes);
    return makePredictions(text, letters, this.#hints.alternatives ?? 3);
  }
}

/**
 * Return the session's options for a drawing. Single characters have no spaces and no language model.
 *
 * @param {Hints} hints
 * @param {Ready} ready
 * @param {string | null} language
 * @returns {SessionOptions}
 */
function sessionOptions({ recognitionType, textContext = "" }, { labels, limits }, language) {
  if (recognitionType === "per-character") {
    return { characters: labels.filter((label) => label !== " ").join(""), language: null };
  }
  const context = [...textContext].slice(-limits.max_hint_characters).join("");
  return { characters: null, language, context };
}

/**
 * Choose the frame's height by the drawing, and move its points into the frame, from column 0 on.
 *
 * @param {Point[][]} strokes
 */
function fitFrame(strokes) {
  const all = strokes.flat();
  const left = all.reduce((least, [x]) => Math.min(least, x), Infinity);
  const right = all.reduce((most, [x]) => Math.max(most, x), -Infinity);
  const top = all.reduce((least, [, y]) => Math.min(least, y), Infinity);
  const bottom = all.reduce((most, [, y]) => Math.max(most, y), -Infinity);
  const width = right - left;
  const length = strokes.reduce((sum, points) => sum + strokeLength(points), 0);
  const minHeight = length <= FLAT_LENGTH * width ? FLAT_FRAME_HEIGHT * width : 0;
  const height = FRAME_HEIGHT * Math.max(bottom - top, minHeight) || 1;
  const middle = (top + bottom) / 2;
  const moved = strokes.map((points) =>
    points.map(([x, y]) => /** @type {Point} */ ([x - left + height / 8, y - middle + height / 2])),
  );
  return { moved, height };
}

/** @param {Point[]} points */
function strokeLength(points) {
  return points.reduce((sum, [x, y], i) => {
    const [fromX, fromY] = points[i - 1] ?? [x, y];
    return sum + Math.hypot(x - fromX, y - fromY);
  }, 0);
}

/**
 * Return the text, and variants of it in each of which one letter is replaced by an alternative. The
 * alternatives with the best odds against their letter come first.
 *
 * @param {string} text
 * @param {Letter[]} letters
 * @param {number} maxPredictions
 * @returns {Prediction[]}
 */
function makePredictions(text, letters, maxPredictions) {
  const beginIndexes = [...text.matchAll(/\S/gu)].map(({ index }) => index);
  const segments = letters.map(({ char, strokes }, i) => {
    const beginIndex = beginIndexes[i] ?? text.length;
    const drawingSegments = (strokes ?? []).map(({ id, start, end }) => {
      return { strokeIndex: Number(id), beginPointIndex: start, endPointIndex: end };
    });
    return { grapheme: char, beginIndex, endIndex: beginIndex + char.length, drawingSegments };
  });
  const alternatives = letters.flatMap((letter, i) =>
    letter.alternatives.map(({ char, p }) => ({ i, char, odds: p / letter.confidence })),
  );
  alternatives.sort((one, other) => other.odds - one.odds);
  const predictions = [{ text, segmentationResult: segments }];
  for (const { i, char } of alternatives.slice(0, Math.max(0, maxPredictions - 1))) {
    const segment = /** @type {Segment} */ (segments[i]);
    const segmentationResult = segments.with(i, { ...segment, grapheme: char });
    const before = text.slice(0, segment.beginIndex);
    predictions.push({ text: before + char + text.slice(segment.endIndex), segmentationResult });
  }
  return predictions;
}

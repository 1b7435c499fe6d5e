/**
 * A document of handwriting: lines of ink on ruled paper, the corrections of their text, and the settings,
 * with undo and redo. It knows neither the page nor the server, and is plain data when it is stored.
 *
 * @import { Letter, Point, Word } from "../client/protocol.d.ts"
 * @import { Room } from "./gestures.js"
 * @import { Correction } from "./merge.js"
 * @import { Row } from "./paragraphs.js"
 * @import { Colour } from "./strokes.js"
 */

import { boxOf } from "./strokes.js";
import { correct } from "./merge.js";
import { joinRows } from "./paragraphs.js";

export const VERSION = 1; // of the stored data
/** Height of a line of the paper, which is the frame of its writing; CSS pixels without zoom. */
export const ROW_HEIGHT = 96;
const MAX_UNDO = 1000; // operations
/** Where the images of lines stand on the paper: from its left side, and from the top of their row. */
export const IMAGE_LEFT = 24;
export const IMAGE_TOP = 10;
/** Size of typed text on the paper, and about how wide a character is. */
export const [TEXT_SIZE, TEXT_ADVANCE] = [28, 14];
/** Where writing stands, of the height of a line. */
export const BASELINE = 0.72;
const DIGIT_GAP = 0.25; // of the row's height: ink further from a digit than this belongs to another one

/** What a line is read as. @typedef {"text" | "digit" | "number" | "date" | "pattern"} Reads */

/**
 * @typedef {object} InkStroke
 * @property {number} id
 * @property {readonly Point[]} points y counts from the top of the line
 * @property {readonly number[]} pressures of the points, from 0 to 1
 * @property {readonly number[]} [times] of the points, milliseconds since the first one; unknown for ink of other programs
 * @property {Colour} [colour]
 */

/** A line that came from an image: the base64 of its JPEG, and its size on the paper. @typedef {{ jpeg: string, width: number, height: number }} LineImage */

/**
 * @typedef {object} DocumentLine
 * @property {number} id
 * @property {number} row of the paper, from 0
 * @property {Reads} reads
 * @property {readonly InkStroke[]} strokes in the order of writing
 * @property {Correction | null} correction
 * @property {LineImage} [image] which has no strokes
 * @property {number} [width] of the paper when the line was begun, CSS pixels without zoom
 * @property {boolean} [isNew] the writer asked for a new line here
 */

/**
 * @typedef {object} DocumentSettings
 * @property {Reads} reads what new lines are read as
 * @property {string} language "": none; "auto": the browser's
 * @property {string} pattern of the lines that are read by one, or an example of it
 * @property {string} name "": the first line is the document's name
 */

/**
 * What was read of a line. `of` names the ink and the settings that were read: another name means that the
 * line has to be read again.
 * @typedef {{ of: string, text: string, letters: Letter[], words: Word[] }} Reading
 */

/**
 * One step of undo: lines before and after it (null: there was none), and the settings.
 * @typedef {object} Operation
 * @property {[before: DocumentLine | null, after: DocumentLine | null][]} lines
 * @property {[before: DocumentSettings, after: DocumentSettings] | null} settings
 */

/**
 * @typedef {object} DocumentData
 * @property {number} version
 * @property {string} id
 * @property {number} changed milliseconds since 1970
 * @property {number} nextId
 * @property {DocumentSettings} settings
 * @property {DocumentLine[]} lines
 * @property {Operation[]} past
 * @property {Operation[]} future
 * @property {[number, Reading][]} readings by the id of the line
 */

/** @type {DocumentSettings} */
const FIRST_SETTINGS = { reads: "text", language: "auto", pattern: "", name: "" };

export class PadDocument {
  /** @type {string} */
  id;
  /** When the document was changed; milliseconds since 1970. @type {number} */
  changed;
  /** @type {DocumentSettings} */
  settings;
  /** @type {Map<number, DocumentLine>} */
  #lines;
  /** @type {Operation[]} */
  #past;
  /** @type {Operation[]} */
  #future;
  /** @type {Map<number, Reading>} */
  #readings;
  /** @type {WeakMap<DocumentLine, { settings: string, name: string }>} */
  #names = new WeakMap(); // they are long, and asked for with each point
  #nextId;

  /** @param {string} id @param {Partial<DocumentData>} [data] from `toData` */
  constructor(id, { changed, nextId, settings, lines, past, future, readings } = {}) {
    this.id = id;
    this.changed = changed ?? 0;
    this.settings = { ...FIRST_SETTINGS, ...settings };
    this.#nextId = nextId ?? 1;
    this.#lines = new Map(lines?.map((line) => [line.id, line]));
    this.#past = past ?? [];
    this.#future = future ?? [];
    this.#readings = new Map(readings);
  }

  /** Return the document as plain data. @returns {DocumentData} */
  toData() {
    return {
      version: VERSION,
      id: this.id,
      changed: this.changed,
      nextId: this.#nextId,
      settings: this.settings,
      lines: [...this.#lines.values()],
      past: [...this.#past],
      future: [...this.#future],
      readings: [...this.#readings],
    };
  }

  // Queries

  /** The lines from top to bottom; those of one row from left to right. @returns {DocumentLine[]} */
  get lines() {
    return [...this.#lines.values()].sort(
      (one, other) => one.row - other.row || left(one) - left(other) || one.id - other.id,
    );
  }

  get isEmpty() {
    return this.#lines.size === 0;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** @param {number} id */
  line(id) {
    return this.#lines.get(id);
  }

  /** Return the line that a stroke in a row belongs to, if there is one. @param {number} row @param {number} x */
  lineAt(row, x) {
    const { reads } = this.settings;
    return this.lines.find((line) => {
      if (line.row !== row || line.strokes.length === 0 || (line.reads === "digit") !== (reads === "digit")) return false;
      const gap = DIGIT_GAP * ROW_HEIGHT;
      return reads !== "digit" || (left(line) - gap <= x && x <= right(line) + gap);
    });
  }

  /** Return what was read of a line, which may be out of date. @param {number} id */
  reading(id) {
    return this.#readings.get(id);
  }

  /**
   * Return the strokes of some of what was read of a line, without those that other letters have too; none
   * while it is not decided.
   *
   * @param {number} id @param {number} from @param {number} to indices of the text that was read
   */
  strokesOf(id, from, to) {
    const { of = "", text = "", letters = [] } = this.#readings.get(id) ?? {};
    const nonSpaces = (/** @type {number} */ end) => text.slice(0, end).match(/\S/gu)?.length ?? 0;
    const [first, last] = [nonSpaces(from), nonSpaces(to)];
    const idsOf = (/** @type {Letter[]} */ some) => some.flatMap(({ strokes }) => (strokes ?? []).map((stroke) => Number(stroke.id)));
    const others = new Set(idsOf([...letters.slice(0, first), ...letters.slice(last)]));
    return new Set(of === "" ? [] : idsOf(letters.slice(first, last)).filter((stroke) => !others.has(stroke)));
  }

  /** Return where in the text that was read of a line a stroke's first letter is; -1 if it has none. @param {number} id @param {number} stroke */
  indexOf(id, stroke) {
    const { text = "", letters = [] } = this.#readings.get(id) ?? {};
    const first = letters.findIndex(({ strokes }) => strokes?.some((part) => Number(part.id) === stroke));
    return [...text.matchAll(/\S/gu)][first]?.index ?? -1;
  }

  /** Whether what was read of a line is up to date. @param {DocumentLine} line */
  isRead(line) {
    return line.strokes.length === 0 || this.#readings.get(line.id)?.of === this.nameOf(line);
  }

  /** Name the settings that a line is read with. @param {DocumentLine} line */
  settingsOf({ reads }) {
    const { language, pattern } = this.settings;
    return `${reads} ${reads === "text" ? language : reads === "pattern" ? pattern : ""}`;
  }

  /** Name the ink of a line and the settings that it is read with. @param {DocumentLine} line */
  nameOf(line) {
    const settings = this.settingsOf(line);
    const known = this.#names.get(line);
    if (known?.settings === settings) return known.name;
    const name = [settings, ...line.strokes.map(({ id }) => id)].join();
    this.#names.set(line, { settings, name });
    return name;
  }

  /** Return the text of a line, with its corrections. @param {DocumentLine} line */
  text(line) {
    return this.corrected(line).text;
  }

  /** Return the text of a line, with the places that its characters have in what was read. @param {DocumentLine} line */
  corrected({ id, strokes, correction }) {
    const recognized = strokes.length === 0 ? "" : (this.#readings.get(id)?.text ?? "");
    return correct(correction, recognized);
  }

  /** The text of the document: rows that were filled are joined. */
  get wholeText() {
    /** @type {Map<number, Row>} */
    const rows = new Map();
    for (const line of this.lines) {
      const text = this.text(line);
      if (text === "") continue;
      const before = rows.get(line.row);
      rows.set(line.row, {
        row: line.row,
        text: before === undefined ? text : `${before.text} ${text}`,
        left: Math.min(before?.left ?? Infinity, left(line)),
        right: Math.max(before?.right ?? 0, right(line)),
        width: line.reads === "text" && line.strokes.length > 0 ? line.width : undefined,
        isNew: before?.isNew ?? line.isNew ?? false,
      });
    }
    return joinRows([...rows.values()]);
  }

  // Operations

  /** Return an id that no line and no stroke has. */
  takeId() {
    return this.#nextId++;
  }

  /**
   * Add a stroke to a line, or to a new line of a row.
   *
   * @param {InkStroke} stroke
   * @param {Pick<DocumentLine, "id" | "row" | "width" | "isNew">} where the id of the line; the rest for a new line
   * @param {{ line: DocumentLine, stroke: InkStroke }} [bar] a stroke that moves from another line to this one
   * @param {Room} [room] that is made for it
   */
  addStroke(stroke, { id, ...where }, bar, room) {
    const before = this.#lines.get(id) ?? null;
    if (before !== null && room !== undefined) {
      const moved = this.#moved(before, room);
      return void this.#commit([[before, room.isCaret ? moved : { ...moved, strokes: [...moved.strokes, stroke] }]]);
    }
    const line = before ?? { id, ...where, reads: this.settings.reads, strokes: [], correction: null };
    if (bar === undefined) return void this.#commit([[before, { ...line, strokes: [...line.strokes, stroke] }]]);
    const rest = bar.line.strokes.filter((other) => other !== bar.stroke);
    const down = (bar.line.row - line.row) * ROW_HEIGHT;
    const moved = { ...bar.stroke, points: bar.stroke.points.map(([x, y]) => /** @type {Point} */ ([x, y + down])) };
    this.#commit([
      [bar.line, rest.length === 0 ? null : { ...bar.line, strokes: rest }],
      [before, { ...line, strokes: [...line.strokes, moved, stroke] }],
    ]);
  }

  /** Return a line with room in it. Strokes that move get new ids: they have to be read again. @param {DocumentLine} line @param {Room} room */
  #moved(line, { ids, by }) {
    const strokes = line.strokes.map((stroke) => {
      if (!ids.has(stroke.id)) return stroke;
      const points = stroke.points.map(([x, y]) => /** @type {Point} */ ([x + by, y]));
      return { ...stroke, id: this.takeId(), points };
    });
    return { ...line, strokes };
  }

  /**
   * Carry strokes elsewhere, or copies of them: each into the line of the row that it comes to, or into a new one.
   *
   * @param {ReadonlySet<number>} ids
   * @param {Point} by how far to the right, and down
   * @param {boolean} [isCopy]
   * @returns {Set<number>} ids of the strokes that lie there now
   */
  carry(ids, [right, down], isCopy = false) {
    /** @type {Map<number, DocumentLine>} */
    const after = new Map();
    /** @type {DocumentLine[]} */
    const carried = [];
    for (const line of this.lines) {
      const [chosen, rest] = [true, false].map((isChosen) => line.strokes.filter(({ id }) => ids.has(id) === isChosen));
      if (chosen === undefined || rest === undefined || chosen.length === 0) continue;
      const row = Math.max(0, line.row + Math.round(down / ROW_HEIGHT));
      const [dx, dy] = [Math.max(right, -left({ ...line, strokes: chosen })), down - (row - line.row) * ROW_HEIGHT];
      const strokes = chosen.map((stroke) => {
        const points = stroke.points.map(([x, y]) => /** @type {Point} */ ([x + dx, y + dy]));
        return { ...stroke, id: this.takeId(), points };
      });
      carried.push({ ...line, row, strokes });
      if (!isCopy) after.set(line.id, { ...line, strokes: rest });
    }
    for (const { row, reads, strokes } of carried) {
      const ofInk = [...new Map([...this.#lines, ...after])].filter(([id, line]) => after.has(id) || line.strokes.length > 0);
      const beside = ofInk.find(([, line]) => line.row === row && line.reads === reads && reads !== "digit");
      const [id, there] = beside ?? [this.takeId()];
      after.set(id, { ...(there ?? { id, row, reads, correction: null }), strokes: [...(there?.strokes ?? []), ...strokes] });
    }
    this.#commit([...after].map(([id, line]) => [this.#lines.get(id) ?? null, line.strokes.length === 0 ? null : line]));
    return new Set(carried.flatMap(({ strokes }) => strokes.map(({ id }) => id)));
  }

  /** Erase strokes; a line that keeps none is removed. @param {ReadonlySet<number>} ids @returns {boolean} whether there were any */
  erase(ids) {
    /** @type {Operation["lines"]} */
    const changes = [];
    for (const line of this.#lines.values()) {
      const strokes = line.strokes.filter(({ id }) => !ids.has(id));
      if (strokes.length === line.strokes.length) continue;
      changes.push([line, strokes.length === 0 ? null : { ...line, strokes }]);
    }
    return this.#commit(changes);
  }

  /** Remove all lines. */
  clear() {
    return this.#commit([...this.#lines.values()].map((line) => [line, null]));
  }

  /** Remove a line. @param {number} id */
  remove(id) {
    const line = this.#lines.get(id);
    return line !== undefined && this.#commit([[line, null]]);
  }

  /** Set the text of a line. @param {number} id @param {string} text */
  setText(id, text) {
    const line = this.#lines.get(id);
    if (line === undefined || text === this.text(line)) return false;
    if (text === "" && line.strokes.length === 0) return this.remove(id);
    const base = line.strokes.length === 0 ? "" : (this.#readings.get(id)?.text ?? "");
    return this.#commit([[line, { ...line, correction: { base, text } }]]);
  }

  /** Add a line of typed text: in a row if it is empty, or else below it. @param {string} text @param {number} row @returns {number} its row */
  addText(text, row) {
    const isTaken = (/** @type {number} */ row) => this.lines.some((line) => line.row === row);
    const to = isTaken(row) ? row + 1 : row;
    /** @type {DocumentLine} */
    const line = { id: this.takeId(), row: to, reads: "text", strokes: [], correction: { base: "", text } };
    this.#commit([...(isTaken(to) ? this.#moveDown(to) : []), [null, line]]);
    return to;
  }

  /** Add lines that came from an image below all others. @param {readonly { text: string, image?: LineImage }[]} lines */
  addImage(lines) {
    return this.#addBelow(
      lines.map(({ text, image }) => ({ strokes: [], correction: { base: "", text }, ...(image && { image }) })),
    );
  }

  /** Add lines of ink below all others. @param {readonly (readonly Omit<InkStroke, "id">[])[]} lines strokes of each */
  addInk(lines) {
    return this.#addBelow(
      lines.map((strokes) => ({ strokes: strokes.map((stroke) => ({ ...stroke, id: this.takeId() })), correction: null })),
    );
  }

  /** @param {Pick<DocumentLine, "strokes" | "correction" | "image">[]} lines */
  #addBelow(lines) {
    const last = Math.max(-1, ...[...this.#lines.values()].map(({ row }) => row));
    return this.#commit(
      lines.map((line, i) => [null, { id: this.takeId(), row: last + 1 + i, reads: "text", ...line }]),
    );
  }

  /** Move all lines from a row on down by one: an empty line is inserted there. @param {number} row */
  insertRow(row) {
    return this.#commit(this.#moveDown(row));
  }

  /** @param {number} row @returns {Operation["lines"]} */
  #moveDown(row) {
    const below = [...this.#lines.values()].filter((line) => line.row >= row);
    return below.map((line) => [line, { ...line, row: line.row + 1 }]);
  }

  /** Have the lines of strokes be read anew, without what was corrected in them. @param {ReadonlySet<number>} strokes @returns {number[]} their ids */
  forget(strokes) {
    const lines = [...this.#lines.values()].filter((line) => line.strokes.some(({ id }) => strokes.has(id)));
    this.#commit(lines.filter(({ correction }) => correction !== null).map((line) => [line, { ...line, correction: null }]));
    return lines.map(({ id }) => {
      this.unread(id);
      return id;
    });
  }

  /** Have a line be read again; its text stays until it was. @param {number} id */
  unread(id) {
    const reading = this.#readings.get(id);
    if (reading !== undefined) this.setReading(id, { ...reading, of: "" });
  }

  /** Change settings. @param {Partial<DocumentSettings>} changes */
  set(changes) {
    const after = { ...this.settings, ...changes };
    const names = /** @type {(keyof DocumentSettings)[]} */ (Object.keys(after));
    if (names.every((name) => after[name] === this.settings[name])) return false;
    return this.#commit([], [this.settings, after]);
  }

  /** Take the newest operation back. @returns {boolean} whether there was one */
  undo() {
    const operation = this.#past.pop();
    if (operation === undefined) return false;
    this.#apply(operation, 0);
    this.#future.push(operation);
    return true;
  }

  /** Do the operation again that was taken back last. @returns {boolean} whether there was one */
  redo() {
    const operation = this.#future.pop();
    if (operation === undefined) return false;
    this.#apply(operation, 1);
    this.#past.push(operation);
    return true;
  }

  /** Keep what was read of a line. It is no operation: undo does not touch it. @param {number} id @param {Reading} reading */
  setReading(id, reading) {
    this.#readings.set(id, reading);
    this.changed = Date.now();
  }

  /** @param {Operation["lines"]} lines @param {Operation["settings"]} settings */
  #commit(lines, settings = null) {
    if (lines.length === 0 && settings === null) return false;
    const operation = { lines, settings };
    this.#apply(operation, 1);
    this.#past.push(operation);
    if (this.#past.length > MAX_UNDO) this.#past.shift();
    this.#future = [];
    return true;
  }

  /** @param {Operation} operation @param {0 | 1} side 0: as it was before; 1: as it is after */
  #apply({ lines, settings }, side) {
    for (const change of lines) {
      const [line, other] = [change[side], change[1 - side]];
      if (line !== null && line !== undefined) this.#lines.set(line.id, line);
      else if (other !== null && other !== undefined) this.#lines.delete(other.id);
    }
    if (settings !== null) this.settings = settings[side];
    this.changed = Date.now();
  }
}

/**
 * Check what is to be stored, of a backup for instance.
 *
 * @param {DocumentData} data
 * @throws {TypeError} if it is no document
 */
export function checkStored(data) {
  const isPoint = (/** @type {unknown} */ point) => Array.isArray(point) && point.length > 1 && point.every(Number.isFinite);
  const isStroke = (/** @type {InkStroke} */ { id, points }) => Number.isFinite(id) && points.length > 0 && points.every(isPoint);
  const isLine = (/** @type {DocumentLine} */ { id, row, strokes }) => Number.isFinite(id) && Number.isFinite(row) && strokes.every(isStroke);
  const { id, version, changed, lines, past, future } = data;
  const all = [...lines, ...[...past, ...future].flatMap((operation) => operation.lines.flat().filter((line) => line !== null))];
  const isDocument = typeof id === "string" && version === VERSION && Number.isFinite(changed) && all.every(isLine);
  if (!isDocument) throw new TypeError("this is no document");
  new PadDocument(id, data).wholeText; // throws on faulty texts
}

/** Return the left end of a line's ink. @param {DocumentLine} line */
export function left({ strokes }) {
  return strokes.reduce((least, { points }) => Math.min(least, boxOf(points).left), Infinity);
}

/** Return the text of a line that has neither ink nor an image; it was typed. @param {DocumentLine} line */
export function typedText({ strokes, image, correction }) {
  return strokes.length === 0 && image === undefined ? (correction?.text ?? "") : "";
}

/** Return the right end of what a line shows on the paper. @param {DocumentLine} line */
export function right(line) {
  const { strokes, image } = line;
  const typed = typedText(line);
  const width = image?.width ?? TEXT_ADVANCE * typed.length;
  const first = width === 0 ? -Infinity : IMAGE_LEFT + width;
  return strokes.reduce((most, { points }) => Math.max(most, boxOf(points).right), first);
}

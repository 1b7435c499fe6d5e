/**
 * The page: the document, what reads it, and what shows it.
 *
 * @import { Letter, Point } from "../client/protocol.d.ts"
 * @import { Stream } from "../client/inkstream.js"
 * @import { DocumentLine } from "./document.js"
 * @import { LiveStroke } from "./paper.js"
 * @import { Kind, LineReader, Source } from "./reader.js"
 * @import { Stored } from "./store.js"
 * @import { Colour } from "./strokes.js"
 */

import { connect } from "../client/inkstream.js";
import { Bars, Curve } from "./digits.js";
import { IMAGE_LEFT, IMAGE_TOP, PadDocument, ROW_HEIGHT, checkStored } from "./document.js";
import { Documents } from "./documents.js";
import { element } from "./dom.js";
import { Example, exampleStrokes } from "./example.js";
import { exported, png, printout } from "./export.js";
import { kindOf, listenForFiles, readInk } from "./files.js";
import { isTap, roomFor, struckOut, tapped } from "./gestures.js";
import { ImageView } from "./image_view.js";
import { chooseLanguage, fillMenu } from "./languages.js";
import { Letters } from "./letters.js";
import { bitmapOf } from "./line_images.js";
import { Line } from "./line.js";
import { t, translatePage } from "./messages.js";
import { Metrics } from "./metrics.js";
import { Paper } from "./paper.js";
import { another, isPattern, patternOf } from "./pattern.js";
import { Reader } from "./reader.js";
import { Ribbon } from "./ribbon.js";
import { barBefore } from "./rows.js";
import { Status } from "./status.js";
import { Store } from "./store.js";
import { INKS } from "./strokes.js";
import { TextView, place } from "./text_view.js";
import { Windows } from "./windows.js";

const METRICS_INTERVAL_MS = 2000;
const ANSWER_TIMEOUT_MS = 10_000;
const EXAMPLE_LEFT = 24; // CSS pixels from the paper's left side to the example
const OFFER_MS = 4000; // after the newest stroke: until then other readings of its word are offered
const COPIED_MS = 1500; // for which the button says so
const COLOUR_NAMES = { black: t("black"), blue: t("blue"), red: t("red") };
const NUMBERS = "0123456789.,:+-/% "; // characters of a line of numbers
const DATE = "[0-9]{1,2}[./-] ?[0-9]{1,2}[./-] ?([0-9]{2}|[0-9]{4})|[0-9]{4}-[0-9]{2}-[0-9]{2}";
/** Keys of `localStorage`, followed by the page's path. */
const OPEN = `inkstream open ${location.pathname}`; // id of the document that is open
const WORDS = `inkstream words ${location.pathname}`; // that were learned, one a line
const SEES = `inkstream sees ${location.pathname}`; // whether `How it sees` is on, if not by the window's size
const MODEL = `inkstream model ${location.pathname}`; // name of the one that reads text, if it was chosen
const LEFT_HANDED = `inkstream left-handed ${location.pathname}`;
const KEY = `inkstream key ${location.pathname}`; // of the API, if it is to be remembered
const COLOURS = `inkstream colours ${location.pathname}`; // "light" or "dark", if not automatic

translatePage();
const status = new Status();
const store = new Store({
  onKept(id) {
    status.showKept(true);
    windows.saved(id);
  },
  onFailed: () => status.showKept(false),
});
const windows = new Windows(location.pathname, {
  has: (id) => id === pad.id && !isUntouched(),
  onTake: (id) => letGo(id, t("You went on with this page in another window.")),
  onLateAnswer: (id) => letGo(id, t("This page is open in another window.")),
  onConflict() {
    pad.id = newId(); // this window goes on with a copy
    save();
    status.showError({ code: "conflict", message: t("Another window has changed this page too. This window goes on with a copy.") });
  },
});
let pad = new PadDocument("");
/** Language models of the server. @type {string[]} */
let languages = [];
/** @type {readonly string[]} */
let labels = [];
/** @type {string | undefined} */
let key = localStorage.getItem(KEY) ?? undefined;
let isRedrawPending = false;
let areLettersAligned = false;
let newRow = -1; // which a new line was asked for
/** Strokes that were written since the pen has rested. @type {Set<number>} */
const sinceRest = new Set();
/** The stroke that was written last, and its line. @type {{ line: number, stroke: number } | undefined} */
let newest;
/** Strokes that the lasso has chosen. @type {ReadonlySet<number>} */
let chosen = new Set();

const shownLine = new Line(); // where no stream reads the active line
const ribbon = new Ribbon(element("ribbon", HTMLCanvasElement), shownLine);
const letters = new Letters(element("letters", HTMLElement), shownLine, correctLetter);
const bars = new Bars(element("bars", HTMLElement));
const curve = new Curve(element("curve", HTMLCanvasElement), shownLine);
const metrics = new Metrics((field) => element(field, HTMLElement));
let line = shownLine; // that is shown in `How it sees`

const paper = new Paper(
  {
    scroller: element("paper", HTMLElement),
    canvas: element("pad", HTMLCanvasElement),
    sheet: element("sheet", HTMLElement),
  },
  {
    lines: () => pad.lines,
    onBegin: () => pad.takeId(),
    lineOf: (row, x) => pad.lineAt(row, x)?.id ?? pad.takeId(),
    onInk(since) {
      if (pad.isEmpty) showIntro();
      if (paper.live && tapBy(paper.live) === undefined) text.withdraw();
      metrics.recordInk(since);
      reader.update();
    },
    onEnd(stroke) {
      const { line: lineId, row, isRested, ...ink } = stroke;
      const { id, points } = ink;
      const tap = tapBy(stroke);
      if (tap !== undefined) return tap();
      newest = { line: lineId, stroke: id };
      const struck = struckOut(points, row, pad.lines, isRested);
      const width = element("paper", HTMLElement).clientWidth / paper.zoom;
      const onPaper = points.map(([x, y]) => /** @type {Point} */ ([x, y + row * ROW_HEIGHT]));
      const bar = barBefore(onPaper, row, pad.lines);
      if (isRested) sinceRest.clear();
      const strokes = pad.line(lineId)?.strokes ?? [];
      const [written, rest] = [true, false].map((isNew) => strokes.filter((each) => sinceRest.has(each.id) === isNew));
      const room = struck.size > 0 ? undefined : roomFor([...(written ?? []).map((each) => each.points), points], rest ?? []);
      sinceRest.add(id);
      pad.addStroke(ink, { id: lineId, row, width, isNew: row === newRow }, bar, room);
      // One operation more: undo brings back what was struck out, and this stroke with it.
      if (struck.size > 0) pad.erase(struck.add(id));
      changed();
    },
    onCancel: changed,
    onErase(ids) {
      if (pad.erase(ids)) changed();
    },
    onChoose: choose,
    onMove([right, down]) {
      if (right !== 0 || down !== 0) carry([right, down]);
    },
    onZoom(zoom) {
      const button = element("zoom", HTMLElement);
      button.hidden = zoom === 1;
      button.textContent = `${Math.round(100 * zoom)} %`;
      element("reading", HTMLElement).style.setProperty("--zoom", String(zoom));
      areLettersAligned = false;
      redraw();
    },
  },
);
const text = new TextView(
  {
    list: element("text", HTMLElement),
    popover: element("word", HTMLElement),
    field: element("correct", HTMLInputElement),
    choices: element("choices", HTMLElement),
    candidates: element("candidates", HTMLElement),
    form: element("word-form", HTMLFormElement),
    remove: element("remove-word", HTMLElement),
    learn: element("learn", HTMLElement),
  },
  {
    onText(id, changedText) {
      if (pad.setText(id, changedText)) changed();
    },
    onType(typed) {
      paper.activeRow = pad.addText(typed, paper.activeRow);
      changed();
      paper.show(paper.activeRow);
    },
    onRemove(id, from, to) {
      const isErased = pad.erase(pad.strokesOf(id, from, to));
      if (isErased) changed();
      return isErased;
    },
    onLearn(word) {
      const words = element("words", HTMLTextAreaElement);
      if (!learnedWords().includes(word)) words.value = [...learnedWords(), word].join("\n");
      localStorage.setItem(WORDS, words.value);
    },
    onSelect(id) {
      const row = pad.line(id)?.row;
      if (row === undefined) return;
      paper.activeRow = row;
      paper.show(row);
      paper.draw();
      redraw();
    },
    onOpen: (id, from, to) => paper.mark(pad.strokesOf(id, from, to)),
    onClose: () => void paper.mark(chosen),
    inkOf: (id, from, to) => paper.boxOf(pad.strokesOf(id, from, to)),
  },
);
const example = new Example((strokes, shown) => {
  paper.showExample(strokes);
  element("example-text", HTMLElement).textContent = shown;
});
const reader = new Reader(connectTo, ROW_HEIGHT, {
  sources,
  options,
  onReading(id, reading) {
    if (pad.line(id) === undefined && paper.live?.line !== id) return;
    pad.setReading(id, reading);
    if (reading.of !== "") save();
    redraw();
    const isNewest = reading.of !== "" && newest?.line === id && paper.live === undefined && paper.restedMs < OFFER_MS;
    if (isNewest) text.offer(id, pad.indexOf(id, newest?.stroke ?? -1));
  },
  onMessage(lineReader, message) {
    if (message.type === "result") metrics.recordResult();
    // Only these change the frame, or have the line in another one kept.
    if (["rewound", "reset_done", "flushed"].includes(message.type)) areLettersAligned = false;
    if (message.type === "goaway") status.showWaiting(t("the server is about to stop"));
    redraw();
  },
  onOpen(lineReader) {
    const ready = lineReader.stream?.ready;
    if (ready === undefined) return;
    metrics.showModel(ready.model);
    element("pages", HTMLElement).hidden = !metrics.readsText;
    if (lineReader.kind === "classifier") return bars.setLabels(ready.labels);
    ({ languages, labels } = ready);
    element("text-model-label", HTMLElement).hidden = metrics.textModels.length < 2;
    const textModel = element("text-model", HTMLSelectElement);
    textModel.replaceChildren(...metrics.textModels.map((name) => new Option(name)));
    textModel.value = ready.model.name;
    fillMenu(element("language", HTMLSelectElement), languages, pad.settings.language);
  },
  onError: showError,
  onState() {
    if (reader.state === "open") status.showConnected();
    else if (reader.state === "waiting") status.showWaiting(hasConnected ? t("reconnecting") : t("connecting"));
    else status.showClosed();
    hasConnected ||= reader.state === "open";
  },
});
let hasConnected = false;
const images = new ImageView({
  connect: (asText) => connectTo(!asText && pad.settings.reads === "digit" ? "classifier" : "transcriber"),
  server: metrics,
  headers: credentials,
  onToggle: showIntro,
  largestLine: () => ({
    width: element("paper", HTMLElement).clientWidth / paper.zoom - 2 * IMAGE_LEFT,
    height: ROW_HEIGHT - 2 * IMAGE_TOP,
  }),
  onLines(lines) {
    if (!pad.addImage(lines)) return;
    paper.activeRow = (pad.lines.at(-1)?.row ?? 0) + 1; // what is written next stands below them
    changed();
    paper.show(paper.activeRow);
  },
  onError: showError,
});

/** @param {{ code: string, message: string }} error */
function showError(error) {
  if (error.code === "unauthorized") status.askForKey(key !== undefined);
  else if (error.code === "bad_value" && pad.settings.reads === "pattern") explainPattern(true);
  else status.showError(error);
}

// Reading

/** @param {Kind} kind @returns {Promise<Stream>} */
async function connectTo(kind) {
  return connect(new URL(".", location.href), {
    model: await metrics.chooseModel(
      kind === "classifier" ? "digits" : (localStorage.getItem(MODEL) ?? "lines"),
      credentials(),
    ),
    answer_timeout_ms: ANSWER_TIMEOUT_MS,
    ...(key !== undefined && { key }),
  });
}

/** Return the lines as they are to be read, the active one first. @returns {Source[]} */
function sources() {
  const live = paper.live && tapBy(paper.live) === undefined ? paper.live : undefined;
  const lines = pad.lines;
  const isNew = live !== undefined && pad.line(live.line) === undefined;
  if (isNew) lines.push({ id: live.line, row: live.row, reads: pad.settings.reads, strokes: [], correction: null });
  const found = lines.map((each) => {
    const strokes = each.strokes.map(({ id, points }) => ({ id, points, isDone: true }));
    const isWriting = live?.line === each.id;
    if (isWriting) strokes.push({ id: live.id, points: live.points, isDone: false });
    return {
      id: each.id,
      name: pad.nameOf(each),
      settings: `${pad.settingsOf(each)} ${learnedWords().join(" ")}`,
      reads: each.reads,
      strokes,
      hasText: pad.reading(each.id) !== undefined,
      isRead: pad.isRead(each) && !isWriting,
      isWriting,
      isActive: isWriting || each.row === paper.activeRow,
      restedMs: each.row === paper.activeRow ? paper.restedMs : Infinity,
    };
  });
  return found.sort((one, other) => Number(other.isActive) - Number(one.isActive));
}

/** Return the options of the session for a line. @param {Source} source */
function options({ reads }) {
  if (reads === "digit") return {};
  const isText = reads === "text";
  const known = new Set(labels);
  return {
    language: isText ? chooseLanguage(pad.settings.language, languages, navigator.languages) : null,
    words: isText ? learnedWords().filter((word) => [...word].every((char) => known.has(char))) : [],
    characters: reads === "number" ? NUMBERS : null,
    pattern: reads === "date" ? DATE : reads === "pattern" ? patternOf(pad.settings.pattern) || null : null,
  };
}

/** @returns {string[]} */
function learnedWords() {
  return element("words", HTMLTextAreaElement).value.split(/\s+/u).filter((word) => word !== "");
}

/** Return the request headers that carry the key. @returns {Record<string, string>} */
function credentials() {
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}

// The document

/** Store a change of the document, show it and have it read. */
function changed() {
  status.hideError();
  save();
  refresh();
}

/** Mark strokes, and offer beside them what can be done with them. @param {ReadonlySet<number>} ids */
function choose(ids) {
  chosen = ids;
  const box = paper.mark(ids);
  const offer = element("chosen", HTMLElement);
  offer.togglePopover(box !== undefined);
  if (box !== undefined) place(offer, box, box);
}

/** Carry the chosen strokes elsewhere, or copies of them. @param {Point} by @param {boolean} [isCopy] */
function carry(by, isCopy) {
  const carried = pad.carry(chosen, by, isCopy);
  changed();
  choose(carried);
}

/** Show the document and have it read. */
function refresh() {
  text.withdraw();
  if (chosen.size > 0) choose(new Set());
  for (const { image } of pad.lines) if (image !== undefined) bitmapOf(image, () => paper.draw());
  paper.fitSheet();
  paper.draw();
  reader.open(pad.settings.reads === "digit" ? "classifier" : "transcriber");
  reader.update();
  if (isReading()) element("text", HTMLElement).ariaBusy = "true"; // screen readers wait for the text that is decided
  showIntro();
  redraw();
}

function isReading() {
  return pad.lines.some((each) => !pad.isRead(each));
}

function save() {
  const saved = pad;
  if (isUntouched()) return;
  localStorage.setItem(OPEN, saved.id);
  store.save(saved.id, () => {
    const text = saved.wholeText;
    return { ...saved.toData(), title: saved.settings.name || (text.split("\n", 1)[0] ?? ""), text };
  });
}

/** Whether nothing was ever done in the document. */
function isUntouched() {
  return pad.isEmpty && !pad.canUndo && !pad.canRedo;
}

/**
 * Open a document that no other window has open; a new one if there is none with this id. One that is open
 * elsewhere is offered.
 *
 * @param {string} [id]
 * @param {boolean} [isTaken] whether the other window has let it go
 */
async function open(id, isTaken = false) {
  status.hideOffer();
  if (id === pad.id) return;
  if (id !== undefined && !isTaken && (await windows.isElsewhere(id))) {
    if (pad.id === "") await open();
    return status.offerToGoOn(t("This page is open in another window."), () => takeOver(id));
  }
  await store.finish();
  const data = id === undefined ? undefined : await store.load(id);
  pad = data === undefined || data.deleted ? new PadDocument(newId()) : new PadDocument(data.id, data);
  if (!isUntouched()) localStorage.setItem(OPEN, pad.id);
  paper.activeRow = pad.lines.at(-1)?.row ?? 0;
  showSettings();
  refresh();
  paper.resize();
  paper.show(paper.activeRow);
}

/** Store the document that is open here and close it: another window has it. @param {string} id @param {string} message */
async function letGo(id, message) {
  paper.finish();
  await store.finish();
  await open();
  status.offerToGoOn(message, () => takeOver(id));
}

/** Go on here with a document that another window has open. @param {string} id */
async function takeOver(id) {
  await windows.take(id);
  await open(id, true);
}

/** Return an id that no document has. (`crypto.randomUUID` is for pages of https alone.) */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");
}

const documents = new Documents(store, {
  openId: () => pad.id,
  onOpen: (id) => open(id),
  async onRename(id, name) {
    if (id === pad.id) {
      if (pad.set({ name })) changed();
      return store.finish();
    }
    const data = await store.load(id);
    if (data === undefined || !(await isHere(id))) return;
    await store.put({ ...data, settings: { ...data.settings, name }, title: name });
  },
  async onRemove(id) {
    if (!(await isHere(id))) return false;
    await store.finish();
    if (id === pad.id) await open();
    return true;
  },
});

/** Return whether no other window has a document open; offer it if one has. @param {string} id */
async function isHere(id) {
  if (id === pad.id || !(await windows.isElsewhere(id))) return true;
  status.offerToGoOn(t("This page is open in another window."), () => takeOver(id));
  return false;
}

// Files

/** Take files into the document, one after the other. @param {File[]} files */
async function takeFiles(files) {
  for (const popover of [element("documents", HTMLElement), element("settings", HTMLElement)]) popover.hidePopover();
  for (const file of files) {
    const kind = await kindOf(file);
    if (kind === undefined) {
      status.showError({ code: "no_file", message: t("{name} cannot be opened. Choose the files of a folder themselves.", { name: file.name }) });
    } else if (kind === "text") await takeText(await file.text());
    else await images.loadFile(file, kind === "pdf");
  }
}

/** Take ink, or a backup. @param {string} content */
async function takeText(content) {
  try {
    if (content.startsWith('{"inkstream":"backup"')) return await restore(JSON.parse(content).documents);
    const ink = readInk(content);
    if (ink.length === 0) throw new SyntaxError("there are no strokes");
    if (pad.addInk(ink)) changed();
  } catch {
    const message = t("This file has no ink that can be read. It has to be JSON lines or InkML.");
    status.showError({ code: "no_ink", message });
  }
}

/** Bring documents of a backup back, where this browser has none that is newer. @param {Stored[]} backup */
async function restore(backup) {
  const ids = new Map((await store.list()).map(({ id, changed: when }) => [id, when]));
  backup.forEach(checkStored);
  for (const data of backup) {
    if (data.id !== pad.id && data.changed > (ids.get(data.id) ?? 0)) await store.put(data);
  }
  element("documents", HTMLElement).showPopover();
}

/** @param {"undo" | "redo"} direction */
function step(direction) {
  if (!pad[direction]()) return;
  showSettings();
  changed();
}

function showSettings() {
  const { reads, language, pattern } = pad.settings;
  element("reads", HTMLSelectElement).value = reads;
  fillMenu(element("language", HTMLSelectElement), languages, language);
  element("pattern", HTMLInputElement).value = pattern;
  element("pattern-label", HTMLElement).hidden = reads !== "pattern";
  explainPattern();
}

/** Say beside an example what else is read with it, or what is wrong with it. @param {boolean} [isRefused] by the server */
function explainPattern(isRefused = false) {
  const field = element("pattern", HTMLInputElement);
  const example = field.value.trim();
  const isWrong = isRefused || !isPattern(example);
  field.ariaInvalid = String(isWrong);
  const other = another(example);
  element("pattern-help", HTMLElement).textContent = isWrong
    ? t("This pattern cannot be used. Write an example instead, such as AB 1234.")
    : other === ""
      ? t("Letters and digits stand for all others of their kind.")
      : t("Also read: {other}", { other });
}

/** Begin the next line; an empty one is inserted if there is ink below. */
function nextLine() {
  const row = paper.activeRow + 1;
  if (pad.lines.some((each) => each.row === row)) pad.insertRow(row);
  paper.activeRow = newRow = row;
  changed();
  paper.show(row);
}

// Display

/** Show the example while there is nothing else. */
function showIntro() {
  const isEmpty = pad.isEmpty && paper.live === undefined && element("player", HTMLElement).hidden;
  element("intro", HTMLElement).hidden = !isEmpty;
  if (isEmpty) example.start(exampleInk());
  else example.stop();
}

/** Return the ink of the example for the paper as it is. */
function exampleInk() {
  return exampleStrokes(ROW_HEIGHT, EXAMPLE_LEFT, element("paper", HTMLElement).clientWidth / paper.zoom);
}

/** Align the ribbon and the letters with the ink. */
function align() {
  const columnHeight = reader.lineReaders.find((lineReader) => lineReader.line === line)?.stream?.ready.column_height ?? 32;
  const pixelsPerColumn = (paper.zoom * (line.height ?? ROW_HEIGHT)) / columnHeight;
  ribbon.align(pixelsPerColumn, paper.offset);
  letters.align(pixelsPerColumn, paper.offset);
}

/** Draw the text and how it is seen in the next animation frame. */
function redraw() {
  if (isRedrawPending) return;
  isRedrawPending = true;
  requestAnimationFrame(() => {
    isRedrawPending = false;
    element("undo", HTMLButtonElement).disabled = !pad.canUndo;
    element("redo", HTMLButtonElement).disabled = !pad.canRedo;
    element("copy", HTMLButtonElement).disabled = pad.isEmpty;
    text.draw(pad, paper.activeRow);
    element("text", HTMLElement).ariaBusy = String(isReading());
    if (!element("sees", HTMLElement).hidden) drawSees();
  });
}

function drawSees() {
  const lineReader = activeLineReader();
  const wanted = lineReader?.line ?? shownLine;
  document.body.dataset["reads"] = pad.settings.reads;
  if (wanted !== line || !areLettersAligned) {
    line = wanted;
    for (const view of [ribbon, letters, curve]) view.show(line);
    areLettersAligned = true;
    align();
  }
  ribbon.draw();
  letters.draw();
  bars.draw(line.results.at(-1));
  if (pad.settings.reads === "digit") curve.draw();
}

/** Return the stream that reads the active line. @returns {LineReader | undefined} */
function activeLineReader() {
  const ofRow = pad.lines.filter(({ row }) => row === paper.activeRow).map(({ id }) => id);
  const ids = paper.live === undefined ? ofRow : [paper.live.line];
  return reader.lineReaders
    .filter(({ lineId }) => lineId !== undefined && ids.includes(lineId))
    .sort((one, other) => other.usedAt - one.usedAt)[0];
}

/**
 * Return what a stroke does that is a tap: on a reading that is offered, or on the ink of a word that was decided;
 * undefined if it is writing.
 *
 * @param {LiveStroke} stroke
 * @returns {(() => void) | undefined}
 */
function tapBy({ points, row }) {
  const [[x, y] = [0, 0]] = points;
  const candidate = isTap(points) ? text.candidateAt(paper.inWindow([x, y + row * ROW_HEIGHT])) : undefined;
  if (candidate !== undefined) return () => candidate.click();
  const touched = tapped(points, row, pad.lines.filter((each) => pad.isRead(each)));
  const index = touched === undefined ? -1 : pad.indexOf(touched.line, touched.stroke);
  return touched === undefined || index < 0 ? undefined : () => text.open(touched.line, index);
}

/** @param {Letter} letter @param {string} char */
function correctLetter(letter, char) {
  const lineId = activeLineReader()?.lineId;
  const read = lineId === undefined ? undefined : pad.line(lineId);
  if (read === undefined) return;
  const index = [...line.text.matchAll(/\S/gu)][letter.id]?.index;
  const { text: shown, origins } = pad.corrected(read);
  const at = index === undefined ? -1 : origins.indexOf(index);
  if (at < 0) return;
  const corrected = shown.slice(0, at) + char + shown.slice(at + letter.char.length);
  if (pad.setText(read.id, corrected)) changed();
}

setInterval(async () => {
  const stream = reader.lineReaders.find(({ state }) => state === "open")?.stream;
  metrics.show(await stream?.ping().catch(() => undefined));
}, METRICS_INTERVAL_MS);

// Export

/** @param {string} format */
async function saveAs(format) {
  if (format === "print") return print();
  if (format === "share") return navigator.share({ text: pad.wholeText, files: [await picture()] }).catch(() => {}); // it was closed
  if (format === "png") return download("document.png", await png(pad));
  const { name, type, text: content } = exported(pad, format);
  download(name, new Blob([content], { type }));
}

/** Return the document's image as a file. */
async function picture() {
  return new File([await png(pad)], "document.png", { type: "image/png" });
}

/** @param {string} name @param {Blob} content */
function download(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Copy a text to the clipboard. @param {string} copied */
async function copy(copied) {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(copied);
  const field = document.createElement("textarea"); // a page that is not of https
  field.value = copied;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

// Controls

/** @param {string} id @param {() => unknown} act */
function onClick(id, act) {
  element(id, HTMLElement).addEventListener("click", () => void act());
}

addEventListener("beforeprint", () => element("print", HTMLElement).replaceChildren(...printout(pad)));

onClick("undo", () => step("undo"));
onClick("redo", () => step("redo"));
onClick("next", nextLine);
onClick("clear", () => {
  if (pad.clear()) changed();
  paper.activeRow = 0;
  paper.show(0);
});
for (const tool of /** @type {const} */ (["eraser", "lasso"])) {
  onClick(tool, () => {
    paper.tool = paper.tool === tool ? "pen" : tool;
    for (const id of ["eraser", "lasso"]) element(id, HTMLElement).ariaPressed = String(id === paper.tool);
    text.withdraw();
    choose(new Set());
  });
}
onClick("duplicate", () => {
  const rows = new Set(pad.lines.map(({ row }) => row));
  const ofChosen = pad.lines.filter(({ strokes }) => strokes.some(({ id }) => chosen.has(id))).map(({ row }) => row);
  let down = 1;
  while (ofChosen.some((row) => rows.has(row + down))) down += 1;
  carry([0, down * ROW_HEIGHT], true);
});
onClick("erase", () => {
  if (pad.erase(chosen)) changed();
});
onClick("read-again", () => {
  for (const id of pad.forget(chosen)) reader.readAgain(id);
  changed();
});
onClick("colour", () => {
  const names = /** @type {Colour[]} */ (Object.keys(INKS));
  paper.colour = names[(names.indexOf(paper.colour) + 1) % names.length] ?? "black";
  showColour();
});
function showColour() {
  const button = element("colour", HTMLElement);
  button.ariaLabel = t("Ink: {colour}", { colour: COLOUR_NAMES[paper.colour] });
  button.style.setProperty("--chosen", `var(${INKS[paper.colour].property})`);
}
showColour();
onClick("zoom", () => {
  paper.zoomTo(1);
  paper.show(paper.activeRow);
});
onClick("new-document", () => {
  element("documents", HTMLElement).hidePopover();
  return open();
});
onClick("example", () => {
  pad.addInk([exampleInk().map((points) => ({ points, pressures: points.map(() => 0.5) }))]);
  paper.activeRow = 0;
  changed();
});
onClick("type", () => text.openNew(element("type", HTMLElement).getBoundingClientRect()));
onClick("copy", async () => {
  const button = element("copy", HTMLButtonElement);
  await copy(pad.wholeText);
  button.textContent = t("Copied");
  setTimeout(() => (button.textContent = t("Copy")), COPIED_MS);
});
element("export", HTMLElement).addEventListener("click", ({ target }) => {
  const format = target instanceof HTMLElement ? target.dataset["format"] : undefined;
  if (format !== undefined) void saveAs(format);
});
const probe = new File([], "document.png", { type: "image/png" });
element("share", HTMLElement).hidden = !navigator.canShare?.({ files: [probe] });
listenForFiles(takeFiles);
onClick("backup", async () => {
  await store.finish();
  const backup = { inkstream: "backup", documents: await store.list() };
  download("inkstream-backup.json", new Blob([JSON.stringify(backup)], { type: "application/json" }));
});
element("reads", HTMLSelectElement).addEventListener("change", ({ target }) => {
  const reads = /** @type {DocumentLine["reads"]} */ (/** @type {HTMLSelectElement} */ (target).value);
  if (pad.set({ reads })) changed();
  showSettings();
});
element("text-model", HTMLSelectElement).addEventListener("change", ({ target }) => {
  localStorage.setItem(MODEL, /** @type {HTMLSelectElement} */ (target).value);
  for (const { id } of pad.lines) pad.unread(id);
  reader.restart();
  changed();
});
element("pattern", HTMLInputElement).addEventListener("input", () => explainPattern());
element("pattern", HTMLInputElement).addEventListener("change", ({ target }) => {
  const pattern = /** @type {HTMLInputElement} */ (target).value.trim();
  if (isPattern(pattern) && pad.set({ pattern })) changed();
});
element("language", HTMLSelectElement).addEventListener("change", ({ target }) => {
  if (pad.set({ language: /** @type {HTMLSelectElement} */ (target).value })) changed();
});
const words = element("words", HTMLTextAreaElement);
words.value = localStorage.getItem(WORDS) ?? "";
words.addEventListener("change", () => localStorage.setItem(WORDS, words.value));
const sees = element("sees-switch", HTMLInputElement);
sees.checked = (localStorage.getItem(SEES) ?? String(matchMedia("(min-width: 900px) and (min-height: 720px)").matches)) === "true";
function showSees() {
  element("sees", HTMLElement).hidden = !sees.checked;
  areLettersAligned = false;
  if (sees.checked) drawSees();
}
sees.addEventListener("change", () => {
  localStorage.setItem(SEES, String(sees.checked));
  showSees();
});
showSees();
const leftHanded = element("left-handed", HTMLInputElement);
leftHanded.checked = localStorage.getItem(LEFT_HANDED) !== null;
function showHand() {
  document.body.toggleAttribute("data-left-handed", leftHanded.checked);
  if (leftHanded.checked) localStorage.setItem(LEFT_HANDED, "");
  else localStorage.removeItem(LEFT_HANDED);
}
leftHanded.addEventListener("change", showHand);
showHand();
const colours = element("colours", HTMLSelectElement);
colours.value = localStorage.getItem(COLOURS) ?? "";
function showColours() {
  document.documentElement.dataset["colours"] = colours.value;
  if (colours.value !== "") localStorage.setItem(COLOURS, colours.value);
  else localStorage.removeItem(COLOURS);
  paper.draw();
  line.changedFrom = 0;
  redraw();
}
colours.addEventListener("change", showColours);
showColours();
element("key-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  key = element("key", HTMLInputElement).value;
  if (element("remember-key", HTMLInputElement).checked) localStorage.setItem(KEY, key);
  else localStorage.removeItem(KEY);
  reader.restart();
});
const reading = element("reading", HTMLElement);
// The text beside the ink moves with it.
reading.addEventListener("wheel", ({ deltaY }) => element("paper", HTMLElement).scrollBy(0, deltaY), { passive: true });
element("paper", HTMLElement).addEventListener("scroll", ({ target }) => {
  reading.style.setProperty("--scroll", `${/** @type {HTMLElement} */ (target).scrollTop}px`);
  areLettersAligned = false;
  if (chosen.size > 0) choose(chosen);
  text.withdraw();
  redraw();
});
const texts = element("text", HTMLElement);
function selectAll() {
  const range = new Range();
  range.selectNode(texts);
  getSelection()?.removeAllRanges();
  getSelection()?.addRange(range);
}
addEventListener("keydown", (event) => {
  const { target, key, ctrlKey, metaKey, shiftKey } = event;
  if (target instanceof Element && target.closest("input, textarea, select") !== null) return;
  const isButton = target instanceof Element && target.closest("a, button") !== null;
  const isCommand = ctrlKey || metaKey;
  if (isCommand && key.toLowerCase() === "z") step(shiftKey ? "redo" : "undo");
  else if (isCommand && key.toLowerCase() === "y") step("redo");
  else if (isCommand && key.toLowerCase() === "a") selectAll();
  else if (key === "Enter" && !isButton) nextLine();
  else if (["Delete", "Backspace"].includes(key) && pad.erase(chosen)) changed();
  else if (key === "Escape" && document.querySelector('[popover=""]:popover-open') === null) choose(new Set());
  else return;
  event.preventDefault();
});
addEventListener("copy", (event) => {
  const selection = getSelection();
  const isField = event.target instanceof Element && event.target.closest("input, textarea") !== null;
  const isPart = selection !== null && !selection.isCollapsed && !selection.containsNode(texts);
  if (isField || isPart || pad.isEmpty) return;
  event.clipboardData?.setData("text/plain", pad.wholeText);
  event.preventDefault();
});
// Where something is selected, the browser would drag it instead of passing the pen's movements on.
addEventListener("dragstart", (event) => event.preventDefault());
addEventListener("pagehide", () => {
  paper.finish();
  void store.finish();
});

// The page opens without a server once the service worker has its files.
if ("serviceWorker" in navigator) {
  navigator.serviceWorker
    .register("service_worker.js")
    .then(() => navigator.serviceWorker.ready)
    .then(({ active }) => {
      const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
      active?.postMessage([new URL(".", location.href).href, ...loaded]);
    })
    .catch(() => {}); // the browser forbids it
}

reader.open("transcriber"); // which takes no less long than the browser's documents
await store.open(location.pathname);
await open(localStorage.getItem(OPEN) ?? undefined);
element("paper", HTMLElement).inert = false; // what is written belongs to the document that is open now

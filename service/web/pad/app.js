/**
 * The page: sends the ink of the pad to the server, and shows the server's messages.
 *
 * @import { Letter, Ready, Stroke } from "../client/protocol.d.ts"
 * @import { Message, Stream } from "../client/inkstream.js"
 * @import { PadStroke } from "./pad.js"
 */

import { InkstreamError, connect } from "../client/inkstream.js";
import { Bars } from "./bars.js";
import { Correction } from "./correction.js";
import { Curve } from "./curve.js";
import { element, setText } from "./dom.js";
import { imageLines } from "./image.js";
import { LanguageMenu } from "./languages.js";
import { Letters } from "./letters.js";
import { Line } from "./line.js";
import { Metrics } from "./metrics.js";
import { Pad } from "./pad.js";
import { PauseTimer } from "./pause_timer.js";
import { Picture } from "./picture.js";
import { Player } from "./player.js";
import { Ribbon } from "./ribbon.js";
import { Samples } from "./samples.js";
import { addShortcuts } from "./shortcuts.js";
import { Status } from "./status.js";

const METRICS_INTERVAL_MS = 2000;
const RETRY_MS = 2000;
const ANSWER_TIMEOUT_MS = 10_000;
/** Codes of errors after which a new session gets all that is on the pad. */
const ENDS_OF_SESSIONS = new Set(["no_connection", "stopping", "server_full", "idle", "not_resumable"]);

const line = new Line();
const ribbon = new Ribbon(element("ribbon", HTMLCanvasElement), line);
const letters = new Letters(element("letters", HTMLElement), line, correctLetter);
const correction = new Correction(element("correct", HTMLInputElement));
const hint = element("hint", HTMLElement);
const bars = new Bars(element("bars", HTMLElement));
const curve = new Curve(element("curve", HTMLCanvasElement), line);
const metrics = new Metrics((field) => element(field, HTMLElement));
const samples = new Samples(element("download", HTMLButtonElement));
const pad = new Pad(element("pad", HTMLCanvasElement), { onInk, onLift: startPauseTimer, onPalm: undo });
const status = new Status();
const languages = new LanguageMenu(
  element("language-label", HTMLElement),
  element("language", HTMLSelectElement),
  recognizeAgain,
);
const pauseTimer = new PauseTimer({
  onPause: () => stream?.pause().catch(() => {}),
  onFlush() {
    void flush();
    pad.scroll();
    align();
  },
});
const player = new Player({
  onImage: (file) => void loadImage(file),
  onColumns: (pixels) => stream?.columns(pixels).catch(() => {}),
  onAdvance: showPicture,
  onLineEnd: () => void finishImageLine(),
  onReplay: () => playLine(player.lines, player.columnHeight, 0),
});

/** @type {Stream | undefined} */
let stream;
/** @type {string | undefined} */
let key;
let model = "lines";
let connectionNumber = 0; // messages of an earlier connection are ignored
let isRedrawPending = false;
let isDigitDone = false; // a digit was flushed, so the next stroke begins another one
let isRefused = false; // the server's error has ended the session; a new line connects again
let isUndone = false; // a stroke was undone, perhaps one that is too far back for the server to rewind

// Connection

async function run() {
  const own = ++connectionNumber;
  stream?.close();
  stream = undefined;
  isRefused = false;
  status.showWaiting("connecting");
  while (own === connectionNumber) {
    try {
      const opened = await connect(new URL(".", location.href), {
        model: await metrics.chooseModel(model, credentials()),
        answer_timeout_ms: ANSWER_TIMEOUT_MS,
        ...(key !== undefined && { key }),
      });
      if (own !== connectionNumber) return opened.close();
      stream = opened;
      startSession(opened.ready);
      for await (const message of opened) {
        if (own !== connectionNumber) return;
        handleMessage(message);
      }
      return;
    } catch (error) {
      if (!(error instanceof InkstreamError)) throw error;
      if (own !== connectionNumber) return;
      if (error.code === "unauthorized") return status.askForKey(key !== undefined);
      status.showError(error);
      isRefused = !ENDS_OF_SESSIONS.has(error.code);
      if (isRefused) return status.showClosed();
      status.showWaiting("reconnecting");
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** Begin a session, and send it what is on the pad. @param {Ready} ready */
function startSession(ready) {
  line.begin();
  status.showConnected();
  if (model === "digits") bars.setLabels(ready.labels);
  metrics.showModel(ready.model);
  languages.setLanguages(ready.languages);
  if (languages.chosen !== null) sendLanguage();
  sendAll();
}

/** Send everything that is on the pad to a new session, or after a reset. */
function sendAll() {
  isDigitDone = false;
  align();
  if (pad.picture !== undefined) {
    stream?.columns(player.playedPixels).catch(() => {});
    if (player.nPlayed === pad.picture.nColumns) void finishImageLine();
  }
  sendAllInk();
  startPauseTimer();
}

function sendAllInk() {
  const strokes = pad.takeAll();
  if (strokes.length > 0) onInk(strokes, performance.now());
}

/** Set the language model, from the next line on. */
function sendLanguage() {
  stream?.configure({ language_model: languages.chosen }).catch(() => {});
}

/** Recognize what is on the pad again, with the language model that is chosen now. */
function recognizeAgain() {
  isUndone = false;
  if (stream === undefined) return;
  sendLanguage();
  stream.reset().catch(() => {});
  line.begin(true);
  sendAll();
}

/** @param {Message} message */
function handleMessage(message) {
  if (message.type === "disconnected") {
    status.showError(message.error);
    status.showWaiting("reconnecting");
  } else if (message.type === "reconnected") {
    status.showConnected();
    metrics.showModel(message.ready.model);
  } else if (message.type === "goaway") {
    status.showWaiting("the server is about to stop");
  } else if (message.type === "error") {
    if (!line.isCurrent) return;
    if (isUndone && message.code === "bad_ink") recognizeAgain();
    else status.showError(message);
  } else if (line.update(message)) {
    if (message.type === "result") metrics.recordResult();
    if (message.type === "rewound" && message.frame !== undefined) align();
    if (message.type === "flushed") isDigitDone = model === "digits";
    redraw();
  }
}

// Ink

/** @param {Stroke[]} strokes @param {number} since */
function onInk(strokes, since) {
  pauseTimer.stop();
  hint.hidden = true;
  metrics.recordInk(since);
  if (isDigitDone || pad.picture !== undefined) newLine(pad.strokes.at(-1));
  else stream?.ink(strokes, pad.height).catch(() => {}); // iterating over the messages reports errors
}

function startPauseTimer() {
  if (pad.strokes.length > 0) pauseTimer.start();
  else pauseTimer.stop();
}

/** Decide the whole line; ink in the frame that fits it. */
function flush() {
  if (pad.strokes.length > 0) stream?.pause({ fit: true }).catch(() => {});
  return stream?.flush().catch(() => undefined);
}

function undo() {
  const id = pad.undo();
  if (id === undefined) return;
  isUndone = true;
  isDigitDone = false;
  align(); // the paper may have scrolled back
  stream?.undo(id).catch(() => {});
  startPauseTimer();
}

/** Clear the pad and begin a new line. @param {PadStroke} [first] a stroke that is already written */
function newLine(first) {
  isDigitDone = false;
  status.hideError();
  player.pause();
  pad.clear(first);
  document.body.dataset["shows"] = "ink";
  hint.hidden = pad.strokes.length > 0;
  stream?.reset().catch(() => {});
  line.begin(stream !== undefined);
  correction.clear();
  align();
  sendAllInk();
  redraw();
  if (isRefused) void run();
}

/** Begin a new line, and list the finished one. @param {string} [label] its text, if it was corrected */
async function nextLine(label) {
  if (pad.strokes.length === 0 && pad.picture === undefined) return;
  pauseTimer.stop();
  const { text } = line;
  const flushing = flush();
  newLine(); // before the answer, so that the user can write on
  const flushed = await flushing;
  listFinished(label ?? flushed?.text ?? flushed?.label ?? text);
}

/** @param {string} text */
function listFinished(text) {
  if (text === "") return;
  const item = document.createElement("li");
  item.textContent = text;
  element("lines", HTMLElement).append(item);
}

// Images

/** Have the server convert an image into columns, and play them. @param {Blob} file */
async function loadImage(file) {
  if (stream === undefined) return; // the status already says that the page is not connected
  const { model: { name, kind }, column_height } = stream.ready;
  const own = connectionNumber;
  player.countPreparing(1);
  try {
    const options = { model: name, mayBePage: kind === "transcriber" };
    const lines = await imageLines(file, options, credentials());
    if (own === connectionNumber) playLine(lines, column_height, 0); // else another model was chosen
  } catch (error) {
    if (!(error instanceof InkstreamError)) throw error;
    status.showError(error);
  } finally {
    player.countPreparing(-1);
  }
}

/** @param {Uint8Array[]} lines columns of each @param {number} columnHeight @param {number} lineIndex */
function playLine(lines, columnHeight, lineIndex) {
  newLine();
  hint.hidden = true;
  document.body.dataset["shows"] = "image";
  player.load(lines, columnHeight, lineIndex);
  pad.picture = new Picture(player.pixels, columnHeight);
  showPicture();
}

/** Flush a line of an image that was played; if others follow, list it and play the next one. */
async function finishImageLine() {
  const { picture } = pad;
  const flushed = await flush();
  if (pad.picture !== picture || flushed === undefined || player.isLastLine) return;
  listFinished(flushed.text ?? "");
  playLine(player.lines, player.columnHeight, player.lineIndex + 1);
}

function showPicture() {
  if (pad.picture === undefined) return;
  const { offset } = pad;
  pad.show(pad.picture, player.nPlayed);
  if (pad.offset !== offset) align();
}

/** Return the request headers that carry the key. @returns {Record<string, string>} */
function credentials() {
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}

// Display

/** Align the ribbon and the letters with the ink. */
function align() {
  const { column_height } = stream?.ready ?? { column_height: 32 };
  const pixelsPerColumn = (line.height ?? pad.height) / column_height;
  ribbon.align(pixelsPerColumn, pad.offset);
  letters.align(pixelsPerColumn, pad.offset);
}

/** Draw the line in the next animation frame. */
function redraw() {
  if (isRedrawPending) return;
  isRedrawPending = true;
  requestAnimationFrame(() => {
    isRedrawPending = false;
    ribbon.draw();
    letters.draw();
    bars.draw(line.results.at(-1));
    if (model === "digits") curve.draw();
    const [decided, tentative] = model === "digits" ? [line.text, ""] : line.parts;
    setText(element("decided", HTMLElement), decided);
    setText(element("tentative", HTMLElement), tentative);
    correction.update(line.text);
  });
}

/** @param {Letter} letter @param {string} char */
function correctLetter(letter, char) {
  const index = [...line.text.matchAll(/\S/gu)][letter.id]?.index;
  if (index !== undefined) correction.replace(line.text, index, letter.char, char);
}

setInterval(
  async () => metrics.show(await stream?.ping().catch(() => undefined)),
  METRICS_INTERVAL_MS,
);

// Controls

element("undo", HTMLElement).addEventListener("click", undo);
element("clear", HTMLElement).addEventListener("click", () => newLine());
element("next", HTMLElement).addEventListener("click", () => void nextLine());
element("models", HTMLElement).addEventListener("change", ({ target }) => {
  if (!(target instanceof HTMLInputElement)) return;
  model = target.value;
  document.body.dataset["model"] = model;
  newLine();
  void run();
});
element("key-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  key = element("key", HTMLInputElement).value;
  void run();
});
element("correct-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const { text } = correction;
  if (text === "" || pad.strokes.length === 0) return;
  samples.add(pad.strokes.map(({ points }) => points), pad.height, text);
  void nextLine(text);
});
element("pad", HTMLElement).addEventListener("pointerdown", () => correction.blur());
addShortcuts({ undo, clear: newLine, nextLine: () => void nextLine() });
addEventListener("resize", align);

void run();

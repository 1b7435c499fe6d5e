/**
 * The page: what is written on the pad goes to the server, and what the server says is shown.
 *
 * @import { Ready } from "../client/protocol.d.ts"
 * @import { Message, Stream } from "../client/inkstream.js"
 */

import { Bars } from "./bars.js";
import { Before } from "./before.js";
import { Correction } from "./correction.js";
import { Curve } from "./curve.js";
import { element, put } from "./dom.js";
import { Figures } from "./figures.js";
import { linesOf } from "./image.js";
import { InkstreamError, connect } from "../client/inkstream.js";
import { listenToKeys } from "./keys.js";
import { Languages } from "./languages.js";
import { Letters } from "./letters.js";
import { Line } from "./line.js";
import { Pad } from "./pad.js";
import { Picture } from "./picture.js";
import { Player } from "./player.js";
import { Rest } from "./rest.js";
import { Ribbon } from "./ribbon.js";
import { Samples } from "./samples.js";
import { Status } from "./status.js";

const SHOW_EVERY_MS = 2000; // figures; each time the server is asked for a sign of life
const RETRY_MS = 2000;
const SILENCE_MS = 10_000; // of a server that owes an answer: it counts as lost

const line = new Line();
const ribbon = new Ribbon(element("ribbon", HTMLCanvasElement), line);
const letters = new Letters(element("letters", HTMLElement), line, correctLetter);
const correction = new Correction(element("correct", HTMLInputElement));
const hint = element("hint", HTMLElement);
const before = new Before(element("lines", HTMLElement));
const bars = new Bars(element("bars", HTMLElement));
const curve = new Curve(element("curve", HTMLCanvasElement), line);
const figures = new Figures((name) => element(name, HTMLElement));
const samples = new Samples(element("download", HTMLButtonElement));
const pad = new Pad(element("pad", HTMLCanvasElement), { onInk, onLift: schedule, onPalm: undo });
const status = new Status();
const languages = new Languages(
  element("expect", HTMLElement),
  element("language", HTMLSelectElement),
  readAgain,
);
const rest = new Rest({
  onPause: () => stream?.pause().catch(() => {}),
  onFlush() {
    void decide();
    pad.moveOn();
    align();
  },
});
const player = new Player({
  onImage: (file) => void readImage(file),
  onColumns: (pixels) => stream?.columns(pixels).catch(() => {}),
  onPlace: showPicture,
  onOver: () => void turnOver(),
  onAgain: () => play(player.lines, player.height),
});

/** @type {Stream | undefined} */
let stream;
/** @type {string | undefined} */
let key;
let model = "lines";
let run = 0; // of the connection: an older one's messages are dropped
let isDrawing = false; // a frame is asked for
let isFinished = false; // a digit is read, and the next stroke begins another one
let isOver = false; // until a new line begins
let isUndone = false; // a stroke, which may lie too far back for the server

// The conversation

async function converse() {
  const own = ++run;
  stream?.close();
  stream = undefined;
  isOver = false;
  status.wait("connecting");
  while (own === run) {
    try {
      const opened = await connect(new URL(".", location.href), {
        model: await figures.choose(model, credentials()),
        reconnect: true,
        silence_ms: SILENCE_MS,
        ...(key !== undefined && { key }),
      });
      if (own !== run) return opened.close();
      stream = opened;
      startSession(opened.ready);
      for await (const message of opened) {
        if (own !== run) return;
        hear(message);
      }
      return;
    } catch (error) {
      if (!(error instanceof InkstreamError)) throw error;
      if (own !== run) return;
      if (error.code === "unauthorized") return status.askForKey(key !== undefined);
      status.complain(error);
      isOver = !["no_connection", "server_full", "idle"].includes(error.code); // who sleeps is idle
      if (isOver) return status.close();
      status.wait("connecting again");
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** A session begins, with what stands on the pad. @param {Ready} ready */
function startSession(ready) {
  line.begin();
  status.open();
  if (model === "digits") bars.begin(ready.labels);
  figures.name(ready.model);
  languages.offer(ready.languages);
  if (languages.chosen !== null) expectLanguage();
  readAll();
}

function readAll() {
  isFinished = false;
  align();
  if (pad.picture !== undefined) {
    stream?.columns(player.played).catch(() => {});
    if (player.place === pad.picture.length) void turnOver();
  }
  inkAll();
  schedule();
}

function inkAll() {
  const pieces = pad.all();
  if (pieces.length > 0) onInk(pieces, performance.now());
}

/** Of the next line. */
function expectLanguage() {
  stream?.configure({ language_model: languages.chosen }).catch(() => {});
}

/** Read what stands there anew, in the language that is expected now. */
function readAgain() {
  isUndone = false;
  if (stream === undefined) return;
  expectLanguage();
  stream.reset().catch(() => {});
  line.begin(true);
  readAll();
}

/** @param {Message} message */
function hear(message) {
  if (message.type === "disconnected") {
    status.complain(message.error);
    status.wait("connecting again");
  } else if (message.type === "reconnected") {
    startSession(message.ready);
  } else if (message.type === "goaway") {
    status.wait("the server is about to stop");
  } else if (message.type === "error") {
    if (!line.isMeant) return;
    if (isUndone && message.code === "bad_ink") readAgain();
    else status.complain(message);
  } else if (line.hear(message)) {
    if (message.type === "result") figures.answered();
    if (message.type === "rewound" && message.frame !== undefined) align();
    if (message.type === "flushed") isFinished = model === "digits";
    redraw();
  }
}

// The pen

/** @param {import("../client/protocol.d.ts").Stroke[]} pieces @param {number} since */
function onInk(pieces, since) {
  rest.end();
  hint.hidden = true;
  figures.asked(since);
  if (isFinished || pad.picture !== undefined) newLine(pad.strokes.at(-1));
  else stream?.ink(pieces, pad.height).catch(() => {}); // the messages tell of it
}

/** The pen was lifted. */
function schedule() {
  if (pad.strokes.length > 0) rest.begin();
  else rest.end();
}

/** Have all decided, of ink in the frame that suits it. */
function decide() {
  if (pad.strokes.length > 0) stream?.pause({ fit: true }).catch(() => {});
  return stream?.flush().catch(() => undefined);
}

function undo() {
  const id = pad.undo();
  if (id === undefined) return;
  isUndone = true;
  isFinished = false;
  align(); // the paper may have moved back
  stream?.undo(id).catch(() => {});
  schedule();
}

/** @param {import("./pad.js").Written} [first] stroke of it */
function newLine(first) {
  isFinished = false;
  status.calm();
  player.hold();
  pad.clear(first);
  document.body.dataset["shows"] = "ink";
  hint.hidden = pad.strokes.length > 0;
  stream?.reset().catch(() => {});
  line.begin(stream !== undefined);
  correction.clear();
  align();
  inkAll();
  redraw();
  if (isOver) void converse();
}

/** Begin another line; put away what the one before says. @param {string} [label] if that is known */
async function next(label) {
  if (pad.strokes.length === 0 && pad.picture === undefined) return;
  rest.end();
  const { text } = line;
  const flushing = decide();
  newLine(); // the hand need not wait
  const flushed = await flushing;
  before.add(label ?? flushed?.text ?? flushed?.label ?? text);
}

// An image

/** Have an image made into columns, and play them. @param {Blob} file */
async function readImage(file) {
  if (stream === undefined) return; // the page says so already
  const { model: { name, kind }, column_height } = stream.ready;
  const own = run;
  player.wait(1);
  try {
    const how = { model: name, isPage: kind === "transcriber" && figures.readsPages };
    const lines = await linesOf(file, how, credentials());
    if (own === run) play(lines, column_height); // else another model was chosen meanwhile
  } catch (error) {
    if (!(error instanceof InkstreamError)) throw error;
    status.complain(error);
  } finally {
    player.wait(-1);
  }
}

/** @param {Uint8Array[]} lines columns of each @param {number} height of a column @param {number} [number] */
function play(lines, height, number = 0) {
  newLine();
  hint.hidden = true;
  document.body.dataset["shows"] = "image";
  player.load(lines, height, number);
  pad.picture = new Picture(player.pixels, height);
  showPicture();
}

/** A line of an image is over: it is decided, put away where others follow, and the next one begins. */
async function turnOver() {
  const { picture } = pad;
  const flushed = await decide();
  if (pad.picture !== picture || flushed === undefined || player.isLast) return;
  before.add(flushed.text ?? "");
  play(player.lines, player.height, player.number + 1);
}

function showPicture() {
  if (pad.picture === undefined) return;
  const { offset } = pad;
  pad.show(pad.picture, player.place);
  if (pad.offset !== offset) align();
}

/** Of the key, for requests. @returns {Record<string, string>} */
function credentials() {
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}

// What is shown

function align() {
  const { column_height } = stream?.ready ?? { column_height: 32 };
  const pixelsPerColumn = (line.height ?? pad.height) / column_height;
  ribbon.align(pixelsPerColumn, pad.offset);
  letters.align(pixelsPerColumn, pad.offset);
}

function redraw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    ribbon.draw();
    letters.draw();
    bars.draw(line.results.at(-1));
    if (model === "digits") curve.draw();
    const [decided, tentative] = model === "digits" ? [line.text, ""] : line.parts;
    put(element("decided", HTMLElement), decided);
    put(element("tentative", HTMLElement), tentative);
    correction.follow(line.text);
  });
}

/** @param {import("../client/protocol.d.ts").Letter} letter @param {string} char */
function correctLetter(letter, char) {
  const place = [...line.text.matchAll(/\S/gu)][letter.id]?.index;
  if (place !== undefined) correction.replace(line.text, place, letter.char, char);
}

setInterval(async () => figures.show(await stream?.ping().catch(() => undefined)), SHOW_EVERY_MS);

// The page's controls

element("undo", HTMLElement).addEventListener("click", undo);
element("clear", HTMLElement).addEventListener("click", () => newLine());
element("next", HTMLElement).addEventListener("click", () => void next());
element("models", HTMLElement).addEventListener("change", ({ target }) => {
  if (!(target instanceof HTMLInputElement)) return;
  model = target.value;
  document.body.dataset["model"] = model;
  newLine();
  void converse();
});
element("key-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  key = element("key", HTMLInputElement).value;
  void converse();
});
element("correct-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const { text } = correction;
  if (text === "" || pad.strokes.length === 0) return;
  samples.keep(pad.strokes.map(({ points }) => points), pad.height, text);
  void next(text);
});
element("pad", HTMLElement).addEventListener("pointerdown", () => correction.leave());
listenToKeys({ undo, clear: newLine, next: () => void next() });
addEventListener("resize", align);

void converse();

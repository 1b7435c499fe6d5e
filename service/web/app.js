/**
 * The page: what is written on the pad goes to the server, and what the server says is shown.
 *
 * @import { Ready } from "./protocol.d.ts"
 * @import { Message, Stream } from "./inkstream.js"
 */

import { Bars } from "./bars.js";
import { Curve } from "./curve.js";
import { element, put } from "./dom.js";
import { Figures } from "./figures.js";
import { linesOf } from "./image.js";
import { InkstreamError, connect } from "./inkstream.js";
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

const line = new Line();
const ribbon = new Ribbon(element("ribbon", HTMLCanvasElement), line);
const letters = new Letters(element("letters", HTMLElement), line, correctLetter);
const bars = new Bars(element("bars", HTMLElement));
const curve = new Curve(element("curve", HTMLCanvasElement), line);
const figures = new Figures((name) => element(name, HTMLElement));
const samples = new Samples(element("download", HTMLButtonElement));
const pad = new Pad(element("pad", HTMLCanvasElement), { onInk, onLift: schedule });
const status = new Status({
  state: element("state", HTMLElement),
  words: element("state-words", HTMLElement),
  problem: element("problem", HTMLElement),
  keyForm: element("key-form", HTMLElement),
});
const correct = element("correct", HTMLInputElement);
const languages = new Languages(
  element("expect", HTMLElement),
  element("language", HTMLSelectElement),
  readAgain,
);
const rest = new Rest({
  onPause: () => stream?.pause().catch(() => {}),
  onFlush() {
    stream?.flush().catch(() => {});
    pad.moveOn();
    align();
  },
});
const player = new Player(
  {
    choose: element("image", HTMLElement),
    file: element("file", HTMLInputElement),
    play: element("play", HTMLElement),
    step: element("step", HTMLButtonElement),
    pace: element("pace", HTMLSelectElement),
    place: element("place", HTMLElement),
  },
  {
    onImage: (file) => void readImage(file),
    onColumns: (pixels) => stream?.columns(pixels).catch(() => {}),
    onPlace: showPicture,
    onOver: () => void turnOver(),
    onAgain: () => play(player.lines, player.height),
  },
);

/** @type {Stream | undefined} */
let stream;
/** @type {string | undefined} */
let key;
let model = "lines";
let run = 0; // of the connection: an older one's messages are dropped
let isDrawing = false; // a frame is asked for
let isFinished = false; // a digit is read, and the next stroke begins another one

// The conversation

async function converse() {
  const own = ++run;
  stream?.close();
  stream = undefined;
  status.wait("connecting");
  while (own === run) {
    try {
      const opened = await connect(new URL(".", location.href), {
        model,
        reconnect: true,
        ...(key !== undefined && { key }),
      });
      if (own !== run) {
        opened.close();
        return;
      }
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
      if (error.code === "unauthorized") {
        status.askForKey(key !== undefined);
        return;
      }
      status.complain(error);
      if (error.code !== "no_connection" && error.code !== "server_full") return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** A session begins, with what stands on the pad. @param {Ready} ready */
function startSession(ready) {
  line.begin();
  status.open();
  const isDigits = ready.model.kind === "classifier";
  document.body.dataset["model"] = isDigits ? "digits" : "lines";
  if (isDigits) bars.begin(ready.labels);
  figures.name(ready.model);
  languages.offer(ready.languages);
  if (languages.chosen !== null) expectLanguage();
  align();
  if (pad.picture !== undefined) {
    stream?.columns(player.played).catch(() => {});
    if (player.place === pad.picture.length) stream?.flush().catch(() => {});
  }
  const pieces = pad.all();
  if (pieces.length > 0) onInk(pieces, performance.now());
  schedule();
}

/** Of the next line. */
function expectLanguage() {
  stream?.configure({ language_model: languages.chosen }).catch(() => {});
}

/** Read what stands there in the language that is expected now. */
function readAgain() {
  if (stream === undefined) return;
  expectLanguage();
  stream.reset().catch(() => {});
  startSession(stream.ready);
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
    status.complain(new InkstreamError(message.code, message.message));
  } else if (line.hear(message)) {
    if (message.type === "result") figures.answered();
    if (message.type === "flushed") isFinished = model === "digits";
    redraw();
  }
}

// The pen

/** @param {import("./protocol.d.ts").Stroke[]} pieces @param {number} since */
function onInk(pieces, since) {
  rest.end();
  element("hint", HTMLElement).hidden = true;
  if (isFinished || pad.picture !== undefined) {
    const newest = pad.strokes.at(-1);
    newLine();
    if (newest?.done) pad.strokes = [newest]; // a dot is done at once
    pad.draw();
    pieces = pad.all();
  }
  figures.asked(since);
  stream?.ink(pieces, pad.height).catch(() => {}); // the messages tell of it
}

/** The pen was lifted. */
function schedule() {
  if (pad.strokes.length > 0) rest.begin();
  else rest.end();
}

function undo() {
  const id = pad.undo();
  if (id === undefined) return;
  stream?.undo(id).catch(() => {});
  schedule();
}

function newLine() {
  isFinished = false;
  player.hold();
  pad.clear();
  document.body.dataset["shows"] = "ink";
  element("hint", HTMLElement).hidden = pad.strokes.length > 0;
  stream?.reset().catch(() => {});
  line.begin();
  correct.value = "";
  align();
  redraw();
}

/** Put the line away, decided, and begin another one. */
async function next() {
  if (pad.strokes.length === 0 && pad.picture === undefined) return;
  rest.end();
  const flushed = await stream?.flush().catch(() => undefined);
  putAway(flushed?.text ?? flushed?.label ?? line.text);
  newLine();
}

/** Show a text among the lines before. @param {string} text */
function putAway(text) {
  if (text === "") return;
  const item = document.createElement("li");
  item.textContent = text;
  element("lines", HTMLElement).append(item);
}

// An image

/** Have an image made into columns, and play them. @param {Blob} file */
async function readImage(file) {
  if (stream === undefined) return; // the page says so already
  const { model: { name, kind }, column_height } = stream.ready;
  const own = run;
  try {
    const how = { model: name, isPage: kind === "transcriber" && figures.readsPages };
    const lines = await linesOf(file, how, credentials());
    if (own === run) play(lines, column_height); // else another model was chosen meanwhile
  } catch (error) {
    if (!(error instanceof InkstreamError)) throw error;
    status.complain(error);
  }
}

/** @param {Uint8Array[]} lines columns of each @param {number} height of a column @param {number} [number] */
function play(lines, height, number = 0) {
  newLine();
  status.calm();
  element("hint", HTMLElement).hidden = true;
  document.body.dataset["shows"] = "image";
  player.load(lines, height, number);
  pad.picture = new Picture(player.pixels, height);
  showPicture();
}

/** A line of an image is over: it is decided, put away where others follow, and the next one begins. */
async function turnOver() {
  const { picture } = pad;
  const flushed = await stream?.flush().catch(() => undefined);
  if (pad.picture !== picture || flushed === undefined || player.isLast) return;
  putAway(flushed.text ?? "");
  play(player.lines, player.height, player.number + 1);
}

function showPicture() {
  if (pad.picture === undefined) return;
  const before = pad.offset;
  pad.show(pad.picture, player.place);
  if (pad.offset !== before) align();
}

/** Of the key, for requests. @returns {Record<string, string>} */
function credentials() {
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}

// What is shown

function align() {
  const { column_height } = stream?.ready ?? { column_height: 32 };
  const pixelsPerColumn = pad.height / column_height;
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
    if (document.activeElement !== correct && correct.value !== line.text) correct.value = line.text;
  });
}

/** @param {import("./protocol.d.ts").Letter} letter @param {string} char */
function correctLetter(letter, char) {
  const places = [...line.text.matchAll(/\S/gu)].map(({ index }) => index);
  const place = places[letter.id];
  if (place === undefined) return;
  const text = correct.value.length === line.text.length ? correct.value : line.text;
  correct.value = text.slice(0, place) + char + text.slice(place + letter.char.length);
  correct.focus();
}

setInterval(async () => figures.show(await stream?.ping().catch(() => undefined)), SHOW_EVERY_MS);

// The page's controls

element("undo", HTMLElement).addEventListener("click", undo);
element("clear", HTMLElement).addEventListener("click", newLine);
element("next", HTMLElement).addEventListener("click", () => void next());
element("models", HTMLElement).addEventListener("change", ({ target }) => {
  if (!(target instanceof HTMLInputElement)) return;
  model = target.value;
  document.body.dataset["model"] = model;
  newLine();
  void converse();
  void figures.measured(model, credentials());
});
element("key-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  key = element("key", HTMLInputElement).value;
  void converse();
  void figures.measured(model, credentials());
});
element("correct-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  if (correct.value === "" || pad.strokes.length === 0) return;
  samples.keep(pad.strokes.map(({ points }) => points), pad.height, correct.value);
  void next();
});
listenToKeys({ undo, clear: newLine, next: () => void next() });
addEventListener("resize", align);

void converse();
void figures.measured(model, credentials());

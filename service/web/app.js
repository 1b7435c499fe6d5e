/**
 * The page: what is written on the pad goes to the server, and what the server says is shown.
 *
 * @import { Ready } from "./protocol.d.ts"
 * @import { Message, Stream } from "./inkstream.js"
 */

import { Bars } from "./bars.js";
import { InkstreamError, connect } from "./inkstream.js";
import { Letters } from "./letters.js";
import { Line } from "./line.js";
import { Pad } from "./pad.js";
import { Ribbon } from "./ribbon.js";
import { Samples } from "./samples.js";

const PAUSE_MS = 350; // the pen rests: what it still touches is read
const FLUSH_MS = 1200; // nobody goes on: all is decided
const PING_EVERY_MS = 3000;
const RETRY_MS = 2000;
const MEDIAN_OF = 50; // newest times from pen to answer

/** What to do about an error. @type {Record<string, string>} */
const ADVICE = {
  no_connection: "The server does not answer. Is it running? It is tried again by itself.",
  stopping: "The server stops. It is tried again by itself.",
  server_full: "The server has as many writers as it takes. It is tried again by itself.",
  too_many_sessions: "Too many pages of yours are open: close one, and load this one again.",
  unknown_model: "The server does not have this model: choose the other one.",
  forbidden_origin: "The server does not let this address's pages in.",
  idle: "Nothing was written for long. Load the page again to go on.",
  session_expired: "This session was open for as long as one may be. Load the page again.",
};

/** What the figures of `v1/models` are called here, where they are for people. @type {Record<string, string>} */
const FIGURES = {
  held_out_accuracy: "right on images held out",
  held_out_words_error: "wrong characters in words of writers held out",
  held_out_text_error: "in their lines",
};

/** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new TypeError(`no such ${kind.name}: ${id}`);
  return found;
}

const line = new Line();
const ribbon = new Ribbon(element("ribbon", HTMLCanvasElement), line);
const letters = new Letters(element("letters", HTMLElement), line, correctLetter);
const bars = new Bars(element("bars", HTMLElement));
const samples = new Samples(element("download", HTMLButtonElement));
const pad = new Pad(element("pad", HTMLCanvasElement), { onInk, onLift: schedule });
const correct = element("correct", HTMLInputElement);

/** @type {Stream | undefined} */
let stream;
/** @type {string | undefined} */
let key;
let model = "lines";
let run = 0; // of the connection: an older one's messages are dropped
let isDrawing = false; // a frame is asked for
/** @type {ReturnType<typeof setTimeout> | undefined} */
let pausing;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let flushing;
let isFinished = false; // a digit is read, and the next stroke begins another one

// The conversation

async function converse() {
  const own = ++run;
  stream?.close();
  stream = undefined;
  show("waiting", "connecting");
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
      begin(opened);
      for await (const message of opened) {
        if (own !== run) return;
        hear(message);
      }
      return;
    } catch (error) {
      if (!(error instanceof InkstreamError)) throw error;
      if (own !== run) return;
      complain(error);
      if (error.code === "unauthorized") return;
      if (error.code !== "no_connection" && error.code !== "server_full") return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** @param {Stream} opened */
function begin(opened) {
  stream = opened;
  startSession(opened.ready);
}

/** A session begins, with what stands on the pad. @param {Ready} ready */
function startSession(ready) {
  line.begin();
  show("open", "connected");
  element("problem", HTMLElement).hidden = true;
  element("key-form", HTMLElement).hidden = true;
  const isDigits = ready.model.kind === "classifier";
  document.body.dataset["model"] = isDigits ? "digits" : "lines";
  element("bars", HTMLElement).hidden = !isDigits;
  if (isDigits) bars.begin(ready.labels);
  element("model", HTMLElement).textContent = `${ready.model.name} ${ready.model.version}`;
  align();
  const pieces = pad.all();
  if (pieces.length > 0) onInk(pieces, performance.now());
  schedule();
}

/** @param {Message} message */
function hear(message) {
  if (message.type === "disconnected") {
    complain(message.error);
    show("waiting", "connecting again");
  } else if (message.type === "reconnected") {
    startSession(message.ready);
  } else if (message.type === "goaway") {
    show("waiting", "the server is about to stop");
  } else if (message.type === "error") {
    complain(new InkstreamError(message.code, message.message));
  } else if (line.hear(message)) {
    if (message.type === "result") measure();
    if (message.type === "flushed") isFinished = model === "digits";
    redraw();
  }
}

// The pen

/** @param {import("./protocol.d.ts").Stroke[]} pieces @param {number} since */
function onInk(pieces, since) {
  clearTimeout(pausing);
  clearTimeout(flushing);
  element("hint", HTMLElement).hidden = true;
  if (isFinished) {
    const newest = pad.strokes.at(-1);
    newLine();
    if (newest?.done) pad.strokes = [newest]; // a dot is done at once
    pad.draw();
    pieces = pad.all();
  }
  waitingSince ??= since;
  stream?.ink(pieces, pad.height).catch(() => {}); // the messages tell of it
}

/** Read on when the pen rests, and decide when nobody goes on. */
function schedule() {
  clearTimeout(pausing);
  clearTimeout(flushing);
  if (pad.strokes.length === 0) return;
  pausing = setTimeout(() => stream?.pause().catch(() => {}), PAUSE_MS);
  flushing = setTimeout(() => {
    stream?.flush().catch(() => {});
    pad.moveOn();
    align();
  }, FLUSH_MS);
}

function undo() {
  const id = pad.undo();
  if (id === undefined) return;
  stream?.undo(id).catch(() => {});
  schedule();
}

function newLine() {
  isFinished = false;
  pad.clear();
  stream?.reset().catch(() => {});
  line.begin();
  correct.value = "";
  align();
  redraw();
}

/** Put the line away, decided, and begin another one. */
async function next() {
  if (pad.strokes.length === 0) return;
  clearTimeout(pausing);
  clearTimeout(flushing);
  const flushed = await stream?.flush().catch(() => undefined);
  const text = flushed?.text ?? flushed?.label ?? line.text;
  if (text !== "") {
    const item = document.createElement("li");
    item.textContent = text;
    element("lines", HTMLElement).append(item);
  }
  newLine();
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
    const [decided, tentative] = model === "digits" ? [line.text, ""] : line.parts;
    element("decided", HTMLElement).textContent = decided;
    element("tentative", HTMLElement).textContent = tentative;
    if (document.activeElement !== correct) correct.value = line.text;
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

/** @param {"open" | "waiting" | "over"} state @param {string} words */
function show(state, words) {
  element("state", HTMLElement).dataset["state"] = state;
  element("state-words", HTMLElement).textContent = words;
}

/** @param {InkstreamError} error */
function complain(error) {
  const problem = element("problem", HTMLElement);
  problem.textContent = ADVICE[error.code] ?? error.message;
  problem.hidden = false;
  if (error.code === "unauthorized") {
    element("key-form", HTMLElement).hidden = false;
    problem.textContent = key === undefined ? "This server asks for a key." : "The key is not known.";
    show("over", "not connected");
  }
}

// Figures

/** @type {number | undefined} */
let waitingSince; // when the first point came that no result answered yet
/** @type {number[]} */
const delays = [];
let columns = 0;

function measure() {
  columns += 1;
  if (waitingSince === undefined) return;
  delays.push(performance.now() - waitingSince);
  waitingSince = undefined;
  if (delays.length > MEDIAN_OF) delays.shift();
  const median = delays.toSorted((one, other) => one - other)[delays.length >> 1] ?? 0;
  element("delay", HTMLElement).textContent = `${Math.round(median)} ms`;
}

setInterval(async () => {
  element("rate", HTMLElement).textContent = columns.toLocaleString();
  const milliseconds = await stream?.ping().catch(() => undefined);
  const words = milliseconds === undefined ? "–" : `${milliseconds.toFixed(1)} ms`;
  element("round-trip", HTMLElement).textContent = words;
}, PING_EVERY_MS);

async function showMeasured() {
  const answer = await fetch("v1/models", key === undefined ? {} : {
    headers: { authorization: `Bearer ${key}` },
  }).catch(() => undefined);
  if (!answer?.ok) return;
  const { models } = await answer.json();
  /** @type {{ name: string, metrics: Record<string, number> }[]} */
  const known = models;
  const metrics = known.find(({ name }) => name === model)?.metrics ?? {};
  const figures = Object.entries(FIGURES).flatMap(([name, words]) => {
    const share = metrics[name];
    return share === undefined ? [] : [`${(100 * share).toFixed(1)} % ${words}`];
  });
  element("measured", HTMLElement).textContent = figures.join(", ") || "–";
}

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
  void showMeasured();
});
element("key-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  key = element("key", HTMLInputElement).value;
  void converse();
  void showMeasured();
});
element("correct-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  if (correct.value === "" || pad.strokes.length === 0) return;
  samples.keep(pad.strokes.map(({ points }) => points), pad.height, correct.value);
  void next();
});
addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLInputElement || event.target instanceof HTMLButtonElement) return;
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
  else if (event.key === "Escape") newLine();
  else if (event.key === "Enter") void next();
  else return;
  event.preventDefault();
});
addEventListener("resize", align);

void converse();
void showMeasured();

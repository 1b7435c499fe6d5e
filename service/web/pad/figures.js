/**
 * The panel of figures: which model answers, how good it is measured to be, and how fast it answers.
 *
 * @import { Ready } from "../client/protocol.d.ts"
 */

const MEDIAN_OF = 50; // newest times from pen to answer
const RATE_OF = 50; // newest columns

/** What the figures of `v1/models` are called here, where they are for people. @type {Record<string, string>} */
const NAMES = {
  held_out_accuracy: "right on images held out",
  held_out_words_error: "wrong characters in words of writers held out",
  held_out_text_error: "in their lines",
};

/** @typedef {"version" | "model" | "measured" | "round-trip" | "rate" | "delay"} Name */

export class Figures {
  /** Whether the server finds the lines of a page. */
  readsPages = false;
  #places;
  /** @type {{ name: string, kind: string, metrics: Record<string, number> }[]} */
  #models = []; // of the server
  /** @type {number | undefined} */
  #waitingSince; // when the first point came that no result answered yet
  /** @type {number[]} */
  #delays = [];
  /** @type {number[]} */
  #times = []; // of the newest columns
  #columns = 0;

  /** @param {(name: Name) => HTMLElement} places where each is shown */
  constructor(places) {
    this.#places = places;
  }

  /** Points came that are not answered yet. @param {number} since milliseconds */
  asked(since) {
    this.#waitingSince ??= since;
  }

  /** A column was answered. */
  answered() {
    const now = performance.now();
    this.#columns += 1;
    this.#times.push(now);
    if (this.#times.length > RATE_OF) this.#times.shift();
    if (this.#waitingSince === undefined) return;
    this.#delays.push(now - this.#waitingSince);
    this.#waitingSince = undefined;
    if (this.#delays.length > MEDIAN_OF) this.#delays.shift();
  }

  /** Show what was counted. @param {number | undefined} roundTrip milliseconds */
  show(roundTrip) {
    const median = this.#delays.toSorted((one, other) => one - other)[this.#delays.length >> 1];
    const seconds = ((this.#times.at(-1) ?? 0) - (this.#times[0] ?? 0)) / 1000;
    const rate = seconds > 0 ? ` (${Math.round((this.#times.length - 1) / seconds)} a second)` : "";
    this.#put("rate", `${this.#columns.toLocaleString()}${rate}`);
    this.#put("delay", median === undefined ? "–" : `${Math.round(median)} ms`);
    this.#put("round-trip", roundTrip === undefined ? "–" : `${roundTrip.toFixed(1)} ms`);
  }

  /** That name, or that of the server's first model of its kind. @param {string} name @param {HeadersInit} headers */
  async choose(name, headers) {
    const said = await fetch("v1/models", { headers })
      .then((answer) => (answer.ok ? answer.json() : undefined))
      .catch(() => undefined);
    if (said === undefined) return name;
    this.#models = said.models;
    this.readsPages = said.pages;
    this.#put("version", said.version);
    const kind = name === "digits" ? "classifier" : "transcriber";
    const ofKind = this.#models.filter((model) => model.kind === kind);
    return (ofKind.find((model) => model.name === name) ?? ofKind[0])?.name ?? name;
  }

  /** Show which model answers, and how good it is. @param {Ready["model"]} model */
  name({ name, version }) {
    this.#put("model", `${name} ${version}`);
    const metrics = this.#models.find((model) => model.name === name)?.metrics ?? {};
    const figures = Object.entries(NAMES).flatMap(([metric, words]) => {
      const share = metrics[metric];
      return share === undefined ? [] : [`${(100 * share).toFixed(1)} % ${words}`];
    });
    this.#put("measured", figures.join(", ") || "–");
  }

  /** @param {Name} name @param {string} text */
  #put(name, text) {
    this.#places(name).textContent = text;
  }
}

/**
 * The panel at the bottom: which model is used, its measured error, and the latency.
 *
 * @import { Ready } from "../client/protocol.d.ts"
 */

import { t } from "./messages.js";

const MEDIAN_OF = 50; // latest latencies
const RATE_OF = 50; // latest columns

/** Captions of the metrics in `v1/models` that are shown. @type {Record<string, string>} */
const CAPTIONS = {
  held_out_accuracy: t("of validation images correct"),
  held_out_words_error: t("CER on words of validation writers"),
  held_out_text_error: t("on their lines"),
};

/** @typedef {"version" | "model" | "measured" | "round-trip" | "rate" | "latency"} Field */

export class Metrics {
  /** Names of the models that read text. @type {string[]} */
  textModels = [];
  #elementOf;
  /** @type {{ name: string, kind: string, metrics: Record<string, number> }[]} */
  #models = []; // of the server
  /** @type {number | undefined} */
  #unansweredSince; // when the first point without a result was written
  /** @type {number[]} */
  #latencies = [];
  /** @type {number[]} */
  #times = []; // of the latest columns
  #nColumns = 0;

  /** Whether the server reads text. */
  get readsText() {
    return this.textModels.length > 0;
  }

  /** @param {(field: Field) => HTMLElement} elementOf the element that shows a field */
  constructor(elementOf) {
    this.#elementOf = elementOf;
  }

  /** Record that ink was sent. @param {number} since when its first point was written, milliseconds */
  recordInk(since) {
    this.#unansweredSince ??= since;
  }

  /** Record that a column's result has come. */
  recordResult() {
    const now = performance.now();
    this.#nColumns += 1;
    this.#times.push(now);
    if (this.#times.length > RATE_OF) this.#times.shift();
    if (this.#unansweredSince === undefined) return;
    this.#latencies.push(now - this.#unansweredSince);
    this.#unansweredSince = undefined;
    if (this.#latencies.length > MEDIAN_OF) this.#latencies.shift();
  }

  /** Show what was recorded. @param {number | undefined} roundTrip milliseconds */
  show(roundTrip) {
    const median = this.#latencies.toSorted((one, other) => one - other)[this.#latencies.length >> 1];
    const seconds = ((this.#times.at(-1) ?? 0) - (this.#times[0] ?? 0)) / 1000;
    const number = this.#nColumns.toLocaleString();
    const rate = Math.round((this.#times.length - 1) / seconds);
    this.#set("rate", seconds > 0 ? t("{number} ({rate} per second)", { number, rate }) : number);
    this.#set("latency", median === undefined ? "–" : `${Math.round(median)} ms`);
    this.#set("round-trip", roundTrip === undefined ? "–" : `${roundTrip.toFixed(1)} ms`);
  }

  /**
   * Ask the server for its models and choose one: the one of this name, else the first of its kind.
   *
   * @param {string} name
   * @param {HeadersInit} headers
   * @returns {Promise<string>} the name itself if the server does not answer
   */
  async chooseModel(name, headers) {
    const listing = await fetch("v1/models", { headers })
      .then((answer) => (answer.ok ? answer.json() : undefined))
      .catch(() => undefined);
    if (listing === undefined) return name;
    this.#models = listing.models;
    this.textModels = this.#models.filter(({ kind }) => kind === "transcriber").map((model) => model.name);
    this.#set("version", listing.version);
    const kind = name === "digits" ? "classifier" : "transcriber";
    const ofKind = this.#models.filter((model) => model.kind === kind);
    return (ofKind.find((model) => model.name === name) ?? ofKind[0])?.name ?? name;
  }

  /** Show which model is used, and its measured error. @param {Ready["model"]} model */
  showModel({ name, version }) {
    this.#set("model", `${name} ${version}`);
    const metrics = this.#models.find((model) => model.name === name)?.metrics ?? {};
    const texts = Object.entries(CAPTIONS).flatMap(([metric, caption]) => {
      const share = metrics[metric];
      return share === undefined ? [] : [`${(100 * share).toFixed(1)} % ${caption}`];
    });
    this.#set("measured", texts.join(", ") || "–");
  }

  /** @param {Field} field @param {string} text */
  #set(field, text) {
    this.#elementOf(field).textContent = text;
  }
}

/** The Handwriting Recognition API with a real server. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";

import {
  HandwritingStroke,
  createHandwritingRecognizer,
  queryHandwritingRecognizer,
} from "../../../../service/web/client/handwriting.js";
import { freePort, serve } from "./server.js";

const EXAMPLE = new URL("../../../../examples/hello.jsonl", import.meta.url);
const ENGLISH = { languages: ["en-GB"] };

/** @type {Awaited<ReturnType<typeof serve>>} */
let server;
/** @type {HandwritingStroke[]} */
let hello;

before(async () => {
  server = await serve(await freePort());
  const [line = ""] = (await readFile(EXAMPLE, "utf8")).split("\n");
  hello = JSON.parse(line).strokes.map(strokeOf);
});

after(() => server.stop());

/** @param {[number, number][]} points */
function strokeOf(points) {
  const stroke = new HandwritingStroke();
  for (const [t, [x, y]] of points.entries()) stroke.addPoint({ x, y, t });
  return stroke;
}

/** @param {(recognizer: Awaited<ReturnType<typeof createHandwritingRecognizer>>) => Promise<void>} use */
async function withRecognizer(use) {
  const recognizer = await createHandwritingRecognizer(ENGLISH, { url: server.url });
  try {
    await use(recognizer);
  } finally {
    recognizer.finish();
  }
}

describe("a drawing", () => {
  test("has predictions, each with the ink of every letter", () =>
    withRecognizer(async (recognizer) => {
      const drawing = recognizer.startDrawing({ alternatives: 3 });
      for (const stroke of hello) drawing.addStroke(stroke);
      const predictions = await drawing.getPrediction();
      assert.equal(predictions.length, 3);
      assert.equal(new Set(predictions.map(({ text }) => text)).size, 3);
      for (const { text, segmentationResult } of predictions) {
        const graphemes = segmentationResult.map(({ grapheme }) => grapheme).join("");
        assert.equal(graphemes, text.replaceAll(" ", ""));
        for (const { grapheme, beginIndex, endIndex, drawingSegments } of segmentationResult) {
          assert.equal(text.slice(beginIndex, endIndex), grapheme);
          for (const { strokeIndex, beginPointIndex, endPointIndex } of drawingSegments) {
            const points = hello[strokeIndex]?.getPoints() ?? [];
            assert.ok(0 <= beginPointIndex && beginPointIndex < endPointIndex);
            assert.ok(endPointIndex <= points.length);
          }
        }
      }
      assert.match(predictions[0]?.text ?? "", /hello/i);
    }));

  test("has the same text at every place and size", () =>
    withRecognizer(async (recognizer) => {
      const texts = [];
      for (const [scale, x0, y0] of /** @type {const} */ ([[1, 0, 0], [0.125, -512, 64]])) {
        const drawing = recognizer.startDrawing();
        for (const stroke of hello) {
          const points = stroke.getPoints();
          drawing.addStroke(strokeOf(points.map(({ x, y }) => [scale * x + x0, scale * y + y0])));
        }
        texts.push((await drawing.getPrediction())[0]?.text);
      }
      assert.equal(texts[0], texts[1]);
    }));

  test("has a new prediction after strokes are added or removed", () =>
    withRecognizer(async (recognizer) => {
      const drawing = recognizer.startDrawing();
      assert.deepEqual(await drawing.getPrediction(), []);
      for (const stroke of hello) drawing.addStroke(stroke);
      const [whole] = await drawing.getPrediction();
      for (const stroke of hello.slice(1)) drawing.removeStroke(stroke);
      assert.deepEqual(drawing.getStrokes(), hello.slice(0, 1));
      const [part] = await drawing.getPrediction();
      assert.ok((part?.text.length ?? 0) < (whole?.text.length ?? 0));
      drawing.clear();
      assert.deepEqual(await drawing.getPrediction(), []);
    }));

  test("of a dash alone has at most two characters", () =>
    withRecognizer(async (recognizer) => {
      const drawing = recognizer.startDrawing({ alternatives: 1 });
      drawing.addStroke(strokeOf([[100, 50], [130, 51]]));
      const predictions = await drawing.getPrediction();
      assert.equal(predictions.length, 1);
      assert.ok((predictions[0]?.text.length ?? 9) <= 2);
    }));

  test("has no spaces if the recognition type is per-character", () =>
    withRecognizer(async (recognizer) => {
      const drawing = recognizer.startDrawing({ recognitionType: "per-character" });
      for (const stroke of hello) drawing.addStroke(stroke);
      assert.doesNotMatch((await drawing.getPrediction())[0]?.text ?? " ", / /);
    }));

  test("uses the text context, and the next drawing does not", () =>
    withRecognizer(async (recognizer) => {
      const texts = [];
      for (const textContext of ["", "He said: ", "x".repeat(9000), ""]) {
        const drawing = recognizer.startDrawing({ textContext, alternatives: 1 });
        for (const stroke of hello) drawing.addStroke(stroke);
        texts.push((await drawing.getPrediction())[0]?.text);
      }
      assert.equal(texts[3], texts[0]);
      for (const text of texts) assert.match(text ?? "", /hello/i);
    }));

  test("with invalid points is refused, and the next one is recognized", () =>
    withRecognizer(async (recognizer) => {
      const invalid = recognizer.startDrawing();
      invalid.addStroke(strokeOf([[NaN, 1], [2, NaN]]));
      await assert.rejects(invalid.getPrediction(), { name: "DataError" });
      const drawing = recognizer.startDrawing({ alternatives: 1 });
      for (const stroke of hello) drawing.addStroke(stroke);
      assert.match((await drawing.getPrediction())[0]?.text ?? "", /hello/i);
    }));

  test("waits while another one is recognized", () =>
    withRecognizer(async (recognizer) => {
      const drawings = [1, 2, 3].map((n) => {
        const drawing = recognizer.startDrawing({ alternatives: 1 });
        for (const stroke of hello.slice(0, n)) drawing.addStroke(stroke);
        return drawing;
      });
      const together = await Promise.all(drawings.map((drawing) => drawing.getPrediction()));
      for (const [i, drawing] of drawings.entries()) {
        assert.deepEqual(await drawing.getPrediction(), together[i]);
      }
    }));
});

describe("a recognizer", () => {
  test("is described for supported languages only", async () => {
    for (const languages of [["en", "en-US"], ["fr-CA", "de"], ["no"], []]) {
      assert.ok(await queryHandwritingRecognizer({ languages }));
    }
    assert.equal(await queryHandwritingRecognizer({ languages: ["en", "ja"] }), null);
    await assert.rejects(createHandwritingRecognizer({ languages: ["ja"] }, { url: server.url }), {
      name: "NotSupportedError",
    });
  });

  test("is refused a language that the server has no model of", async () => {
    const { url, stop } = await serve(await freePort(), "--languages", "english");
    try {
      await assert.rejects(createHandwritingRecognizer({ languages: ["en", "fr-CA"] }, { url }), {
        name: "NotSupportedError",
        message: "language is fr-CA, allowed: en",
      });
      (await createHandwritingRecognizer({ languages: ["en"] }, { url })).finish();
    } finally {
      await stop();
    }
  });

  test("throws if its server is gone", async () => {
    const { url, stop } = await serve(await freePort());
    const recognizer = await createHandwritingRecognizer(ENGLISH, { url, reconnect: false });
    const drawing = recognizer.startDrawing();
    for (const stroke of hello) drawing.addStroke(stroke);
    await drawing.getPrediction();
    await stop("SIGKILL");
    for (let tries = 0; tries < 2; tries += 1) {
      await assert.rejects(drawing.getPrediction(), { code: "no_connection" });
    }
  });

  test("cannot be used after `finish`", async () => {
    const recognizer = await createHandwritingRecognizer(ENGLISH, { url: server.url });
    const drawing = recognizer.startDrawing();
    drawing.addStroke(strokeOf([[1, 1], [9, 9]]));
    recognizer.finish();
    assert.throws(() => recognizer.startDrawing(), { name: "InvalidStateError" });
    await assert.rejects(drawing.getPrediction(), { name: "InvalidStateError" });
  });
});

/** A client by the types of openapi-typescript and openapi-fetch. */

import { readFileSync } from "node:fs";

import createClient from "openapi-fetch";

import type { paths } from "./generated";

const [baseUrl = "", digit = "", line = "", page = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { "content-type": "application/octet-stream" } });
const image = (path: string) => ({ body: new Blob([readFileSync(path)]), bodySerializer: (body: unknown) => body });

async function main(): Promise<void> {
  const classified = await client.POST("/v1/classify", image(digit));
  const transcribed = await client.POST("/v1/transcribe", { ...image(line), params: { query: { characters: "dehlorw, !" } } });
  const paged = await client.POST("/v1/page", image(page));
  const recognized = await client.POST("/v1/recognize", image(digit));
  if (!classified.data || !transcribed.data) throw new Error("no answer");
  if (typeof paged.data !== "object" || typeof recognized.data !== "object") throw new Error("hOCR or ALTO");
  const [[label, p] = ["", 0]] = classified.data.probabilities;
  const marks: string[] = transcribed.data.letters.filter(({ mark }) => mark).map(({ char }) => char);
  const boxes: number[][] = paged.data.type === "page" ? paged.data.lines.map(({ box: [corner] }) => corner) : [];
  const anything: string = recognized.data.type === "classification" ? recognized.data.label : recognized.data.type;
  console.log(JSON.stringify({ label, p, text: transcribed.data.text, marks, lines: boxes.length, anything }));
}

void main();

/** A client by @hey-api/openapi-ts. */

import { readFileSync } from "node:fs";

import { classify, page as readPage, recognize, transcribe } from "./generated";
import { client } from "./generated/client.gen";

const [baseUrl = "", digit = "", line = "", page = ""] = process.argv.slice(2);
client.setConfig({ baseUrl, throwOnError: true });
const image = (path: string): Blob => new Blob([readFileSync(path)]);

async function main(): Promise<void> {
  const classified = await classify({ body: { file: image(digit) }, throwOnError: true });
  const transcribed = await transcribe({ body: { file: image(line) }, query: { characters: "dehlorw, !" }, throwOnError: true });
  const paged = await readPage({ body: { file: image(page) }, throwOnError: true });
  const recognized = await recognize({ body: { strokes: [[[10, 10], [10, 90]]] }, query: { model: "digits" }, throwOnError: true });
  const [[label, p] = ["", 0]] = classified.data.probabilities;
  const marks: string[] = transcribed.data.letters.filter(({ mark }) => mark).map(({ char }) => char);
  const boxes: [number, number][] = paged.data.type === "page" ? paged.data.lines.map(({ box: [corner] }) => corner) : [];
  const anything: string = recognized.data.type === "classification" ? recognized.data.label : recognized.data.type;
  console.log(JSON.stringify({ label, p, text: transcribed.data.text, marks, lines: boxes.length, anything }));
}

void main();

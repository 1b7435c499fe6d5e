/** A client by openapi-generator, typescript-fetch. */

import { readFileSync } from "node:fs";

import { Configuration, ImagesApi } from "./generated";

const [basePath = "", digit = "", line = "", page = ""] = process.argv.slice(2);
const images = new ImagesApi(new Configuration({ basePath }));
const image = (path: string): Blob => new Blob([readFileSync(path)]);

async function main(): Promise<void> {
  const classified = await images.classify({ file: image(digit) });
  const transcribed = await images.transcribe({ file: image(line), characters: "dehlorw, !" });
  const paged = await images.page({ file: image(page) });
  const recognized = await images.recognize({ file: image(digit) });
  const [[label, p] = ["", 0]] = classified.probabilities; // it has no type for a pair
  const marks: string[] = transcribed.letters.filter(({ mark }) => mark).map(({ _char }) => _char);
  const boxes: number[][] = paged.type === "page" ? paged.lines.map(({ box: [corner] }) => corner) : [];
  const anything: string = recognized.type === "classification" ? recognized.label : recognized.type;
  console.log(JSON.stringify({ label, p, text: transcribed.text, marks, lines: boxes.length, anything }));
}

void main();

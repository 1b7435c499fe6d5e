/** Files that are chosen, dropped or pasted: images, PDF, ink, and backups. */

import { element } from "./dom.js";

/** What a file is taken for. @typedef {"image" | "pdf" | "text"} FileKind */

/** Call a function with the files that the user gives, all of them at once. @param {(files: File[]) => unknown} take */
export function listenForFiles(take) {
  const field = element("file", HTMLInputElement);
  for (const id of ["image", "import"]) element(id, HTMLElement).addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    const files = [...(field.files ?? [])];
    field.value = ""; // else choosing the same file again would raise no event
    take(files);
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    take([...(event.dataTransfer?.files ?? [])]);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) take([...event.clipboardData.files]);
  });
}

/** Tell what a file is, by its beginning; undefined for a folder. @param {File} file @returns {Promise<FileKind | undefined>} */
export async function kindOf(file) {
  const beginning = await file.slice(0, 512).arrayBuffer().catch(() => undefined);
  if (beginning === undefined) return undefined;
  const bytes = new Uint8Array(beginning);
  if (String.fromCharCode(...bytes.subarray(0, 5)) === "%PDF-") return "pdf";
  const isText = bytes.every((byte) => byte > 31 || [9, 10, 13].includes(byte));
  return isText && !file.type.startsWith("image/") ? "text" : "image";
}

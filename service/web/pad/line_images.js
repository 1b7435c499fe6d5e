/**
 * Lines that came from an image: each is cut out of it, and part of the document as its ink would be.
 *
 * @import { LineImage } from "./document.js"
 * @import { Box } from "./image.js"
 */

const ROWS = 128; // pixels of a line's image: twice those of its place on the paper

/** Decoded images; null while one is being decoded. @type {WeakMap<LineImage, ImageBitmap | null>} */
const bitmaps = new WeakMap();

/** Return a line's image as it can be drawn; undefined until it is decoded. @param {LineImage} image @param {() => void} [onReady] */
export function bitmapOf(image, onReady) {
  const known = bitmaps.get(image);
  if (known !== undefined) return known ?? undefined;
  bitmaps.set(image, null);
  const decoding = createImageBitmap(new Blob([decodeBase64(image.jpeg)], { type: "image/jpeg" }));
  void decoding.then((bitmap) => {
    bitmaps.set(image, bitmap);
    onReady?.();
  });
  return undefined;
}

/** @param {string} base64 */
export function decodeBase64(base64) {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

/**
 * Cut lines out of an image, turned so that the writing stands upright.
 *
 * @param {Blob} file
 * @param {{ width: number, height: number, boxes: Box[] } | undefined} page undefined: the image is one line
 * @param {{ width: number, height: number }} largest that a line may be on the paper, CSS pixels
 * @returns {Promise<LineImage[]>}
 */
export async function cutLines(file, page, largest) {
  const bitmap = await createImageBitmap(file);
  const { width, height } = page ?? bitmap;
  /** @type {Box[]} */
  const boxes = page?.boxes ?? [[[0, 0], [width, 0], [width, height], [0, height]]];
  return Promise.all(boxes.map((box) => cut(bitmap, box.map(([x, y]) => [(x * bitmap.width) / width, (y * bitmap.height) / height]), largest)));
}

/** @param {ImageBitmap} bitmap @param {number[][]} box in its pixels @param {{ width: number, height: number }} largest @returns {Promise<LineImage>} */
async function cut(bitmap, [[left = 0, top = 0] = [], [rightX = 0, rightY = 0] = [], , [footX = 0, footY = 0] = []], largest) {
  const [width, height] = [Math.hypot(rightX - left, rightY - top) || 1, Math.hypot(footX - left, footY - top) || 1];
  const scale = ROWS / height;
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), ROWS);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const [ux, uy, vx, vy] = [(rightX - left) / width, (rightY - top) / width, (footX - left) / height, (footY - top) / height];
  context.setTransform(scale * ux, scale * vx, scale * uy, scale * vy, -scale * (left * ux + top * uy), -scale * (left * vx + top * vy));
  context.drawImage(bitmap, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 });
  const chars = Array.from(new Uint8Array(await blob.arrayBuffer()), (byte) => String.fromCharCode(byte));
  const fit = Math.min(largest.height / ROWS, largest.width / canvas.width);
  return { jpeg: btoa(chars.join("")), width: Math.round(canvas.width * fit), height: Math.round(ROWS * fit) };
}

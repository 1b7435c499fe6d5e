/**
 * Images of a digit, a line or a page: the server converts them into columns, which are played to a stream of
 * their own. What was read of them enters the document.
 *
 * @import { Stream } from "../client/inkstream.js"
 * @import { LineImage } from "./document.js"
 */

import { InkstreamError } from "../client/inkstream.js";
import { element, setText } from "./dom.js";
import { imageLines, imagesOf } from "./image.js";
import { Line } from "./line.js";
import { cutLines } from "./line_images.js";
import { t } from "./messages.js";
import { scaleCanvas } from "./paper.js";
import { PageView, Picture } from "./picture.js";
import { Player } from "./player.js";

const SHOWN_UNTIL = 0.8; // of the canvas's width: beyond it, the picture is scrolled

/**
 * @typedef {object} Listener
 * @property {(asText: boolean) => Promise<Stream>} connect to the model of text, or to the one that is chosen
 * @property {{ readsText: boolean }} server what it can read, as far as is known
 * @property {() => Record<string, string>} headers of requests, with the key
 * @property {() => void} onToggle an image is shown, or no longer
 * @property {() => { width: number, height: number }} largestLine that an image of a line may be on the paper, CSS pixels
 * @property {(lines: { text: string, image?: LineImage }[]) => void} onLines an image was read
 * @property {(error: { code: string, message: string }) => void} onError
 */

export class ImageView {
  #section = element("player", HTMLElement);
  #canvas = element("picture", HTMLCanvasElement);
  #context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
  #text = element("image-text", HTMLElement);
  #listener;
  #line = new Line();
  /** @type {Stream | undefined} */
  #stream;
  /** @type {Picture | undefined} */
  #picture;
  #isWholeShown = false; // a line of a page was chosen: it does not scroll as one that is played
  /** @type {string[]} */
  #texts = []; // of the lines before the one that is played
  /** Its lines, cut out of it. @type {LineImage[]} */
  #images = [];
  /** The image, if it was read as a digit and looks like text. @type {Blob | undefined} */
  #textFile;
  #page = new PageView(element("page", HTMLElement), (index) => this.#showLine(index));
  /** Called when the image was read or refused, or (true) closed. @param {boolean} _isClosed */
  #onEnd = (_isClosed) => {};
  #number = 0; // of the image: messages and answers for an earlier one are ignored
  #player = new Player({
    onColumns: (pixels) => this.#stream?.columns(pixels).catch(() => {}),
    onAdvance: () => this.#draw(),
    onLineEnd: () => void this.#finishLine(),
    onReplay: () => this.#play(this.#player.lines, this.#player.columnHeight, 0),
  });

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
    element("close-image", HTMLElement).addEventListener("click", () => this.#close());
    element("read-as-text", HTMLElement).addEventListener("click", () => {
      if (this.#textFile !== undefined) void this.load(this.#textFile, true);
    });
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
  }

  #close() {
    this.#number += 1;
    this.#onEnd(true);
    this.#player.pause();
    this.#section.hidden = true;
    this.#listener.onToggle();
    this.#stream?.close();
    this.#stream = undefined;
    this.#textFile = undefined;
  }

  /**
   * Read an image, or the pages of a document one after the other until one is closed.
   *
   * @param {Blob} file
   * @param {boolean} isDocument
   */
  async loadFile(file, isDocument) {
    this.#player.countPreparing(1);
    try {
      for await (const image of imagesOf(file, isDocument, this.#listener.headers())) {
        this.#player.countPreparing(-1);
        const isClosed = await this.load(image);
        this.#player.countPreparing(1);
        if (isClosed) return;
      }
    } catch (error) {
      if (!(error instanceof InkstreamError)) throw error;
      this.#listener.onError(error);
    } finally {
      this.#player.countPreparing(-1);
    }
  }

  /**
   * Have the server convert an image into columns, and play them.
   *
   * @param {Blob} image that the browser can draw
   * @param {boolean} [asText]
   * @returns {Promise<boolean>} resolved when it was read or refused, or (true) closed
   */
  load(image, asText = false) {
    this.#close();
    return new Promise((resolve) => {
      this.#onEnd = resolve;
      void this.#load(image, asText);
    });
  }

  /** @param {Blob} file @param {boolean} asText */
  async #load(file, asText) {
    const number = this.#number;
    this.#player.countPreparing(1);
    /** @type {Stream | undefined} */
    let stream;
    try {
      stream = await this.#listener.connect(asText);
      const { model: { name, kind }, column_height } = stream.ready;
      const isText = kind === "transcriber";
      const options = { model: name, isText };
      const { lines, page, looksLikeText } = await imageLines(file, options, this.#listener.headers());
      const images = await cutLines(file, page, this.#listener.largestLine());
      if (number !== this.#number) return stream.close();
      this.#images = images;
      this.#stream = stream;
      if (looksLikeText && this.#listener.server.readsText) this.#textFile = file;
      element("looks-like-text", HTMLElement).hidden = this.#textFile === undefined;
      void this.#page.show(file, page);
      void this.#receive(stream);
      this.#play(lines, column_height, 0);
    } catch (error) {
      stream?.close();
      this.#onEnd(false);
      if (!(error instanceof InkstreamError)) throw error;
      this.#listener.onError(error);
    } finally {
      this.#player.countPreparing(-1);
    }
  }

  /** @param {Stream} stream */
  async #receive(stream) {
    try {
      for await (const message of stream) {
        if (this.#line.update(message)) setText(this.#text, this.#line.text);
      }
    } catch (error) {
      if (!(error instanceof InkstreamError)) throw error;
      if (stream === this.#stream) this.#listener.onError(error);
    }
  }

  /** @param {Uint8Array[]} lines columns of each @param {number} columnHeight @param {number} lineIndex */
  #play(lines, columnHeight, lineIndex) {
    if (lines.length === 0) {
      this.#onEnd(false);
      return this.#listener.onError({ code: "no_lines", message: t("No writing was found in this image.") });
    }
    if (lineIndex === 0) this.#texts = [];
    this.#section.hidden = false;
    this.#listener.onToggle();
    this.#stream?.reset().catch(() => {});
    this.#line.begin(true);
    setText(this.#text, "");
    this.#player.load(lines, columnHeight, lineIndex);
    this.#picture = new Picture(this.#player.pixels, columnHeight);
    this.#isWholeShown = false;
    this.#draw();
  }

  /** Flush a line that was played, and play the next one; after the last one, pass all texts on. */
  async #finishLine() {
    const number = this.#number;
    const picture = this.#picture;
    const flushed = await this.#stream?.flush().catch(() => undefined);
    if (number !== this.#number || picture !== this.#picture || flushed === undefined) return;
    const text = flushed.text ?? flushed.label ?? "";
    this.#page.setText(this.#texts.length, text);
    this.#texts.push(text);
    const { lines, columnHeight, lineIndex, isLastLine } = this.#player;
    if (this.#textFile !== undefined) return this.#onEnd(false); // a digit that is none would be no text
    const read = this.#texts.map((text, index) => ({ text, ...(this.#images[index] && { image: this.#images[index] }) }));
    if (isLastLine) {
      this.#listener.onLines(read.filter(({ text }) => text !== ""));
      this.#onEnd(false);
    } else this.#play(lines, columnHeight, lineIndex + 1);
  }

  /** Show a line of a page that was read. @param {number} index */
  #showLine(index) {
    const { lines, columnHeight } = this.#player;
    this.#player.pauseAt(index);
    this.#picture = new Picture(/** @type {Uint8Array} */ (lines[index]), columnHeight);
    this.#isWholeShown = true;
    setText(this.#text, this.#texts[index] ?? "");
    this.#draw();
  }

  #draw() {
    const picture = this.#picture;
    if (picture === undefined || this.#section.hidden) return;
    const { clientWidth, clientHeight } = this.#canvas;
    scaleCanvas(this.#canvas, this.#context);
    const colour = getComputedStyle(this.#canvas).getPropertyValue("--ink");
    if (this.#isWholeShown) {
      const height = Math.min(clientHeight, clientWidth / (picture.nColumns * picture.columnWidth(1)));
      return picture.draw(this.#context, { height, offset: 0, nRead: picture.nColumns, colour });
    }
    const nRead = this.#player.nPlayed;
    const right = nRead * picture.columnWidth(clientHeight);
    const offset = Math.max(0, right - SHOWN_UNTIL * clientWidth);
    picture.draw(this.#context, { height: clientHeight, offset, nRead, colour });
  }
}

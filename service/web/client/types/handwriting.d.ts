/**
 * The browser's Handwriting Recognition API, answered by inkstream: pages that are written for
 * `navigator.createHandwritingRecognizer` run on it (https://wicg.github.io/handwriting-recognition).
 *
 *     const recognizer = await createHandwritingRecognizer({ languages: ["en"] }, { url });
 *     const drawing = recognizer.startDrawing({ alternatives: 3 });
 *     drawing.addStroke(stroke);
 *     const [best] = await drawing.getPrediction();
 *
 * @import { Choices, Letter, Point, Ready } from "./protocol.d.ts"
 */
import type { Letter, Point } from "./protocol.d.ts";
export type Constraint = {
    languages: readonly string[];
};
export type Hints = {
    /**
     * "text", or "per-character": without words
     */
    recognitionType?: string;
    /**
     * of no matter here: all pens draw alike
     */
    inputType?: string;
    /**
     * the text before the drawing
     */
    textContext?: string;
    /**
     * predictions at most
     */
    alternatives?: number;
};
export type HandwritingPoint = {
    x: number;
    y: number;
    t?: number;
};
export type DrawingSegment = {
    strokeIndex: number;
    beginPointIndex: number;
    endPointIndex: number;
};
export type Segment = {
    grapheme: string;
    /**
     * in the text
     */
    beginIndex: number;
    /**
     * the one after the last
     */
    endIndex: number;
    /**
     * half open, as all of these are
     */
    drawingSegments: DrawingSegment[];
};
export type Prediction = {
    text: string;
    segmentationResult: Segment[];
};
/** @typedef {{ languages: readonly string[] }} Constraint */
/**
 * @typedef {object} Hints
 * @property {string} [recognitionType] "text", or "per-character": without words
 * @property {string} [inputType] of no matter here: all pens draw alike
 * @property {string} [textContext] the text before the drawing
 * @property {number} [alternatives] predictions at most
 */
/** @typedef {{ x: number, y: number, t?: number }} HandwritingPoint */
/** @typedef {{ strokeIndex: number, beginPointIndex: number, endPointIndex: number }} DrawingSegment */
/**
 * @typedef {object} Segment
 * @property {string} grapheme
 * @property {number} beginIndex in the text
 * @property {number} endIndex the one after the last
 * @property {DrawingSegment[]} drawingSegments half open, as all of these are
 */
/** @typedef {{ text: string, segmentationResult: Segment[] }} Prediction */
/**
 * What is offered for some languages.
 *
 * @param {Constraint} constraint
 * @returns {Promise<object | null>} null where one of them is not read
 */
export declare function queryHandwritingRecognizer({ languages }: Constraint): Promise<object | null>;
/**
 * A recognizer that asks an inkstream server.
 *
 * @param {Constraint} constraint
 * @param {{ url: string | URL, model?: string, key?: string }} server
 * @returns {Promise<HandwritingRecognizer>}
 * @throws {DOMException} "NotSupportedError" for a language that is not read
 * @throws {import("./inkstream.js").InkstreamError} the server's refusal
 */
export declare function createHandwritingRecognizer({ languages }: Constraint, { url, model, key }: {
    url: string | URL;
    model?: string;
    key?: string;
}): Promise<HandwritingRecognizer>;
export declare class HandwritingStroke {
    #private;
    /** @param {HandwritingPoint} point */
    addPoint({ x, y, t }: HandwritingPoint): void;
    getPoints(): {
        x: number;
        y: number;
        t?: number;
    }[];
    clear(): void;
}
export declare class HandwritingRecognizer {
    #private;
    /** Made by `createHandwritingRecognizer`. @param {import("./inkstream.js").Stream} stream */
    constructor(stream: import("./inkstream.js").Stream);
    /** @param {Hints} [hints] @returns {HandwritingDrawing} */
    startDrawing(hints?: Hints): HandwritingDrawing;
    /** Let go of the server; nothing can be asked any more. */
    finish(): void;
}
export declare class HandwritingDrawing {
    #private;
    /**
     * Made by `startDrawing`.
     * @param {Hints} hints
     * @param {(strokes: Point[][]) => Promise<{ text: string, letters: Letter[] }>} read
     */
    constructor(hints: Hints, read: (strokes: Point[][]) => Promise<{
        text: string;
        letters: Letter[];
    }>);
    /** @param {HandwritingStroke} stroke */
    addStroke(stroke: HandwritingStroke): void;
    /** @param {HandwritingStroke} stroke */
    removeStroke(stroke: HandwritingStroke): void;
    clear(): void;
    getStrokes(): HandwritingStroke[];
    /** @returns {Promise<Prediction[]>} the most probable first; none where nothing is written */
    getPrediction(): Promise<Prediction[]>;
}

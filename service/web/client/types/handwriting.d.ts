/**
 * The Handwriting Recognition API of browsers, with an inkstream server as the recognizer. Pages that
 * use `navigator.createHandwritingRecognizer` can use this module instead:
 * https://wicg.github.io/handwriting-recognition
 *
 *     const recognizer = await createHandwritingRecognizer({ languages: ["en"] }, { url });
 *     const drawing = recognizer.startDrawing({ alternatives: 3 });
 *     drawing.addStroke(stroke);
 *     const [best] = await drawing.getPrediction();
 *
 * @import { Letter, Point, Ready, SessionOptions } from "./protocol.d.ts"
 */
import type { Letter, Point } from "./protocol.d.ts";
export type Constraint = {
    languages: readonly string[];
};
export type Hints = {
    /**
     * "text", or "per-character" for characters without spaces or words
     */
    recognitionType?: string;
    /**
     * accepted but not used
     */
    inputType?: string;
    /**
     * the text before the drawing
     */
    textContext?: string;
    /**
     * maximum number of predictions, by default 3
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
     * index of its first code unit in the text
     */
    beginIndex: number;
    /**
     * index after its last code unit
     */
    endIndex: number;
    /**
     * its points; end indexes are not included
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
 * @property {string} [recognitionType] "text", or "per-character" for characters without spaces or words
 * @property {string} [inputType] accepted but not used
 * @property {string} [textContext] the text before the drawing
 * @property {number} [alternatives] maximum number of predictions, by default 3
 */
/** @typedef {{ x: number, y: number, t?: number }} HandwritingPoint */
/** @typedef {{ strokeIndex: number, beginPointIndex: number, endPointIndex: number }} DrawingSegment */
/**
 * @typedef {object} Segment
 * @property {string} grapheme
 * @property {number} beginIndex index of its first code unit in the text
 * @property {number} endIndex index after its last code unit
 * @property {DrawingSegment[]} drawingSegments its points; end indexes are not included
 */
/** @typedef {{ text: string, segmentationResult: Segment[] }} Prediction */
/**
 * Describe the recognizer for some languages.
 *
 * @param {Constraint} constraint
 * @returns {Promise<object | null>} null if one of the languages is not supported
 */
export declare function queryHandwritingRecognizer({ languages }: Constraint): Promise<object | null>;
/**
 * Create a recognizer that uses an inkstream server. The first of the languages is expected.
 *
 * @param {Constraint} constraint
 * @param {{ url: string | URL, model?: string, key?: string, reconnect?: boolean }} server
 * @returns {Promise<HandwritingRecognizer>}
 * @throws {DOMException} "NotSupportedError" if a language is not supported
 * @throws {import("./inkstream.js").InkstreamError} the server's error, or "no_connection"
 */
export declare function createHandwritingRecognizer({ languages }: Constraint, { url, model, ...options }: {
    url: string | URL;
    model?: string;
    key?: string;
    reconnect?: boolean;
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
    /**
     * Use `createHandwritingRecognizer` instead.
     * @param {import("./inkstream.js").Stream} stream
     * @param {string} [language] a BCP 47 tag
     */
    constructor(stream: import("./inkstream.js").Stream, language?: string);
    /** @param {Hints} [hints] @returns {HandwritingDrawing} */
    startDrawing(hints?: Hints): HandwritingDrawing;
    /** Close the connection. The recognizer and its drawings cannot be used afterwards. */
    finish(): void;
}
export declare class HandwritingDrawing {
    #private;
    /**
     * Use `startDrawing` instead.
     * @param {Hints} hints
     * @param {(strokes: Point[][]) => Promise<{ text: string, letters: Letter[] }>} recognize
     */
    constructor(hints: Hints, recognize: (strokes: Point[][]) => Promise<{
        text: string;
        letters: Letter[];
    }>);
    /** @param {HandwritingStroke} stroke */
    addStroke(stroke: HandwritingStroke): void;
    /** @param {HandwritingStroke} stroke */
    removeStroke(stroke: HandwritingStroke): void;
    clear(): void;
    getStrokes(): HandwritingStroke[];
    /** @returns {Promise<Prediction[]>} the most probable first; empty if there are no points */
    getPrediction(): Promise<Prediction[]>;
}

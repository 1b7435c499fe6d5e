/**
 * The paper of `<ink-pad>`: follows one pointer at a time, leaves the palm out, and draws the ink.
 *
 * @import { Point } from "./protocol.d.ts"
 */
import type { Point } from "./protocol.d.ts";
export type PadStroke = {
    id: number;
    row: number;
    points: Point[];
    isDone: boolean;
};
export type Listener = {
    /**
     * whether the field can be written in
     */
    canBegin: () => boolean;
    onBegin: (point: Point) => void;
    onMove: (points: Point[]) => void;
    /**
     * the pen was lifted, or the stroke is no writing
     */
    onEnd: (isKept: boolean) => void;
};
/** @typedef {{ id: number, row: number, points: Point[], isDone: boolean }} PadStroke */
/**
 * @typedef {object} Listener
 * @property {() => boolean} canBegin whether the field can be written in
 * @property {(point: Point) => void} onBegin
 * @property {(points: Point[]) => void} onMove
 * @property {(isKept: boolean) => void} onEnd the pen was lifted, or the stroke is no writing
 */
export declare class FieldPaper {
    #private;
    canvas: HTMLCanvasElement;
    /** @param {Listener} listener */
    constructor(listener: Listener);
    /** @param {readonly PadStroke[]} strokes @param {number} rows @param {string} colour */
    draw(strokes: readonly PadStroke[], rows: number, colour: string): void;
}

/**
 * `<ink-pad>`: a field that is written in by hand, for any page.
 *
 *     <script type="module" src="https://ink.example/web/client/ink_pad.js"></script>
 *     <ink-pad server="https://ink.example"></ink-pad>
 *
 * Attributes: `server` (by default that of the page), `model`, `key`, `language` (a language model). Its `text` is
 * what was read so far. It dispatches `input` when the text has changed, `change` when all that was written is
 * decided, and `error` with the error as `detail`.
 *
 * @import { Point } from "./protocol.d.ts"
 * @import { Stream } from "./inkstream.js"
 */
import type { Point } from "./protocol.d.ts";
export type PadStroke = {
    id: number;
    points: Point[];
    nSent: number;
    isDone: boolean;
};
/** @typedef {{ id: number, points: Point[], nSent: number, isDone: boolean }} PadStroke */
export declare class InkPad extends HTMLElement {
    #private;
    constructor();
    connectedCallback(): void;
    disconnectedCallback(): void;
    /** What was read so far. */
    get text(): string;
    /** Remove all ink. */
    clear(): void;
    /** Take the newest stroke back. */
    undo(): void;
}

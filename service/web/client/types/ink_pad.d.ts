/**
 * `<ink-pad>`: a form field that is written in by hand, for any page.
 *
 *     <script type="module" src="https://ink.example/web/client/ink_pad.js"></script>
 *     <form><ink-pad name="city" server="https://ink.example" required></ink-pad></form>
 *
 * It behaves as `<input>` does: name, value, validity, label, focus, reset, `input` and `change`. README.md lists its
 * attributes. On a server the module can be imported, and does nothing.
 *
 * @import { Point, SessionOptions } from "./protocol.d.ts"
 * @import { InkstreamError, Stream } from "./inkstream.js"
 * @import { PadStroke } from "./field_paper.js"
 */
import type { PadStroke } from "./field_paper.js";
export type State = {
    typed: string;
    strokes: readonly PadStroke[];
};
/** @typedef {{ typed: string, strokes: readonly PadStroke[] }} State what `undo` brings back */
/** @type {typeof HTMLElement} */
declare const Element: typeof HTMLElement;
export declare class InkPad extends Element {
    #private;
    static formAssociated: boolean;
    static observedAttributes: string[];
    /** Texts of all fields, which a page may replace before they are shown. */
    static strings: {
        label: string;
        undo: string;
        clear: string;
        candidates: string;
        unread: string;
    };
    constructor();
    get form(): HTMLFormElement | null;
    get labels(): NodeList;
    get validity(): ValidityState;
    get validationMessage(): string;
    get willValidate(): boolean;
    get name(): string;
    set name(name: string);
    get required(): boolean;
    set required(value: boolean);
    get disabled(): boolean;
    set disabled(value: boolean);
    get readOnly(): boolean;
    set readOnly(value: boolean);
    get multiline(): boolean;
    set multiline(value: boolean);
    /** What was typed and what was read so far. */
    get value(): string;
    /** Have another text in the place of the ink; the same text keeps it. */
    set value(value: string);
    checkValidity(): boolean;
    reportValidity(): boolean;
    /** @param {string} message what is wrong with the value; "" if nothing is */
    setCustomValidity(message: string): void;
    /** Remove the ink and the text; `undo` brings them back. */
    clear(): void;
    /** Take the newest stroke back, or what was done in its place. */
    undo(): void;
    connectedCallback(): void;
    disconnectedCallback(): void;
    /** @param {string} name @param {string | null} _before @param {string | null} value */
    attributeChangedCallback(name: string, _before: string | null, value: string | null): void;
    /** @param {HTMLFormElement | null} form */
    formAssociatedCallback(form: HTMLFormElement | null): void;
    /** @param {boolean} isDisabled */
    formDisabledCallback(isDisabled: boolean): void;
    formResetCallback(): void;
    /** @param {string} state the value as it was, when a page is gone back to */
    formStateRestoreCallback(state: string): void;
}
export {};

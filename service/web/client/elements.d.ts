/** `<ink-pad>` for TypeScript: in `document.querySelector`, and as an element of React 19. */

import type { InkPad } from "./types/ink_pad.js";

export { InkPad } from "./types/ink_pad.js";

export interface InkPadAttributes {
  /** Address of the server; by default that of the page. */
  server?: string;
  /** API key of the server. */
  "api-key"?: string;
  model?: string;
  /** A language model: its name or code, several with commas, or "auto". */
  language?: string;
  name?: string;
  value?: string;
  placeholder?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  required?: boolean;
  disabled?: boolean;
  readOnly?: boolean;
  multiline?: boolean;
  /** How many lines there are with `multiline`; by default 3. */
  rows?: number;
}

declare global {
  interface HTMLElementTagNameMap {
    "ink-pad": InkPad;
  }
}

// @ts-ignore: where React is not installed there is no such module.
declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      // @ts-ignore
      "ink-pad": InkPadAttributes & HTMLAttributes<InkPad> & ClassAttributes<InkPad>;
    }
  }
}

export type * from "../protocol.d.ts";

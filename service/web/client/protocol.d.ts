/** The messages of inkstream's protocol, version 1. docs/protocol.md describes them. */

export type Id = number | string | null;
export type Point = readonly [x: number, y: number];

/** A stroke of a pen, or a part of one. */
export interface Stroke {
  /** Identifies the stroke: to add points to it, to undo it, and in events. */
  id?: Id;
  points: readonly Point[];
  /** Whether the stroke is complete (the default); if false, more points with its id follow. */
  last?: boolean;
}

/** The session's options, set by `configure`. An option that is absent keeps its value. */
export interface SessionOptions {
  /** One result for each column, or for the last column of each message, or events only. */
  results?: "column" | "message" | "none";
  top_k?: number | null;
  characters?: string | null;
  line_end_columns?: number;
  /**
   * Of the `languages` in `ready` by name or code ("german", "de"), several with commas, or "auto". This option
   * and those below apply from the next line on.
   */
  language?: string | null;
  /** Words that are likely to occur, such as names and terms. */
  words?: readonly string[];
  /** The text before the line, for the language model. */
  context?: string;
  /** A regular expression that the line's text matches. */
  pattern?: string | null;
  /** How many columns lie between two snapshots at least: 0 (none), or at least 64. */
  snapshot_columns?: number;
}

export interface Limits {
  max_frame_bytes: number;
  max_message_columns: number;
  max_waiting_columns: number;
  max_line_columns: number;
  max_rewind_columns: number;
  max_control_per_s: number;
  max_hint_characters: number;
  max_message_points: number;
  ink_margin_columns: number;
  max_ink_strokes: number;
  max_ink_points: number;
  max_bad_messages: number;
  max_sessions: number;
  max_sessions_per_client: number;
  idle_timeout_s: number;
  max_session_s: number;
  resume_lifetime_s: number;
  max_body_bytes: number;
  max_image_pixels: number;
}

export interface Ready {
  type: "ready";
  protocol: "inkstream.v1";
  session: string;
  model: { name: string; version: string; kind: "classifier" | "transcriber"; digest: string };
  labels: string[];
  column_height: number;
  languages: string[];
  limits: Limits;
}

/** An answer that follows from the messages of the line. */
interface Numbered {
  /** Its number in the line, from 1. */
  seq: number;
}

export interface Result extends Numbered {
  type: "result";
  column: number;
  /** The most probable first if `top_k` is set, else in the order of the labels. */
  probabilities: [label: string, p: number][];
  /** Only from a transcriber. */
  letter_end?: number;
  /** Only from a transcriber. */
  text?: string;
  /** How many characters of the text before stand, which `text` follows. The client puts the text together. */
  stable?: number;
}

/** Part of a stroke: its points from `start` to `end`, which is not included. */
export interface Span {
  id: number | string;
  start: number;
  end: number;
}

/** What a letter and a word have in common. */
interface InkEvent extends Numbered {
  id: number;
  start: number;
  end: number;
  column: number;
  confidence: number;
  strokes: Span[] | null;
}

export interface Letter extends InkEvent {
  type: "letter";
  char: string;
  /** Whether it is a punctuation mark or another mark. */
  mark: boolean;
  alternatives: { char: string; p: number }[];
}

export interface Word extends InkEvent {
  type: "word";
  text: string;
  alternatives: { text: string; p: number }[];
}

export interface Configured extends Required<SessionOptions>, Numbered {
  type: "configured";
  id: Id;
}

/** The line as it was recognized: a classifier gives a label, a transcriber a text. */
interface Recognized extends Numbered {
  label?: string | null;
  text?: string;
}

/** Answers `rewind`: `letters` and `words` stand, and those with higher ids are withdrawn. */
export interface Rewound extends Recognized {
  type: "rewound";
  id: Id;
  column: number;
  letters: number;
  words: number;
}

/** The server withdraws columns itself: ink has changed them, or other weights read the line from its beginning. */
export interface Revised extends Recognized {
  type: "revised";
  column: number;
  letters: number;
  words: number;
  /** The new frame, if `fit` changed it. A column is `height / column_height` wide. */
  frame?: { top: number; height: number };
}

export interface Flushed extends Recognized {
  type: "flushed";
  id: Id;
  columns: number;
}

/** The line has ended by itself, with its first `messages` messages. The last of them lacks `rest_columns`. */
export interface LineEnd extends Recognized {
  type: "line_end";
  columns: number;
  messages: number;
  rest_columns: number;
}

export interface ResetDone extends Numbered {
  type: "reset_done";
  id: Id;
}

export interface Pong {
  type: "pong";
  id: Id;
}

export interface Goaway {
  type: "goaway";
  reason: string;
  time_left_ms: number;
}

/** The line after its first `messages` messages; `blob` is for `resume`. */
export interface Snapshot {
  type: "snapshot";
  messages: number;
  blob: string;
}

/** The line goes on after its first `messages` messages. */
export interface Resumed {
  type: "resumed";
  id: Id;
  messages: number;
}

export interface ErrorMessage {
  type: "error";
  code: string;
  message: string;
  fatal: boolean;
  /** Only where one of the client's messages caused it. */
  seq?: number;
  index: number | null;
  ref: Id;
}

export interface Done extends Recognized {
  type: "done";
  id: Id;
  columns: number;
  letters: number;
  words: number;
}

export type ServerMessage =
  | Ready
  | Result
  | Letter
  | Word
  | Configured
  | Rewound
  | Revised
  | Flushed
  | LineEnd
  | ResetDone
  | Pong
  | Goaway
  | Snapshot
  | Resumed
  | ErrorMessage
  | Done;

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
  every?: "column" | "message";
  top_k?: number | null;
  polarity?: "ink-high" | "ink-low";
  characters?: string | null;
  line_end_columns?: number;
  /** One of the `languages` in `ready`. This option and those below apply from the next line on. */
  language_model?: string | null;
  /** Words that are likely to occur, such as names and terms. */
  words?: readonly string[];
  /** The text before the line, for the language model. */
  context?: string;
  /** A regular expression that the line's text matches. */
  pattern?: string | null;
  /** What results of a transcriber have of the text. The client asks for "tail" and puts the text together. */
  text?: "full" | "tail" | "none";
  /** "events": events are sent, and no results. */
  results?: "all" | "events";
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
  model: { name: string; version: string; kind: "classifier" | "transcriber" };
  labels: string[];
  column_height: number;
  languages: string[];
  limits: Limits;
  next_column: number;
  resume: { lifetime_s: number } | null;
}

export interface Result {
  type: "result";
  epoch: number;
  column: number;
  probabilities: Record<string, number>;
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

/** What a letter, a punctuation mark and a word have in common. */
interface InkEvent {
  id: number;
  start: number;
  end: number;
  column: number;
  confidence: number;
  strokes: Span[] | null;
}

export interface Letter extends InkEvent {
  type: "letter" | "punctuation";
  char: string;
  alternatives: { char: string; p: number }[];
}

export interface Word extends InkEvent {
  type: "word";
  text: string;
  alternatives: { text: string; p: number }[];
}

export interface Configured extends Required<SessionOptions> {
  type: "configured";
  id: Id;
}

/** The line as it was recognized: a classifier gives a label, a transcriber a text. */
interface Recognized {
  label?: string | null;
  text?: string;
}

export interface Rewound extends Recognized {
  type: "rewound";
  id: Id;
  epoch: number;
  column: number;
  letters: number;
  words: number;
  /** The new frame, if `fit` changed it. A column is `height / column_height` wide. */
  frame?: { top: number; height: number };
}

export interface Flushed extends Recognized {
  type: "flushed";
  id: Id;
  epoch: number;
  columns: number;
}

export interface ResetDone {
  type: "reset_done";
  id: Id;
  epoch: number;
}

export interface Pong {
  type: "pong";
  id: Id;
}

export interface Goaway {
  type: "goaway";
  reason: string;
  time_left_ms: number;
  resumable: boolean;
}

/** The session after the first `messages` messages of the client; `blob` is for `resume`. */
export interface Snapshot {
  type: "snapshot";
  epoch: number;
  column: number;
  messages: number;
  letters: number;
  words: number;
  blob: string;
  lifetime_s: number;
}

/** The line goes on: `letters` and `words` stand, and ids from there on come. */
export interface Resumed {
  type: "resumed";
  id: Id;
  epoch: number;
  column: number;
  letters: number;
  words: number;
}

export interface ErrorMessage {
  type: "error";
  code: string;
  message: string;
  fatal: boolean;
  index: number | null;
  ref: Id;
}

export interface Done extends Recognized {
  type: "done";
  id: Id;
  columns: number;
  letters: number;
  words: number;
  seconds: number;
}

export type ServerMessage =
  | Ready
  | Result
  | Letter
  | Word
  | Configured
  | Rewound
  | Flushed
  | ResetDone
  | Pong
  | Goaway
  | Snapshot
  | Resumed
  | ErrorMessage
  | Done;

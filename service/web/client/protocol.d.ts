/** The messages of inkstream's wire protocol, version 1: docs/protocol.md says what they mean. */

export type Id = number | string | null;
export type Point = readonly [x: number, y: number];

/** Strokes of a pen, or pieces of them. */
export interface Stroke {
  /** Names the stroke; more points may come for it, it can be undone, and events tell of it. */
  id?: Id;
  points: readonly Point[];
  /** Whether it is complete (true where absent); else its next points go on from here. */
  last?: boolean;
}

/** What `configure` changes; what is absent stays as it is. */
export interface Choices {
  every?: "column" | "message";
  top_k?: number | null;
  polarity?: "ink-high" | "ink-low";
  characters?: string | null;
  line_end_columns?: number;
  /** One of the `languages` of `ready`; this and what follows is of the next lines. */
  language_model?: string | null;
  /** That may well come: names, terms. */
  words?: readonly string[];
  /** The text before the line, for a language model. */
  context?: string;
  /** A regular expression that the line fulfils. */
  pattern?: string | null;
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
  resume: null;
}

export interface Result {
  type: "result";
  epoch: number;
  column: number;
  probabilities: Record<string, number>;
  /** A transcriber's. */
  letter_end?: number;
  /** A transcriber's. */
  text?: string;
}

/** A part of a stroke: its points from `start` on, up to the one before `end`. */
export interface Span {
  id: number | string;
  start: number;
  end: number;
}

interface Decided {
  id: number;
  start: number;
  end: number;
  column: number;
  confidence: number;
  strokes: Span[] | null;
}

export interface Letter extends Decided {
  type: "letter" | "punctuation";
  char: string;
  alternatives: { char: string; p: number }[];
}

export interface Word extends Decided {
  type: "word";
  text: string;
  alternatives: { text: string; p: number }[];
}

export interface Configured extends Required<Choices> {
  type: "configured";
  id: Id;
}

/** A classifier answers with a label, a transcriber with a text. */
interface Answer {
  label?: string | null;
  text?: string;
}

export interface Rewound extends Answer {
  type: "rewound";
  id: Id;
  epoch: number;
  column: number;
  letters: number;
  words: number;
  /** Of a line of ink that was fitted into another one: columns are as wide as its rows are high. */
  frame?: { top: number; height: number };
}

export interface Flushed extends Answer {
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

export interface Failure {
  type: "error";
  code: string;
  message: string;
  fatal: boolean;
  index: number | null;
  ref: Id;
}

export interface Done extends Answer {
  type: "done";
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
  | Failure
  | Done;

"""Greedy best path: scores -> letters, marks and words of a line, while it is being written.

Best path of CTC (Graves et al., ICML 2006): a run of steps whose most probable symbol is the same
label is one letter. One addition: a label whose summed odds against the blank exceed `ENOUGH` is a
letter too (best path loses those, spaces above all).

A letter is decided, an event that is never taken back, when its label is certain or its run is
over; `text` shows it from the run's first step on. The net's score for letter ends says where a
letter ends; where that says nothing, the place of the run does. Where a letter starts follows from
the ink behind the end of the one before: `LetterStart`.

All that a decoder knows is small, so a copy costs little.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import END_DELAY, STEP_COLUMNS
from inkstream.model.decoding.base import (
    LEAST_ALTERNATIVE,
    N_ALTERNATIVES,
    PAPER,
    SPACE,
    Columns,
    Decoded,
    Decoder,
    Event,
    Letter,
    Probabilities,
    Scores,
    Spelling,
    Word,
    label_probabilities,
)
from inkstream.model.errors import InputError

BLANK: Final = 0  # the first of the symbols; label k is symbol 1 + k

# Chosen on the validation writers, with an early net: later decisions (0.9) made events one to two
# columns later and their ends no better; of scores, even weak ones tell more than the run's place.
SURE: Final = math.log(0.5)  # a symbol as probable as this is decided at once
QUIET: Final = math.log(0.99)  # a step whose blank is as probable as this holds no letter
ENOUGH: Final = 0.7  # summed odds against the blank from which on a label is a letter
LIKELY_END: Final = math.log(0.1)  # from this score on the end of a letter counts as seen

LEAST: Final = 1e-30  # stands for no probability where a logarithm is taken
NO_ODDS: Final = np.zeros(1, np.float32)  # broadcast to [1 + K]


@dataclass(frozen=True, slots=True, eq=False)
class SymbolRun:
    """Steps in a row whose most probable symbol is the same label."""

    symbol: int
    step: int  # the first one
    weights: NDArray[np.float32]  # [1 + K], probabilities or odds of symbols, summed over it


# Attributes that hold all that a decoder knows of its line.
_KNOWN: Final = (
    *("letters", "words", "_columns", "_beyond", "_flushed", "_decided", "_word", "_symbol"),
    *("_newest_label", "_odds", "_run", "_start", "_ink", "_ends", "_ends_start"),
)


class GreedyDecoder(Decoder):
    """Follows one line, of which every second column brings a new step of the net.

    The space is a label like others: where it is not allowed, words are not separated.
    """

    recent_steps = 16  # whose end scores are kept: more than are ever looked back on
    recent_columns = 64  # whose ink is remembered: no end is found further back

    def __init__(self, labels: Sequence[str], flush_columns: int = STEP_COLUMNS) -> None:
        """Begin a line.

        `labels` are K characters, in the order of the scores; after `flush_columns` blank columns,
        an even number, the net holds nothing back.
        """
        self.flush_columns = max(flush_columns, STEP_COLUMNS)
        self._labels = tuple(labels)
        self._space = 1 + self._labels.index(SPACE) if SPACE in self._labels else -1
        self._columns = 0  # of the line
        self._beyond = 0  # blank ones behind them, of the flush under way
        self._flushed = 0  # columns of the line at its last flush
        self._decided = ""  # text that is decided
        self._word: OpenWord | None = None  # that is being written
        self._symbol = BLANK  # of the newest step
        self._newest_label = BLANK  # symbol of the newest run
        self._odds = NO_ODDS  # [1 + K], of each symbol against the blank, summed since then
        self._run: SymbolRun | None = None  # that is not decided yet
        self._start = LetterStart(0, 0, gap=0)  # of the next letter
        self._ink: list[int] = []  # recent columns that have ink
        self._ends: list[float] = []  # end scores of recent steps
        self._ends_start = 0  # the step of the first one

    def copy(self) -> Self:
        made = super().copy()
        made._ink, made._ends = self._ink.copy(), self._ends.copy()
        return made

    def to_dict(self) -> dict[str, Any]:
        known = {name: getattr(self, name) for name in _KNOWN}
        run, word = self._run, self._word
        known["_odds"] = self._odds.tobytes()
        known["_run"] = run and [run.symbol, run.step, run.weights.tobytes()]
        known["_word"] = word and [word.start, word.end, word.spellings]
        known["_start"] = tuple(self._start)
        known["_ink"] = self._ink.copy()
        known["_ends"] = np.array(self._ends, np.float32).tobytes()  # they came in 32 bits
        return known

    def restore(self, known: Mapping[str, Any]) -> None:
        try:
            values = self._attributes(known)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"a decoder cannot go on from this state: {error!r}") from error
        vars(self).update(values)

    def _attributes(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return the attributes of which `to_dict` made `known`; any error if it did not."""
        values = {name: known[name] for name in _KNOWN}
        values["_start"], values["_ink"] = LetterStart(*values["_start"]), [*values["_ink"]]
        values["_odds"] = np.frombuffer(values["_odds"], np.float32)
        values["_ends"] = np.frombuffer(values["_ends"], np.float32).tolist()
        if run := values["_run"]:
            values["_run"] = SymbolRun(run[0], run[1], np.frombuffer(run[2], np.float32))
        if word := values["_word"]:
            values["_word"] = OpenWord(word[0], word[1], tuple((t, p) for t, p in word[2]))
        if more := sorted(set(known) - {*_KNOWN}):
            raise InputError(f"the state is of a stream with hints: it holds {more} too")
        return values

    @property
    def settled(self) -> bool:
        return self._columns == self._flushed

    @property
    def text(self) -> str:
        return self._text_at(self._columns - 1)

    def _text_at(self, column: int) -> str:
        undecided = self._undecided(column)
        return self._decided + (self._space_at(column) + undecided if undecided else "")

    def _undecided(self, column: int) -> str:
        """Return the text that may still change."""
        if (run := self._run) is None or (symbol := self._allowed_symbol(run)) == BLANK:
            return ""
        is_letter = symbol != self._space or self._is_space(run.step, column)
        return self._labels[symbol - 1] if is_letter else ""

    def probabilities(self, scores: Scores) -> Probabilities:
        return label_probabilities(scores[:, 1:-1], self.mask)

    # Step by step

    def step(self, scores: Scores, columns: Columns) -> Decoded:
        first, text = self._columns, self.text
        self._columns += len(scores)
        if inked := _inked(columns, first):
            self._ink += inked
        events: list[Event] = []
        texts = [text] * len(scores)
        if first // STEP_COLUMNS != self._columns // STEP_COLUMNS:
            events, changes = self._advance(scores, first)
            for column, changed in changes:
                texts[column - first :] = [changed] * (self._columns - column)
        if self._start.ink is None:
            self._start = self._start.after_looking(self._ink, self._columns)
        oldest = self._columns - self.recent_columns
        if self._ink and self._ink[0] < oldest:
            del self._ink[: bisect_left(self._ink, oldest)]
        return Decoded(events, texts)

    def _skip_quiet(self, scores: Scores, first: int) -> bool:
        """Keep the end score of a step that stays blank, and return whether that is all to do."""
        if len(scores) > 1 or first % STEP_COLUMNS == 0 or self._run is not None:
            return False
        if self._symbol != BLANK or self.mask is not None or scores.item(BLANK) <= QUIET:
            return False
        if not self._ends:
            self._ends_start = first // STEP_COLUMNS
        self._ends.append(scores.item(-1))
        self._forget_ends()
        return True

    def flush(self, scores: Scores | None = None, *, last: bool = True) -> list[Event]:
        events: list[Event] = []
        if scores is not None and len(scores):
            first = self._columns + self._beyond
            self._beyond += len(scores)
            events += self._advance(scores, first)[0]
        return events + self._finish() if last else events

    def _finish(self) -> list[Event]:
        """Decide all that is open; the next column begins a new word."""
        column = self._columns - 1
        step = (self._columns + self._beyond) // STEP_COLUMNS
        events = [*self._decide(step, column), *self._close_word(column)]
        self._beyond, self._flushed = 0, self._columns
        self._symbol, self._newest_label, self._odds = BLANK, BLANK, NO_ODDS
        self._start = self._start.after_flush(self._ink, self._columns, self.recent_columns)
        self._ends = []
        return events

    def _advance(self, scores: Scores, first: int) -> tuple[list[Event], list[tuple[int, str]]]:
        """Take new steps; return what was decided, and (column, text) where the text changes."""
        events: list[Event] = []
        changes: list[tuple[int, str]] = []
        if self._skip_quiet(scores, first):
            return events, changes
        for step, row in enumerate(self._new_steps(scores, first), first // STEP_COLUMNS):
            symbol, odds = BLANK, None
            if row[BLANK] <= QUIET:
                symbol = int(row.argmax())
                if symbol == BLANK:
                    symbol, odds = self._sum_odds(row)
            if symbol == self._symbol and self._run is None:  # most steps: nothing happens
                continue
            column = min(STEP_COLUMNS * (step + 1), self._columns) - 1
            if self._run is not None and symbol == self._symbol:
                self._run = SymbolRun(symbol, self._run.step, self._run.weights + np.exp(row))
            else:
                events += self._decide(step, column)
                if symbol != BLANK:
                    self._run = SymbolRun(symbol, step, np.exp(row) if odds is None else odds)
                    self._newest_label, self._odds = symbol, NO_ODDS
                    changes.append((column, self._text_at(column)))
                self._symbol = symbol
            if row[symbol] >= SURE:
                events += self._decide(step, column)
        self._forget_ends()
        return events, changes

    def _new_steps(self, scores: Scores, first: int) -> NDArray[np.float32]:
        """Return log-probabilities [m, 1 + K] of the steps that columns from `first` end."""
        steps = scores[(first + 1) % STEP_COLUMNS :: STEP_COLUMNS]
        if not self._ends:
            self._ends_start = first // STEP_COLUMNS
        self._ends += steps[:, -1].tolist()
        symbols = steps[:, :-1]
        mask = self.mask
        return symbols if mask is None else _restricted(symbols, mask, self._space)

    def _sum_odds(self, row: NDArray[np.float32]) -> tuple[int, NDArray[np.float32]]:
        """Return the symbol whose summed odds exceed `ENOUGH`, or the blank; and the odds."""
        odds = np.exp(row - row[BLANK])
        odds[BLANK] = odds[self._newest_label] = 0  # the newest label's last steps: no new letter
        self._odds = self._odds + odds
        likely = int(self._odds.argmax())
        return (likely if self._odds[likely] > ENOUGH else BLANK), self._odds

    def _forget_ends(self) -> None:
        """Forget end scores that are too old to be looked at."""
        if (excess := len(self._ends) - self.recent_steps) > 0:
            self._ends_start += excess
            del self._ends[:excess]

    # Letters

    def _decide(self, step: int, column: int) -> list[Event]:
        """Close the run and return the letter or the word that it decides, if any."""
        run, self._run = self._run, None
        symbol = BLANK if run is None else self._allowed_symbol(run)
        return [] if run is None or symbol == BLANK else self._emit(run, symbol, step, column)

    def _emit(self, run: SymbolRun, symbol: int, step: int, column: int) -> list[Event]:
        """Return the event that a run's symbol is, by what is known of its end at `step`."""
        if symbol == self._space:
            if not self._is_space(run.step, column):
                return []
            self._decided += SPACE
            return [*self._close_word(column)]
        before, end = self._start.after_looking(self._ink, column + 1), self._end_of(run, step)
        start = min(before.column(end, is_first=self._word is None), column)
        end = min(max(end, before.end, start + 1), column + 1)
        confidence, alternatives = self._confidence(run, symbol)
        char = self._labels[symbol - 1]
        letter = Letter(self.letters, char, start, end, column, confidence, alternatives)
        self._decided += self._space_at(column) + char
        self._start = LetterStart(end, end)  # behind it nothing is known yet
        self.letters += 1
        self._word = (self._word or OpenWord(start, end, (("", 1.0),))).extended(letter)
        return [letter]

    def _allowed_symbol(self, run: SymbolRun) -> int:
        """Return the symbol that a run stands for: the most probable allowed one, else blank."""
        mask = self.mask
        if mask is None or mask[run.symbol - 1] == 0:
            return run.symbol
        weights = np.where(mask == 0, run.weights[1:], 0)
        if self._space > 0:
            weights[self._space - 1] = 0
        return int(weights.argmax()) + 1 if run.symbol != self._space and weights.any() else BLANK

    def _shares(self, run: SymbolRun) -> NDArray[np.float32]:
        """Return the probabilities [K] of the allowed labels in a run."""
        mask = self.mask
        weights = run.weights[1:] if mask is None else run.weights[1:] * (mask == 0)
        return np.asarray(weights / weights.sum())

    def _confidence(self, run: SymbolRun, symbol: int) -> tuple[float, tuple[Spelling, ...]]:
        """Return how probable the symbol of a run is among all labels, and which others are."""
        shares = self._shares(run)
        best = np.argsort(-shares)[: N_ALTERNATIVES + 2].tolist()  # with itself and the space
        others = [
            (self._labels[k], float(shares[k]))
            for k in best
            if k + 1 not in (symbol, self._space) and shares[k] >= LEAST_ALTERNATIVE
        ]
        return float(shares[symbol - 1]), tuple(others[:N_ALTERNATIVES])

    def _end_of(self, run: SymbolRun, step: int) -> int:
        """Return the column after a run's letter, by what is known at `step`."""
        # The letter may have ended up to eight steps before the run's first one.
        first = max(run.step - 8, self._start.end // STEP_COLUMNS) + END_DELAY
        first = max(first, step + 1 - self.recent_steps) - self._ends_start
        scores = self._ends[first : step + 1 - self._ends_start]
        best = max(scores, default=-math.inf)
        if best < LIKELY_END:
            return STEP_COLUMNS * run.step
        last = self._ends_start + first + scores.index(best) - END_DELAY  # step of the letter
        return STEP_COLUMNS * (last + 1)

    # Spaces and words

    def _is_space(self, step: int, column: int) -> bool:
        """Whether a space at a step is in the line, and isn't made of a flush's columns."""
        is_of_line = STEP_COLUMNS * step < self._columns
        return is_of_line and self._start.has_gap(self._ink, column + 1) and not self._ends_in_space

    @property
    def _ends_in_space(self) -> bool:
        return self._decided[-1:] in ("", SPACE)

    def _space_at(self, column: int) -> str:
        """Return the space before the first letter behind a flush, if there is one."""
        if self._start.paper is None or self._space <= 0 or self._ends_in_space:
            return ""
        if (mask := self.mask) is not None and mask[self._space - 1] != 0:
            return ""
        is_wide = self._start.after_looking(self._ink, column + 1).is_spaced
        return SPACE if is_wide else ""

    def _close_word(self, column: int) -> list[Word]:
        """Return the word that is being written, if there is one."""
        word, self._word = self._word, None
        if word is None:
            return []
        self.words += 1
        (text, p), *others = word.spellings
        alternatives = tuple(spelling for spelling in others if spelling[1] >= LEAST_ALTERNATIVE)
        return [Word(self.words - 1, text, word.start, word.end, column, p, alternatives)]


def _inked(columns: Columns, first: int) -> list[int]:
    """Return the numbers of those columns that have ink, if the first one has number `first`."""
    if len(columns) <= 8:  # as many take less time one by one than together in numpy
        return [first + i for i, column in enumerate(columns) if bytes(column).strip(PAPER)]
    inked: list[int] = (np.flatnonzero((np.asarray(columns) > PAPER[-1]).any(1)) + first).tolist()
    return inked


def _restricted(
    symbols: NDArray[np.float32], mask: NDArray[np.float32], space: int
) -> NDArray[np.float32]:
    """Return log-probabilities [m, 1 + K] of blank and labels with those of `mask` alone left.

    Letters that are not allowed leave their probability to those that are; a space, the symbol
    of this number, leaves its own to the blank.
    """
    shares = np.exp(symbols, dtype=np.float64)
    letters = np.arange(1, shares.shape[1]) != space
    before = shares[:, 1:][:, letters].sum(1, keepdims=True)
    shares[:, 1:][:, mask < 0] = 0
    after = shares[:, 1:][:, letters].sum(1, keepdims=True)
    shares[:, 1:][:, letters] *= before / np.maximum(after, LEAST)
    shares[:, 0] = 1 - shares[:, 1:].sum(1)
    return np.log(np.maximum(shares, LEAST)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class OpenWord:
    """The word that is being written."""

    start: int
    end: int
    spellings: tuple[Spelling, ...]  # its text, then the most probable others

    @property
    def text(self) -> str:
        """What is written of it."""
        return self.spellings[0][0]

    def extended(self, letter: Letter) -> "OpenWord":
        """Return the word with one letter more.

        Of the other texts that letters and their alternatives spell, the most probable are kept.
        Letters are taken to be independent, so no text that was left out grows into one of them.
        """
        options = ((letter.char, letter.confidence), *letter.alternatives)
        extended, *others = [
            (text + char, p * q) for text, p in self.spellings for char, q in options
        ]
        others.sort(key=itemgetter(1), reverse=True)
        return OpenWord(self.start, letter.end, (extended, *others[:N_ALTERNATIVES]))


# Blank columns from which on a space stands between two letters rather than none: the best
# threshold on the validation writers (96 % of their spaces are wider, 12 % of their other gaps).
SPACE_COLUMNS: Final = 7


class LetterStart(NamedTuple):
    """What is known of where the next letter starts.

    Ink right behind a letter's end may be the rest of that letter.
    """

    end: int  # of the letter before
    scanned: int  # columns from `end` up to this one have ink, all of them
    gap: int | None = None  # the first column from `end` on that has none
    ink: int | None = None  # the first column behind the gap that has some
    paper: int | None = None  # blank columns before a flush at `end`, which hides them from the net

    def after_looking(self, inked: Sequence[int], before: int) -> "LetterStart":
        """Return what is known after a look at columns before `before`; `inked` ones have ink."""
        if self.ink is not None:
            return self
        scanned, gap = self.scanned, self.gap
        index = bisect_left(inked, scanned)
        while gap is None and scanned < before:
            if index < len(inked) and inked[index] == scanned:
                index, scanned = index + 1, scanned + 1
            else:
                gap = scanned
        is_seen = gap is not None and index < len(inked) and inked[index] < before
        if not is_seen and scanned == self.scanned and gap == self.gap:
            return self
        return LetterStart(self.end, scanned, gap, inked[index] if is_seen else None, self.paper)

    def after_flush(self, inked: Sequence[int], end: int, reach: int) -> "LetterStart":
        """Return what is known after a flush at column `end`; `inked` goes back `reach`."""
        start, paper = self.after_looking(inked, end), end - inked[-1] - 1 if inked else reach
        if start.ink is not None and start.gap is not None:
            paper = max(paper, start.ink - start.gap + (start.paper or 0))
        return LetterStart(end, end, gap=end, paper=paper)

    @property
    def is_spaced(self) -> bool:
        """Whether, behind a flush, the line's own paper makes a space."""
        if self.paper is None or self.ink is None:
            return False
        return self.paper + self.ink - self.end >= SPACE_COLUMNS

    def has_gap(self, inked: Sequence[int], before: int) -> bool:
        """Whether the line's own columns before `before` leave room for a space.

        Behind a flush a space needs ink, paper and ink again; elsewhere the net is believed.
        """
        columns = inked[bisect_left(inked, self.end) : bisect_left(inked, before)]
        return self.paper is None or any(b - a > SPACE_COLUMNS for a, b in pairwise(columns))

    def column(self, end: int, *, is_first: bool) -> int:
        """Return where a letter starts that ends at `end`, the first one of a word or not."""
        # Columns of a letter's ink may lie behind its end, before a blank one: more at the end of
        # a word, where the next letter's ink seldom comes so soon.
        if self.gap is None or self.gap - self.end > (12 if is_first else 4):
            return self.end
        if self.end < self.gap and end <= self.gap + 1:  # that ink is the letter itself
            return self.end
        return self.gap if self.ink is None else self.ink

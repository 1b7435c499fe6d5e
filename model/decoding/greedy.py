"""Scores -> letters, marks and words of a line, while it is being read.

Greedy best path of CTC (Graves et al., ICML 2006): a run of steps whose most probable symbol is the
same label is one letter. A symbol that the blank outdoes at each step, but not at all of them
together, is one too: best path loses those, spaces above all. A letter is *decided*, an event that
is never taken back, when its symbol is certain or its run is over; `text` shows it from the run's
first step on. Where a letter ends, the net's score for letter ends says, and where that says
nothing the place of the run.

All that a decoder knows is small and never changed in place, so a copy costs next to nothing.

Where the next letter starts: looked for behind the end of the one before, as columns come.
"""

import copy
import dataclasses
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import END_DELAY, STEP_COLUMNS
from inkstream.model.decoding.base import (
    LEAST_ALTERNATIVE,
    N_ALTERNATIVES,
    SPACE,
    Allowed,
    ClassifierDecoder,
    Event,
    Heard,
    Letter,
    OpenWord,
    Spelling,
    Word,
    allowed_labels,
    extended,
    masked,
    shares,
)
from inkstream.model.errors import InputError

Scores = NDArray[np.float32]  # [n, S] log-probabilities: blank, K labels, letter end

BLANK: Final = 0  # the first of the symbols; label k is symbol 1 + k

# Chosen on writers who choose, with an early net: later decisions (0.9) made events one to two
# columns later and their ends no better; of scores, even weak ones tell more than the run's place.
SURE: Final = math.log(0.5)  # a symbol as probable as this is decided at once
QUIET: Final = math.log(0.99)  # a step whose blank is as probable as this says nothing else
ENOUGH: Final = 0.7  # odds against the blank, summed over steps, from which on a symbol was said
LIKELY_END: Final = math.log(0.1)  # from this score on the end of a letter counts as seen
END_REACH: Final = 5  # steps before a run's first one in which its letter may have ended

NONE: Final = np.zeros(1, np.float32)  # odds before any


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Steps whose most probable symbol is the same label."""

    symbol: int
    step: int  # the first one
    weights: NDArray[np.float32]  # [1 + K], probabilities or odds of symbols, added up over it


# Attributes of a decoder that `reset` sets: what it knows of its line.
_KNOWN: Final = (
    *("letters", "words", "_columns", "_beyond", "_flushed", "_committed", "_word", "_symbol"),
    *("_said", "_odds", "_run", "_start", "_ink", "_ends", "_ends_start"),
)


class TranscriptDecoder:
    """Reads the scores of one line, of which every second column brings a new step."""

    label: Final = None  # a line is answered by its text
    recent_steps = 16  # whose end scores are kept: more than are ever looked back on
    recent_columns = 64  # whose ink is remembered: no end is found further back

    def __init__(self, labels: Sequence[str], flush_columns: int = STEP_COLUMNS) -> None:
        """Begin a line.

        Args:
            labels: K characters, in the order of the scores.
            flush_columns: blank columns that make the net say what it holds back, even.
        """
        self.allowed: Allowed = None  # what may be answered from now on
        self.flush_columns = max(flush_columns, STEP_COLUMNS)
        self._labels = tuple(labels)
        self._space = 1 + self._labels.index(SPACE) if SPACE in self._labels else -1
        self.reset()

    def reset(self) -> None:
        """Begin a new line; what is allowed stays."""
        self.letters = 0  # decided, marks among them
        self.words = 0  # decided
        self._columns = 0  # of the line
        self._beyond = 0  # blank ones behind them, of the flush under way
        self._flushed = 0  # columns of the line at its last flush
        self._committed = ""  # text that is decided
        self._word: OpenWord | None = None
        self._symbol = BLANK  # of the newest step
        self._said = BLANK  # the newest symbol that was another one
        self._odds = NONE  # [1 + K], of each symbol against the blank, summed up since then
        self._run: Run | None = None  # that is not decided yet
        self._start = Start.anew(0)  # of the next letter
        self._ink: list[int] = []  # recent columns that have ink
        self._ends: list[float] = []  # end scores of recent steps
        self._ends_start = 0  # the step of the first one

    def to_dict(self) -> dict[str, Any]:
        """All that it knows of the line, in plain values for JSON; `restore` takes them back."""
        known = {name: getattr(self, name) for name in _KNOWN}
        run, word = self._run, self._word
        known["_odds"] = self._odds.tolist()
        known["_run"] = run and [run.symbol, run.step, run.weights.tolist()]
        known["_word"] = word and [word.start, word.end, word.spellings]
        known["_start"] = dataclasses.astuple(self._start)
        return known

    def restore(self, known: Mapping[str, Any]) -> None:
        """Go on where another decoder stood; raises `InputError` for what isn't `to_dict`'s."""
        try:
            values = {name: known[name] for name in _KNOWN}
            values["_start"] = Start(*values["_start"])
            values["_odds"] = np.array(values["_odds"], np.float32)
            if run := values["_run"]:
                values["_run"] = Run(run[0], run[1], np.array(run[2], np.float32))
            if word := values["_word"]:
                values["_word"] = OpenWord(word[0], word[1], tuple((t, p) for t, p in word[2]))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"a decoder cannot go on from this: {error!r}") from error
        if more := set(known) - {*_KNOWN}:
            raise InputError(f"the state is of a stream with hints: it holds {sorted(more)} too")
        vars(self).update(values)

    def copy(self) -> "TranscriptDecoder":
        """An independent decoder in the same state."""
        return copy.copy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> "TranscriptDecoder":
        """Return a copy: nothing that a decoder knows is changed in place."""
        return self.copy()

    def allow(self, characters: str | None) -> None:
        """From now on answer only with `characters`; None allows all labels.

        The space is one of them: where it is left out, no words are told apart. Raises
        `InputError`, and changes nothing, as `allowed_labels` does.
        """
        self.allowed = allowed_labels(self._labels, characters)

    @property
    def mask(self) -> Allowed:
        """What is added to the labels' log-probabilities: minus infinity for what is not said."""
        return self.allowed

    @property
    def text(self) -> str:
        """Everything so far: what is decided, and what may still change."""
        return self._text_at(self._columns - 1)

    def _text_at(self, column: int) -> str:
        rest = self._tentative(column)
        return self._committed + (self._space_at(column) + rest if rest else "")

    def _tentative(self, column: int) -> str:
        if (run := self._run) is None or (symbol := self._answer(run)) == BLANK:
            return ""
        is_letter = symbol != self._space or self._takes_space(run.step, column)
        return self._labels[symbol - 1] if is_letter else ""

    @property
    def settled(self) -> bool:
        """Whether no column has come since the line began or was flushed."""
        return self._columns == self._flushed

    def shares(self, scores: Scores) -> NDArray[np.float32]:
        """Probabilities [n, K] of the labels, the blank left out; those not allowed are 0."""
        return shares(scores[:, 1:-1], self.mask)

    def step(self, scores: Scores, columns: NDArray[np.uint8]) -> Heard:
        """Take the scores [n, S] of n new columns [n, H], 0 = paper, and say what follows."""
        first, text = self._columns, self.text
        self._columns += len(scores)
        self._ink = self._ink + (np.flatnonzero(columns.any(1)) + first).tolist()
        events, changes = self._advance(scores, first)
        texts: list[str] = []
        for column, changed in changes:
            texts += [text] * (column - first - len(texts))
            text = changed
        texts += [text] * (len(scores) - len(texts))
        self._start = self._start.seen(self._ink, self._columns)
        self._ink = self._ink[bisect_left(self._ink, self._columns - self.recent_columns) :]
        return Heard(events, texts)

    def step_beyond(self, scores: Scores) -> list[Event]:
        """Take the scores of blank columns that are no part of the line: a flush brings them."""
        first = self._columns + self._beyond
        self._beyond += len(scores)
        return self._advance(scores, first)[0]

    def flush(self) -> list[Event]:
        """Decide all that is open, after `flush_columns` blank ones; the next word begins."""
        last = self._columns - 1
        step = (self._columns + self._beyond) // STEP_COLUMNS
        events = [*self._decide(step, last), *self._close_word(last)]
        self._beyond, self._flushed = 0, self._columns
        self._symbol, self._said, self._odds = BLANK, BLANK, NONE
        self._start = self._start.flushed(self._ink, self._columns, self.recent_columns)
        self._ends = []
        return events

    # Step by step

    def _advance(self, scores: Scores, first: int) -> tuple[list[Event], list[tuple[int, str]]]:
        """Take the new steps among columns from `first` on.

        Gives what was decided, and the columns after which the text is another one.
        """
        events: list[Event] = []
        changes: list[tuple[int, str]] = []
        symbols = self._new_steps(scores, first)  # [m, 1 + K]
        quiet = (symbols[:, BLANK] > QUIET).tolist()
        step = first // STEP_COLUMNS - 1
        for row, best, is_quiet in zip(symbols, symbols.argmax(1).tolist(), quiet, strict=True):
            step += 1
            heard = best != BLANK or is_quiet
            symbol, weights = (best, None) if heard else self._weigh_against_blank(row)
            if symbol == self._symbol and self._run is None:  # most steps: nothing happens
                continue
            column = min(STEP_COLUMNS * (step + 1), self._columns) - 1
            if self._run is not None and symbol == self._symbol:
                self._run = Run(symbol, self._run.step, self._run.weights + np.exp(row))
            else:
                events += self._decide(step, column)
                if symbol != BLANK:
                    self._run = Run(symbol, step, np.exp(row) if weights is None else weights)
                    self._said, self._odds = symbol, NONE
                    changes.append((column, self._text_at(column)))
                self._symbol = symbol
            if row[symbol] >= SURE:
                events += self._decide(step, column)
        self._forget_ends()
        return events, changes

    def _forget_ends(self) -> None:
        """Forget end scores that are too old to be looked at."""
        self._ends_start += max(0, len(self._ends) - self.recent_steps)
        self._ends = self._ends[-self.recent_steps :]

    def _new_steps(self, scores: Scores, first: int) -> NDArray[np.float32]:
        """Log-probabilities [m, 1 + K] of symbols at the steps that columns from `first` end."""
        steps = scores[(first + 1) % STEP_COLUMNS :: STEP_COLUMNS]
        if not self._ends:
            self._ends_start = first // STEP_COLUMNS
        self._ends = self._ends + steps[:, -1].tolist()
        symbols = steps[:, :-1]
        return symbols if self.mask is None else masked(symbols, self.mask, self._space)

    def _weigh_against_blank(self, row: Scores) -> tuple[int, Scores]:
        """The symbol of a step whose blank leads by little, and all odds [1 + K] up to it."""
        odds = np.exp(row - row[BLANK])
        odds[[BLANK, self._said]] = 0  # what was said last lingers: it is no other letter
        self._odds = self._odds + odds
        likely = int(self._odds.argmax())
        return (likely if self._odds[likely] > ENOUGH else BLANK), self._odds

    # Deciding

    def _decide(self, step: int, column: int) -> list[Event]:
        """Give the letter or the word's end that the run is, if there is one."""
        run, self._run = self._run, None
        symbol = BLANK if run is None else self._answer(run)
        return [] if run is None or symbol == BLANK else self._say(run, symbol, step, column)

    def _say(self, run: Run, symbol: int, step: int, column: int) -> list[Event]:
        """Give the symbol that a run is, by what is known of its end at `step`."""
        if symbol == self._space:
            if not self._takes_space(run.step, column):
                return []
            self._committed += SPACE
            return [*self._close_word(column)]
        before, end = self._start.seen(self._ink, column + 1), self._end_of(run, step)
        start = min(before.column(end, is_word=self._word is None), column)
        end = min(max(end, before.end, start + 1), column + 1)
        confidence, alternatives = self._weighed(run, symbol)
        char = self._labels[symbol - 1]
        letter = Letter(self.letters, char, start, end, column, confidence, alternatives)
        self._committed += self._space_at(column) + char
        self._start = Start.behind(end)
        self.letters += 1
        self._word = extended(self._word, letter)
        return [letter]

    def _answer(self, run: Run) -> int:
        """The symbol that a run stands for, the blank if it may stand for none."""
        if self.mask is None or self.mask[run.symbol - 1] == 0:
            return run.symbol
        chances = np.where(self.mask == 0, run.weights[1:], 0)
        if self._space > 0:
            chances[self._space - 1] = 0
        return int(chances.argmax()) + 1 if run.symbol != self._space and chances.any() else BLANK

    def _chances(self, run: Run) -> NDArray[np.float32]:
        return run.weights[1:] if self.mask is None else run.weights[1:] * (self.mask == 0)

    def _weighed(self, run: Run, symbol: int) -> tuple[float, tuple[Spelling, ...]]:
        """How probable the symbol of a run is among all labels, and which others are."""
        chances = self._chances(run)
        chances = chances / chances.sum()
        best = np.argsort(-chances)[: N_ALTERNATIVES + 2].tolist()  # with itself and the space
        others = [
            (self._labels[k], float(chances[k]))
            for k in best
            if k + 1 not in (symbol, self._space) and chances[k] >= LEAST_ALTERNATIVE
        ]
        return float(chances[symbol - 1]), tuple(others[:N_ALTERNATIVES])

    def _end_of(self, run: Run, step: int) -> int:
        """The column after a run's letter, by what is known at `step`."""
        first = max(run.step - END_REACH, self._start.end // STEP_COLUMNS) + END_DELAY
        first = max(first, step + 1 - self.recent_steps) - self._ends_start
        scores = self._ends[first : step + 1 - self._ends_start]
        best = max(scores, default=-math.inf)
        if best < LIKELY_END:
            return STEP_COLUMNS * run.step
        last = self._ends_start + first + scores.index(best) - END_DELAY  # step of the letter
        return STEP_COLUMNS * (last + 1)

    def _takes_space(self, step: int, column: int) -> bool:
        """Whether a space that the net says at a step is one, and not what it makes of a flush."""
        own = STEP_COLUMNS * step < self._columns and self._start.parted(self._ink, column + 1)
        return own and not self._spaced

    @property
    def _spaced(self) -> bool:
        return self._committed[-1:] in ("", SPACE)

    def _space_at(self, column: int) -> str:
        """The space before a letter that is the first one behind a flush, if there is one."""
        spelt = self._space > 0 and (self.mask is None or self.mask[self._space - 1] == 0)
        wide = self._start.seen(self._ink, column + 1).spaced
        return SPACE if spelt and wide and not self._spaced else ""

    def _close_word(self, column: int) -> list[Word]:
        """Give the word that is being written, if there is one."""
        word, self._word = self._word, None
        if word is None:
            return []
        self.words += 1
        return [word.closed(self.words - 1, column)]


Decoder = ClassifierDecoder | TranscriptDecoder


# Columns of a letter's ink that may lie behind its end, before a blank one: within a word, and at
# the end of one, where the next letter's own ink seldom comes so soon.
TAIL_COLUMNS: Final = 4
LAST_TAIL_COLUMNS: Final = 12

# Blank columns from which on a space stands between two letters rather than none: what divides the
# letters of writers who choose best (96 % of their spaces are wider, 12 % of their other gaps).
SPACE_COLUMNS: Final = 7


@dataclass(frozen=True, slots=True)
class Start:
    """What is known so far. Ink right behind a letter's end may be the rest of that letter."""

    end: int  # of the letter before
    scanned: int  # columns from `end` up to this one have ink, all of them
    gap: int | None = None  # the first column from `end` on that has none
    ink: int | None = None  # the first column behind the gap that has some
    paper: int | None = None  # blank columns before a flush at `end`, which hides them from the net

    @classmethod
    def behind(cls, end: int) -> "Start":
        """Nothing is known yet of what follows a letter's end."""
        return cls(end, end)

    @classmethod
    def anew(cls, end: int) -> "Start":
        """No letter stands before this column: its ink is the next one's."""
        return cls(end, end, gap=end)

    def flushed(self, inked: Sequence[int], end: int, reach: int) -> "Start":
        """The same behind a flush at column `end`; `inked` holds all ink of `reach` columns."""
        own = self.seen(inked, end)
        waiting = 0 if own.ink is None or own.gap is None else own.ink - own.gap + (own.paper or 0)
        paper = end - (inked[-1] + 1 if inked else end - reach)
        return Start(end, end, gap=end, paper=max(paper, waiting))

    @property
    def spaced(self) -> bool:
        """Whether, behind a flush, the line's own paper makes a space."""
        if self.paper is None or self.ink is None:
            return False
        return self.paper + self.ink - self.end >= SPACE_COLUMNS

    def parted(self, inked: Sequence[int], before: int) -> bool:
        """Whether a space that the net says is the line's own, and not made of a flush's paper.

        Behind a flush ink must have come, and paper: of the columns before `before` these have ink.
        """
        own = inked[bisect_left(inked, self.end) : bisect_left(inked, before)]
        return self.paper is None or any(b - a > SPACE_COLUMNS for a, b in pairwise(own))

    def seen(self, inked: Sequence[int], before: int) -> "Start":
        """The same after a look at the columns before `before`, of which these have ink.

        `inked` rises and lacks none that was not looked at before.
        """
        if self.ink is not None:
            return self
        scanned, gap = self.scanned, self.gap
        place = bisect_left(inked, scanned)
        while gap is None and scanned < before:
            if place < len(inked) and inked[place] == scanned:
                place, scanned = place + 1, scanned + 1
            else:
                gap = scanned
        found = gap is not None and place < len(inked) and inked[place] < before
        return Start(self.end, scanned, gap, inked[place] if found else None, self.paper)

    def column(self, end: int, is_word: bool) -> int:
        """Where a letter starts that ends at `end`, the first one of a word or not."""
        most = LAST_TAIL_COLUMNS if is_word else TAIL_COLUMNS
        if self.gap is None or self.gap - self.end > most:
            return self.end
        if self.end < self.gap and end <= self.gap + 1:  # that ink is the letter itself
            return self.end
        return self.gap if self.ink is None else self.ink

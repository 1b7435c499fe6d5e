"""Beam search: scores -> letters, marks and words, guided by what is known of the text.

Where `greedy.py` takes the best path, this decoder follows a beam of hypotheses: a prefix beam
search over CTC (Hannun et al., 2014, arXiv 1408.2873), step by step. A hypothesis is a text; it
adds up the probabilities of all ways in which the steps so far may spell it, those that end in a
blank apart from those that end in its last symbol. A `Guide` weighs what may follow a text.

A letter is decided when nearly all of the beam's weight agrees on it, and in any case some steps
after it was first seen; like all events it is never taken back.

What a beam knows is never changed in place, so a copy costs next to nothing.
"""

import copy
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import STEP_COLUMNS
from inkstream.model.decoding.base import (
    LEAST_ALTERNATIVE,
    N_ALTERNATIVES,
    NEVER,
    SPACE,
    Allowed,
    Event,
    Guide,
    Scores,
    Spelling,
    Word,
)
from inkstream.model.decoding.greedy import BLANK, LEAST, QUIET, GreedyDecoder, SymbolRun
from inkstream.model.errors import InputError

StepScores = NDArray[np.float32]  # [1 + K], log-probabilities of blank and labels at a step
Floats = NDArray[np.float64]  # [B], of each hypothesis


@dataclass(frozen=True, slots=True)
class Search:
    """How wide a beam is, and how long it waits."""

    width: int  # hypotheses
    agreed: float  # share of their weight that agrees on what is decided
    latest: int  # steps after which a symbol is decided in any case


# Chosen on the validation writers: `docs/experiments.md`. Where anything may follow, 0.9 decides
# letters too early and 0.999 brings nothing more. In a closed list what was decided too early leads
# to few other words, so that one mistake brings the next.
SWIFT: Final = Search(width=16, agreed=0.95, latest=36)
PATIENT: Final = Search(width=32, agreed=0.999, latest=60)

# A letter that the beam agrees on although the net alone finds another one likelier is right six
# times in ten, however improbable it was by itself.
AGAINST: Final = 0.6  # the least confidence


class _WordAlternative(NamedTuple):
    """Another text of a word, which the beam rejected."""

    begun: str
    rejoins: int  # characters of the word from which on both are alike
    share: float  # of it in the weight of all texts


class BeamDecoder(GreedyDecoder):
    """Follows one line with a guide."""

    recent_steps = 96  # more than `PATIENT` waits for
    recent_columns = STEP_COLUMNS * recent_steps
    _alternatives: tuple[_WordAlternative, ...]  # the most probable rejected texts of the word

    def __init__(
        self, labels: Sequence[str], flush_columns: int, guide: Guide, search: Search | None = None
    ) -> None:
        """Begin a line of labels with the space; `search` None is what suits the guide."""
        self._search = search or (SWIFT if guide.spells is None else PATIENT)
        self._beam = Beam(guide, 1 + labels.index(SPACE), self._search.width)
        self._guide = guide
        self.column_cost = 16 * guide.beam_cost
        super().__init__(labels, flush_columns)
        self._open_word()

    def copy(self) -> Self:
        made = super().copy()
        made._beam = copy.copy(self._beam)
        return made

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {
            "beam": self._beam.to_dict(),
            "alternatives": self._alternatives,
            "share": self._share,
        }

    def _attributes(self, known: Mapping[str, Any]) -> dict[str, Any]:
        if "beam" not in known:
            raise InputError("the state is of a stream without a language model or other hints")
        known = dict(known)
        return {
            "_beam": self._beam.restored(known.pop("beam")),
            "_alternatives": tuple(_WordAlternative(*row) for row in known.pop("alternatives")),
            "_share": float(known.pop("share")),
            **super()._attributes(known),
        }

    @property
    def mask(self) -> Allowed:
        # Labels that no text of the guide holds may not be, unless nothing allowed is left then.
        spells = self._guide.spells
        if self.allowed is None or spells is None:
            return spells if self.allowed is None else self.allowed
        both: Allowed = self.allowed + spells
        return self.allowed if both is None or both.max() < 0 else both

    def can_read(self, allowed: Allowed) -> bool:
        return allowed is None or self._guide.can_be(allowed)

    def _undecided(self, column: int) -> str:
        return self._spelt(symbol.symbol for symbol in self._beam.best)

    def _advance(self, scores: Scores, first: int) -> tuple[list[Event], list[tuple[int, str]]]:
        events: list[Event] = []
        changes: list[tuple[int, str]] = []
        new = zip(self._new_steps(scores, first), self._fits(scores, first), strict=True)
        for step, (row, fit) in enumerate(new, first // STEP_COLUMNS):
            column = min(STEP_COLUMNS * (step + 1), self._columns) - 1
            changed = self._beam.step(row, step, fit)
            decided = self._beam.decided(self._search.agreed, step - self._search.latest)
            if decided:
                events += self._emit_all(decided, step, column)
            if changed or decided:
                changes.append((column, self._text_at(column)))
        self._forget_ends()
        return events, changes

    def _fits(self, scores: Scores, first: int) -> list[float]:
        """Return, of each new step, the share of its letters' probability that texts may have."""
        steps = scores[(first + 1) % STEP_COLUMNS :: STEP_COLUMNS, 1:-1]
        mask = self.mask
        if mask is None or not self._guide.is_form:
            return [1.0] * len(steps)
        letters = np.arange(1, steps.shape[1] + 1) != self._space
        possible = letters if self.allowed is None else letters & (self.allowed == 0)
        probabilities = np.exp(steps, dtype=np.float64)
        whole = np.maximum(probabilities[:, possible].sum(1), LEAST)
        fits: list[float] = (probabilities[:, possible & (mask == 0)].sum(1) / whole).tolist()
        return fits

    def _finish(self) -> list[Event]:
        step, column = (self._columns + self._beyond) // STEP_COLUMNS, self._columns - 1
        events = self._emit_all(self._beam.finished(), step, column)
        events += super()._finish()
        self._beam = Beam(self._guide, self._space, self._search.width, self._decided)
        return events

    def _emit_all(self, decided: Sequence["DecidedSymbol"], step: int, column: int) -> list[Event]:
        """Return the letters and words that decided symbols are."""
        events: list[Event] = []
        for symbol, share, preferred, rejected in decided:
            if rejected:
                others = [self._word_alternative(preferred, *other) for other in rejected]
                known = sorted([*self._alternatives, *others], key=lambda other: -other.share)
                self._alternatives = tuple(known[: 2 * N_ALTERNATIVES])
            self._share *= share
            weights = symbol.fitting if self._guide.is_form else symbol.weights
            run = SymbolRun(symbol.symbol, symbol.step, weights)
            # Two steps after a symbol was first seen the end of its letter has been seen too.
            events += self._emit(run, symbol.symbol, min(step, symbol.step + 2), column)
        return events

    def _shares(self, run: SymbolRun) -> NDArray[np.float32]:
        weights = run.weights[1:]  # by what was allowed at its step
        return weights if self._guide.is_form else weights / weights.sum()

    def _confidence(self, run: SymbolRun, symbol: int) -> tuple[float, tuple[Spelling, ...]]:
        confidence, others = super()._confidence(run, symbol)
        if confidence >= AGAINST or self._guide.is_form:
            return confidence, others
        share = (1 - AGAINST) / (1 - confidence)
        return AGAINST, tuple((char, share * p) for char, p in others)

    def _open_word(self) -> None:
        self._share = 1.0  # of the texts that were not rejected for the word that is being written
        self._alternatives = ()

    def _word_alternative(self, preferred: str, other: str, share: float) -> _WordAlternative:
        """Return what the word would have been, up to where it rejoins the preferred text."""
        begun = "" if self._word is None else self._word.text
        preferred, other = self._spelt(map(ord, preferred)), self._spelt(map(ord, other))
        if SPACE in preferred:  # the word is complete
            preferred, other = preferred.split(SPACE)[0], other.split(SPACE)[0]
        return _WordAlternative(begun + other, len(begun + preferred), self._share * share)

    def _spelt(self, symbols: Iterable[int]) -> str:
        return "".join(self._labels[symbol - 1] for symbol in symbols)

    def _close_word(self, column: int) -> list[Word]:
        """Return the word with the texts that the beam rejected and those its letters spell."""
        share, alternatives = self._share, self._alternatives
        self._open_word()
        words = super()._close_word(column)
        if not self._guide.is_form:
            words = [replace(word, confidence=share) for word in words]
        return [replace(word, alternatives=_others(word, alternatives)) for word in words]


def _others(word: Word, alternatives: Sequence[_WordAlternative]) -> tuple[Spelling, ...]:
    """Return the most probable other texts of a word; with it they sum to 1 at most."""
    shares = dict(word.alternatives)
    for begun, rejoins, share in alternatives:
        text = (begun + word.text[rejoins:]).strip()
        if text not in ("", word.text):
            shares[text] = max(share, shares.get(text, 0.0))
    left = min(1.0, (1 - word.confidence) / max(sum(shares.values()), LEAST_ALTERNATIVE))
    best = sorted(shares.items(), key=lambda spelling: -spelling[1])[:N_ALTERNATIVES]
    return tuple((text, left * p) for text, p in best if left * p >= LEAST_ALTERNATIVE)


@dataclass(slots=True, eq=False)  # `frozen` would take three times as long to make one
class BeamSymbol:
    """A symbol of a hypothesis; it is never changed."""

    symbol: int
    step: int  # at which it was first seen
    scores: StepScores  # of the step at which it was most probable since
    guided: NDArray[np.float32]  # [K], what the guide added to each label
    fit: float  # share of the letters' probability at that step that texts of the guide may have

    @property
    def weights(self) -> NDArray[np.float32]:
        """Probabilities [1 + K] of the symbols there, weighed by the guide."""
        logits = self.scores.copy()
        logits[1:] += self.guided
        weights: NDArray[np.float32] = np.exp(logits - logits.max())
        weights /= weights.sum()
        return weights

    @property
    def fitting(self) -> NDArray[np.float32]:
        """Probabilities [1 + K] of the labels there by the net alone; 0 for what may not follow."""
        shares: NDArray[np.float32] = np.exp(self.scores)
        shares[BLANK] = 0
        shares *= self.fit / shares.sum()
        shares[1:][self.guided == NEVER] = 0
        return shares


class DecidedSymbol(NamedTuple):
    """A symbol that is never taken back, and the hypotheses that were dropped for it."""

    symbol: BeamSymbol
    share: float  # of the hypotheses that agree, in the weight of all
    preferred: str  # the best hypothesis beyond what was decided before: symbols as characters
    rejected: list[tuple[str, float]]  # the most probable of the others, and their shares


# The symbols of a text beyond what is decided, the same as characters, by which it is found, and
# the guide's state behind it: a plain tuple, for a named one takes three times as long to make.
_Hypothesis = tuple[tuple[BeamSymbol, ...], str, Any]


class _Extensions(NamedTuple):
    """What may become of each hypothesis at a step."""

    step: int
    scores: StepScores
    fit: float
    symbols: list[int]  # [C], with which it may go on
    rows: NDArray[np.float32]  # [B, K], of the guide
    added: NDArray[np.float32]  # [B, C], of it to these symbols
    longer: NDArray[Any]  # [B, C], weight of all ways that end in a new symbol
    blank: Floats  # of all that add nothing, and end in a blank
    label: Floats  # and in the newest symbol

    def symbol(self, hypothesis: int, extension: int) -> BeamSymbol:
        row = self.rows[hypothesis]
        return BeamSymbol(self.symbols[extension], self.step, self.scores, row, self.fit)


class Beam:
    """The most probable hypotheses beyond what is decided, the best one first."""

    def __init__(self, guide: Guide, space: int, width: int, text: str = "") -> None:
        """Begin behind the text of a line, or of what was flushed of it.

        The space is given as a symbol; `width` hypotheses are kept.
        """
        self._guide = guide
        self._space = space
        self._width = width
        self._decided: Any = guide.begin(text)  # the guide's state behind what is decided
        self._hypotheses: list[_Hypothesis] = [((), "", self._decided)]
        self._last = np.array([space])  # symbol of each: a space stands before any
        self._guided = np.zeros(1)  # what the guide added to each
        self._blank = np.zeros(1)  # weight of the ways that end in a blank
        self._label = np.full(1, NEVER)  # and in the newest symbol

    def to_dict(self) -> dict[str, Any]:
        """Return all that it knows, in plain values; `restored` takes them back.

        What the guide said to each symbol follows from the guide itself.
        """
        opened = [symbols for symbols, _, _ in self._hypotheses]
        shared = {id(symbol): symbol for symbols in opened for symbol in symbols}
        numbers = {key: number for number, key in enumerate(shared)}
        scores = {id(symbol.scores): symbol.scores for symbol in shared.values()}
        rows = {key: number for number, key in enumerate(scores)}
        return {
            "scores": [row.tobytes() for row in scores.values()],
            "symbols": [
                [symbol.symbol, symbol.step, symbol.fit, rows[id(symbol.scores)]]
                for symbol in shared.values()
            ],
            "open": [[numbers[id(symbol)] for symbol in symbols] for symbols in opened],
            "decided": self._decided,
            "last": self._last.tolist(),
            "weights": np.stack([self._guided, self._blank, self._label]).tobytes(),
        }

    def restored(self, known: Mapping[str, Any]) -> "Beam":
        """Return a beam with the same guide in a state that `to_dict` returned."""
        made = Beam(self._guide, self._space, self._width)
        rows = [np.frombuffer(row, np.float32) for row in known["scores"]]
        values = [(symbol, step, fit, rows[row]) for symbol, step, fit, row in known["symbols"]]
        shared: dict[tuple[Any, int], BeamSymbol] = {}  # by the state before it, and its number
        made._decided = _hashable(known["decided"])
        made._hypotheses = []
        for numbers in known["open"]:
            symbols, state = [], made._decided
            for number in numbers:
                if (state, number) not in shared:
                    symbol, step, fit, scores = values[number]
                    row = self._guide.row(state)
                    shared[state, number] = BeamSymbol(symbol, step, scores, row, fit)
                symbols.append(shared[state, number])
                state = self._guide.follow(state, symbols[-1].symbol - 1)
            text = "".join(chr(symbol.symbol) for symbol in symbols)
            made._hypotheses.append(((*symbols,), text, state))
        made._last = np.array(known["last"])
        weights = np.frombuffer(known["weights"], np.float64).reshape(3, len(known["open"]))
        made._guided, made._blank, made._label = weights
        return made

    @property
    def best(self) -> tuple[BeamSymbol, ...]:
        """The most probable hypothesis beyond what is decided."""
        return self._hypotheses[0][0]

    def step(self, scores: StepScores, step: int, fit: float = 1.0) -> bool:
        """Take the scores of one step; return whether the best hypothesis may have changed.

        `fit` is the share of the letters' probability that texts of the guide may have.
        """
        either = np.logaddexp(self._blank, self._label)
        newest = scores[self._last]
        label = self._label + newest  # the space before any is never repeated
        blank = either + scores[BLANK]
        if scores[BLANK] > QUIET:
            self._blank, self._label = blank, label
            return False
        scores = scores.copy()  # a view would keep all scores of its run in memory
        rows = np.concatenate([self._guide.row(state) for _, _, state in self._hypotheses])
        rows = rows.reshape(len(self._hypotheses), -1)  # [B, K]
        likely = _likely(scores, rows.max(0))
        tried, symbols = scores[likely], likely.tolist()
        again = likely == self._last[:, None]
        longer = np.where(again, self._blank[:, None], either[:, None]) + tried  # [B, C]
        if self._space in symbols:  # one space is as good as two, and none begins a line
            space = symbols.index(self._space)
            spaced = self._last == self._space
            blank[spaced] = np.logaddexp(blank[spaced], longer[spaced, space])
            longer[spaced, space] = NEVER
        added = rows[:, likely - 1]
        extensions = _Extensions(step, scores, fit, symbols, rows, added, longer, blank, label)
        self._keep_clearest(scores, newest.tolist(), fit)
        self._merge(extensions)
        self._keep_best(extensions)
        return True

    def _keep_clearest(self, scores: StepScores, newest: Sequence[float], fit: float) -> None:
        """Keep these scores for the newest symbols, if they were never as probable before."""
        self._hypotheses = list(self._hypotheses)  # copies share it
        for i, (symbols, text, state) in enumerate(self._hypotheses):
            if symbols and newest[i] > symbols[-1].scores[symbols[-1].symbol]:
                *before, last = symbols
                clearer = BeamSymbol(last.symbol, last.step, scores, last.guided, fit)
                self._hypotheses[i] = (*before, clearer), text, state

    def _merge(self, extensions: _Extensions) -> None:
        """Add the ways that lead from one hypothesis to another one to those of the other."""
        index = {text: i for i, (_, text, _) in enumerate(self._hypotheses)}
        columns = {chr(symbol): column for column, symbol in enumerate(extensions.symbols)}
        blank, label, longer = extensions.blank, extensions.label, extensions.longer
        for text, j in index.items():
            if (column := columns.get(text[-1:])) is None or (i := index.get(text[:-1])) is None:
                continue
            way = longer[i, column]
            if way > np.logaddexp(blank[j], label[j]):  # rather now than before
                symbols, _, state = self._hypotheses[j]
                self._hypotheses[j] = (*symbols[:-1], extensions.symbol(i, column)), text, state
            label[j] = np.logaddexp(label[j], way)
            longer[i, column] = NEVER

    def _keep_best(self, extensions: _Extensions) -> None:
        """Go on with the best of all hypotheses, extended by a symbol or not."""
        longer, blank, label = extensions.longer, extensions.blank, extensions.label
        n_before, n_symbols = longer.shape
        guided = np.concatenate([self._guided, (self._guided[:, None] + extensions.added).ravel()])
        ranks = guided + np.concatenate([np.logaddexp(blank, label), longer.ravel()])
        best = (-ranks).argsort(kind="stable")[: self._width]
        best = best[ranks[best] > ranks[best[0]] - 12]  # nats: what is so much worse never wins
        kept: list[_Hypothesis] = []
        last: list[int] = []
        last_before = self._last.tolist()
        for index in best.tolist():
            if index < n_before:
                kept.append(self._hypotheses[index])
                last.append(last_before[index])
                continue
            i, column = divmod(index - n_before, n_symbols)
            symbols, text, state = self._hypotheses[i]
            new = extensions.symbol(i, column)
            state = self._guide.follow(state, new.symbol - 1)
            kept.append(((*symbols, new), text + chr(new.symbol), state))
            last.append(new.symbol)
        self._hypotheses, self._last = kept, np.array(last)
        blank = np.where(best < n_before, blank.take(best, mode="clip"), NEVER)
        label = np.concatenate([label, longer.ravel()])[best]
        self._guided = guided[best] - guided[best[0]]  # the best hypothesis' weight becomes 0
        top = np.logaddexp(blank[0], label[0])
        self._blank, self._label = blank - top, label - top

    def decided(self, sure: float, latest: float) -> list[DecidedSymbol]:
        """Return what is certain now, or was first seen at step `latest` or before.

        `sure` is the share of the hypotheses' weight that must agree.
        """
        decided: list[DecidedSymbol] = []
        while symbols := self.best:
            preferred = self._hypotheses[0][1]
            agree = [text[:1] == preferred[0] for _, text, _ in self._hypotheses]
            share, rejected = 1.0, list[tuple[str, float]]()
            if not all(agree):
                weights = np.exp(np.logaddexp(self._blank, self._label) + self._guided)
                shares = weights / np.add.reduce(weights)  # `sum` takes half as long again
                share = float(shares @ agree)
                if share < sure and symbols[0].step > latest:
                    break
                rejected = [
                    (self._hypotheses[i][1], float(shares[i]))
                    for i in np.argsort(-shares, kind="stable").tolist()
                    if not agree[i]
                ][:4]
            decided.append(DecidedSymbol(symbols[0], share, preferred, rejected))
            self._decided = self._guide.follow(self._decided, symbols[0].symbol - 1)
            self._keep([i for i, agrees in enumerate(agree) if agrees])
            self._hypotheses = [
                (symbols[1:], text[1:], state) for symbols, text, state in self._hypotheses
            ]
        return decided

    def _keep(self, indices: Sequence[int]) -> None:
        """Go on with these hypotheses alone, in this order."""
        self._hypotheses = [self._hypotheses[i] for i in indices]
        self._last, self._guided = self._last[indices], self._guided[indices]
        self._blank, self._label = self._blank[indices], self._label[indices]

    def finished(self) -> list[DecidedSymbol]:
        """Return all of the best hypothesis, now that the text ends.

        Where no hypothesis may end here, it is the best one nevertheless.
        """
        ends = np.array([self._guide.end(state) for _, _, state in self._hypotheses])
        if np.isfinite(ends).any():
            self._guided = self._guided + ends
            weights = np.logaddexp(self._blank, self._label) + self._guided
            self._keep(np.argsort(-weights, kind="stable").tolist())
        return self.decided(0, math.inf)


def _hashable(state: Any) -> Hashable:
    """Return a guide's state as it was before a file made lists of its tuples."""
    return tuple(_hashable(part) for part in state) if isinstance(state, list) else state


def _likely(scores: StepScores, guided: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the most probable symbols of a step, not the blank, that the guide lets through."""
    # A symbol that is 10,000 times less probable than the best one is not tried.
    likely: NDArray[np.int64] = (scores > scores.max() + math.log(1e-4)).nonzero()[0]
    if likely[0] == BLANK:
        likely = likely[1:]
    likely = likely[guided[likely - 1] > NEVER]
    if not len(likely):  # the most probable one of all, however improbable it is
        labels = np.where(guided > NEVER, scores[1:], NEVER)
        return np.array([1 + int(labels.argmax())])
    if len(likely) > 8:
        likely = likely[(-scores[likely]).argsort(kind="stable")[:8]]
    return likely

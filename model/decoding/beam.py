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
from collections.abc import Hashable, Mapping, Sequence
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
MOST_ALTERNATIVES: Final = 2 * N_ALTERNATIVES  # of a word, that are kept while it is written
END_STEPS: Final = 2  # after a symbol was first seen: its letter's end has been seen by then

NARROW: Final = math.log(1e-4)  # a symbol that is so much less probable than the best is not tried
MOST_SYMBOLS: Final = 8  # tried at a step
MOST_REJECTED: Final = 4  # hypotheses that a decided symbol names
WIDE: Final = 12.0  # nats by which a hypothesis may be worse than the best


# The decoder


class _WordAlternative(NamedTuple):
    """Another text of a word, which the beam rejected."""

    begun: str
    rejoins: int  # characters of the word from which on both are alike
    share: float  # of it in the weight of all texts


class BeamDecoder(GreedyDecoder):
    """Follows one line with a guide."""

    column_cost = 16
    recent_steps = 96  # more than `PATIENT` waits for
    recent_columns = STEP_COLUMNS * recent_steps
    _alternatives: tuple[_WordAlternative, ...]  # the most probable rejected texts of the word

    def __init__(
        self,
        labels: Sequence[str],
        flush_columns: int,
        guide: Guide,
        search: Search | None = None,
    ) -> None:
        """Begin a line; see `GreedyDecoder`. The labels must hold the space.

        `search` None is what suits the guide.
        """
        self._search = search or (SWIFT if guide.spells is None else PATIENT)
        self._beam = Beam(guide, 1 + labels.index(SPACE), self._search.width)
        self._guide = guide
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
        own = dict(known)
        beam = self._beam.restored(own.pop("beam"))
        alternatives = tuple(_WordAlternative(*each) for each in own.pop("alternatives"))
        values = {"_beam": beam, "_alternatives": alternatives, "_share": float(own.pop("share"))}
        return values | super()._attributes(own)

    @property
    def mask(self) -> Allowed:
        """What is added to the labels' log-probabilities, [K]: minus infinity for what may not be.

        Labels that no text of the guide holds may not be, unless nothing allowed is left then.
        """
        spells = self._guide.spells
        if self.allowed is None or spells is None:
            return spells if self.allowed is None else self.allowed
        both: Allowed = self.allowed + spells
        return self.allowed if both is None or both.max() < 0 else both

    def can_read(self, allowed: Allowed) -> bool:
        return allowed is None or self._guide.can_be(allowed)

    def _undecided(self, column: int) -> str:
        return "".join(self._labels[each.symbol - 1] for each in self._beam.best)

    def _advance(self, scores: Scores, first: int) -> tuple[list[Event], list[tuple[int, str]]]:
        events: list[Event] = []
        changes: list[tuple[int, str]] = []
        step = first // STEP_COLUMNS - 1
        fits = self._fits(scores, first)
        for row, fit in zip(self._new_steps(scores, first), fits, strict=True):
            step += 1
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
        whole = probabilities[:, possible].sum(1)
        fits: list[float] = (
            probabilities[:, possible & (mask == 0)].sum(1) / np.maximum(whole, LEAST)
        ).tolist()
        return fits

    def _finish(self) -> list[Event]:
        step, column = (self._columns + self._beyond) // STEP_COLUMNS, self._columns - 1
        events = self._emit_all(self._beam.finished(), step, column)
        events += super()._finish()
        self._beam = self._beam.restarted(self._decided)
        return events

    def _emit_all(self, decided: Sequence["DecidedSymbol"], step: int, column: int) -> list[Event]:
        """Return the letters and words that decided symbols are."""
        events: list[Event] = []
        for symbol, share, rejected in decided:
            if rejected:
                known = [*self._alternatives, *map(self._word_alternative, rejected)]
                known.sort(key=lambda alternative: -alternative.share)
                self._alternatives = tuple(known[:MOST_ALTERNATIVES])
            self._share *= share
            weights = symbol.fitting if self._guide.is_form else symbol.weights
            run = SymbolRun(symbol.symbol, symbol.step, weights)
            events += self._emit(run, symbol.symbol, min(step, symbol.step + END_STEPS), column)
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

    # Words

    def _open_word(self) -> None:
        self._share = 1.0  # of the texts that were not rejected for the word that is being written
        self._alternatives = ()

    def _word_alternative(self, rejected: "Rejected") -> _WordAlternative:
        """Return what the word would have been, up to where it rejoins the preferred text."""
        begun = "" if self._word is None else self._word.text
        own, other = (self._spelt(symbols) for symbols in (rejected.preferred, rejected.symbols))
        if SPACE in own:  # the word is complete
            own, other = own.split(SPACE)[0], other.split(SPACE)[0]
        return _WordAlternative(begun + other, len(begun + own), self._share * rejected.share)

    def _spelt(self, symbols: Sequence[int]) -> str:
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
    found = dict(word.alternatives)
    for begun, rejoins, share in alternatives:
        text = (begun + word.text[rejoins:]).strip()
        if text not in ("", word.text):
            found[text] = max(share, found.get(text, 0.0))
    left = min(1.0, (1 - word.confidence) / max(sum(found.values()), LEAST_ALTERNATIVE))
    best = sorted(found.items(), key=lambda spelling: -spelling[1])[:N_ALTERNATIVES]
    return tuple((text, left * p) for text, p in best if left * p >= LEAST_ALTERNATIVE)


# The search


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


class Rejected(NamedTuple):
    """A hypothesis that was dropped because another one is preferred."""

    symbols: tuple[int, ...]  # beyond what is decided
    preferred: tuple[int, ...]  # those of the hypothesis that was preferred
    share: float  # of its weight in that of all


class DecidedSymbol(NamedTuple):
    """A symbol that is never taken back, and the hypotheses that were dropped for it."""

    symbol: BeamSymbol
    share: float  # of the hypotheses that agree, in the weight of all
    rejected: tuple[Rejected, ...]  # the most probable of the others


class _Extensions(NamedTuple):
    """What may become of each hypothesis at a step."""

    step: int
    scores: StepScores
    fit: float
    symbols: list[int]  # [C], with which it may go on
    rows: NDArray[np.float32]  # [B, K], of the guide
    longer: NDArray[Any]  # [B, C], weight of all ways that end in a new symbol
    blank: Floats  # of all that add nothing, and end in a blank
    label: Floats  # and in the newest symbol

    def symbol(self, hypothesis: int, place: int) -> BeamSymbol:
        symbol, row = self.symbols[place], self.rows[hypothesis]
        return BeamSymbol(symbol, self.step, self.scores, row, self.fit)


class Beam:
    """The most probable hypotheses beyond what is decided, the best one first."""

    def __init__(self, guide: Guide, space: int, width: int, text: str = "") -> None:
        """Begin behind the text of a line.

        Args:
            guide: weighs what may follow.
            space: its symbol.
            width: hypotheses that are kept.
            text: of the line, up to its last flush.
        """
        self._guide = guide
        self._space = space
        self._width = width
        self._open: list[tuple[BeamSymbol, ...]] = [()]
        self._texts = [""]  # the same as characters, to find one
        self._last = np.array([space])  # symbol of each: a space stands before any
        self._decided: Any = guide.begin(text)  # the guide's state behind what is decided
        self._states = [self._decided]  # and behind each hypothesis
        self._guided = np.zeros(1)  # what the guide added to each
        self._blank = np.zeros(1)  # weight of the ways that end in a blank
        self._label = np.full(1, NEVER)  # and in the newest symbol

    def restarted(self, text: str = "") -> "Beam":
        """Return a beam with the same guide at a line's start, or behind a flush of its text."""
        return Beam(self._guide, self._space, self._width, text)

    def to_dict(self) -> dict[str, Any]:
        """Return all that it knows, in plain values; `restored` takes them back.

        What the guide said to each symbol follows from the guide itself.
        """
        shared = {id(symbol): symbol for each in self._open for symbol in each}
        numbers = {key: number for number, key in enumerate(shared)}
        scores = {id(each.scores): each.scores for each in shared.values()}
        rows = {key: number for number, key in enumerate(scores)}
        return {
            "scores": [row.tobytes() for row in scores.values()],
            "symbols": [
                [each.symbol, each.step, each.fit, rows[id(each.scores)]]
                for each in shared.values()
            ],
            "open": [[numbers[id(symbol)] for symbol in each] for each in self._open],
            "decided": self._decided,
            "last": self._last.tolist(),
            "weights": np.stack([self._guided, self._blank, self._label]).tobytes(),
        }

    def restored(self, known: Mapping[str, Any]) -> "Beam":
        """Return a beam with the same guide in a state that `to_dict` returned."""
        made = self.restarted()
        rows = [np.frombuffer(row, np.float32) for row in known["scores"]]
        symbols = [(symbol, step, fit, rows[row]) for symbol, step, fit, row in known["symbols"]]
        shared: dict[tuple[Any, int], BeamSymbol] = {}  # by the state before it, and its number
        made._decided = _hashable(known["decided"])
        made._open, made._states = [], []
        for numbers in known["open"]:
            own, state = [], made._decided
            for number in numbers:
                if (state, number) not in shared:
                    symbol, step, fit, scores = symbols[number]
                    row = self._guide.row(state)
                    shared[state, number] = BeamSymbol(symbol, step, scores, row, fit)
                own.append(shared[state, number])
                state = self._guide.follow(state, own[-1].symbol - 1)
            made._open.append((*own,))
            made._states.append(state)
        made._texts = ["".join(chr(each.symbol) for each in own) for own in made._open]
        made._last = np.array(known["last"])
        weights = np.frombuffer(known["weights"], np.float64).reshape(3, len(made._open))
        made._guided, made._blank, made._label = weights
        return made

    @property
    def best(self) -> tuple[BeamSymbol, ...]:
        """The most probable hypothesis beyond what is decided."""
        return self._open[0]

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
        rows = np.concatenate([self._guide.row(state) for state in self._states])
        rows = rows.reshape(len(self._states), -1)  # [B, K]
        likely = _likely(scores, rows.max(0))
        tried, symbols = scores[likely], likely.tolist()
        again = likely == self._last[:, None]
        longer = np.where(again, self._blank[:, None], either[:, None]) + tried  # [B, C]
        if self._space in symbols:  # one space is as good as two, and none begins a line
            place = symbols.index(self._space)
            spaced = self._last == self._space
            blank[spaced] = np.logaddexp(blank[spaced], longer[spaced, place])
            longer[spaced, place] = NEVER
        extensions = _Extensions(step, scores, fit, symbols, rows, longer, blank, label)
        self._keep_clearest(scores, newest.tolist(), fit)
        self._merge(extensions)
        self._keep_best(extensions)
        return True

    def _keep_clearest(self, scores: StepScores, newest: Sequence[float], fit: float) -> None:
        """Keep these scores for the newest symbols, if they were never as probable before."""
        self._open = list(self._open)  # copies share it
        for i, (own, score) in enumerate(zip(self._open, newest, strict=True)):
            if own and score > own[-1].scores[own[-1].symbol]:
                *before, last = own
                clearer = BeamSymbol(last.symbol, last.step, scores, last.guided, fit)
                self._open[i] = (*before, clearer)

    def _merge(self, extensions: _Extensions) -> None:
        """Add the ways that lead from one hypothesis to another one to those of the other."""
        index = {text: i for i, text in enumerate(self._texts)}
        places = {chr(symbol): place for place, symbol in enumerate(extensions.symbols)}
        blank, label, longer = extensions.blank, extensions.label, extensions.longer
        for j, text in enumerate(self._texts):
            if (place := places.get(text[-1:])) is None or (i := index.get(text[:-1])) is None:
                continue
            way = longer[i, place]
            if way > np.logaddexp(blank[j], label[j]):  # rather now than before
                self._open[j] = (*self._open[j][:-1], extensions.symbol(i, place))
            label[j] = np.logaddexp(label[j], way)
            longer[i, place] = NEVER

    def _keep_best(self, extensions: _Extensions) -> None:
        """Go on with the best of all hypotheses, extended by a symbol or not."""
        longer, blank, label = extensions.longer, extensions.blank, extensions.label
        n_before, n_symbols = longer.shape
        added = extensions.rows[:, np.array(extensions.symbols) - 1]
        guided = np.concatenate([self._guided, (self._guided[:, None] + added).ravel()])
        ranks = guided + np.concatenate([np.logaddexp(blank, label), longer.ravel()])
        best = (-ranks).argsort(kind="stable")[: self._width]
        best = best[ranks[best] > ranks[best[0]] - WIDE]
        kept: list[tuple[Any, ...]] = []
        for at in best.tolist():
            if at < n_before:
                kept.append((self._open[at], self._texts[at], self._states[at], self._last[at]))
                continue
            i, place = divmod(at - n_before, n_symbols)
            new = extensions.symbol(i, place)
            state = self._guide.follow(self._states[i], new.symbol - 1)
            known = (*self._open[i], new), self._texts[i] + chr(new.symbol)
            kept.append((*known, state, new.symbol))
        opens, texts, states, last = zip(*kept, strict=True)
        self._open, self._texts, self._states = list(opens), list(texts), list(states)
        self._last = np.array(last)
        blank = np.where(best < n_before, blank.take(best, mode="clip"), NEVER)
        label = np.concatenate([label, longer.ravel()])[best]
        self._guided = guided[best] - guided[best[0]]  # the best hypothesis' weight becomes 0
        top = np.logaddexp(blank[0], label[0])
        self._blank, self._label = blank - top, label - top

    def decided(self, sure: float, latest: float) -> list[DecidedSymbol]:
        """Return what is certain now, or was first seen at step `latest` or before.

        `sure` is the share of the hypotheses' weight that must agree.
        """
        found: list[DecidedSymbol] = []
        while self._open[0]:
            first, char = self._open[0][0], self._texts[0][0]
            agree = [text[:1] == char for text in self._texts]
            share = 1.0
            rejected: tuple[Rejected, ...] = ()
            if not all(agree):
                weights = np.exp(np.logaddexp(self._blank, self._label) + self._guided)
                shares = weights / np.add.reduce(weights)  # `sum` takes half as long again
                share = float(shares @ agree)
                if share < sure and first.step > latest:
                    break
                rejected = self._rejected(agree, shares)
            found.append(DecidedSymbol(first, share, rejected))
            self._decided = self._guide.follow(self._decided, first.symbol - 1)
            self._keep([i for i, own in enumerate(agree) if own])
            self._open = [own[1:] for own in self._open]
            self._texts = [text[1:] for text in self._texts]
        return found

    def _rejected(self, agree: Sequence[bool], shares: Floats) -> tuple[Rejected, ...]:
        """Return the most probable of the hypotheses that do not agree."""
        best = np.argsort(-shares, kind="stable").tolist()
        others = [i for i in best if not agree[i]][:MOST_REJECTED]
        preferred, *symbols = (tuple(map(ord, self._texts[i])) for i in (0, *others))
        return tuple(
            Rejected(own, preferred, float(shares[i]))
            for i, own in zip(others, symbols, strict=True)
        )

    def _keep(self, own: Sequence[int]) -> None:
        """Go on with these hypotheses alone, in this order."""
        self._open = [self._open[i] for i in own]
        self._texts = [self._texts[i] for i in own]
        self._states = [self._states[i] for i in own]
        self._last, self._guided = self._last[own], self._guided[own]
        self._blank, self._label = self._blank[own], self._label[own]

    def finished(self) -> list[DecidedSymbol]:
        """Return all of the best hypothesis, now that the text ends.

        Where no hypothesis may end here, it is the best one nevertheless.
        """
        ends = np.array([self._guide.end(state) for state in self._states])
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
    likely: NDArray[np.int64] = (scores > scores.max() + NARROW).nonzero()[0]
    if likely[0] == BLANK:
        likely = likely[1:]
    likely = likely[guided[likely - 1] > NEVER]
    if not len(likely):  # the most probable one of all, however improbable it is
        labels = np.where(guided > NEVER, scores[1:], NEVER)
        return np.array([1 + int(labels.argmax())])
    if len(likely) > MOST_SYMBOLS:
        likely = likely[(-scores[likely]).argsort(kind="stable")[:MOST_SYMBOLS]]
    return likely

"""Prefix beam search over CTC, step by step, guided by what may follow.

Hannun et al., 2014 (arXiv 1408.2873): a hypothesis is a text; it adds up the probabilities of all
ways in which the steps so far may have said it, those that end in a blank apart from those that
end in its last symbol. A guide weighs what may follow a text: a language model, a list of words.

What a beam knows is never changed in place, so a copy costs next to nothing.
"""

import copy
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding.base import Allowed

Scores = NDArray[np.float32]  # [1 + K], log-probabilities of blank and labels at a step
Floats = NDArray[np.float64]  # [B], of each hypothesis

BLANK: Final = 0
NEVER: Final = -math.inf

QUIET: Final = math.log(0.99)  # a step whose blank is as probable as this says nothing else
NARROW: Final = math.log(1e-4)  # a symbol that is so much less probable than the best is not tried
MOST_SYMBOLS: Final = 8  # tried at a step
FAR: Final = 1e6  # nats: as good as infinity
MOST_RIVALS: Final = 4  # that are told of at a time
WIDE: Final = 12.0  # nats by which a hypothesis may be worse than the best


class Guide(Protocol):
    """Weighs what may follow a text; its states are small, plain and never changed."""

    @property
    def spells(self) -> Allowed:
        """The labels that it allows anywhere; None is all."""

    def can_be(self, allowed: NDArray[np.float32]) -> bool:
        """Whether a text, and not the empty one, can be of labels alone whose `allowed` is 0."""

    def begin(self, text: str) -> Hashable:
        """The state behind the text of a line, at which a new word begins."""

    def row(self, state: Any) -> NDArray[np.float32]:
        """What each of the K labels adds to the logarithm of a text's weight.

        Minus infinity is never.
        """

    def follow(self, state: Any, label: int) -> Hashable:
        """The state behind a label, by its index, that may follow."""

    def end(self, state: Any) -> float:
        """What it adds that the text ends here."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """A symbol of a hypothesis."""

    symbol: int
    step: int  # at which it was first said
    scores: Scores  # of the step at which it was most probable since
    guided: NDArray[np.float32]  # [K], what the guide added to each label

    @property
    def weights(self) -> NDArray[np.float32]:
        """Probabilities [1 + K] of the symbols there, with what the guide says of each."""
        logits = self.scores.copy()
        logits[1:] += self.guided
        weights: NDArray[np.float32] = np.exp(logits - logits.max())
        weights /= weights.sum()
        return weights


class Rival(NamedTuple):
    """A text that was given up for another one."""

    symbols: tuple[int, ...]  # beyond what is decided
    own: tuple[int, ...]  # those of the text that was preferred
    share: float  # of its weight in that of all


class Decided(NamedTuple):
    """A symbol that is never taken back, and what was given up for it."""

    said: Said
    share: float  # of the texts that agree, in the weight of all
    rivals: tuple[Rival, ...]  # the most probable of the others


@dataclass(frozen=True, slots=True, eq=False)
class _Options:
    """What may become of each hypothesis at a step."""

    step: int
    scores: Scores
    symbols: NDArray[np.int64]  # [C], with which it may go on
    rows: NDArray[np.float32]  # [B, K], of the guide
    longer: NDArray[Any]  # [B, C], of all ways that end in a new symbol
    blank: Floats  # of all that add nothing, and end in a blank
    label: Floats  # and in the newest symbol

    def said(self, hypothesis: int, place: int) -> Said:
        return Said(int(self.symbols[place]), self.step, self.scores, self.rows[hypothesis])


class Beam:
    """The most probable texts of what was not decided yet."""

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
        self._open: list[tuple[Said, ...]] = [()]
        self._texts = [""]  # the same as characters, to find one
        self._last = np.array([space])  # symbol of each: a space stands before any
        self._states: list[Any] = [guide.begin(text)]
        self._guided = np.zeros(1)  # what the guide added to each
        self._blank = np.zeros(1)
        self._label = np.full(1, NEVER)

    def anew(self, text: str = "") -> "Beam":
        """A beam with the same guide at the beginning of a line, or behind a flush of its text."""
        return Beam(self._guide, self._space, self._width, text)

    def copy(self) -> "Beam":
        """An independent beam in the same state."""
        return copy.copy(self)

    def to_dict(self) -> dict[str, Any]:
        """All that it knows, in plain values for JSON; `restored` takes them back."""
        shared = {id(said): said for each in self._open for said in each}
        numbers = {key: number for number, key in enumerate(shared)}
        return {
            "said": [
                [said.symbol, said.step, said.scores.tolist(), said.guided.tolist()]
                for said in shared.values()
            ],
            "open": [[numbers[id(said)] for said in each] for each in self._open],
            "last": self._last.tolist(),
            "states": self._states,
            "guided": self._guided.tolist(),
            # JSON has no infinity
            "blank": np.maximum(self._blank, -FAR).tolist(),
            "label": np.maximum(self._label, -FAR).tolist(),
        }

    def restored(self, known: Mapping[str, Any]) -> "Beam":
        """A beam with the same guide that stands where another one stood."""
        made = self.anew()
        said = [
            Said(int(symbol), int(step), np.array(scores, np.float32), np.array(row, np.float32))
            for symbol, step, scores, row in known["said"]
        ]
        made._open = [tuple(said[number] for number in each) for each in known["open"]]
        made._texts = ["".join(chr(each.symbol) for each in own) for own in made._open]
        made._states = [_hashable(state) for state in known["states"]]
        made._last = np.array(known["last"])
        for name in ("guided", "blank", "label"):
            setattr(made, f"_{name}", np.array(known[name], np.float64))
        return made

    @property
    def best(self) -> tuple[Said, ...]:
        """What the most probable hypothesis says beyond what is decided."""
        return self._open[0]

    def step(self, scores: Scores, step: int) -> bool:
        """Take the scores of one step; gives whether the best text may be another one now."""
        either = np.logaddexp(self._blank, self._label)
        label = self._label + scores[self._last]  # the space before any is never said again
        blank = either + scores[BLANK]
        if scores[BLANK] > QUIET:
            self._blank, self._label = blank, label
            return False
        scores = scores.copy()  # what is kept of it keeps no others
        rows = np.stack([self._guide.row(state) for state in self._states])  # [B, K]
        symbols = _likely(scores, rows.max(0))
        longer = either[:, None] + scores[symbols]  # [B, C]
        again = symbols == self._last[:, None]
        longer = np.where(again, self._blank[:, None] + scores[symbols], longer)
        if self._space in symbols:  # one space is as good as two, and none begins a line
            place = int(np.flatnonzero(symbols == self._space)[0])
            spaced = self._last == self._space
            blank[spaced] = np.logaddexp(blank[spaced], longer[spaced, place])
            longer[spaced, place] = NEVER
        options = _Options(step, scores, symbols, rows, longer, blank, label)
        self._listen(scores)
        self._merge(options)
        self._keep_best(options)
        return True

    def _listen(self, scores: Scores) -> None:
        """Remember these scores for the newest symbols that were never as probable before."""
        self._open = list(self._open)  # copies share it
        for i, own in enumerate(self._open):
            if own and scores[own[-1].symbol] > own[-1].scores[own[-1].symbol]:
                self._open[i] = (*own[:-1], replace(own[-1], scores=scores))

    def _merge(self, options: "_Options") -> None:
        """Add the ways that lead from one hypothesis to another one to those of the other."""
        index = {text: i for i, text in enumerate(self._texts)}
        places = {symbol: place for place, symbol in enumerate(options.symbols.tolist())}
        for j, text in enumerate(self._texts):
            if text and (i := index.get(text[:-1])) is not None:
                place = places.get(ord(text[-1]))
                if place is None:
                    continue
                way = options.longer[i, place]
                if way > np.logaddexp(options.blank[j], options.label[j]):  # rather now than before
                    self._open[j] = (*self._open[j][:-1], options.said(i, place))
                options.label[j] = np.logaddexp(options.label[j], way)
                options.longer[i, place] = NEVER

    def _keep_best(self, options: "_Options") -> None:
        longer, blank, label = options.longer, options.blank, options.label
        guided = self._guided[:, None] + options.rows[:, options.symbols - 1]
        kept = np.logaddexp(blank, label) + self._guided
        ranks = np.concatenate([kept, (longer + guided).ravel()])
        best = np.argsort(-ranks, kind="stable")[: self._width]
        parts: list[tuple[Any, ...]] = []
        for at in best[ranks[best] > ranks[best[0]] - WIDE].tolist():
            if at < len(kept):
                known = self._open[at], self._texts[at], self._states[at], self._last[at]
                parts.append((*known, blank[at], label[at], self._guided[at]))
                continue
            i, place = divmod(at - len(kept), len(options.symbols))
            said = options.said(i, place)
            state = self._guide.follow(self._states[i], said.symbol - 1)
            known = (*self._open[i], said), self._texts[i] + chr(said.symbol), state, said.symbol
            parts.append((*known, NEVER, longer[i, place], guided[i, place]))
        self._take(parts)

    def _take(self, parts: Sequence[tuple[Any, ...]]) -> None:
        """Go on with these hypotheses, the best one first; the best one's weight becomes 0."""
        said, texts, states, last, blank, label, guided = zip(*parts, strict=True)
        self._open, self._texts, self._states = list(said), list(texts), list(states)
        self._last = np.array(last)
        self._guided = np.array(guided) - guided[0]
        top = np.logaddexp(blank[0], label[0])
        self._blank, self._label = np.array(blank) - top, np.array(label) - top

    def decided(self, sure: float, latest: float) -> list[Decided]:
        """What is certain now, or was said at the step `latest` or before: it is never taken back.

        `sure` is the share of the hypotheses' weight that must agree.
        """
        found: list[Decided] = []
        while len(self._open[0]):
            first = self._open[0][0]
            agree = [len(each) > 0 and each[0].symbol == first.symbol for each in self._open]
            share, rivals = 1.0, tuple[Rival, ...]()
            if not all(agree):
                weights = np.exp(np.logaddexp(self._blank, self._label) + self._guided)
                shares = weights / weights.sum()
                share = float(shares[agree].sum())
                if share < sure and first.step > latest:
                    break
                rivals = self._rivals(agree, shares)
            found.append(Decided(first, share, rivals))
            self._keep([i for i, own in enumerate(agree) if own])
            self._open = [own[1:] for own in self._open]
            self._texts = [text[1:] for text in self._texts]
        return found

    def _rivals(self, agree: Sequence[bool], shares: Floats) -> tuple[Rival, ...]:
        """The most probable of the hypotheses that do not agree."""
        best = np.argsort(-shares, kind="stable").tolist()
        others = [i for i in best if not agree[i]][:MOST_RIVALS]
        own = _symbols(self._texts[0])
        return tuple(Rival(_symbols(self._texts[i]), own, float(shares[i])) for i in others)

    def _keep(self, own: Sequence[int]) -> None:
        """Go on with these hypotheses alone, in this order."""
        self._open = [self._open[i] for i in own]
        self._texts = [self._texts[i] for i in own]
        self._states = [self._states[i] for i in own]
        self._last, self._guided = self._last[own], self._guided[own]
        self._blank, self._label = self._blank[own], self._label[own]

    def finished(self) -> list[Decided]:
        """What the best hypothesis says, now that the text ends.

        Where none may end here, it is the best one nevertheless.
        """
        ends = np.array([self._guide.end(state) for state in self._states])
        if np.isfinite(ends).any():
            self._guided = self._guided + ends
            weights = np.logaddexp(self._blank, self._label) + self._guided
            self._keep(np.argsort(-weights, kind="stable").tolist())
        return self.decided(0, math.inf)


def _symbols(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


def _hashable(state: Any) -> Hashable:
    """A guide's state as it was before JSON made lists of its tuples."""
    return tuple(_hashable(part) for part in state) if isinstance(state, list) else state


def _likely(scores: Scores, guided: NDArray[np.float32]) -> NDArray[np.int64]:
    """The most probable symbols of a step but the blank, of those that the guide lets through."""
    labels = np.where(guided > NEVER, scores[1:], NEVER)
    best = np.argsort(-labels, kind="stable")[:MOST_SYMBOLS]
    likely: NDArray[np.int64] = best[labels[best] > scores.max() + NARROW] + 1
    return likely if len(likely) else best[:1] + 1

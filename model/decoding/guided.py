"""Scores -> letters, marks and words, with a guide that knows what may follow what.

Where `greedy` takes the best path, this decoder follows a beam of texts. A letter is
decided when nearly all of the beam's weight agrees on it, and some steps after it was said in any
case; like all events it is never taken back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import STEP_COLUMNS, ModelConfig
from inkstream.model.decoding.base import (
    LEAST_ALTERNATIVE,
    MAX_SHOWN,
    N_ALTERNATIVES,
    SPACE,
    Allowed,
    ClassifierDecoder,
    Event,
    Spelling,
    Word,
)
from inkstream.model.decoding.beam import Beam, Decided, Guide, Rival
from inkstream.model.decoding.greedy import Decoder, Run, TranscriptDecoder
from inkstream.model.decoding.hints import NO_HINTS, Hints, guide_of
from inkstream.model.errors import InputError

Scores = NDArray[np.float32]  # [n, S], as of `TranscriptDecoder`


@dataclass(frozen=True, slots=True)
class Search:
    """How wide a beam is, and how long it waits."""

    width: int  # hypotheses
    agreed: float  # share of their weight that agrees on what is decided
    latest: int  # steps after which a symbol is decided in any case


# Chosen on writers who choose: `docs/experiments.md`. Where anything may follow, 0.9 decides
# letters too early and 0.999 brings nothing more. In a closed list what was decided too early leads
# to few other words, so that one mistake brings the next.
SWIFT: Final = Search(width=16, agreed=0.95, latest=20)
PATIENT: Final = Search(width=32, agreed=0.999, latest=60)

# A letter that the beam agrees on although the net alone finds another one likelier is right six
# times in ten, however unlikely it was by itself.
AGAINST: Final = 0.6  # the least confidence
MOST_RIVALS: Final = 2 * N_ALTERNATIVES  # of a word, that are kept while it is written
END_STEPS: Final = 2  # after a symbol was said: its letter's end has been seen by then


class _Rival(NamedTuple):
    """What a word was given up for."""

    begun: str  # the other text of it
    going_on: int  # characters of the word from which on both are alike
    share: float  # of the other one in the weight of all texts


NO_RIVALS: Final[tuple[_Rival, ...]] = ()


class GuidedDecoder(TranscriptDecoder):
    """Reads the scores of one line with a guide."""

    recent_steps = 96  # more than `PATIENT` waits for
    recent_columns = STEP_COLUMNS * recent_steps

    def __init__(
        self,
        labels: Sequence[str],
        flush_columns: int,
        guide: Guide,
        search: Search | None = None,
    ) -> None:
        """Begin a line; see `TranscriptDecoder`. The labels must hold the space.

        `search` is what suits the guide where it is None.
        """
        if SPACE not in labels:
            raise InputError("a guide needs a net whose labels hold the space")
        self._search = search or (SWIFT if guide.spells is None else PATIENT)
        self._beam = Beam(guide, 1 + labels.index(SPACE), self._search.width)
        self.guide = guide
        super().__init__(labels, flush_columns)

    def reset(self) -> None:
        """Begin a new line; what is allowed stays."""
        super().reset()
        self._beam = self._beam.anew()
        self._open_word()

    def copy(self) -> "GuidedDecoder":
        """An independent decoder in the same state."""
        made = super().copy()
        assert isinstance(made, GuidedDecoder)
        made._beam = self._beam.copy()
        return made

    def to_dict(self) -> dict[str, Any]:
        """All that it knows of the line, in plain values for JSON; `restore` takes them back."""
        return super().to_dict() | {
            "beam": self._beam.to_dict(),
            "rivals": self._rivals,
            "share": self._share,
        }

    def restore(self, known: Mapping[str, Any]) -> None:
        """Go on where another decoder stood; raises `InputError` for what isn't `to_dict`'s."""
        try:
            if "beam" not in known:
                got = "the state is of a stream without a language model or other hints"
                raise InputError(got)
            beam = self._beam.restored(known["beam"])
            rivals, share = tuple(_Rival(*each) for each in known["rivals"]), float(known["share"])
            own = {name: known[name] for name in known if name not in ("beam", "rivals", "share")}
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"a decoder cannot go on from this: {error!r}") from error
        super().restore(own)
        self._beam, self._rivals, self._share = beam, rivals, share

    @property
    def mask(self) -> Allowed:
        """What is added to the labels' log-probabilities: minus infinity for what is not said."""
        spells = self.guide.spells
        if self.allowed is None or spells is None:
            return spells if self.allowed is None else self.allowed
        both: Allowed = self.allowed + spells
        return self.allowed if both is None or both.max() < 0 else both

    def _tentative(self, column: int) -> str:
        return "".join(self._labels[said.symbol - 1] for said in self._beam.best)

    def flush(self) -> list[Event]:
        """Decide all that is open, after `flush_columns` blank ones; the next word begins."""
        step, last = (self._columns + self._beyond) // STEP_COLUMNS, self._columns - 1
        events = self._tell(self._beam.finished(), step, last)
        events += super().flush()
        self._beam = self._beam.anew(self._committed)
        return events

    def _advance(self, scores: Scores, first: int) -> tuple[list[Event], list[tuple[int, str]]]:
        events: list[Event] = []
        changes: list[tuple[int, str]] = []
        step = first // STEP_COLUMNS - 1
        for row in self._new_steps(scores, first):
            step += 1
            column = min(STEP_COLUMNS * (step + 1), self._columns) - 1
            changed = self._beam.step(row, step)
            decided = self._beam.decided(self._search.agreed, step - self._search.latest)
            events += self._tell(decided, step, column)
            if changed or decided:
                changes.append((column, self._text_at(column)))
        self._forget_ends()
        return events, changes

    def _chances(self, run: Run) -> NDArray[np.float32]:
        return run.weights[1:]  # by what was allowed when it was said

    def _weighed(self, run: Run, symbol: int) -> tuple[float, tuple[Spelling, ...]]:
        confidence, others = super()._weighed(run, symbol)
        if confidence >= AGAINST:
            return confidence, others
        share = (1 - AGAINST) / (1 - confidence)
        return AGAINST, tuple((char, share * p) for char, p in others)

    def _tell(self, decided: Sequence[Decided], step: int, column: int) -> list[Event]:
        """Give the letters and the words' ends that symbols are."""
        events: list[Event] = []
        for said, share, rivals in decided:
            if rivals:
                known = [*self._rivals, *map(self._rival, rivals)]
                self._rivals = tuple(sorted(known, key=lambda rival: -rival.share)[:MOST_RIVALS])
            self._share *= share
            run = Run(said.symbol, said.step, said.weights)
            events += self._say(run, said.symbol, min(step, said.step + END_STEPS), column)
        return events

    # Words

    def _open_word(self) -> None:
        self._share = 1.0  # of the texts that were not given up for the word that is being written
        self._rivals = NO_RIVALS  # the most probable others

    def _rival(self, rival: Rival) -> _Rival:
        """What the word would have been, up to where it goes on like the text that is preferred."""
        begun = "" if self._word is None else self._word.text
        own, other = (self._spelt(symbols) for symbols in (rival.own, rival.symbols))
        if SPACE in own:  # the word is complete
            own, other = own.split(SPACE)[0], other.split(SPACE)[0]
        return _Rival(begun + other, len(begun + own), self._share * rival.share)

    def _spelt(self, symbols: Sequence[int]) -> str:
        return "".join(self._labels[symbol - 1] for symbol in symbols)

    def _close_word(self, column: int) -> list[Word]:
        """Give the word with what the beam gave up for it, and what its letters might be."""
        share, rivals = self._share, self._rivals
        self._open_word()
        words = (replace(word, confidence=share) for word in super()._close_word(column))
        return [replace(word, alternatives=_others(word, rivals)) for word in words]


def _others(word: Word, rivals: Sequence[_Rival]) -> tuple[Spelling, ...]:
    """The most probable other texts of a word; with it they have a probability of 1 at most."""
    found = dict(word.alternatives)
    for begun, going_on, share in rivals:
        text = (begun + word.text[going_on:]).strip()
        if text not in ("", word.text):
            found[text] = max(share, found.get(text, 0.0))
    left = min(1.0, (1 - word.confidence) / max(sum(found.values()), LEAST_ALTERNATIVE))
    best = sorted(found.items(), key=lambda spelling: -spelling[1])[:N_ALTERNATIVES]
    return tuple((text, left * p) for text, p in best if left * p >= LEAST_ALTERNATIVE)


def new_decoder(
    config: ModelConfig, hints: Hints = NO_HINTS, characters: str | None = None
) -> Decoder:
    """A decoder for a net's scores, at the start of a line, with hints of its text or none.

    Only what `characters` spell is answered; None allows all.

    Raises `InputError` for a classifier with hints, for hints that `guide_of` refuses, and for
    characters that `allowed_labels` refuses or of which no text is made that the hints allow.
    """
    if config.kind == "classifier" and hints != NO_HINTS:
        raise InputError(f"{', '.join(hints.told)} came, allowed: of a net that reads lines alone")
    decoder = _undecided(config, hints)
    decoder.allow(characters)
    if characters is not None and not can_read(decoder, decoder.allowed):
        raise InputError(
            f"no text of the pattern or lexicon is of the characters {characters[:MAX_SHOWN]}"
        )
    return decoder


def can_read(decoder: Decoder, allowed: Allowed) -> bool:
    """Whether there is a text that is allowed and that the hints of a decoder leave possible."""
    if allowed is None or not isinstance(decoder, GuidedDecoder):
        return True
    return decoder.guide.can_be(allowed)


def _undecided(config: ModelConfig, hints: Hints) -> Decoder:
    if config.kind == "classifier":
        return ClassifierDecoder(config.labels)
    guide = guide_of(hints, config.labels)
    if guide is None:
        return TranscriptDecoder(config.labels, config.flush_columns)
    return GuidedDecoder(config.labels, config.flush_columns, guide)

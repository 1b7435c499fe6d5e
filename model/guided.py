"""Scores -> letters, marks and words, with a guide that knows what may follow what.

Where `model.transcript` takes the best path, this decoder follows a beam of texts. A letter is
decided when nearly all of the beam's weight agrees on it, and `LATEST` steps after it was said in
any case; like all events it is never taken back.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.beam import Beam, Guide, Said
from model.config import STEP_COLUMNS, ModelConfig
from model.errors import InputError
from model.events import SPACE, Event, Spelling
from model.guide import LanguageGuide
from model.language import Language
from model.transcript import Decoder, Run, TranscriptDecoder, decoder_of

Scores = NDArray[np.float32]  # [n, S], as of `TranscriptDecoder`

WIDTH: Final = 16  # hypotheses
# Chosen on writers who choose: with 0.9 letters are decided too early, 0.999 brings nothing more.
AGREED: Final = 0.95  # share of the hypotheses' weight that agrees on what is decided
LATEST: Final = 20  # steps after which a symbol is decided in any case
# A letter that the beam agrees on although the net alone finds another one likelier is right six
# times in ten, however unlikely it was by itself.
AGAINST: Final = 0.6  # the least confidence
END_STEPS: Final = 2  # after a symbol was said: its letter's end has been seen by then


class GuidedDecoder(TranscriptDecoder):
    """Reads the scores of one line with a guide."""

    recent_steps = 64

    def __init__(self, labels: Sequence[str], flush_columns: int, guide: Guide) -> None:
        """Begin a line; see `TranscriptDecoder`. The labels hold a space."""
        if SPACE not in labels:
            raise InputError("a guide needs a net whose labels hold the space")
        self._beam = Beam(guide, 1 + labels.index(SPACE), WIDTH)
        super().__init__(labels, flush_columns)

    def reset(self) -> None:
        """Begin a new line; what is allowed stays."""
        super().reset()
        self._beam = self._beam.anew()

    def copy(self) -> "GuidedDecoder":
        """An independent decoder in the same state."""
        made = super().copy()
        assert isinstance(made, GuidedDecoder)
        made._beam = self._beam.copy()
        return made

    def to_dict(self) -> dict[str, Any]:
        """All that it knows of the line, in plain values for JSON; `restore` takes them back."""
        return super().to_dict() | {"beam": self._beam.to_dict()}

    def restore(self, known: Mapping[str, Any]) -> None:
        """Go on where another decoder stood; raises `InputError` for what isn't `to_dict`'s."""
        if "beam" not in known:
            raise InputError("the state is of a stream without a language model")
        super().restore(known)
        try:
            self._beam = self._beam.restored(known["beam"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"a decoder cannot go on from this: {error!r}") from error

    @property
    def text(self) -> str:
        """Everything so far: what is decided, and what may still change."""
        tentative = "".join(self._labels[said.symbol - 1] for said in self._beam.best)
        return self._committed + tentative

    def flush(self) -> list[Event]:
        """Decide all that is open, after `flush_columns` blank ones; the next word begins."""
        step, last = (self._columns + self._beyond) // STEP_COLUMNS, self._columns - 1
        events = self._tell(self._beam.finished(), step, last)
        self._beam = self._beam.anew()
        return events + super().flush()

    def _advance(self, scores: Scores, first: int) -> tuple[list[Event], list[tuple[int, str]]]:
        events: list[Event] = []
        changes: list[tuple[int, str]] = []
        step = first // STEP_COLUMNS - 1
        for row in self._new_steps(scores, first):
            step += 1
            column = min(STEP_COLUMNS * (step + 1), self._columns) - 1
            changed = self._beam.step(row, step)
            decided = self._beam.decided(AGREED, step - LATEST)
            events += self._tell(decided, step, column)
            if changed or decided:
                changes.append((column, self.text))
        self._forget_ends()
        return events, changes

    def _weighed(self, run: Run, symbol: int) -> tuple[float, tuple[Spelling, ...]]:
        confidence, others = super()._weighed(run, symbol)
        if confidence >= AGAINST:
            return confidence, others
        share = (1 - AGAINST) / (1 - confidence)
        return AGAINST, tuple((char, share * p) for char, p in others)

    def _tell(self, decided: Sequence[Said], step: int, column: int) -> list[Event]:
        """Give the letters and the words' ends that symbols are."""
        events: list[Event] = []
        for said in decided:
            run = Run(said.symbol, said.step, said.weights)
            events += self._say(run, said.symbol, min(step, said.step + END_STEPS), column)
        return events


def new_decoder(config: ModelConfig, language: Language | None = None) -> Decoder:
    """A decoder for a net's scores, at the start of a line, with a language to follow or without.

    Raises `InputError` for a classifier with a language.
    """
    if language is None:
        return decoder_of(config)
    if config.kind == "classifier":
        raise InputError("a language model is for nets that read lines")
    guide = LanguageGuide(language, config.labels)
    return GuidedDecoder(config.labels, config.flush_columns, guide)

"""What a client told of its lines before they are written, as decoders that know it.

What a client chose by `configure`, and how it bears on columns and answers.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import ModelConfig
from inkstream.model.decoding.base import MAX_SHOWN, Allowed, allowed_labels
from inkstream.model.decoding.greedy import Decoder
from inkstream.model.decoding.guided import can_read, new_decoder
from inkstream.model.decoding.hints import Hints
from inkstream.model.decoding.ngrams import Language
from inkstream.model.errors import InputError
from inkstream.service.protocol.client_messages import Configure
from inkstream.service.protocol.errors import ValueRefusedError
from inkstream.service.protocol.server_messages import Configured, ModelInfo

HINTS: Final = ("language_model", "words", "context", "pattern")  # fields of `Configured`
NOTHING: Final = Configured()
NO_LANGUAGES: Final[Mapping[str, Language]] = MappingProxyType({})

Decoders = Callable[[Configured], Decoder]


def decoders_of(config: ModelConfig, languages: Mapping[str, Language] = NO_LANGUAGES) -> Decoders:
    """Makes the decoder of a line from what is in force where it begins.

    It raises `ValueRefusedError` for a language that is none of `languages`, for words that the
    labels cannot spell, for a pattern that cannot be understood or fulfilled, and for all of these
    where a classifier answers.
    """

    def made(chosen: Configured) -> Decoder:
        language, name = None, chosen.language_model
        if name is not None and (language := languages.get(name)) is None:
            allowed = ", ".join(["null", *languages])
            raise ValueRefusedError(f"language_model is {name[:MAX_SHOWN]!r}, allowed: {allowed}")
        if config.kind == "classifier" and (told := _told(chosen)):
            raise ValueRefusedError(f"{told[0]} came, allowed: of a transcriber alone")
        # A text before the line says something to a language alone.
        context = "" if language is None else chosen.context
        try:
            return new_decoder(
                config, Hints(language, context, chosen.words, pattern=chosen.pattern)
            )
        except InputError as error:
            raise ValueRefusedError(str(error)) from error

    return made


def _told(chosen: Configured) -> list[str]:
    """The names of the hints that are in force."""
    return [name for name in HINTS if getattr(chosen, name) != getattr(NOTHING, name)]


INVERSE: Final = bytes(range(255, -1, -1))  # for bytes.translate: ink-low to ink-high
TRANSCRIBERS_TOP_K: Final = 5  # at first: of a hundred labels the others are next to impossible


class Choices:
    """The values in force for one session; they outlast lines and rewinds."""

    def __init__(self, model: ModelInfo, decoders: Decoders) -> None:
        labels = model.labels
        most = min(TRANSCRIBERS_TOP_K, len(labels)) if model.kind == "transcriber" else None
        self.in_force = Configured(top_k=most)
        self.allowed: Allowed = None  # what may be answered
        self._labels = labels
        self._column_height = model.column_height
        self._decoders = decoders
        self._anew = decoders(self.in_force)

    def decoder(self) -> Decoder:
        """A decoder for the next line, by what was told of it."""
        decoder = self._anew.copy()
        decoder.allowed = self.allowed
        return decoder

    def change(self, message: Configure) -> None:
        """Put what the message gives in force, or raise `ValueRefusedError` and change nothing."""
        labels = self._labels
        if (message.top_k or 0) > len(labels):
            raise ValueRefusedError(f"top_k is {message.top_k}, allowed: 1..{len(labels)}")
        given = {name: getattr(message, name) for name in message.model_fields_set - {"type"}}
        if message.characters is not None:  # each once: what is kept and echoed stays short
            given["characters"] = "".join(dict.fromkeys(message.characters))
        chosen = self.in_force.model_copy(update={"id": None} | given)
        anew, allowed = self._anew, self.allowed
        try:
            if chosen.characters != self.in_force.characters:
                allowed = allowed_labels(labels, chosen.characters)
        except InputError as error:
            raise ValueRefusedError(str(error)) from error
        if any(getattr(chosen, name) != getattr(self.in_force, name) for name in HINTS):
            anew = self._decoders(chosen)
        if not can_read(anew, allowed):
            pattern, characters = chosen.pattern or "", chosen.characters or ""
            raise ValueRefusedError(
                f"pattern {pattern[:MAX_SHOWN]!r} describes no text of the characters "
                f"{characters[:MAX_SHOWN]}"
            )
        self.in_force, self.allowed, self._anew = chosen, allowed, anew

    def picked(self, n_columns: int, message_ends: list[int], line_ends: bool) -> Sequence[int]:
        """Which of so many columns get a result: each, or the last ones of messages and a line."""
        if self.in_force.every == "column":
            return range(n_columns)
        last = n_columns - 1
        if line_ends and (not message_ends or message_ends[-1] != last):
            return [*message_ends, last]
        return message_ends

    def as_ink(self, data: bytes) -> bytes:
        """Columns as they came, with high ink."""
        return data if self.in_force.polarity == "ink-high" else data.translate(INVERSE)

    def until_line_end(self, data: bytes, column: int, ink_end: int) -> int:
        """How many of the columns in `data`, as they came, belong to the line: all, or fewer.

        `column` is the number of the first of them, `ink_end` that after the last one with ink.
        """
        data, height = self.as_ink(data), self._column_height
        for end in range(height, len(data) + 1, height):
            column += 1
            if any(data[end - height : end]):
                ink_end = column
            elif self.line_ends(column, ink_end):
                return end // height
        return len(data) // height

    def line_ends(self, column: int, ink_end: int) -> bool:
        """Whether a line of `column` columns has so many blank ones after its ink as end it."""
        blank = self.in_force.line_end_columns
        return blank > 0 and 0 < ink_end <= column - blank

    def named(self, rows: NDArray[np.float32]) -> list[dict[str, float]]:
        """The probabilities that are sent, of those [n, K] after n columns."""
        labels, most = self._labels, self.in_force.top_k
        if self.allowed is None and most is None:
            return [dict(zip(labels, row, strict=True)) for row in rows.tolist()]
        if most is None:
            shown = np.flatnonzero(self.allowed == 0)
            names = [labels[k] for k in shown.tolist()]
            return [dict(zip(names, row, strict=True)) for row in rows[:, shown].tolist()]
        if self.allowed is not None:
            most = min(most, int((self.allowed == 0).sum()))
        best = (-rows).argsort(1, kind="stable")[:, :most]
        shares = rows[np.arange(len(rows))[:, None], best].tolist()
        return [
            dict(zip([labels[k] for k in places], row, strict=True))
            for places, row in zip(best.tolist(), shares, strict=True)
        ]

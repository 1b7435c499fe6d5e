"""What a client chose by `configure`, and how it bears on columns and results."""

import json
from dataclasses import dataclass
from typing import Any, Final

from inkstream.model.decoding.base import MAX_SHOWN, PAPER, Decoder, allowed_labels
from inkstream.model.decoding.hints import Hints, check_words, new_decoder
from inkstream.model.decoding.ngrams import AUTO, choose
from inkstream.model.errors import InputError
from inkstream.service.protocol.client_messages import Configure, parse_client
from inkstream.service.protocol.errors import ValueRefusedError
from inkstream.service.protocol.server_messages import Configured
from inkstream.service.session.inbox import check_hints
from inkstream.service.session.line import Line
from inkstream.service.session.model import SessionModel, kind_error

HINTS: Final = ("language", "words", "context", "pattern")  # fields of `Configured`


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """The options in force for one session; they outlast lines and rewinds."""

    in_force: Configured
    decoder: Decoder  # of the next line, before its first column; copies of it are stepped

    @classmethod
    def first(cls, model: SessionModel) -> "Options":
        """Return the options of a session before any `configure`."""
        info = model.info
        # Of the hundred labels of a transcriber all but five are next to impossible.
        top_k = min(5, len(info.labels)) if info.kind == "transcriber" else None
        in_force = Configured(top_k=top_k)
        return cls(in_force, decoder_for(model, in_force))

    @classmethod
    def of(cls, given: dict[str, Any], model: SessionModel) -> "Options":
        """Return the first options with those that are `given`; see `updated`."""
        return cls.first(model).updated(given, model)

    def updated(self, given: dict[str, Any], model: SessionModel) -> "Options":
        """Return the options with those that are `given`; raise the errors of `changed`."""
        if not given:
            return self
        message = parse_client(json.dumps({**given, "type": "configure"}))
        assert isinstance(message, Configure)
        check_hints(message, model.limits)
        return self.changed(message, model)

    def changed(self, message: Configure, model: SessionModel) -> "Options":
        """Return the options after a `configure`; raise `ValueRefusedError` if it is refused."""
        labels = model.info.labels
        if (message.top_k or 0) > len(labels):
            raise ValueRefusedError(f"top_k is {message.top_k}, allowed: 1..{len(labels)}")
        given = {name: getattr(message, name) for name in message.model_fields_set - {"type"}}
        if message.characters is not None:  # each once: what is kept and echoed stays short
            given["characters"] = "".join(dict.fromkeys(message.characters))
        chosen = self.in_force.model_copy(update=given | {"id": message.id, "seq": None})
        decoder, allowed = self.decoder.copy(), self.decoder.allowed
        try:
            if chosen.characters != self.in_force.characters:
                allowed = allowed_labels(labels, chosen.characters)
            if any(getattr(chosen, name) != getattr(self.in_force, name) for name in HINTS):
                decoder = decoder_for(model, chosen)
            check_words(chosen.words, chosen.characters)
        except InputError as error:
            raise ValueRefusedError(str(error)) from error
        if chosen.language not in (None, AUTO):  # each name once, as with characters
            names = ",".join(choose(chosen.language, model.info.languages))
            chosen = chosen.model_copy(update={"language": names})
        if not decoder.can_read(allowed):
            pattern, characters = chosen.pattern or "", chosen.characters or ""
            raise ValueRefusedError(
                f"pattern {pattern[:MAX_SHOWN]!r} describes no text of the characters "
                f"{characters[:MAX_SHOWN]}"
            )
        decoder.allowed = allowed
        return Options(chosen, decoder)

    def until_line_end(self, data: bytes, line: Line, column_size: int) -> tuple[int, bool]:
        """Return how many of the next columns belong to the line, and whether it ends with them.

        A line ends with so many blank columns after its ink as the option says. `data` has the
        columns, one after another, of so many bytes, with ink as 255.
        """
        column, ink_end = line.column, line.ink_end
        blank = self.in_force.line_end_columns
        for end in range(column_size, len(data) + 1, column_size):
            column += 1
            if data[end - column_size : end].strip(PAPER):
                ink_end = column
            elif 0 < ink_end <= column - blank:
                return end // column_size, True
        return len(data) // column_size, False


def decoder_for(model: SessionModel, chosen: Configured) -> Decoder:
    """Return a decoder at the start of a line that is read with these options.

    Raises `ValueRefusedError` for a language that is not served, for words that the labels cannot
    spell, for a pattern that cannot be understood or fulfilled, and for any hint to a classifier.
    """
    given = [name for name in HINTS if getattr(chosen, name) != getattr(Configured(), name)]
    if model.config.kind == "classifier" and given:
        raise kind_error(given[0], "transcriber", model.info, model.transcriber)
    try:
        names = () if chosen.language is None else choose(chosen.language, model.info.languages)
        languages = tuple(model.languages[name] for name in names)
        # A text before the line says something to a language model alone.
        context = chosen.context if languages else ""
        hints = Hints(languages, context, chosen.words, pattern=chosen.pattern)
        return new_decoder(model.config, hints)
    except InputError as error:
        raise ValueRefusedError(str(error)) from error

"""What a client told of its lines before they are written, as decoders that know it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from model.config import ModelConfig
from model.decode import MAX_SHOWN
from model.errors import InputError
from model.language.guided import new_decoder
from model.language.hints import Hints
from model.language.ngrams import Language
from model.transcript import Decoder
from service.errors import ValueRefusedError
from service.messages import Configured

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

"""What is known of a text before it is written, and the guide that follows from it."""

from dataclasses import dataclass, fields
from typing import Final

from inkstream.model.decoding.base import MAX_SHOWN, SPACE
from inkstream.model.decoding.beam import Guide
from inkstream.model.decoding.lexicon import LexiconGuide, WordsGuide
from inkstream.model.decoding.ngrams import Language, LanguageGuide, Together
from inkstream.model.decoding.regex import PatternGuide
from inkstream.model.errors import InputError


@dataclass(frozen=True, slots=True)
class Hints:
    """All of it; nothing is known at first."""

    language: Language | None = None  # that it is written in
    context: str = ""  # the text before it, which a language goes on from
    words: tuple[str, ...] = ()  # that it may well hold: names, terms
    lexicon: tuple[str, ...] = ()  # that it consists of, beside spaces; none: of any
    pattern: str | None = None  # a regular expression that it fulfils

    @property
    def told(self) -> list[str]:
        """The names of those that are given."""
        return [own.name for own in fields(self) if getattr(self, own.name) != own.default]


NO_HINTS: Final = Hints()


def guide_of(hints: Hints, labels: tuple[str, ...]) -> Guide | None:
    """The guide that follows from hints, or None from none.

    Raises `InputError` for labels without the space, for words that they cannot spell, for a
    pattern that cannot be understood or fulfilled, with the characters of a lexicon too.
    """
    for name in ("words", "lexicon"):
        if isinstance(given := getattr(hints, name), str):
            raise InputError(f"{name} is {given[:MAX_SHOWN]!r}, expected a list of words")
    if hints != NO_HINTS and SPACE not in labels:
        raise InputError("hints need a net whose labels hold the space")
    guides: list[Guide] = []
    if hints.language is not None:
        guides.append(LanguageGuide(hints.language, labels, hints.context))
    if hints.words:
        guides.append(WordsGuide(hints.words, labels))
    if hints.lexicon:
        guides.append(LexiconGuide(hints.lexicon, labels))
    if hints.pattern is not None:
        guides.append(PatternGuide(hints.pattern, labels))
    if len(guides) < 2:
        return next(iter(guides), None)
    together = Together(guides)
    if together.spells is not None and not together.can_be(together.spells):
        raise InputError("no text of the pattern is made of words of the lexicon")
    return together

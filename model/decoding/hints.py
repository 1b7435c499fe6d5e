"""What is known of a text before it is written, and the decoder that follows from it."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import plain
from inkstream.model.config import ModelConfig
from inkstream.model.decoding.base import MAX_SHOWN, SPACE, Decoder, Guide, allowed_labels
from inkstream.model.decoding.beam import BeamDecoder
from inkstream.model.decoding.classifier import ClassifierDecoder
from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.decoding.lexicon import LexiconGuide, WordsGuide, check_word
from inkstream.model.decoding.ngrams import Language, LanguageGuide, LanguagesGuide
from inkstream.model.decoding.regex import PatternGuide
from inkstream.model.errors import InputError

Row = NDArray[np.float32]  # [K]


@dataclass(frozen=True, slots=True)
class Hints:
    """All that may be known; nothing is at first. Texts may be in any spelling: see `plain`."""

    language: tuple[Language, ...] = ()  # that it is written in, or the likeliest of them
    context: str = ""  # the text before it, which a language goes on from
    words: Sequence[str] = ()  # that it may well hold: names, terms
    lexicon: Sequence[str] = ()  # that it consists of, beside spaces; none: of any
    pattern: str | None = None  # a regular expression that it matches


NO_HINTS: Final = Hints()

_GUIDES: Final = WeakValueDictionary[tuple[Hashable, ...], Guide]()  # those in use


def new_decoder(
    config: ModelConfig, hints: Hints = NO_HINTS, characters: str | None = None
) -> Decoder:
    """Return a decoder for a net's scores, at the start of a line.

    Only what `characters` spell is answered; None allows all labels. Raises `InputError` if a
    classifier got hints, `guide_of` refuses them, `allowed_labels` refuses the characters, they
    leave no text that the hints allow, or cannot spell one of the words.
    """
    decoder: Decoder
    if config.kind == "classifier":
        if given := [f.name for f in fields(hints) if getattr(hints, f.name) != f.default]:
            reads = "digit" if all(map(str.isdigit, config.labels)) else "character"
            needed = f"`{given[0]}` needs a model that reads lines"
            raise InputError(f"{needed}; this one reads one {reads}. Use model `lines`.")
        decoder = ClassifierDecoder(config.labels)
    elif (guide := guide_of(hints, config.labels)) is not None:
        decoder = BeamDecoder(config.labels, config.flush_columns, guide)
    else:
        decoder = GreedyDecoder(config.labels, config.flush_columns)
    decoder.allowed = allowed_labels(config.labels, characters)
    check_words(hints.words, characters)
    if characters is not None and not decoder.can_read(decoder.allowed):
        raise InputError(
            f"no text of the pattern or lexicon is of the characters {characters[:MAX_SHOWN]}"
        )
    return decoder


def check_words(words: Iterable[str], characters: str | None) -> None:
    """Raise `InputError` for a word with other characters than these; None allows all."""
    if characters is not None:
        allowed = set(plain(characters))
        for word in words:
            check_word(plain(word), allowed)


def guide_of(hints: Hints, labels: tuple[str, ...]) -> Guide | None:
    """Return the guide that follows from hints, or None from none.

    Raises `InputError` for labels without the space, for words that they cannot spell, for a
    pattern that cannot be understood or fulfilled, with the characters of a lexicon too.
    """
    for name in ("words", "lexicon"):
        if isinstance(given := getattr(hints, name), str):
            raise InputError(f"{name} is {given[:MAX_SHOWN]!r}, expected a list of words")
    if hints != NO_HINTS and SPACE not in labels:
        raise InputError("hints need a net whose labels hold the space")
    guides: list[Guide] = []
    if len(hints.language) == 1:
        guides.append(LanguageGuide(hints.language[0], labels, hints.context))
    elif hints.language:
        guides.append(_in_use(LanguagesGuide, hints.language, labels, hints.context))
    if hints.words:
        guides.append(_in_use(WordsGuide, tuple(hints.words), labels))
    if hints.lexicon:
        guides.append(_in_use(LexiconGuide, tuple(hints.lexicon), labels))
    if hints.pattern is not None:
        guides.append(_in_use(PatternGuide, hints.pattern, labels))
    if len(guides) < 2:
        return next(iter(guides), None)
    combined = CombinedGuide(guides)
    if combined.spells is not None and not combined.can_be(combined.spells):
        raise InputError("no text of the pattern is made of words of the lexicon")
    return combined


def _in_use(kind: Callable[..., Guide], *given: Hashable) -> Guide:
    """Return the guide of this kind and content that a decoder has, or else a new one.

    To make one takes up to some milliseconds, and clients may change one hint of several often.
    """
    guide = _GUIDES.get((kind, *given))
    if guide is None:
        guide = _GUIDES[kind, *given] = kind(*given)
    return guide


class CombinedGuide(Guide):
    """Several guides as one: what they add is summed; a state is one of each."""

    def __init__(self, guides: Sequence[Guide]) -> None:
        self._guides = tuple(guides)
        masks = [guide.spells for guide in guides if guide.spells is not None]
        self.spells = sum(masks[1:], masks[0]) if masks else None
        self.is_form = any(guide.is_form for guide in guides)
        self.beam_cost = max(guide.beam_cost for guide in guides)

    def can_be(self, allowed: Row) -> bool:
        """Whether each of them alone can be, which is no promise that all can be together."""
        return all(guide.can_be(allowed) for guide in self._guides)

    def begin(self, text: str) -> Hashable:
        return tuple(guide.begin(text) for guide in self._guides)

    def row(self, state: Any) -> Row:
        rows = [guide.row(part) for guide, part in zip(self._guides, state, strict=True)]
        return sum(rows[1:], rows[0])

    def follow(self, state: Any, label: int) -> Hashable:
        pairs = zip(self._guides, state, strict=True)
        return tuple(guide.follow(part, label) for guide, part in pairs)

    def end(self, state: Any) -> float:
        return sum(guide.end(part) for guide, part in zip(self._guides, state, strict=True))

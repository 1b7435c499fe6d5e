"""What lists of words bring: closed ones, of several sizes, and a user's own."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from model.data.words import english
from model.errors import ConfigError
from model.language.guided import new_decoder
from model.language.hints import Hints
from model.language.ngrams import Language
from model.line_reading import Reader, Reading
from model.report.material import SEED, WORDS, Material
from model.report.measures import errors
from model.training.language_texts import LONGEST, MOST_WORDS
from model.transcript import TranscriptDecoder

SIZES: Final = (5_000, 20_000, 50_000)  # of closed lists
N_OWN: Final = 100  # words of a user's list
LEAST_OWN: Final = 3  # letters of each


def lexicons(reader: Reader, material: Material, language: Language) -> dict[str, Any]:
    """Errors in words read with closed lists, each of which holds every word that is written.

    Its rest are the most frequent words of English. Each alone, and with a language.
    """
    places = material.places(WORDS)
    written = sorted({word for label in material.labels(places) for word in label.split()})
    hints: dict[str, Hints] = {}
    for size in SIZES:
        listed = closed(written, reader.config.labels, size)
        hints[f"{size}"] = Hints(lexicon=listed)
        hints[f"{size} and language"] = Hints(language, lexicon=listed)
    found = _read(reader, material, places, hints)
    fresh = material.fresh(places)
    return {"written": len(written)} | {
        name: {"all": _errors(readings), "fresh": _errors(readings, fresh)}
        for name, readings in found.items()
    }


def closed(written: Sequence[str], labels: Sequence[str], size: int) -> tuple[str, ...]:
    """A list of so many words: all that are written, and the most frequent ones of English.

    Raises `ConfigError` for a size that cannot hold what is written.
    """
    if len(written) > size:
        raise ConfigError(f"a list of {size} words cannot hold {len(written)}")
    spelt = set(labels)
    frequent = (word for word in english(MOST_WORDS, LONGEST) if spelt.issuperset(word))
    return tuple(dict.fromkeys([*written, *frequent]))[:size]


def own_words(reader: Reader, material: Material, language: Language) -> dict[str, Any]:
    """Errors in words of a user's list, and in others, with and without the list."""
    places = material.places(WORDS)
    labels = material.labels(places)
    words = {word for label in labels for word in label.split()}
    able = sorted(word for word in words if word.isalpha() and len(word) >= LEAST_OWN)
    own = tuple(np.random.default_rng(SEED).permutation(able)[:N_OWN].tolist())
    listed = [not set(own).isdisjoint(label.split()) for label in labels]
    found = _read(
        reader,
        material,
        places,
        {"language": Hints(language), "language and list": Hints(language, words=own)},
    )
    return {
        name: {
            "listed": _errors(readings, listed),
            "others": _errors(readings, [not each for each in listed]),
        }
        for name, readings in found.items()
    }


def _read(
    reader: Reader, material: Material, places: Sequence[int], hints: Mapping[str, Hints]
) -> dict[str, list[Reading]]:
    decoders = []
    for known in hints.values():
        decoder = new_decoder(reader.config, known)
        assert isinstance(decoder, TranscriptDecoder)
        decoders.append(decoder)
    return dict(zip(hints, reader.read_by(decoders, material.drawn(places)), strict=True))


def _errors(readings: Sequence[Reading], chosen: Sequence[bool] | None = None) -> dict[str, Any]:
    own = [
        reading
        for place, reading in enumerate(readings)
        if chosen is None or chosen[place]
    ]  # fmt: skip
    return errors([each.text for each in own], [each.line.label for each in own])

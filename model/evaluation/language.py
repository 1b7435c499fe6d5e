"""Fields that can only be one thing: dates, read through a pattern and without it.

What lists of words bring: closed ones, of several sizes, and a user's own.

What a language model brings and harms: the same scores, decoded without it and with it.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.config import STEP_COLUMNS
from inkstream.model.data.augmentation import fit, frame_of
from inkstream.model.data.batches import MADE_FRAME, LineSample
from inkstream.model.data.ink_set import InkSet
from inkstream.model.data.split import Part, parts
from inkstream.model.data.synthesis.composition import ComposedLine, LineComposer, Recipe
from inkstream.model.data.synthesis.texts import DIGITS, english
from inkstream.model.decoding.greedy import TranscriptDecoder
from inkstream.model.decoding.guided import SWIFT, GuidedDecoder, new_decoder
from inkstream.model.decoding.hints import Hints
from inkstream.model.decoding.ngrams import Language, LanguageGuide
from inkstream.model.errors import ConfigError
from inkstream.model.evaluation.boundaries import lateness, letter_calibration
from inkstream.model.evaluation.material import NO_ENDS, SEED, TEXT, WORDS, Material
from inkstream.model.metrics import Figures, errors
from inkstream.model.preprocess.ink import PEN_WIDTH, rasterise
from inkstream.model.reader import Reader, Reading, Scores, batches, flushed
from inkstream.model.training.ngrams import LONGEST, MOST_WORDS

SEPARATORS: Final = "./-"
# Of dates with a separator: what they look like, and what they may be.
LOOK: Final = "[0-9]{{2}}{0}[0-9]{{2}}{0}[0-9]{{4}}"
DATE: Final = "(0[1-9]|[12][0-9]|3[01]){0}(0[1-9]|1[0-2]){0}(19|20)[0-9]{{2}}"
DATES_EACH: Final = 20  # of each writer with each separator
DAYS: Final = 73_049  # from the beginning of 1900 to the end of 2099
FIRST: Final = np.datetime64("1900-01-01")
NOTHING_DRAWN: Final = Recipe(spelt=0, words=0, numbers=0, random=0)  # dates are told what to be
DATES_SEED: Final = 0


def dates(checkpoint: Checkpoint, ink: InkSet, part: Part) -> dict[str, Any]:
    """Errors in dates, each spelt of one writer's own digits and marks.

    With nothing known, with what they are made of as `characters`, and with two patterns.
    """
    config = checkpoint.metadata.config
    separators = [mark for mark in SEPARATORS if mark in config.labels]
    made = _written(ink, parts(ink)[part], separators)
    lines = [_drawn(line, config.column_height) for line in made]
    found: dict[str, Any] = {"writers": len({line.writer for line in made})}
    for name in ("nothing", "characters", "look", "date"):
        texts: list[str] = []
        labels: list[str] = []
        for separator in separators:
            own = [line for line in lines if separator in line.label]
            pattern = {"look": LOOK, "date": DATE}.get(name)
            hints = Hints(pattern=pattern and pattern.format(re.escape(separator)))
            characters = "".join(sorted(DIGITS)) + separator if name == "characters" else None
            readings = Reader(checkpoint, hints).read(own, characters)
            texts += [reading.text for reading in readings]
            labels += [reading.line.label for reading in readings]
        found[name] = errors(texts, labels)
    return found


def _written(
    ink: InkSet, indices: NDArray[np.int64], separators: Sequence[str]
) -> Sequence[ComposedLine]:
    """Days drawn at random, by everyone who wrote all digits and a separator."""
    maker, random = LineComposer(ink, indices, NOTHING_DRAWN), np.random.default_rng(DATES_SEED)
    made = []
    for separator in separators:
        for writer in maker.writers(DIGITS | {separator}):
            for day in random.integers(DAYS, size=DATES_EACH).tolist():
                year, month, date = str(FIRST + np.timedelta64(day, "D")).split("-")
                made.append(maker.write(separator.join((date, month, year)), writer, random))
    return made


def _drawn(line: ComposedLine, column_height: int) -> LineSample:
    """A made-up line as it is, in rows."""
    fitted = fit(line.points, frame_of(line.points, MADE_FRAME), column_height)
    columns = rasterise(fitted, line.stroke_starts, column_height, PEN_WIDTH)
    return LineSample(columns, line.label, NO_ENDS)


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


KINDS: Final = {"words": WORDS, "lines": TEXT}
LETTERS: Final = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
LAGS: Final = (4, 8, 12, 20, 40)  # steps that a letter may wait at most
TIMED: Final = 200  # pieces that are decoded against the clock


def report(
    checkpoint: Checkpoint, ink: InkSet, language: Language, part: Part, limit: int | None
) -> dict[str, Any]:
    """Figures of words and lines.

    Args:
        checkpoint: of a net that reads lines.
        ink: all of it.
        language: the model.
        part: whose pieces are read.
        limit: pieces of a category at most; None is all.
    """
    config = checkpoint.metadata.config
    material = Material(ink, part, config.labels, config.column_height, limit)
    plain, guided = Reader(checkpoint), Reader(checkpoint, Hints(language))
    found: dict[str, Any] = {
        "model": checkpoint.metadata.name,
        "model_digest": checkpoint.digest,
        "data_digest": material.data_digest,
        "language": language.about.name,
        "ngrams": len(language),
        "order": language.about.order,
        "sources": language.about.sources,
        "part": part,
    }
    for kind, category in KINDS.items():
        places = material.places(category)
        drawn = material.drawn(places)
        groups = {
            "all": [True] * len(places),
            "fresh": material.fresh(places),
            "outside": [_is_outside(label) for label in material.labels(places)],
        }
        found[kind] = {
            "plain": _figures(plain.read(drawn), groups),
            "guided": _figures(guided.read(drawn), groups),
        }
    found["lag"] = _lag(plain, material, language)
    found["lexicons"] = lexicons(plain, material, language)
    found["own_words"] = own_words(plain, material, language)
    found["dates"] = dates(checkpoint, ink, part)
    lines = material.drawn(material.places(WORDS)[:TIMED])
    scored: list[tuple[LineSample, Scores]] = []
    for batch in batches(lines):
        scored += zip(batch, plain.scores(batch), strict=True)
    for name, reader in (("plain", plain), ("guided", guided)):
        found[f"{name}_columns_per_s"] = _columns_per_s(reader.decoder(), scored)
    return found


def _is_outside(label: str) -> bool:
    """Whether a word stands in a label that the list of English words lacks."""
    known = english(MOST_WORDS, LONGEST)
    return any(word.lower() not in known for word in LETTERS.findall(label))


def _figures(readings: Sequence[Reading], groups: Mapping[str, Sequence[bool]]) -> Figures:
    figures: Figures = {}
    for name, chosen in groups.items():
        own = [reading for reading, is_own in zip(readings, chosen, strict=True) if is_own]
        texts, labels = [each.text for each in own], [each.line.label for each in own]
        figures[name] = errors(texts, labels)
    calibrated = letter_calibration(readings)["expected_calibration_error"]
    return figures | {"lateness": lateness(readings), "calibration": calibrated}


def _lag(reader: Reader, material: Material, language: Language) -> dict[str, Any]:
    """Errors in words and lateness of their letters, by how many columns a letter may wait."""
    config = reader.config
    guide = LanguageGuide(language, config.labels)
    decoders = [
        GuidedDecoder(config.labels, config.flush_columns, guide, replace(SWIFT, latest=steps))
        for steps in LAGS
    ]
    read = reader.read_by(decoders, material.drawn(material.places(WORDS)))
    return {
        f"{STEP_COLUMNS * steps}": {
            **errors([each.text for each in own], [each.line.label for each in own]),
            "lateness": lateness(own),
        }
        for steps, own in zip(LAGS, read, strict=True)
    }


def _columns_per_s(
    decoder: TranscriptDecoder, scored: Sequence[tuple[LineSample, Scores]]
) -> float:
    """Columns that one core decodes in a second, once everything was seen."""
    for _ in range(2):
        started_s = time.perf_counter()
        for line, scores in scored:
            flushed(decoder, line, scores)
    return sum(len(scores) for _, scores in scored) / (time.perf_counter() - started_s)

"""Measure what hints bring and cost: a language model, word lists, patterns of dates.

The same scores are decoded without hints and with them: `inkstream evaluate language`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.config import STEP_COLUMNS
from inkstream.model.data.augmentation import fit, frame_of
from inkstream.model.data.batches import MADE_FRAME, NO_ENDS, LineSample
from inkstream.model.data.ink_set import TEXT, WORDS, InkSet
from inkstream.model.data.split import Part, parts
from inkstream.model.data.synthesis.composition import ComposedLine, LineComposer, Recipe
from inkstream.model.data.synthesis.texts import DIGITS
from inkstream.model.data.synthesis.word_lists import words_of
from inkstream.model.decoding.base import Decoder, Scores, decode_line
from inkstream.model.decoding.beam import SWIFT, BeamDecoder
from inkstream.model.decoding.hints import NO_HINTS, Hints
from inkstream.model.decoding.ngrams import Language, LanguageGuide
from inkstream.model.errors import ConfigError
from inkstream.model.evaluation.evaluation_set import SEED, EvaluationSet
from inkstream.model.evaluation.report import Report
from inkstream.model.evaluation.streaming import latency, least_s, letter_calibration
from inkstream.model.metrics import Figures, bootstrap
from inkstream.model.preprocess.ink import PEN_WIDTH, rasterise
from inkstream.model.reader import Reader, Reading, reading_errors
from inkstream.model.training.ngrams import LONGEST, MAX_WORDS

SEPARATORS: Final = "./-"
# Patterns of dates with a separator: their shape, and their valid values.
LOOK: Final = "[0-9]{{2}}{0}[0-9]{{2}}{0}[0-9]{{4}}"
DATE: Final = "(0[1-9]|[12][0-9]|3[01]){0}(0[1-9]|1[0-2]){0}(19|20)[0-9]{{2}}"
DATES_EACH: Final = 20  # of each writer with each separator
DAYS: Final = 73_049  # from the beginning of 1900 to the end of 2099
FIRST: Final = np.datetime64("1900-01-01")
NOTHING_DRAWN: Final = Recipe(spelt=0, words=0, numbers=0, random=0)  # only given texts
DATES_SEED: Final = 0
SIZES: Final = (5_000, 20_000, 50_000)  # of closed lists
N_OWN: Final = 100  # words of a user's list
LEAST_OWN: Final = 3  # letters of each
KINDS: Final = {"words": WORDS, "lines": TEXT}
LETTERS: Final = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
LAGS: Final = (4, 8, 12, 20, 30, 40)  # steps after which a letter is final at the latest
TIMED: Final = 200  # pieces that are decoded against the clock


def report(
    checkpoint: Checkpoint, ink: InkSet, language: Language, part: Part, limit: int | None
) -> Report:
    """Measure a transcriber and a language model on the words and lines of a part of the ink.

    `limit` is the number of pieces of a category at most; None is all.
    """
    reader = Reader(checkpoint)
    config = reader.config
    pieces = EvaluationSet(
        ink, part, config.labels, config.column_height, limit, directions=config.directions
    )
    hints = {"plain": NO_HINTS, "guided": Hints(language)}
    found: dict[str, Any] = {
        "model": checkpoint.metadata.name,
        "model_digest": checkpoint.digest,
        "data_digest": ink.digest,
        "split_digest": pieces.split_digest,
        "language": language.about.name,
        "ngrams": len(language),
        "order": language.about.order,
        "sources": language.about.sources,
        "part": part,
    }
    known = words_of("en", MAX_WORDS, LONGEST)
    for kind, category in KINDS.items():
        indices = pieces.indices(category)
        groups = {
            "all": [True] * len(indices),
            "unseen": pieces.unseen(indices),
            "outside": [  # labels with a word that the list of English words lacks
                any(word.lower() not in known for word in LETTERS.findall(label))
                for label in pieces.labels(indices)
            ],
        }
        found[kind] = {
            name: _errors_by_group(readings, groups, pieces.writers(indices))
            | {
                "latency": latency(readings),
                "calibration": letter_calibration(readings)["expected_calibration_error"],
            }
            for name, readings in _read(reader, pieces, indices, hints).items()
        }
    found["lag"] = _lag(reader, pieces, language)
    found["lexicons"] = lexicons(reader, pieces, language)
    found["own_words"] = own_words(reader, pieces, language)
    found["dates"] = dates(reader, ink, part)
    lines = pieces.samples(pieces.indices(WORDS)[:TIMED])
    scores = reader.scores(lines)
    for name, own in hints.items():
        found[f"{name}_columns_per_s"] = _columns_per_s(reader.decoder(own), lines, scores)
    return Report("language", found)


def _read(
    reader: Reader, pieces: EvaluationSet, indices: Sequence[int], hints: Mapping[str, Hints]
) -> dict[str, list[Reading]]:
    """Read pieces with each of several hints, from the same scores."""
    decoders = [reader.decoder(known) for known in hints.values()]
    return dict(zip(hints, reader.read_with(decoders, pieces.samples(indices)), strict=True))


def _errors_by_group(
    readings: Sequence[Reading],
    groups: Mapping[str, Sequence[bool]],
    writers: Sequence[str] | None = None,
) -> Figures:
    """Return the errors of each group of readings; with writers their bootstrap too."""
    errors = {}
    for name, chosen in groups.items():
        group = list(compress(readings, chosen))
        errors[name] = reading_errors(group)
        if writers is not None and group:
            texts = [reading.text for reading in group]
            labels = [reading.line.label for reading in group]
            errors[name]["bootstrap"] = bootstrap(texts, labels, list(compress(writers, chosen)))
    return errors


def _lag(reader: Reader, pieces: EvaluationSet, language: Language) -> dict[str, Any]:
    """Return the errors in words and the latency of letters, by the lag that is allowed."""
    config = reader.config
    guide = LanguageGuide(language, config.labels)
    decoders = [
        BeamDecoder(config.labels, config.flush_columns, guide, replace(SWIFT, latest=steps))
        for steps in LAGS
    ]
    read = reader.read_with(decoders, pieces.samples(pieces.indices(WORDS)))
    return {
        f"{STEP_COLUMNS * steps}": reading_errors(own) | {"latency": latency(own)}
        for steps, own in zip(LAGS, read, strict=True)
    }


def _columns_per_s(
    decoder: Decoder, lines: Sequence[LineSample], scores: Sequence[Scores]
) -> float:
    """Return the columns that one core decodes in a second."""

    def decode() -> None:
        for line, own in zip(lines, scores, strict=True):
            decode_line(decoder.copy(), own, line.columns)

    return sum(map(len, scores)) / least_s(decode)


def lexicons(reader: Reader, pieces: EvaluationSet, language: Language) -> dict[str, Any]:
    """Return the errors in words read with lexicons that hold every written word.

    The rest of each are the most frequent words of English. It is used alone, and with a language
    model.
    """
    indices = pieces.indices(WORDS)
    written = sorted({word for label in pieces.labels(indices) for word in label.split()})
    hints: dict[str, Hints] = {}
    for size in SIZES:
        listed = closed(written, reader.config.labels, size)
        hints[f"{size}"] = Hints(lexicon=listed)
        hints[f"{size} and language"] = Hints(language, lexicon=listed)
    groups = {"all": [True] * len(indices), "unseen": pieces.unseen(indices)}
    return {"written": len(written)} | {
        name: _errors_by_group(readings, groups)
        for name, readings in _read(reader, pieces, indices, hints).items()
    }


def closed(written: Sequence[str], labels: Sequence[str], size: int) -> tuple[str, ...]:
    """Return `size` words: all written ones, and the most frequent ones of English.

    Raises `ConfigError` for a size that cannot hold the written ones.
    """
    if len(written) > size:
        raise ConfigError(f"a list of {size} words cannot hold {len(written)}")
    spelt = set(labels)
    frequent = (word for word in words_of("en", MAX_WORDS, LONGEST) if spelt.issuperset(word))
    return tuple(dict.fromkeys([*written, *frequent]))[:size]


def own_words(reader: Reader, pieces: EvaluationSet, language: Language) -> dict[str, Any]:
    """Return the errors in words of a user's list and in others, without and with the list."""
    indices = pieces.indices(WORDS)
    labels = pieces.labels(indices)
    words = {word for label in labels for word in label.split()}
    able = sorted(word for word in words if word.isalpha() and len(word) >= LEAST_OWN)
    own = tuple(np.random.default_rng(SEED).permutation(able)[:N_OWN].tolist())
    listed = [not set(own).isdisjoint(label.split()) for label in labels]
    hints = {"language": Hints(language), "language and list": Hints(language, words=own)}
    groups = {"listed": listed, "others": [not each for each in listed]}
    return {
        name: _errors_by_group(readings, groups)
        for name, readings in _read(reader, pieces, indices, hints).items()
    }


def dates(reader: Reader, ink: InkSet, part: Part) -> dict[str, Any]:
    """Return the errors in dates, each composed of one writer's own digits and marks.

    They are read without hints, with `characters`, and with two patterns.
    """
    separators = [mark for mark in SEPARATORS if mark in reader.config.labels]
    made = _written(ink, parts(ink)[part], separators)
    height = reader.config.column_height
    lines = []
    for line in made:
        fitted = fit(line.points, frame_of(line.points, MADE_FRAME), height)
        columns = rasterise(fitted, line.stroke_starts, height, PEN_WIDTH)
        lines.append(LineSample(columns, line.label, NO_ENDS))
    found: dict[str, Any] = {"writers": len({line.writer for line in made})}
    for name in ("nothing", "characters", "look", "date"):
        read: list[Reading] = []
        for separator in separators:
            own = [line for line in lines if separator in line.label]
            pattern = {"look": LOOK, "date": DATE}.get(name)
            hints = Hints(pattern=pattern and pattern.format(re.escape(separator)))
            characters = "".join(sorted(DIGITS)) + separator if name == "characters" else None
            read += reader.read_with([reader.decoder(hints, characters)], own)[0]
        found[name] = reading_errors(read)
    return found


def _written(
    ink: InkSet, indices: NDArray[np.int64], separators: Sequence[str]
) -> Sequence[ComposedLine]:
    """Compose random days, by each writer with all digits and a separator."""
    maker, rng = LineComposer(ink, indices, NOTHING_DRAWN), np.random.default_rng(DATES_SEED)
    made = []
    for separator in separators:
        for writer in maker.writers(DIGITS | {separator}):
            for day in rng.integers(DAYS, size=DATES_EACH).tolist():
                year, month, date = str(FIRST + np.timedelta64(day, "D")).split("-")
                made.append(maker.write(separator.join((date, month, year)), writer, rng))
    return made

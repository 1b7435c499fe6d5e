"""Measure what hints bring and cost: a language model, word lists, patterns of dates.

The same scores are decoded without hints and with them: `inkstream evaluate language`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress

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
from inkstream.model.decoding.hints import NO_HINTS, Hints, guide_of
from inkstream.model.decoding.ngrams import Language, open_all
from inkstream.model.errors import ConfigError
from inkstream.model.evaluation.evaluation_set import SEED, EvaluationSet
from inkstream.model.evaluation.report import Report, of_net
from inkstream.model.evaluation.streaming import latency, least_s, letter_calibration
from inkstream.model.metrics import Figures, errors_with_bootstrap
from inkstream.model.preprocess.ink import PEN_WIDTH, rasterise
from inkstream.model.reader import Reader, Reading, reading_errors
from inkstream.model.training.ngrams import LONGEST, MAX_WORDS


def report(
    checkpoint: Checkpoint, ink: InkSet, languages: Sequence[str], part: Part, limit: int | None
) -> Report:
    """Measure a transcriber with languages on the words and lines of a part of the ink.

    Languages are given as `open_all` takes them; the first is measured in full, the others' errors
    and speed are set beside its own. `limit` is the number of pieces of a category at most; None is
    all.
    """
    reader = Reader(checkpoint)
    config = reader.config
    opened = {
        name: tuple(file.language for file in open_all(name, config.labels)) for name in languages
    }
    first, *others = opened
    language = opened[first]
    pieces = EvaluationSet(
        ink, part, config.labels, config.column_height, limit, directions=config.directions
    )
    hints = {"plain": NO_HINTS, "guided": Hints(language)}
    hints |= {name: Hints(opened[name]) for name in others}
    contents = of_net(checkpoint) | {
        "data_digest": ink.digest,
        "split_digest": pieces.split_digest,
        "language": first,
        "ngrams": sum(map(len, language)),
        "order": max(one.about.order for one in language),
        "sources": [source for one in language for source in one.about.sources],
        "part": part,
    }
    listed = words_of("en", MAX_WORDS, LONGEST)
    word = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
    for kind, category in (("words", WORDS), ("lines", TEXT)):
        indices = pieces.indices(category)
        groups = {
            "all": [True] * len(indices),
            "unseen": pieces.unseen(indices),
            "outside": [  # labels with a word that the list of English words lacks
                any(text.lower() not in listed for text in word.findall(label))
                for label in pieces.labels(indices)
            ],
        }
        contents[kind] = _errors(reader, pieces, indices, hints, groups)
    contents["lag"] = _lag(reader, pieces, hints["guided"])
    contents["lexicons"] = lexicons(reader, pieces, language)
    contents["own_words"] = own_words(reader, pieces, language)
    contents["dates"] = dates(reader, ink, part)
    lines = pieces.samples(pieces.indices(WORDS)[:200])
    scores = reader.scores(lines)
    per_s = {
        name: _columns_per_s(reader.decoder(known), lines, scores) for name, known in hints.items()
    }
    contents |= {f"{name}_columns_per_s": per_s.pop(name) for name in ("plain", "guided")}
    contents["others_columns_per_s"] = per_s
    return Report("language", contents)


def _errors(
    reader: Reader,
    pieces: EvaluationSet,
    indices: Sequence[int],
    hints: Mapping[str, Hints],
    groups: Mapping[str, Sequence[bool]],
) -> dict[str, Figures]:
    """Return the errors of each group of pieces, their latency and their calibration error.

    The pieces are read with each of several hints, from the same scores.
    """
    decoders = [reader.decoder(known) for known in hints.values()]
    readings_of_hints = reader.read_with(decoders, pieces.samples(indices))
    by_hints: dict[str, Figures] = {}
    for name, readings in zip(hints, readings_of_hints, strict=True):
        figures: Figures = {
            "latency": latency(readings),
            "calibration": letter_calibration(readings)["expected_calibration_error"],
        }
        values = [r.text for r in readings], pieces.labels(indices), pieces.writers(indices)
        for group, chosen in groups.items():
            texts, labels, writers = (list(compress(of, chosen)) for of in values)
            figures[group] = errors_with_bootstrap(texts, labels, writers)
        by_hints[name] = figures
    return by_hints


def _lag(reader: Reader, pieces: EvaluationSet, known: Hints) -> Figures:
    """Return the errors in words and the latency of letters, by the lag that is allowed."""
    config = reader.config
    guide = guide_of(known, config.labels)
    assert guide is not None
    decoders = {  # by the steps after which a letter is final at the latest
        lag: BeamDecoder(config.labels, config.flush_columns, guide, replace(SWIFT, latest=lag))
        for lag in (4, 8, 12, 20, 30, 40)
    }
    by_lag = reader.read_with([*decoders.values()], pieces.samples(pieces.indices(WORDS)))
    return {
        f"{STEP_COLUMNS * lag}": reading_errors(readings) | {"latency": latency(readings)}
        for lag, readings in zip(decoders, by_lag, strict=True)
    }


def _columns_per_s(
    decoder: Decoder, lines: Sequence[LineSample], scores: Sequence[Scores]
) -> float:
    """Return the columns that one core decodes in a second."""

    def decode() -> None:
        for line, line_scores in zip(lines, scores, strict=True):
            decode_line(decoder.copy(), line_scores, line.columns)

    return sum(map(len, scores)) / least_s(decode)


def lexicons(reader: Reader, pieces: EvaluationSet, language: tuple[Language, ...]) -> Figures:
    """Return the errors in words read with lexicons that hold every written word.

    Each is filled up with the most frequent words of English. It is used alone, and with a language
    model.
    """
    indices = pieces.indices(WORDS)
    written = _written(pieces.labels(indices))
    hints: dict[str, Hints] = {}
    for size in (5_000, 20_000, 50_000):
        listed = closed(written, reader.config.labels, size)
        hints[f"{size}"] = Hints(lexicon=listed)
        hints[f"{size} and language"] = Hints(language, lexicon=listed)
    return _errors(reader, pieces, indices, hints, {"all": [True] * len(indices)})


def _written(labels: Sequence[str]) -> list[str]:
    return sorted({word for label in labels for word in label.split()})


def closed(written: Sequence[str], labels: Sequence[str], size: int) -> tuple[str, ...]:
    """Return `size` words: all written ones, and the most frequent ones of English.

    Raises `ConfigError` for a size that cannot hold the written ones.
    """
    if len(written) > size:
        raise ConfigError(f"a list of {size} words cannot hold {len(written)}")
    spelt = set(labels)
    frequent = (word for word in words_of("en", MAX_WORDS, LONGEST) if spelt.issuperset(word))
    return tuple(dict.fromkeys([*written, *frequent]))[:size]


def own_words(reader: Reader, pieces: EvaluationSet, language: tuple[Language, ...]) -> Figures:
    """Return the errors in 100 words of a user's list and in others, without and with the list."""
    indices = pieces.indices(WORDS)
    labels = pieces.labels(indices)
    candidates = [word for word in _written(labels) if word.isalpha() and len(word) >= 3]
    user_words = tuple(np.random.default_rng(SEED).permutation(candidates)[:100].tolist())
    listed = [not set(user_words).isdisjoint(label.split()) for label in labels]
    hints = {
        "language": Hints(language),
        "language and list": Hints(language, words=user_words),
    }
    groups = {"listed": listed, "others": [not is_listed for is_listed in listed]}
    return _errors(reader, pieces, indices, hints, groups)


def dates(reader: Reader, ink: InkSet, part: Part) -> Figures:
    """Return the errors in dates, each composed of one writer's digits and marks.

    They are read without hints, with `characters`, and with two patterns: `look` has the shape of a
    date, `date` its valid values.
    """
    separators = [mark for mark in "./-" if mark in reader.config.labels]
    composed = _composed_dates(ink, parts(ink)[part], separators)
    height = reader.config.column_height
    lines = []
    for date in composed:
        fitted = fit(date.points, frame_of(date.points, MADE_FRAME), height)
        columns = rasterise(fitted, date.stroke_starts, height, PEN_WIDTH)
        lines.append(LineSample(columns, date.label, NO_ENDS))
    readings: dict[str, list[Reading]] = {"nothing": [], "characters": [], "look": [], "date": []}
    for mark in separators:
        escaped = re.escape(mark)
        days, months = "(0[1-9]|[12][0-9]|3[01])", "(0[1-9]|1[0-2])"
        shape = f"[0-9]{{2}}{escaped}[0-9]{{2}}{escaped}[0-9]{{4}}"
        valid = f"{days}{escaped}{months}{escaped}(19|20)[0-9]{{2}}"
        decoders = [
            reader.decoder(),
            reader.decoder(characters="".join(sorted(DIGITS)) + mark),
            reader.decoder(Hints(pattern=shape)),
            reader.decoder(Hints(pattern=valid)),
        ]
        with_mark = [line for line in lines if mark in line.label]
        for name, read in zip(readings, reader.read_with(decoders, with_mark), strict=True):
            readings[name] += read
    return {"writers": len({date.writer for date in composed})} | {
        name: reading_errors(read) for name, read in readings.items()
    }


def _composed_dates(
    ink: InkSet, indices: NDArray[np.int64], separators: Sequence[str]
) -> list[ComposedLine]:
    """Compose 20 random days from 1900 to 2099 by each writer with all digits and a separator."""
    only_given_texts = Recipe(spelt=0, words=0, numbers=0, random=0)
    composer, rng = LineComposer(ink, indices, only_given_texts), np.random.default_rng(0)
    first, end = np.datetime64("1900-01-01"), np.datetime64("2100-01-01")
    composed = []
    for mark in separators:
        for writer in composer.writers(DIGITS | {mark}):
            for day in rng.integers((end - first).astype(int), size=20).tolist():
                year, month, date = str(first + np.timedelta64(day, "D")).split("-")
                composed.append(composer.write(mark.join((date, month, year)), writer, rng))
    return composed

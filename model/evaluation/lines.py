"""Measure a net for lines on unseen writers: `inkstream evaluate lines`.

Every line is flushed after its ink.
"""

import json
from collections.abc import Sequence
from functools import partial
from itertools import compress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final

import numpy as np

from inkstream.model.checkpoint import Checkpoint, read
from inkstream.model.data.images import Dataset
from inkstream.model.data.ink_set import STYLES, TEXT, WORDS, InkSet
from inkstream.model.data.split import Part
from inkstream.model.errors import DataError
from inkstream.model.evaluation import plots, streaming
from inkstream.model.evaluation.baselines import Baseline, compare
from inkstream.model.evaluation.evaluation_set import (
    CHARACTERS,
    SEED,
    EvaluationSet,
    digit_lines,
)
from inkstream.model.evaluation.report import REPORT, Contents, Report, of_file
from inkstream.model.metrics import (
    Figures,
    character_f1,
    confusions,
    error_ratios,
    errors,
    errors_by,
    is_mark,
)
from inkstream.model.reader import Reader, Reading, reading_errors
from inkstream.model.train import train
from inkstream.model.training.config import HAND, LinesConfig, RunOptions

COUNTRIES: Final = {  # where UNIPEN's donors, or their writers, are by their documentation
    "USA": (
        "anj apa apb apc apd app att bba bbb bbc bbd cea cec ced cee ibm imt lex mot pri scr syn"
    ),
    "United Kingdom": "hpb hpp imp not sta",
    "Germany": "abm dar gmd kar",
    "France": "int pap",
    "Belgium": "lou",
    "Spain": "val",
    "Israel": "huj rim",
    "Canada": "lav",
    "Japan": "tos",
    "Korea": "kai",
    "several countries": "pcl",
}
COUNTRY_OF: Final = {donor: name for name, donors in COUNTRIES.items() for donor in donors.split()}

SIDES: Final = {"words": WORDS, "text": TEXT}
LENGTHS: Final = {WORDS: (2, 4, 6, 9), TEXT: (5, 10, 20, 40)}  # the longest labels of their groups
LEAST_WORDS: Final = 100  # of a writer to whom the net is adapted


def contents_of(folder: Path) -> Contents:
    """Return the contents of the report in `folder`, nothing if there is none."""
    file = folder / REPORT
    try:
        contents: Contents = json.loads(file.read_bytes()) if file.exists() else {}
    except ValueError as error:
        raise DataError(f"{file} is damaged: {error}") from error
    return contents


def report(
    checkpoint: Checkpoint,
    ink: InkSet,
    digits: Dataset,
    *,
    part: Part = "test",
    limit: int | None = None,
    baselines: Sequence[Baseline] = (),
    n_writers: int = 0,
    earlier: Contents = MappingProxyType({}),
) -> Report:
    """Measure a transcriber on UNIPEN's ink and on MNIST's test images.

    Args:
        checkpoint: of the net.
        ink: all of it.
        digits: the images.
        part: whose pieces are read.
        limit: pieces of a category at most, and lines of other checks; None is all.
        baselines: other recognisers, which read the same ink.
        n_writers: writers for whom the net is adapted, one by one.
        earlier: contents of a report, see `_kept`.
    """
    reader = Reader(checkpoint)
    config = reader.config
    pieces = EvaluationSet(
        ink, part, config.labels, config.column_height, limit, directions=config.directions
    )
    words, word_readings = _read(reader, pieces, WORDS)
    text, text_readings = _read(reader, pieces, TEXT)
    readings = word_readings + text_readings
    texts, labels = [r.text for r in readings], [r.line.label for r in readings]
    indices, text_indices = pieces.indices(WORDS), pieces.indices(TEXT)
    sides = {"words": words, "text": text}
    n_columns = sum(len(reading.line.columns) for reading in readings)
    metadata = checkpoint.metadata
    contents = of_file(checkpoint) | {
        "parameters": metadata.parameters,
        "column_height": metadata.config.column_height,
        "checkpoint_bytes": len(checkpoint.content),
        "data": metadata.data,
        "data_digest": ink.digest,
        "split_digest": pieces.split_digest,
        "part": part,
        "limit": limit,
        "writers": len(pieces.by_writer(indices + text_indices)),
        "left_out": pieces.n_left_out,
        **sides,
        "characters": _characters(reader, pieces),
        "digits": _digits(reader, digits, limit),
        "letter_ends": _letter_ends(readings, pieces, indices + text_indices),
        "letter_end_scores": streaming.end_calibration(readings),
        "latency": streaming.latency(readings),
        "error_by_delay": streaming.error_by_delay(readings),
        "word_ends": streaming.word_ends(readings),
        "marks": character_f1(texts, labels, is_mark),
        "letter_calibration": streaming.letter_calibration(readings),
        "confusions": confusions(texts, labels, 25),
        "finality": streaming.finality(reader, readings),
        "drift": streaming.drift(reader, pieces, indices, limit or len(indices)),
        "speed": streaming.speed(reader, pieces, indices),
        "adaptation": adaptation(checkpoint, pieces, n_writers) if n_writers else {},
        "baselines": {
            baseline.name: compare(pieces, baseline, reader.config.labels, sides, n_columns)
            for baseline in baselines
        },
    }
    contents |= _kept(contents, earlier)
    shown = {"words": word_readings, "lines": text_readings}
    return Report("lines", contents, partial(plots.draw_lines_report, contents, reader, shown))


def _kept(contents: Contents, earlier: Contents) -> Figures:
    """Return the optional measurements that were not asked for now, from a report on these pieces.

    Baselines read the same pieces whatever the weights of the net are.
    """
    same_pieces = ("data_digest", "split_digest", "part", "limit")
    if any(contents[key] != earlier.get(key) for key in same_pieces):
        return {"kept": []}
    same_net = contents["checkpoint_sha256"] == earlier.get("checkpoint_sha256")
    usable = ("baselines", "adaptation") if same_net else ("baselines",)
    kept = {key: earlier[key] for key in usable if not contents[key] and earlier.get(key)}
    for figures in kept.get("baselines", {}).values():
        for side in SIDES:
            ours = contents[side]["bootstrap"]
            figures[side]["ratios"] = error_ratios(figures[side]["bootstrap"], ours)
    return kept | {"kept": sorted(kept)}


def _read(reader: Reader, pieces: EvaluationSet, category: str) -> tuple[Figures, list[Reading]]:
    """Return the errors of a category as a whole and by groups, and the readings."""
    indices = pieces.indices(category)
    labels = pieces.labels(indices)
    writers = pieces.writers(indices)
    readings = reader.read(pieces.samples(indices))
    texts = [reading.text for reading in readings]
    lengths, order = _length_groups(labels, LENGTHS[category])
    frames: Figures = {"75%": {"size": 0.75}, "50%": {"size": 0.5}, "cut out": {"tight": True}}
    donors = [writer.partition("/")[0] for writer in writers]
    countries = [COUNTRY_OF.get(donor, "not documented") for donor in donors]
    ink = pieces.pieces.ink
    styles = [STYLES[style] for style in ink.styles[pieces.pieces.indices[indices]]]
    figures = pieces.errors(indices, texts) | {
        "by_donor": errors_by(donors, texts, labels, writers=writers),
        "by_country": errors_by(countries, texts, labels, writers=writers),
        "by_style": errors_by(styles, texts, labels, STYLES, writers),
        "by_length": errors_by(lengths, texts, labels, order),
        "by_size": {"100%": errors(texts, labels)}
        | {
            name: reading_errors(reader.read(pieces.samples(indices, **frame)))
            for name, frame in frames.items()
        },
    }
    if reader.config.directions:
        as_images = reader.read(pieces.samples(indices, directions=False))
        texts = [reading.text for reading in as_images]
        figures["without_directions"] = pieces.errors(indices, texts)
    return figures, readings


def _length_groups(labels: Sequence[str], lasts: Sequence[int]) -> tuple[list[str], list[str]]:
    """Return the group of lengths of each label, and all groups in their order."""
    firsts = (1, *(last + 1 for last in lasts))
    names = [f"{first}-{last}" for first, last in zip(firsts, lasts, strict=False)]
    names.append(f"{firsts[-1]}+")
    return [names[sum(len(label) > last for last in lasts)] for label in labels], names


def _characters(reader: Reader, pieces: EvaluationSet) -> dict[str, Figures]:
    """Return the errors of single characters when only those of their kind are allowed."""
    figures = {}
    for category, characters in CHARACTERS.items():
        if set(characters) <= set(reader.config.labels):
            indices = pieces.indices(category)
            texts = [reading.text for reading in reader.read(pieces.samples(indices), characters)]
            figures[category] = errors(texts, pieces.labels(indices))
    return figures


def _digits(reader: Reader, digits: Dataset, limit: int | None) -> Figures:
    """Return the errors of images of digits; nothing where the net lacks labels for them."""
    if not set(CHARACTERS["1a"]) <= set(reader.config.labels):
        return {}
    dataset = digits if limit is None else digits.take(np.arange(min(limit, len(digits))))
    lines = digit_lines(dataset, reader.config.column_height)
    figures = reading_errors(reader.read(lines, CHARACTERS["1a"]))
    return {"data": dataset.name, "data_digest": dataset.digest, **figures}


def _letter_ends(
    readings: Sequence[Reading], pieces: EvaluationSet, indices: Sequence[int]
) -> Figures:
    """Return the F1 of letter ends: of all pieces that have them, by whether letters are joined.

    The data's own styles say less: they call few joined pieces cursive.
    """
    figures: Figures = {"reach_columns": streaming.REACH}
    with_ends = np.array([streaming.has_ends(reading) for reading in readings], bool)
    joined = pieces.pieces.ink.joined()[pieces.pieces.indices[indices]]
    groups = {"all": with_ends, "apart": with_ends & ~joined, "joined": with_ends & joined}
    for name, chosen in groups.items():
        figures[name] = {
            "pieces": int(chosen.sum()),
            "writers": len(pieces.by_writer(list(compress(indices, chosen)))),
            **streaming.letter_ends(list(compress(readings, chosen))),
        }
    return figures


# Adaptation to one writer: `inkstream train hand`, tried on several writers


def adaptation(
    checkpoint: Checkpoint, pieces: EvaluationSet, n_writers: int, config: LinesConfig = HAND
) -> Figures:
    """Train on the first half of each writer's words; read the second half before and after.

    Training takes the user's way: a file of ink, of which a tenth is held out. Words of the second
    half whose text the first half lacks (`new_words`) are counted apart too. Of the writers with
    enough words `n_writers` are drawn, or all if there are fewer.
    """
    writers: list[Figures] = []
    words: list[tuple[Reading, Reading]] = []  # before and after
    is_new: list[bool] = []
    for indices in _writers(pieces, n_writers):
        first, second = indices[: len(indices) // 2], indices[len(indices) // 2 :]
        with TemporaryDirectory() as scratch:
            trained = _trained(checkpoint, pieces, first, Path(scratch), config)
        lines, known = pieces.samples(second), set(pieces.labels(first))
        pairs = list(zip(Reader(checkpoint).read(lines), Reader(trained).read(lines), strict=True))
        pairs_new = [line.label not in known for line in lines]
        words += pairs
        is_new += pairs_new
        donor = pieces.writers(second)[0].partition("/")[0]
        writers.append({"donor": donor, "trained_on": len(first), **_reductions(pairs, pairs_new)})
    return {"config_digest": config.digest, "writers": writers, **_reductions(words, is_new)}


def _writers(pieces: EvaluationSet, n_writers: int) -> list[list[int]]:
    """Return the words of each chosen writer, in the order of the data."""
    order = pieces.pieces.indices
    words = [
        sorted(indices, key=lambda index: int(order[index]))
        for _, indices in sorted(pieces.by_writer(pieces.indices(WORDS)).items())
        if len(indices) >= LEAST_WORDS
    ]
    chosen = np.random.default_rng(SEED).permutation(len(words))[:n_writers]
    return [words[number] for number in sorted(chosen.tolist())]


def _trained(
    checkpoint: Checkpoint,
    pieces: EvaluationSet,
    indices: Sequence[int],
    scratch: Path,
    config: LinesConfig,
) -> Checkpoint:
    """Train the net of `checkpoint` on some pieces; `scratch` is an empty folder."""
    ink = scratch / "ink.jsonl"
    with ink.open("w") as file:
        for index in indices:
            piece = pieces.piece(index)
            strokes = [stroke.tolist() for stroke in piece.strokes]
            file.write(json.dumps({"strokes": strokes, "label": piece.label}) + "\n")
    path = train(config, RunOptions(run=scratch / "run", data=ink, init=checkpoint.path))
    assert path is not None  # no time limit was set
    return read(path)


def _reductions(words: Sequence[tuple[Reading, Reading]], is_new: Sequence[bool]) -> Figures:
    """Return errors before and after, and by what share they fell: of all and of new words."""
    figures: Figures = {}
    for name, pairs in (("all", words), ("new_words", list(compress(words, is_new)))):
        before, after = (reading_errors([pair[side] for pair in pairs]) for side in (0, 1))
        reduction = 1 - after["cer"] / before["cer"] if before["cer"] else None
        figures[name] = {"before": before, "after": after, "reduction": reduction}
    return figures

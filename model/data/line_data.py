"""Load ink, lines on real paper and single letters to train a net for lines on, and divide it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import WESTERN
from inkstream.model.data import split
from inkstream.model.data.ink_set import InkSet
from inkstream.model.data.sources import ink_files, unipen
from inkstream.model.data.sources.letters import SingleLetters, load_letters
from inkstream.model.data.sources.paper import PaperLines, load_lines
from inkstream.model.errors import DataError
from inkstream.model.preprocess.ink_pieces import SUFFIXES


@dataclass(frozen=True, slots=True, eq=False)
class LineData:
    """Labelled ink, divided into training and validation pieces."""

    name: str
    ink: InkSet
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    characters: tuple[str, ...]  # of its labels, or composed of these, in order
    skipped: Mapping[str, int] = field(default_factory=dict)  # pieces that it lacks, by reason
    paper: Sequence[PaperLines] = ()
    letters: Sequence[SingleLetters] = ()  # whose ink is the last in `ink`


def load_data(
    source: Path | None, paper: Sequence[Path] = (), letters: Sequence[Path] = ()
) -> LineData:
    """Load ink as `load_ink` does, and lines on real paper and single letters.

    Raises `DataError` when a file cannot be read, or has no line to train on or to validate with.
    """
    data = replace(load_ink(source), paper=[load_lines(path) for path in paper])
    for path, lines in zip(paper, data.paper, strict=True):
        for part in split.PARTS[:2]:
            if not len(lines.part(part)):
                raise DataError(f"{path} has {len(lines.texts)} lines, none of them for {part}")
    return with_letters(data, [load_letters(path) for path in letters]) if letters else data


def with_letters(data: LineData, files: Sequence[SingleLetters]) -> LineData:
    """Add the training letters of files to the training pieces, and all their ink to the ink."""
    sets = [data.ink, *(file.ink for file in files)]
    starts = accumulate(map(len, sets))
    added = [start + file.parts["train"] for start, file in zip(starts, files, strict=False)]
    left_out = {f"of {file.name} with labels that no net has": file.n_left_out for file in files}
    return replace(
        data,
        name=", ".join([data.name, *(file.name for file in files)]),
        ink=InkSet.concatenated(sets),
        training=np.concatenate([data.training, *added]),
        skipped={**data.skipped, **left_out},
        letters=files,
    )


def load_ink(source: Path | None) -> LineData:
    """Load UNIPEN's ink (None, its archive, its folder), or a user's (.jsonl, .inkml, a folder).

    The characters of UNIPEN are all of `WESTERN`, since its glyphs compose them.

    Raises `DataError` when it cannot be read, or is too little for validation.
    """
    if source is not None and ink_files.files_of(source):
        labelled = ink_files.read(source)
        data = own_ink(source.name, labelled.ink, labelled.groups)
        return replace(data, skipped=labelled.statistics.skipped)
    try:
        ink, _ = unipen.read(source)
    except DataError as error:
        if source is None or not source.is_dir():
            raise
        raise DataError(f"{error}, and no {' or '.join(SUFFIXES)} file") from error
    parts = split.parts(ink)
    return LineData("UNIPEN train_r01_v07", ink, parts["train"], parts["validation"], WESTERN)


def own_ink(name: str, ink: InkSet, groups: NDArray[np.int64] | None = None) -> LineData:
    """Divide a user's ink, a tenth for validation; `groups` as in `split_own_ink`, None if none.

    Raises `DataError` when it is too little for that.
    """
    if len(ink) < split.ONE_IN:
        raise DataError(f"{name} has {len(ink)} labelled pieces, expected at least {split.ONE_IN}")
    parts = split.split_own_ink(ink, np.arange(len(ink)) if groups is None else groups)
    if not len(parts["validation"]):
        raise DataError(
            f"{name} has {len(ink)} labelled pieces that all have ink in common,"
            " expected some apart from the others, to hold out"
        )
    characters = tuple(sorted({" ", *"".join(ink.labels)}))
    return LineData(name, ink, parts["train"], parts["validation"], characters)

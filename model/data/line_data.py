"""Load ink, lines on paper and single letters to train a net for lines on, and divide them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import WESTERN
from inkstream.model.data import split
from inkstream.model.data.ink_set import InkSet
from inkstream.model.data.sources import ink_files, line_images, unipen
from inkstream.model.data.sources.letters import SingleLetters, load_letters
from inkstream.model.data.sources.paper import PaperLines, load_lines
from inkstream.model.errors import DataError
from inkstream.model.preprocess import ink_pieces

SUFFIXES: Final = (*ink_pieces.SUFFIXES, *line_images.SUFFIXES)  # of a user's labelled data


@dataclass(frozen=True, slots=True, eq=False)
class LineData:
    """Labelled ink, divided into training and validation pieces, and images of lines."""

    name: str
    ink: InkSet
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    characters: tuple[str, ...]  # of its labels, or composed of these, in order
    skipped: Mapping[str, int] = field(default_factory=dict)  # pieces that it lacks, by reason
    paper: Sequence[PaperLines] = ()
    letters: Sequence[SingleLetters] = ()  # whose ink is the last in `ink`


def load_data(
    source: Path | None,
    paper: Sequence[Path] = (),
    letters: Sequence[Path] = (),
    held_out: float = split.HELD_OUT,
) -> LineData:
    """Load ink and images as `load_labelled` does, and lines on real paper and single letters.

    Raises `DataError` when a file cannot be read, or has no line to train on or to validate with.
    """
    data = load_labelled(source, held_out)
    archives = [load_lines(path) for path in paper]
    for path, lines in zip(paper, archives, strict=True):
        for part in split.PARTS[:2]:
            if not len(lines.part(part)):
                raise DataError(f"{path} has {len(lines.texts)} lines, none of them for {part}")
    data = replace(data, paper=[*data.paper, *archives])
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


def load_labelled(source: Path | None, held_out: float = split.HELD_OUT) -> LineData:
    """Load UNIPEN's ink (None, its archive, its folder), or a user's data (see `load_own`).

    The characters of UNIPEN are all of `WESTERN`, since its glyphs compose them.

    Raises `DataError` when it cannot be read, or is too little for validation.
    """
    if source is not None and is_own(source):
        return load_own(source, held_out)
    try:
        ink, _ = unipen.read(source)
    except DataError as error:
        if source is None or not source.is_dir():
            raise
        raise DataError(f"{error}, and no {' or '.join(SUFFIXES)} file") from error
    parts = split.parts(ink)
    return LineData("UNIPEN train_r01_v07", ink, parts["train"], parts["validation"], WESTERN)


def is_own(source: Path) -> bool:
    """Tell whether a path is a file of a user's labelled data, or a folder with one."""
    return bool(ink_files.files_of(source, SUFFIXES))


def load_own(source: Path, held_out: float = split.HELD_OUT) -> LineData:
    """Load a user's ink and images of lines and pages, and hold a share of both out, or 0.

    Raises `DataError` when a file cannot be read, or there is too little for that.
    """
    if ink_files.files_of(source):
        labelled = ink_files.read(source)
        data = own_ink(source.name, labelled.ink, labelled.groups, held_out)
        data = replace(data, skipped=labelled.statistics.skipped)
    else:
        no_ink, none = InkSet.of(()), np.empty(0, np.int64)
        data = LineData(source.name, no_ink, none, none, (" ",))
    paper, left_out = line_images.read(source, held_out)
    texts = [text for lines in paper for text in lines.texts]
    skipped = {**data.skipped, **left_out}
    n_lines, least = len(data.ink) + len(texts), 2 if held_out else 1
    if n_lines < least:
        reasons = "".join(f"; left out: {count} {why}" for why, count in skipped.items() if count)
        raise DataError(f"{source} has {n_lines} labelled lines, expected {least} or more{reasons}")
    characters = tuple(sorted({*data.characters, *"".join(texts)}))
    return replace(data, paper=paper, characters=characters, skipped=skipped)


def own_ink(
    name: str,
    ink: InkSet,
    groups: NDArray[np.int64] | None = None,
    held_out: float = split.HELD_OUT,
) -> LineData:
    """Divide a user's ink, a share for validation; `groups` as in `split_own_ink`, None if none.

    Raises `DataError` when it is too little for that.
    """
    if held_out and not int(held_out * len(ink)):
        raise DataError(
            f"{name} has {len(ink)} labelled pieces, expected at least {math.ceil(1 / held_out)}"
        )
    parts = split.split_own_ink(ink, np.arange(len(ink)) if groups is None else groups, held_out)
    if held_out and not len(parts["validation"]):
        raise DataError(
            f"{name} has {len(ink)} labelled pieces that all have ink in common,"
            " expected some apart from the others, to hold out"
        )
    characters = tuple(sorted({" ", *"".join(ink.labels)}))
    return LineData(name, ink, parts["train"], parts["validation"], characters)

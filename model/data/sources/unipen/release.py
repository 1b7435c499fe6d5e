"""Find UNIPEN's release, read it whole, and keep its ink in the cache."""

import lzma
import os
import tarfile
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from inkstream.model.data.ink_set import CATEGORIES, STYLES, InkSet, Piece
from inkstream.model.data.sources.unipen.format import Page, Segment, read_labels, read_page
from inkstream.model.data.sources.unipen.pieces import cut_out, guides, with_letters
from inkstream.model.data.statistics import Statistics
from inkstream.model.errors import DataError

INK: Final = "unipen.npz"
CENSUS: Final = "census.json"


def cache_folder() -> Path:
    """Return where the ink that was read once is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "inkstream" / "unipen"


def read(source: Path | None = None) -> tuple[InkSet, Statistics]:
    """Read an archive (.tar, .tar.gz, .tar.xz), its unpacked folder, or a folder that `keep` wrote.

    The whole release takes about a minute. None is the cache. Raises `DataError` when the source is
    none of these, or broken off.
    """
    folder = source or cache_folder()
    if (folder / INK).is_file():
        return InkSet.load(folder / INK), Statistics.load(folder / CENSUS)
    if source is None:
        raise DataError(f"{folder / INK} is not there: inkstream data unipen ARCHIVE reads it")
    if source.is_dir():
        return _read_folder(source)
    with tempfile.TemporaryDirectory() as unpacked:
        _unpack(source, unpacked)
        return _read_folder(Path(unpacked))


def keep(ink: InkSet, counts: Statistics, folder: Path) -> None:
    """Write ink for `read` into `folder`; raise `DataError`, and write nothing, without ink."""
    if not len(ink):
        raise DataError(
            f"no labelled ink was found, {sum(counts.skipped.values())} segments were skipped:"
            f" what is kept in {folder} stays as it is"
        )
    folder.mkdir(parents=True, exist_ok=True)
    ink.save(folder / INK)
    counts.save(folder / CENSUS)


def keep_archive(archive: Path) -> None:
    """Read the archive and keep its ink in the cache, unless there is some."""
    if not (cache_folder() / INK).is_file():
        keep(*read(archive), cache_folder())


def _unpack(source: Path, folder: str) -> None:
    with (
        source.open("rb") as file,
        tqdm.wrapattr(file, "read", source.stat().st_size, desc="unpacking", disable=None) as bar,
    ):
        try:
            with tarfile.open(fileobj=cast(Any, bar)) as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
            message = f"{source} is no archive of UNIPEN, or is incomplete or damaged: {error}"
            raise DataError(message) from error


def _read_folder(folder: Path) -> tuple[InkSet, Statistics]:
    """Read the release whose top folder this is, or is in this."""
    for root in (folder, *sorted(folder.glob("*/"))):
        if (root / "data").is_dir() and (root / "include").is_dir():
            break
    else:
        raise DataError(f"{folder} has no folders data and include, as UNIPEN's release has")
    counts = Statistics()
    try:
        ink = InkSet.of(_read_pages(root, counts))
    except (ArithmeticError, LookupError, RecursionError, ValueError) as error:
        raise DataError(f"{root} has a damaged file, or is of another release: {error}") from error
    is_short = _is_cut_short(ink)
    if n_short := int(is_short.sum()):
        counts.skipped["label longer than its ink"] = n_short
    return ink.take(np.flatnonzero(~is_short)), counts


def _read_pages(root: Path, counts: Statistics) -> Iterator[Piece]:
    """Read each page of ink once, for the label files of all categories that include it."""
    segments: dict[tuple[str, ...], list[Segment]] = defaultdict(list)  # by what they include
    for category in tqdm(CATEGORIES, "finding labels", disable=None):
        for path in sorted(root.glob(f"data/{category}/*/**/*.dat")):
            donor = path.relative_to(root).parts[2]
            included, labelled = read_labels(path.read_bytes(), category, donor)
            segments[included] += labelled
    for paths, of_page in tqdm(segments.items(), "reading pages of ink", disable=None):
        try:
            page = read_page(paths, lambda path: (root / "include" / path).read_bytes())
        except FileNotFoundError:
            counts.skipped["an included file is missing"] += len(of_page)
            continue
        yield from _pieces(page, of_page, counts)


def _pieces(page: Page, segments: list[Segment], counts: Statistics) -> Iterator[Piece]:
    """Yield the pieces that segments name in the ink of a page; count those that can't be used."""
    if segments and page.n_incomplete_lines:
        counts.changed["unreadable points left out"] += page.n_incomplete_lines
    cuts = []
    for segment in segments:
        try:
            cuts.append(cut_out(page, segment, counts))
        except DataError as reason:
            counts.skipped[str(reason)] += 1
    lettered = list(with_letters(cuts, len(page.points), counts))
    for cut, pair in zip(lettered, guides(lettered), strict=True):
        style = cut.header.style.lower()
        yield Piece(
            cut.points, cut.stroke_starts, cut.letter_of_point, cut.label,
            category=cut.segment.category,
            writer=f"{cut.segment.donor}/{cut.header.writer}",
            style=style if style in STYLES else STYLES[0],
            guides=pair,
        )  # fmt: skip


def _is_cut_short(ink: InkSet) -> NDArray[np.bool_]:
    """Mark the pieces with far less ink a letter than their writer usually needs, [N].

    Of labels of three letters or more, those with less than 30 % are wrong, or their ink is broken.
    """
    n_letters = np.array([sum(map(str.isalnum, label)) for label in ink.labels], np.int64)
    is_judged = n_letters >= 3
    per_letter = np.zeros(len(ink))
    for index in np.flatnonzero(is_judged).tolist():
        strokes = [stroke.astype(np.float64) for stroke in ink.piece(index).strokes]
        steps = (np.diff(stroke, axis=0) for stroke in strokes)
        per_letter[index] = sum(np.hypot(*step.T).sum() for step in steps) / n_letters[index]
    is_short = np.zeros(len(ink), np.bool_)
    for writer in np.unique(ink.writers[is_judged]):
        pieces = is_judged & (ink.writers == writer)
        is_short[pieces] = per_letter[pieces] < 0.3 * np.median(per_letter[pieces])
    return is_short

"""UNIPEN's training release `train_r01_v07` (Zenodo record 1195803): found, read whole, kept.

Below its top folder, `data/CATEGORY/DONOR/...` holds labels, which include ink from `include/...`.
`format` reads the files, `segments` cuts each labelled piece of ink out of its page, and `labels`
cleans the labels by rules, which are counted.
"""

import lzma
import os
import shutil
import tarfile
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Hashable, Iterator
from itertools import compress
from pathlib import Path
from typing import IO, Final, cast

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from inkstream.model.data.ink_set import CATEGORIES, InkSet, Piece
from inkstream.model.data.sources.unipen.format import includes, own_ink, read_page, read_segments
from inkstream.model.data.sources.unipen.segments import Source, pieces_of_page
from inkstream.model.data.statistics import Statistics, donors
from inkstream.model.errors import DataError

INK: Final = "unipen.npz"
CENSUS: Final = "census.json"

BLOCK: Final = 10_000  # pieces measured at once
LEAST_LETTERS: Final = 3  # in a label that can be called longer than its ink
SHORT_SHARE: Final = 0.3  # of the usual ink a letter: below are wrong labels and broken ink alone


def cache_folder() -> Path:
    """Return where the ink that was read once is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "inkstream" / "unipen"


def read(source: Path | None = None) -> tuple[InkSet, Statistics]:
    """Read the release, whole, which takes about a minute; or what `keep` kept of it, in seconds.

    Args:
        source: the archive (.tar, .tar.gz, .tar.xz), its unpacked folder, or a folder that `keep`
            wrote; None is the cache.

    Raises `DataError` when the source is none of these, or broken off.
    """
    if source is None:
        source = cache_folder()
        if not (source / INK).is_file():
            raise DataError(f"{source / INK} is not there: inkstream data unipen ARCHIVE reads it")
    if (source / INK).is_file():
        return InkSet.load(source / INK), Statistics.load(source / CENSUS)
    if source.is_dir():
        return _read_folder(source)
    with tempfile.TemporaryDirectory() as folder:
        _unpack(source, folder)
        return _read_folder(Path(folder))


def _unpack(source: Path, folder: str) -> None:
    with (
        source.open("rb") as opened,
        _seekable(opened) as file,
        tqdm.wrapattr(
            file, "read", os.fstat(file.fileno()).st_size, desc="unpacking", disable=None
        ) as read_file,
    ):
        try:
            archive = tarfile.open(fileobj=cast(IO[bytes], read_file))  # noqa: SIM115 - closed below
        except tarfile.TarError as error:
            raise DataError(
                f"{source} is neither an archive nor a folder of UNIPEN: {error}"
            ) from error
        with archive:
            try:
                archive.extractall(folder, filter="data")
            except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
                raise DataError(f"{source} is incomplete or damaged: {error}") from error


def _seekable(file: IO[bytes]) -> IO[bytes]:
    """Return a file, or a temporary copy of what a pipe gives: `tarfile` goes back in its input."""
    if file.seekable():
        return file
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy


def keep(ink: InkSet, counts: Statistics, folder: Path) -> None:
    """Write what was read into `folder`, so that `read` finds it there.

    Raises `DataError`, and leaves what is kept there, when nothing was read.
    """
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


def _read_folder(folder: Path) -> tuple[InkSet, Statistics]:
    for root in (folder, *sorted(folder.glob("*/"))):
        if (root / "data").is_dir() and (root / "include").is_dir():
            break
    else:
        raise DataError(f"{folder} has no folders data and include, as UNIPEN's release has")
    counts = Statistics()
    ink = InkSet.of(_read_pages(root, counts))
    short = _is_cut_short(ink)
    categories = [CATEGORIES[category] for category in ink.categories]
    keys = list(zip(categories, donors(ink).tolist(), strict=True))
    counts.skipped.update(("label longer than its ink", *key) for key in compress(keys, short))
    counts.pieces.update(compress(keys, ~short))
    return ink.take(np.flatnonzero(~short)), counts


def _read_pages(root: Path, counts: Statistics) -> Iterator[Piece]:
    """Read each page of ink once, for the label files of all categories that refer to it."""
    label_files: dict[Hashable, list[Path]] = defaultdict(list)
    for category in tqdm(CATEGORIES, "finding labels", disable=None):
        for path in sorted(root.glob(f"data/{category}/*/**/*.dat")):
            text = path.read_bytes()
            label_files[includes(text), own_ink(text)].append(path)
    for paths in tqdm(label_files.values(), "reading pages of ink", disable=None):
        sources = []
        for path in paths:
            category, donor = path.relative_to(root / "data").parts[:2]
            segments = read_segments(path.read_bytes())
            sources += [Source(category, donor, segment) for segment in segments]
        try:
            page = read_page(
                paths[0].read_bytes(), lambda name: (root / "include" / name).read_bytes()
            )
        except (DataError, OSError) as error:
            reason = "an included file can't be read"
            if isinstance(error, DataError):
                reason = str(error)
            elif isinstance(error, FileNotFoundError):
                reason = "an included file is missing"
            counts.skipped.update((reason, *source.key) for source in sources)
            continue
        yield from pieces_of_page(page, sources, counts)


def _is_cut_short(ink: InkSet) -> NDArray[np.bool_]:
    """Mark the pieces whose ink is far shorter than usual for the writer and the label, [N]."""
    blocks = np.array_split(np.arange(len(ink)), len(ink) // BLOCK + 1)
    lengths = np.concatenate([_path_lengths(ink.take(block)) for block in blocks])
    n_letters = np.array([sum(map(str.isalnum, label)) for label in ink.labels], np.int64)
    per_letter = lengths / np.maximum(n_letters, 1)
    judged = n_letters >= LEAST_LETTERS
    short = np.zeros(len(ink), np.bool_)
    for writer in np.unique(ink.writers[judged]):
        own = judged & (ink.writers == writer)
        short[own] = per_letter[own] < SHORT_SHARE * np.median(per_letter[own])
    return short


def _path_lengths(ink: InkSet) -> NDArray[np.float64]:
    """Return how far the pen went on paper in each piece, [N]."""
    steps = np.hypot(*np.diff(ink.points.astype(np.float32), axis=0, prepend=0).T)
    steps[ink.stroke_starts[:-1]] = 0
    walked = np.concatenate([[0.0], np.cumsum(steps, dtype=np.float64)])
    return np.diff(walked[ink.stroke_starts[ink.piece_starts]])

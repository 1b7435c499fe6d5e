"""UNIPEN's training release `train_r01_v07` (Zenodo record 1195803): found, read whole, kept.

Below its top folder, `data/CATEGORY/DONOR/...` holds labels, which include ink from `include/...`.
"""

import os
import tarfile
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Final

from model.data.inkset import CATEGORIES, InkSet
from model.data.unipen_census import Census
from model.data.unipen_format import includes, read_page, read_segments
from model.data.unipen_pieces import Collector, Source
from model.errors import DataError

__all__ = ["Census", "cache_folder", "keep", "read"]

INK: Final = "unipen.npz"
CENSUS: Final = "census.json"


def cache_folder() -> Path:
    """Where the ink that was read once is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "inkstream" / "unipen"


def read(source: Path | None = None) -> tuple[InkSet, Census]:
    """Read the release, whole, which takes about a minute; or what `keep` kept of it, in seconds.

    Args:
        source: the archive (.tar, .tar.gz, .tar.xz), its unpacked folder, or a folder that `keep`
            wrote; None is the cache.

    Raises `DataError` when the source is none of these.
    """
    if source is None:
        source = cache_folder()
        if not (source / INK).is_file():
            raise DataError(f"{source / INK} is not there: read UNIPEN's archive or folder first")
    if (source / INK).is_file():
        return InkSet.load(source / INK), Census.load(source / CENSUS)
    if source.is_dir():
        return _read_folder(source)
    try:
        with tempfile.TemporaryDirectory() as folder, tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
            return _read_folder(Path(folder))
    except tarfile.TarError as error:
        raise DataError(
            f"{source} is neither an archive nor a folder of UNIPEN: {error}"
        ) from error


def keep(ink: InkSet, census: Census, folder: Path) -> None:
    """Write what was read into `folder`, so that `read` finds it there."""
    folder.mkdir(parents=True, exist_ok=True)
    ink.save(folder / INK)
    census.save(folder / CENSUS)


def _read_folder(folder: Path) -> tuple[InkSet, Census]:
    for root in (folder, *sorted(folder.glob("*/"))):
        if (root / "data").is_dir() and (root / "include").is_dir():
            return _read_release(root)
    raise DataError(f"{folder} has no folders data and include, as UNIPEN's release has")


def _read_release(root: Path) -> tuple[InkSet, Census]:
    """Each page of ink is read once, for the label files of all categories that include it."""
    collector = Collector()
    label_files: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for path in sorted(root.glob("data/*/*/**/*.dat")):
        label_files[includes(path.read_bytes())].append(path)
    for paths in label_files.values():
        sources = []
        for path in paths:
            category, donor = path.relative_to(root / "data").parts[:2]
            if category in CATEGORIES:
                segments = read_segments(path.read_bytes())
                sources += [Source(category, donor, segment) for segment in segments]
        try:
            text = paths[0].read_bytes()
            page = read_page(text, lambda name: (root / "include" / name).read_bytes())
        except FileNotFoundError:
            for source in sources:
                collector.skip("an included file is missing", source)
            continue
        collector.add_page(page, sources)
    return collector.ink(), collector.census()

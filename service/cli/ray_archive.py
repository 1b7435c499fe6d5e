"""Read an archive by Ray Data: over the machines of a cluster, into JSON lines or Parquet.

The rows are those of `--jsonl`, in the order in which files are finished. Ray Data streams: it
moves names and answers, never images, and starts no more files than it has readers. A reader is a
process with one core set aside, at a lower priority than servers on its machine. What was read
before is not read again; what could not be read is tried again.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before it is imported

import click
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray
from pyarrow import fs

from inkstream.model.errors import InkstreamError
from inkstream.service.cli import complain, offline
from inkstream.service.cli.files import IMAGE_SUFFIXES
from inkstream.service.protocol.errors import UnreadableError

PART: Final = 4096  # files that Ray Data is given at once: it keeps a record of each
ROWS_OF_A_FILE: Final = 256  # of Parquet; so many at most are read again after a run broke off
NICENESS: Final = 10
RETRIES: Final = 1  # of a file whose process died, which another file may have caused
SCHEMA: Final = pa.schema(
    [("image", pa.string()), ("error", pa.string()), ("code", pa.string()), ("row", pa.string())]
)


class Rows(Protocol):
    """A file or folder of rows, to which rows are added."""

    def known(self) -> set[str]:
        """Return the images that were read; remove the rows of the others."""

    def add(self, fields: offline.Fields) -> None:
        """Add a row."""

    def close(self) -> None:
        """Write what has not been written."""


class JsonLines:
    """A line of JSON for each image, as `--jsonl` writes them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self) -> set[str]:
        """See `Rows`; raise `InkstreamError` for a file of something else."""
        return offline.known_images(self._path)

    def add(self, fields: offline.Fields) -> None:
        """See `Rows`."""
        with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps(fields, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """See `Rows`: nothing is kept back."""


class Parquet:
    """Files of Parquet in a folder: the image, its error if it has one, and the row as JSON."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._rows: list[offline.Fields] = []

    def known(self) -> set[str]:
        """See `Rows`."""
        known: set[str] = set()
        for path in sorted(self._folder.glob("*.parquet")):
            table = pq.read_table(path)
            is_read = pc.is_null(table["error"])
            if not all(is_read.to_pylist()):
                table = table.filter(is_read)
                self._write(table, path)
            known.update(table["image"].to_pylist())
        return known

    def add(self, fields: offline.Fields) -> None:
        """See `Rows`."""
        self._rows.append(fields)
        if len(self._rows) >= ROWS_OF_A_FILE:
            self.close()

    def close(self) -> None:
        """See `Rows`."""
        if not self._rows:
            return
        table = pa.Table.from_pylist(
            [
                {
                    "image": fields["image"],
                    "error": fields.get("error"),
                    "code": fields.get("code"),
                    "row": json.dumps(fields, ensure_ascii=False),
                }
                for fields in self._rows
            ],
            SCHEMA,
        )
        number = len([*self._folder.glob("*.parquet")])
        self._write(table, self._folder / f"{number:06}.parquet")
        self._rows = []

    def _write(self, table: Any, path: Path) -> None:
        """Write a file whole or not at all."""
        unfinished = path.with_suffix(".unfinished")
        pq.write_table(table, unfinished)
        unfinished.replace(path)


class PageReader:
    """One process of Ray Data that reads files."""

    def __init__(self, reader: offline.Reader) -> None:
        os.nice(NICENESS)
        offline.keep_memory()
        self._reader = reader

    def __call__(self, row: dict[str, str]) -> dict[str, str]:
        """Return the row of a file, as JSON."""
        name = row["name"]
        with tempfile.TemporaryDirectory() as scratch:
            try:
                path = local_file(row["place"], Path(scratch))
            except OSError as error:  # of an object store
                fields = _error(name, f"cannot be read: {error}")
            else:
                kind = self._reader.kind_for(path)
                ((_, answer),) = self._reader.read(path)
                fields = offline.fields_of(name, answer, kind)
        return {"row": json.dumps(fields, ensure_ascii=False)}


def local_file(place: str, scratch: Path) -> Path:
    """Return the file of that path, or a copy of the object of that URI; raise `OSError`."""
    if "://" not in place:
        return Path(place)
    system, path = fs.FileSystem.from_uri(place)
    copy = scratch / Path(path).name
    with system.open_input_stream(path) as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)
    return copy


def objects_of(uri: str) -> list[str]:
    """Return the URIs of the images in and below a folder of an object store, or of one image.

    Raises `InkstreamError` if there are none.
    """
    system, path = fs.FileSystem.from_uri(uri)
    prefix = uri[: -len(path)] if uri.endswith(path) else uri.partition("://")[0] + "://"
    found = system.get_file_info(path)
    if found.type == fs.FileType.File:
        return [uri]
    infos = []
    if found.type == fs.FileType.Directory:
        infos = system.get_file_info(fs.FileSelector(path, recursive=True))
    names = sorted(
        prefix + info.path
        for info in infos
        if info.is_file and f".{info.extension.lower()}" in IMAGE_SUFFIXES
    )
    if not names:
        raise InkstreamError(f"no image at {uri!r}")
    return names


def read_by_ray(
    rows: Rows, places: Mapping[str, str], reader: offline.Reader, readers: int | None = None
) -> bool:
    """Add a row about each image that `rows` lacks; return whether all could be read.

    Args:
        rows: where they are added.
        places: by the name of each image, its path, which all machines must see, or its URI.
        reader: how they are read.
        readers: processes at most; None is one for each core that the cluster has free.

    Raises:
        InkstreamError: a model is missing, or `rows` are something else.
    """
    reader.model_for(Path(next(iter(places))))  # here, so that a missing model is one error
    known = rows.known()
    left = [{"name": name, "place": place} for name, place in places.items() if name not in known]
    n_errors = 0
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a process that died: its file gets a row below
    most = readers or max(1, int(ray.available_resources().get("CPU", 1)))
    try:
        with click.progressbar(length=len(left), label="reading", file=sys.stderr) as bar:
            for start in range(0, len(left), PART):
                part = left[start : start + PART]
                for fields in _read_part(part, reader, min(most, len(part))):
                    n_errors += "error" in fields
                    rows.add(fields)
                    bar.update(1)
    finally:
        rows.close()
    if n_errors:
        complain(f"{n_errors} of {len(left)} could not be read, the rows have their errors")
    return not n_errors


def _read_part(
    items: Sequence[dict[str, str]], reader: offline.Reader, readers: int
) -> Iterator[offline.Fields]:
    """Yield the rows of files as they are finished."""
    files = ray.data.from_items([*items], override_num_blocks=len(items))
    read = files.map(
        PageReader,
        fn_constructor_args=(reader,),
        num_cpus=1,
        concurrency=readers,
        max_restarts=-1,
        max_task_retries=RETRIES,  # without it Ray tries for ever
    )
    missing = {item["name"] for item in items}
    for row in read.iter_rows():
        fields: offline.Fields = json.loads(row["row"])
        missing.discard(fields["image"])
        yield fields
    for name in sorted(missing):
        yield _error(name, "the process that read it died, perhaps for want of memory")


def _error(name: str, text: str) -> offline.Fields:
    return {"image": name, "error": text, "code": UnreadableError.code}

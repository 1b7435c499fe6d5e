"""Read an archive by Ray Data: over the machines of a cluster, into JSON lines or Parquet.

The rows are those of `--jsonl`, in the order in which files are finished. Ray Data streams: it
moves names and answers, never images, and starts no more files than it has readers. A reader is a
process with one core set aside, at a lower priority than servers on its machine. What was read
before is not read again; what could not be read is tried again.
"""

import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before it is imported

import ray
from pyarrow import fs

from inkstream.model.errors import InkstreamError
from inkstream.service.cli.files import IMAGE_SUFFIXES
from inkstream.service.cli.offline import Fields, Reader, Rows, add_all, json_line, keep_memory
from inkstream.service.protocol.errors import UnreadableError


class PageReader:
    """One process of Ray Data that reads files."""

    def __init__(self, reader: Reader) -> None:
        os.nice(10)
        keep_memory()
        self._reader = reader

    def __call__(self, item: dict[str, str]) -> list[dict[str, str]]:
        """Return the row of each page of a file, as JSON, and an empty one."""
        name, known = item["name"], json.loads(item["known"])
        with tempfile.TemporaryDirectory() as scratch:
            try:
                path = local_file(item["uri"], Path(scratch))
            except OSError as error:  # of an object store
                rows = [json_line(_error(name, f"cannot be read: {error}"))]
            else:
                start = len(str(path))  # of a page's number in its name
                answers = self._reader.read(path, {f"{path}{page}" for page in known})
                rows = [json_line(a.fields | {"image": name + a.name[start:]}) for a in answers]
        return [{"name": name, "row": row} for row in (*rows, "")]


def local_file(uri: str, scratch: Path) -> Path:
    """Return the file of a path, or a copy of the object of a URI; raise `OSError`."""
    if "://" not in uri:
        return Path(uri)
    system, path = fs.FileSystem.from_uri(uri)
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
    kind = system.get_file_info(path).type
    if kind == fs.FileType.File:
        return [uri]
    names: list[str] = []
    if kind == fs.FileType.Directory:
        names = sorted(
            prefix + info.path
            for info in system.get_file_info(fs.FileSelector(path, recursive=True))
            if info.is_file and f".{info.extension.lower()}" in IMAGE_SUFFIXES
        )
    if not names:
        raise InkstreamError(f"no image at {uri!r}")
    return names


def read_by_ray(
    rows: Rows, uris: Mapping[str, str], reader: Reader, readers: int | None = None
) -> bool:
    """Add a row about each image that `rows` lacks; return whether all could be read.

    `uris` are, by the name of each image, its path, which all machines must see, or its URI. There
    are at most so many `readers`, or None for each core that the cluster has free. Raises
    `InkstreamError` if a model is missing, or `rows` are something else.
    """
    reader.model_for(Path(next(iter(uris))))  # here, so that a missing model is one error
    known = rows.known()
    pages: dict[str, list[str]] = defaultdict(list)  # that are known, by the name of the file
    for name in known:
        file_name, colon, number = name.rpartition(":")
        pages[file_name].append(colon + number)
    unread = [
        {"name": name, "uri": uri, "known": json.dumps(pages[name])}
        for name, uri in uris.items()
        if name not in known
    ]
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # The file of a process that died gets a row below.
    context.max_errored_blocks = -1
    n_readers = readers or max(1, int(ray.available_resources().get("CPU", 1)))
    return add_all(rows, _read(unread, reader, n_readers), len(unread))


def _read(
    items: Sequence[dict[str, str]], reader: Reader, n_readers: int
) -> Iterator[list[Fields]]:
    """Yield the row of each file as files are finished."""
    # Ray Data keeps a record of each file that it is given.
    for start in range(0, len(items), 4096):
        part = items[start : start + 4096]
        rows = ray.data.from_items([*part], override_num_blocks=len(part)).flat_map(
            PageReader,
            fn_constructor_args=(reader,),
            num_cpus=1,
            concurrency=min(n_readers, len(part)),
            max_restarts=-1,
            # A process may have died of another file. Without a number Ray tries for ever.
            max_task_retries=1,
        )
        missing = {item["name"] for item in part}
        for row in rows.iter_rows():
            if row["row"]:
                yield [json.loads(row["row"])]
            else:
                missing.discard(row["name"])
        for name in sorted(missing):
            yield [_error(name, "the process that read it died, perhaps for want of memory")]


def _error(name: str, text: str) -> Fields:
    return {"image": name, "error": text, "code": UnreadableError.code}

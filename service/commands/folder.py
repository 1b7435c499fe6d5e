"""Reads a whole folder of images over all cores, and keeps a line of JSON about each.

What was read stands in the file at once, so a run that was broken off goes on where it stood. An
image that cannot be read gets a line with its `error` and spoils nothing.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TextIO

import click

from model.errors import InkstreamError
from service.commands.files import IMAGE_SUFFIXES
from service.commands.nets import Nets
from service.commands.offline import line_fields, page_of

WAITING: Final = 4  # files for each process that lie ready, so that none has to wait


@dataclass(frozen=True, slots=True)
class Task:
    """How files are read."""

    model: str | None  # that reads all; None takes what suits each file
    hints: Mapping[str, Any]  # arguments of `load`
    page: bool


def read_folder(paths: Sequence[Path], out: Path, task: Task, processes: int | None = None) -> bool:
    """Read images and write a line of JSON about each to `out`; gives whether all could be read.

    Args:
        paths: of images.
        out: what stands in it already is not read again, unless it was an error.
        task: how they are read.
        processes: that read side by side; None is one for each core.

    Raises:
        InkstreamError: a model is not there, or `out` holds something else.
    """
    nets = Nets(task.model, task.hints)
    for path in paths:
        nets.of(path)  # here, so that the error of a missing net is told once
    done = _mended(out)
    left = [path for path in paths if str(path) not in done]
    all_read = True
    with (
        out.open("a", encoding="utf-8") as file,
        click.progressbar(length=len(left), label="reading", file=sys.stderr) as bar,
    ):
        for line in _read(left, task, processes or os.cpu_count() or 1):
            all_read &= "error" not in line
            _write(file, line)
            bar.update(1)
    return all_read


def _write(file: TextIO, line: dict[str, Any]) -> None:
    """One line, whole, before the next is read."""
    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    file.flush()


def _mended(out: Path) -> set[str]:
    """The images that a file tells of; a last line that was torn is cut off."""
    if not out.exists():
        return set()
    content = out.read_bytes()
    whole = content.rpartition(b"\n")[0]
    images, kept = set(), []
    for number, text in enumerate(whole.splitlines(), 1):
        try:
            line = json.loads(text)
            image, is_error = str(line["image"]), "error" in line
        except (ValueError, TypeError, KeyError) as error:
            raise InkstreamError(
                f"{out}, line {number} tells of no image, expected a file of this command: {error}"
            ) from error
        if not is_error:
            images.add(image)
            kept.append(text)
    mended = b"".join(line + b"\n" for line in kept)
    if mended != content:  # what failed is tried again
        out.write_bytes(mended)
    return images


def _read(paths: Sequence[Path], task: Task, processes: int) -> Iterator[dict[str, Any]]:
    """A line about each file, as they are done."""
    if processes == 1 or len(paths) == 1:
        nets = Nets(task.model, task.hints)
        for path in paths:
            yield _line(path, nets, task)
        return
    waiting = list(reversed(paths))
    running: set[Future[dict[str, Any]]] = set()
    # Spawned, not forked: the runtime's threads do not survive a fork.
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (task,)) as pool:
        while waiting or running:
            while waiting and len(running) < WAITING * processes:
                running.add(pool.submit(_line_of, waiting.pop()))
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in finished)


_reader: tuple[Nets, Task] | None = None  # of this process


def _begin(task: Task) -> None:
    """Prepare what a process reads with, once."""
    global _reader  # noqa: PLW0603 - a pool's process is begun so
    _reader = Nets(task.model, task.hints), task


def _line_of(path: Path) -> dict[str, Any]:
    assert _reader is not None
    nets, task = _reader
    return _line(path, nets, task)


def _line(path: Path, nets: Nets, task: Task) -> dict[str, Any]:
    """What is told of one file."""
    recognizer = nets.of(path)
    try:
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise InkstreamError(f"{path.suffix} is no image, allowed: {', '.join(IMAGE_SUFFIXES)}")
        if task.page:
            return {"image": str(path), **page_of(path, recognizer).model_dump(mode="json")}
        return line_fields(str(path), recognizer.recognize(path), recognizer)
    except InkstreamError as error:
        return {"image": str(path), "error": str(error), "code": error.code}

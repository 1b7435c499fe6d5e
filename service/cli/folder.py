"""Reads a whole folder of images and ink over all cores, and keeps a line of JSON about each.

What was read stands in the file at once, so a run that was broken off goes on where it stood. An
image or a piece of ink that cannot be read gets a line with its `error` and spoils nothing.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TextIO

import click

from inkstream.model.errors import InkstreamError
from inkstream.model.recognizer import Recognition
from inkstream.service.cli.options import Nets
from inkstream.service.cli.recognize import answers, line_fields, page_of

Lines = list[dict[str, Any]]  # about one file

BEGINNING: Final = b'{"image": "'  # of every line
WAITING: Final = 4  # files for each process that lie ready, so that none has to wait


@dataclass(frozen=True, slots=True)
class Task:
    """How files are read."""

    model: str | None  # that reads all; None takes what suits each file
    hints: Mapping[str, Any]  # arguments of `load`
    page: bool


def read_folder(paths: Sequence[Path], out: Path, task: Task, processes: int | None = None) -> bool:
    """Write a line of JSON about each image or piece of ink to `out`; could all be read?

    Args:
        paths: of images, and of files of ink.
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
        # A name that is no UTF-8 is written as JSON escapes it, and found again.
        out.open("a", encoding="utf-8", errors="backslashreplace") as file,
        click.progressbar(length=len(left), label="reading", file=sys.stderr) as bar,
    ):
        for lines in _read(left, task, done, processes or os.cpu_count() or 1):
            all_read &= not any("error" in line for line in lines)
            _write(file, lines)
            bar.update(1)
    return all_read


def _write(file: TextIO, lines: Lines) -> None:
    """The lines about one file, whole, before the next is read."""
    file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    file.flush()


def _mended(out: Path) -> set[str]:
    """The names of what a file tells of; a last line that was torn is cut off."""
    if not out.exists():
        return set()
    content = out.read_bytes()
    *whole, torn = content.split(b"\n")
    if not (torn.startswith(BEGINNING) or BEGINNING.startswith(torn)):
        whole.append(torn)  # is told of as none of ours
    images, kept = set(), []
    for number, text in enumerate(whole, 1):
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


def _read(paths: Sequence[Path], task: Task, done: Set[str], processes: int) -> Iterator[Lines]:
    """The lines about each file, as they are done."""
    if processes == 1 or len(paths) == 1:
        nets = Nets(task.model, task.hints)
        for path in paths:
            yield _lines(path, nets, task, done)
        return
    waiting = list(reversed(paths))
    running: set[Future[Lines]] = set()
    # Spawned, not forked: the runtime's threads do not survive a fork.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (task, done))
    try:
        while waiting or running:
            with _interrupts_held():  # in processes that begin here, for good
                while waiting and len(running) < WAITING * processes:
                    running.add(pool.submit(_lines_of, waiting.pop()))
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in finished)
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C, which a terminal sends to all processes, comes when the block is done.

    A process that is begun within it inherits this, and leaves Ctrl-C to the command.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_reader: tuple[Nets, Task, Set[str]] | None = None  # of this process


def _begin(task: Task, done: Set[str]) -> None:
    """Prepare what a process reads with, once."""
    global _reader  # noqa: PLW0603 - a pool's process is begun so
    _reader = Nets(task.model, task.hints), task, done


def _lines_of(path: Path) -> Lines:
    assert _reader is not None
    return _lines(path, *_reader)


def _lines(path: Path, nets: Nets, task: Task, done: Set[str]) -> Lines:
    """What is told of one file: a line about an image, or about each piece of ink."""
    recognizer = nets.of(path)
    if task.page:
        try:
            return [{"image": str(path), **page_of(path, recognizer).model_dump(mode="json")}]
        except InkstreamError as error:
            return [_failed(str(path), error)]
    return [
        line_fields(name, answer, recognizer)
        if isinstance(answer, Recognition)
        else _failed(name, answer)
        for name, answer in answers(path, recognizer, done)
    ]


def _failed(name: str, error: InkstreamError) -> dict[str, Any]:
    return {"image": name, "error": str(error), "code": error.code}

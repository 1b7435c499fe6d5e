"""Read files here, without a server: to standard output, or over all cores into a file.

What was read stands in that file at once, a line of JSON for each image or piece of ink, so a run
that was broken off goes on where it stopped. What cannot be read gets a line with its `error`.
"""

import csv
import ctypes
import io
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, Final, Literal

import click

from inkstream.model.config import Kind
from inkstream.model.decoding.base import Event
from inkstream.model.errors import InkstreamError
from inkstream.model.pages import find_page
from inkstream.model.preprocess.columns import SHIPPED, kind_for
from inkstream.model.recognizer import Recognition, Recognizer, load
from inkstream.service import pages
from inkstream.service.cli import complain
from inkstream.service.cli.files import Piece, holds_ink, pieces
from inkstream.service.protocol.errors import UnreadableError
from inkstream.service.session import message_of

Form = Literal["text", "json", "csv", "hocr", "alto"]
Answer = Recognition | pages.Page | InkstreamError
Fields = dict[str, Any]  # of one image or piece of ink, as JSON has them

UNCERTAIN_BELOW: Final = 0.8  # a letter's confidence
MOST_UNCERTAIN: Final = 3  # letters that are named
LINE_START: Final = b'{"image": "'  # of every line of a file of results
MALLOPT: Final = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc
MMAP_THRESHOLD: Final = (-3, 64 << 20)  # bytes of a block that is got from the system by itself
TRIM_THRESHOLD: Final = (-1, 256 << 20)  # free bytes that are given back to it

model_of = cache(load)  # each process loads a model when the first file needs it


@dataclass(frozen=True, slots=True)
class Reader:
    """How files are read."""

    model: str | None  # name or path of the model for all files; None takes what suits each
    arguments: Mapping[str, Any]  # of `load`
    page: bool  # each image is a page

    def model_for(self, path: Path) -> Recognizer:
        """Return the model that reads a file; raise an `InkstreamError` if it cannot be loaded."""
        name = self.model or SHIPPED[kind_for(None if holds_ink(path) else path)]
        return model_of(name, **self.arguments)

    def kind_for(self, path: Path) -> Kind:
        """Return the kind of the model that reads a file."""
        return self.model_for(path).metadata.config.kind

    def read(self, path: Path, known: Container[str] = ()) -> Iterator[tuple[str, Answer]]:
        """Yield the name and the answer, or the error, of an image or of each piece of ink.

        Pieces whose names are `known` are left out.
        """
        model = self.model_for(path)
        found = pieces(path) if holds_ink(path) and not self.page else [(str(path), path)]
        for name, piece in found:
            if name in known:
                continue
            answer: Answer
            try:
                if isinstance(piece, InkstreamError):
                    raise piece
                if isinstance(piece, Piece):
                    answer = model.read_ink(piece.strokes, piece.height)
                else:
                    answer = read_page(path, model) if self.page else model.recognize(path)
            except InkstreamError as error:
                answer = error
            except Exception as error:  # any: the other files are read all the same
                answer = UnreadableError(f"reading it failed: {type(error).__name__}: {error}")
            yield name, answer


def keep_memory() -> None:
    """Let this process keep what it frees, to use it again.

    A page takes and frees tens of MB again and again. To get them from the system each time, which
    sets them to zero, takes an eighth of the time.
    """
    if MALLOPT is not None and MALLOPT(*MMAP_THRESHOLD):  # which old versions refuse
        MALLOPT(*TRIM_THRESHOLD)


def read_page(path: Path, model: Recognizer) -> pages.Page:
    """Read the image of a page; raise an `InkstreamError` if it cannot be read."""
    page = pages.bounded(find_page(path, model.column_height, threads=model.threads))
    answers = model.read_all([line.columns for line in page.lines]) if page.lines else []
    lines = []
    for line, answer in zip(page.lines, answers, strict=True):
        events: list[Event] = [*answer.letters, *answer.words]
        lines.append(pages.read_line(line, answer.text, map(_reading, events)))
    return pages.transcription(page, lines)


def read(paths: Sequence[Path], reader: Reader, form: Form, show: Path | None = None) -> bool:
    """Write the answers to standard output; return whether all files could be read.

    What cannot be read is named on standard error, and in JSON has an object with its `error` too.
    The last page with its boxes and text is drawn into `show`.
    """
    keep_memory()
    kinds = {reader.kind_for(path) for path in paths}  # one error, not many
    if form == "csv":
        place = ["block", "line"] if reader.page else []
        found = "label" if kinds == {"classifier"} else "text"
        click.echo(_row("image", *place, found, "probability"))
    # A bar helps where the answers go elsewhere; in a terminal they are the progress.
    hidden = len(paths) < 2 or sys.stdout.isatty() or not sys.stderr.isatty()
    n_answers = n_errors = 0
    with click.progressbar(paths, label="reading", file=sys.stderr, hidden=hidden) as bar:
        for number, path in enumerate(bar):
            for name, answer in reader.read(path):
                n_answers += 1
                if isinstance(answer, InkstreamError):
                    n_errors += 1
                    complain(f"{name}: {answer}")
                    if form == "json":
                        click.echo(_json(name, answer, reader.kind_for(path)))
                    continue
                if isinstance(answer, Recognition) and answer.hint and form != "json":
                    complain(f"{name}: {answer.hint}")
                if reader.page and form == "text" and len(paths) > 1:  # as `head` names files
                    click.echo("\n" * (number > 0) + f"==> {path} <==")
                click.echo(_text(name, answer, reader.kind_for(path), form))
                if show is not None and isinstance(answer, pages.Page):
                    pages.draw(path, answer, show)
    if n_errors and n_answers > 1:
        complain(f"{n_errors} of {n_answers} could not be read")
    return not n_errors


def _text(name: str, answer: Recognition | pages.Page, kind: Kind, form: Form) -> str:
    """Return an answer in a form."""
    if form == "json":
        return _json(name, answer, kind)
    if isinstance(answer, Recognition):
        if form == "csv":
            return _row(name, answer.text, f"{answer.confidence:.{pages.DECIMALS}f}")
        return f"{name}  {answer.text}  {_certainty(answer, kind)}".rstrip()
    if form == "csv":
        return "\n".join(
            _row(name, line.block, place, line.text, f"{line.confidence:.{pages.DECIMALS}f}")
            for place, line in enumerate(answer.lines)
        )
    if form == "hocr":
        return pages.hocr(answer, answer.lines, name)
    return pages.alto(answer, answer.lines, name) if form == "alto" else answer.text


def _json(name: str, answer: Answer, kind: Kind) -> str:
    return json.dumps(fields_of(name, answer, kind), ensure_ascii=False)


def _certainty(answer: Recognition, kind: Kind) -> str:
    """Return a digit's probability, or of a line the letters that are uncertain."""
    if kind == "classifier":
        return f"{answer.confidence:.2%}"
    pairs = [
        f"{letter.char} (or {letter.alternatives[0][0]})"
        for letter in answer.letters
        if letter.confidence < UNCERTAIN_BELOW and letter.alternatives
    ]
    more = ", ..." if len(pairs) > MOST_UNCERTAIN else ""
    return f"uncertain: {', '.join(pairs[:MOST_UNCERTAIN])}{more}" if pairs else ""


def _row(*cells: object) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def fields_of(name: str, answer: Answer, kind: Kind) -> Fields:
    """Return an answer, or an error, as plain JSON."""
    if isinstance(answer, InkstreamError):
        return {"image": name, "error": str(answer), "code": answer.code}
    if isinstance(answer, pages.Page):
        return {"image": name, **answer.model_dump(mode="json")}
    if kind == "classifier":
        rounded = {label: round(p, pages.DECIMALS) for label, p in answer.probabilities.items()}
        found: Fields = {"label": answer.label, "probabilities": rounded}
    else:
        found = {
            "text": answer.text,
            "letters": [_reading(letter).model_dump(mode="json") for letter in answer.letters],
            "words": [_reading(word).model_dump(mode="json") for word in answer.words],
        }
    hint = {"hint": answer.hint} if answer.hint else {}
    return {"image": name, **found, "columns": answer.columns, **hint}


def _reading(event: Event) -> pages.Letter | pages.Word:
    return pages.answer_of(message_of(event))


def read_into(
    out: Path, paths: Sequence[Path], reader: Reader, processes: int | None = None
) -> bool:
    """Write a line of JSON about each image or piece of ink; return whether all could be read.

    What stands in `out` is not read again, unless it was an error. None is a process for each core.
    Raises `InkstreamError` if a model is missing, or `out` holds something else.
    """
    for path in paths:
        reader.model_for(path)  # here, so that a missing model is one error
    known = known_images(out)
    left = [path for path in paths if str(path) not in known]
    known_of: dict[str, set[str]] = defaultdict(set)  # pieces of ink, by their file
    for name in known:
        known_of[name.rpartition(":")[0]].add(name)
    n_answers = n_errors = 0
    with (
        # A name that is no UTF-8 is written as JSON escapes it, and found again.
        out.open("a", encoding="utf-8", errors="backslashreplace") as file,
        click.progressbar(length=len(left), label="reading", file=sys.stderr) as bar,
    ):
        for results in _results(left, reader, known_of, processes or os.cpu_count() or 1):
            n_answers += len(results)
            n_errors += sum("error" in fields for fields in results)
            file.writelines(json.dumps(fields, ensure_ascii=False) + "\n" for fields in results)
            file.flush()  # the lines of one file are whole before the next is read
            bar.update(1)
    if n_errors:
        complain(f"{n_errors} of {n_answers} could not be read, {out} has their errors")
    return not n_errors


def known_images(out: Path) -> set[str]:
    """Return the names in a file of results; remove errors and a broken last line from it.

    Raises `InkstreamError` if the file holds something else.
    """
    if not out.exists():
        return set()
    content = out.read_bytes()
    *whole, last = content.split(b"\n")
    if not (last.startswith(LINE_START) or LINE_START.startswith(last)):
        whole.append(last)  # which raises the error below
    names, kept = set(), []
    for number, text in enumerate(whole, 1):
        try:
            line = json.loads(text)
            name, is_error = str(line["image"]), "error" in line
        except (ValueError, TypeError, KeyError) as error:
            raise InkstreamError(
                f"{out}, line {number} names no image, expected a file of this command: {error}"
            ) from error
        if not is_error:
            names.add(name)
            kept.append(text + b"\n")
    if (left := b"".join(kept)) != content:
        out.write_bytes(left)
    return names


def _results(
    paths: Sequence[Path], reader: Reader, known: Mapping[str, Set[str]], processes: int
) -> Iterator[list[Fields]]:
    """Yield what the lines about each file hold, as files are finished."""
    if processes == 1 or len(paths) == 1:
        keep_memory()
        for path in paths:
            yield _results_of(path, reader, known[str(path)])
        return
    # Spawned, not forked: the runtime's threads do not survive a fork.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), keep_memory)
    others = active_children()
    try:
        # No name for the list: each future, and what it holds, is let go once it is yielded.
        for future in as_completed(_submitted(pool, paths, reader, known)):
            yield future.result()
    except BrokenProcessPool as error:
        # The pool ends the processes that it knows, and waits for one that was just starting too.
        for process in active_children():
            if process not in others:
                process.kill()
        raise InkstreamError(
            "a process that reads was killed, perhaps for want of memory: what was read before is"
            f" kept; go on with fewer than {processes} --processes"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _submitted(
    pool: ProcessPoolExecutor, paths: Sequence[Path], reader: Reader, known: Mapping[str, Set[str]]
) -> list[Future[list[Fields]]]:
    """Have a pool read files; raise `BrokenProcessPool` if it breaks meanwhile."""
    try:
        with _interrupts_blocked():
            return [pool.submit(_results_of, path, reader, known[str(path)]) for path in paths]
    except (
        OSError,
        ValueError,
    ) as error:  # one was killed, and the pool closed while another began
        raise BrokenProcessPool from error


def _results_of(path: Path, reader: Reader, known: Set[str]) -> list[Fields]:
    kind = reader.kind_for(path)
    return [fields_of(name, answer, kind) for name, answer in reader.read(path, known)]


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Hold Ctrl-C, which a terminal sends to all processes, until the block ends.

    A process that begins in the block inherits this, and so leaves Ctrl-C to the command.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

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
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

from inkstream.model.decoding.base import DECIMALS
from inkstream.model.errors import InkstreamError
from inkstream.model.pages import drawing
from inkstream.model.pages.content import Content, content_of, kind_for
from inkstream.model.pages.transcription import Page
from inkstream.model.preprocess.columns import NO_WRITING, SHIPPED
from inkstream.model.preprocess.image import ImageSource
from inkstream.model.preprocess.ink_pieces import InkPiece
from inkstream.model.recognizer import Recognition, Recognizer, load
from inkstream.service.cli import complain
from inkstream.service.cli.answer_files import AnswerFiles
from inkstream.service.cli.files import (
    DOCUMENT_SUFFIXES,
    STANDARD_INPUT,
    document,
    holds_ink,
    images,
    pieces,
)
from inkstream.service.protocol.errors import UnreadableError

if TYPE_CHECKING:
    from inkstream.service.cli.parquet import Parquet

Fields = dict[str, Any]  # of one image or piece of ink, as JSON has them

LINE_START: Final = b'{"image": "'  # of every line of a file of results
MALLOPT: Final = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc

model_of = cache(load)  # Each process loads a model when the first file needs it.


@dataclass(frozen=True, slots=True)
class Answer:
    """What was read of an image or a piece of ink."""

    name: str
    result: Recognition | Page | InkstreamError

    @property
    def fields(self) -> Fields:
        """The answer, or the error, as plain JSON."""
        result = self.result
        if isinstance(result, InkstreamError):
            return {"image": self.name, "error": str(result), "code": result.code}
        if isinstance(result, Page):
            return {"image": self.name, **result.model_dump(mode="json")}
        return {"image": self.name, **result.to_dict()}

    def text(self, form: str, name: str | None = None) -> str:
        """Return the answer, which is no error unless the form is JSON, in a form of `read`.

        `name` is the image's in hOCR, ALTO and PAGE XML, instead of that of the answer.
        """
        result = self.result
        if form == "json":
            return json_line(self.fields)
        assert not isinstance(result, InkstreamError)
        if form == "csv":
            return _row(self.name, result.text, _rounded(result.confidence))
        if isinstance(result, Page):
            if form == "csv of lines":
                return "\n".join(
                    _row(self.name, line.block, number, line.text, _rounded(line.confidence))
                    for number, line in enumerate(result.lines)
                )
            if form == "text":
                return result.text
            to_xml = {"hocr": result.to_hocr, "alto": result.to_alto, "pagexml": result.to_page_xml}
            return to_xml[form](self.name if name is None else name)
        return f"{self.name}  {result.text}  {self._certainty(result)}".rstrip()

    def _certainty(self, result: Recognition) -> str:
        """Return a digit's probability, or of a line the letters that are uncertain."""
        if result.kind == "classifier":
            return f"{result.confidence:.2%}"
        pairs = [
            f"{letter.char} (or {letter.alternatives[0][0]})"
            for letter in result.letters
            if letter.is_uncertain
        ]
        more = ", ..." if len(pairs) > 3 else ""
        return f"uncertain: {', '.join(pairs[:3])}{more}" if pairs else ""


def json_line(fields: Fields) -> str:
    """Return fields as a line of JSON."""
    return json.dumps(fields, ensure_ascii=False)


def _row(*cells: object) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _rounded(probability: float) -> str:
    return f"{probability:.{DECIMALS}f}"


@dataclass(frozen=True, slots=True)
class Reader:
    """How files are read."""

    model: str | None  # name or path of the model for all files; None takes what suits each
    arguments: Mapping[str, Any]  # of `load`
    page: bool | None  # whether each image is a page; if None, what it shows

    def model_for(self, content: Content) -> Recognizer:
        """Return the model that reads such an image; raise an `InkstreamError` if there is none."""
        return model_of(self.model or SHIPPED[kind_for(content)], **self.arguments)

    def check(self) -> None:
        """Load the model that is named, so that a missing one is one error, not one a file."""
        if self.model is not None:
            self.model_for("line")

    def content_of(self, image: ImageSource) -> Content:
        """Return as what an image is read."""
        if self.page is not None:
            return "page" if self.page else "line"
        return content_of(image)

    def read(
        self, path: Path, known: Container[str] = (), page_index: int | None = None
    ) -> Iterator[Answer]:
        """Yield the answer, or the error, of each page of an image or of each piece of ink.

        Those whose names are `known` are left out. With `page_index` only that page is read.
        """
        is_ink = holds_ink(path) and not self.page
        for name, part in pieces(path) if is_ink else images(path, page_index):
            if name in known:
                continue
            try:
                given = part() if callable(part) else part
            except InkstreamError as error:
                given = error
            if isinstance(given, InkstreamError):
                yield Answer(name, given)
                continue
            content = "line" if isinstance(given, InkPiece) else self.content_of(given)
            yield Answer(name, self._result(self.model_for(content), given, content))

    def _result(
        self, model: Recognizer, given: ImageSource | InkPiece, content: Content
    ) -> Recognition | Page | InkstreamError:
        """Return what a model reads, or the error."""
        try:
            if isinstance(given, InkPiece):
                return model.read_ink(given.strokes, given.height)
            reads_lines = model.metadata.config.kind == "transcriber"
            if content == "page" and (reads_lines or self.page):
                return model.read_page(given)
            return model.recognize(given)
        except InkstreamError as error:
            return error
        except Exception as error:  # Whatever it is, the other files are read all the same.
            return UnreadableError(f"reading it failed: {type(error).__name__}: {error}")


def keep_memory() -> None:
    """Let this process keep what it frees, to use it again.

    A page takes and frees tens of MB again and again. To get them from the system each time, which
    sets them to zero, takes an eighth of the time.
    """
    mmap_threshold, trim_threshold = -3, -1
    # Old versions refuse so large a block, in bytes, that is got from the system by itself.
    if MALLOPT is not None and MALLOPT(mmap_threshold, 64 << 20):
        MALLOPT(trim_threshold, 256 << 20)  # free bytes that are given back to the system


def first_image(path: Path) -> ImageSource:
    """Return the first page of a file, or of one that cannot be read its path."""
    try:
        return document(path).page(0)
    except InkstreamError:
        return path


def read(
    paths: Sequence[Path],
    reader: Reader,
    form: str,
    files: AnswerFiles | None = None,
    show: Path | None = None,
) -> bool:
    """Write the answers to `files`, or to standard output; return whether all could be read.

    The form on standard output is text, json or csv, or of a page also hocr, alto or pagexml. What
    cannot be read is named on standard error, and in JSON there has an object with its `error` too.
    The last page with its boxes and text is drawn into `show`.
    """
    keep_memory()
    reader.check()
    if form == "csv" and files is None:
        click.echo(_csv_header(paths, reader))
        form = "csv of lines" if reader.page else form
    # A bar helps where the answers go elsewhere; in a terminal they are the progress.
    is_shown = files is None and sys.stdout.isatty()
    hidden = len(paths) < 2 or is_shown or not sys.stderr.isatty()
    n_answers = n_errors = 0
    with click.progressbar(paths, label="reading", file=sys.stderr, hidden=hidden) as bar:
        for path in bar:
            for index, answer in enumerate(reader.read(path)):
                n_answers += 1
                result = answer.result
                if isinstance(result, InkstreamError):
                    n_errors += 1
                    complain(f"{answer.name}: {result}")
                    if form != "json" or files is not None:
                        continue
                elif form != "json" and (note := _note(result)):
                    complain(f"{answer.name}: {note}")
                if files is not None:
                    files.add(path, index, answer)
                else:
                    is_text = form == "text" and isinstance(result, Page)
                    if is_text and (len(paths) > 1 or document(path).count > 1):  # as `head` does
                        click.echo("\n" * (n_answers > 1) + f"==> {answer.name} <==")
                    click.echo(answer.text(form))
                if show is not None and isinstance(result, Page):
                    drawing.draw(document(path).page(index), result, show)
    if files is not None:
        files.close()
    if n_errors and n_answers > 1:
        complain(f"{n_errors} of {n_answers} could not be read")
    return not n_errors


def _note(result: Recognition | Page) -> str | None:
    """Return what is to be said of an answer beside it."""
    if isinstance(result, Page):
        return None if result.lines else NO_WRITING
    return result.hint


def _csv_header(paths: Sequence[Path], reader: Reader) -> str:
    contents = {
        "line" if holds_ink(path) else reader.content_of(first_image(path)) for path in paths
    }
    kinds = {reader.model_for(content).metadata.config.kind for content in contents}
    columns = ["block", "line"] if reader.page else []
    return _row("image", *columns, "label" if kinds == {"classifier"} else "text", "probability")


class JsonLines:
    """A file with a line of JSON for each image or piece of ink."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def known(self) -> set[str]:
        """Return the names in the file; remove errors and a broken last line from it.

        Raises `InkstreamError` if the file holds something else.
        """
        if not self.path.exists():
            return set()
        content = self.path.read_bytes()
        *lines, last = content.split(b"\n")
        if not (last.startswith(LINE_START) or LINE_START.startswith(last)):
            lines.append(last)  # which raises the error below
        names, kept = set(), []
        for number, line in enumerate(lines, 1):
            try:
                fields = json.loads(line)
                name, is_error = str(fields["image"]), "error" in fields
            except (ValueError, TypeError, KeyError) as error:
                raise InkstreamError(
                    f"{self.path}, line {number} names no image, expected a file of this command:"
                    f" {error}"
                ) from error
            if not is_error:
                names.add(name)
                kept.append(line + b"\n")
        if b"".join(kept) != content:
            self.path.write_bytes(b"".join(kept))
        return names

    def add(self, rows: Sequence[Fields]) -> None:
        """Add a line for each row."""
        # A name that is no UTF-8 is written as JSON escapes it, and is the same when it is read.
        with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(json_line(fields) + "\n" for fields in rows)

    def close(self) -> None:
        """Do nothing: no row waits."""


Rows: TypeAlias = "JsonLines | Parquet"  # about images and pieces of ink


def add_all(rows: Rows, read: Iterable[Sequence[Fields]], n_files: int) -> bool:
    """Add the rows of files as these are read; return whether all could be read."""
    n_rows = n_errors = 0
    try:
        with click.progressbar(length=n_files, label="reading", file=sys.stderr) as bar:
            for rows_of_file in read:
                n_rows += len(rows_of_file)
                n_errors += sum("error" in fields for fields in rows_of_file)
                rows.add(rows_of_file)
                bar.update(1)
    finally:
        rows.close()
    if n_errors:
        complain(f"{n_errors} of {n_rows} could not be read, {rows.path} has their errors")
    return not n_errors


def read_into(
    rows: Rows, paths: Sequence[Path], reader: Reader, processes: int | None = None
) -> bool:
    """Add a row about each image or piece of ink; return whether all could be read.

    What has a row is not read again, unless it was an error. None is a process for each core.
    Raises `InkstreamError` if a model is missing, or the file of the rows holds something else.
    """
    reader.check()
    known: dict[str, set[str]] = defaultdict(set)  # images, and pieces of ink by their file
    for name in rows.known():
        known[name].add(name)
        known[name.rpartition(":")[0]].add(name)
    unread = [path for path in paths if str(path) not in known[str(path)]]
    portions = [portion for path in unread for portion in _portions(path, known[str(path)])]
    is_one = len(portions) == 1 or unread == [STANDARD_INPUT]  # which this process alone can read
    n_processes = 1 if is_one else processes or os.cpu_count() or 1
    return add_all(rows, _rows_of_all(portions, reader, known, n_processes), len(portions))


Portion = tuple[Path, int | None]  # a file, or the index of a page of one


def _portions(path: Path, known: Set[str]) -> list[Portion]:
    """Return what is read of a file at a time: of a document each page whose name is not known."""
    if path.suffix.lower() not in DOCUMENT_SUFFIXES:
        return [(path, None)]
    names = [name for name, _ in images(path)]
    if names == [str(path)]:
        return [(path, None)]
    return [(path, index) for index, name in enumerate(names) if name not in known]


def _rows_of_all(
    portions: Sequence[Portion], reader: Reader, known: Mapping[str, Set[str]], n_processes: int
) -> Iterator[list[Fields]]:
    """Yield the rows of each portion, as portions are finished."""
    if n_processes == 1:
        keep_memory()
        for portion in portions:
            yield _rows_of(portion, reader, known[str(portion[0])])
        return
    # Spawned, not forked: the runtime's threads do not survive a fork.
    pool = ProcessPoolExecutor(n_processes, get_context("spawn"), keep_memory)
    others = active_children()
    try:
        # A terminal sends Ctrl-C to all processes. Those that begin while it is blocked inherit
        # that, and so leave it to the command.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            futures = [
                pool.submit(_rows_of, portion, reader, known[str(portion[0])])
                for portion in portions
            ]
        except (OSError, ValueError) as error:
            # A process was killed, and the pool closed while another one began.
            raise BrokenProcessPool from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        finished = as_completed(futures)
        del futures  # so that each, and what it holds, is let go once it is yielded
        for future in finished:
            yield future.result()
    except BrokenProcessPool as error:
        # The pool ends the processes that it knows, and waits for one that was just starting too.
        for process in active_children():
            if process not in others:
                process.kill()
        raise InkstreamError(
            "a process that reads was killed, perhaps for want of memory: what was read before is"
            f" kept; go on with fewer than {n_processes} --processes"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _rows_of(portion: Portion, reader: Reader, known: Set[str]) -> list[Fields]:
    path, page_index = portion
    return [answer.fields for answer in reader.read(path, known, page_index)]

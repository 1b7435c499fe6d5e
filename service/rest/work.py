"""What a page worker does for REST: read a body, or render the answer about a page.

Run as a module, this is the page worker. It imports neither the engine nor the sessions, which
would take 13 MB in each.
"""

import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from inkstream.model.errors import InkstreamError
from inkstream.model.pages import Page
from inkstream.model.pages.answers import Letter, ReadLine, Word, read_line
from inkstream.model.pages.formats import alto, hocr, page_xml
from inkstream.model.pages.transcription import json_of
from inkstream.service.page_workers.worker import serve
from inkstream.service.protocol.errors import OverLimitError
from inkstream.service.rest.inputs import (
    JSON,
    Input,
    Task,
    draw_page,
    find_lines,
    read,
    read_pages,
)

PageForm = Literal["json", "hocr", "alto", "pagexml"]
Render = Callable[[Page, Iterable[ReadLine]], str]

FORMS: Final[Mapping[PageForm, tuple[Render, str]]] = {  # with their media types
    "json": (json_of, JSON),
    "hocr": (hocr, "text/vnd.hocr+html; charset=utf-8"),
    "alto": (alto, "application/xml; charset=utf-8"),
    "pagexml": (page_xml, "application/xml; charset=utf-8"),
}


@dataclass(frozen=True, slots=True, eq=False)
class LineReading:
    """What a session read of one line of a page."""

    text: str
    events: bytes  # a JSON array


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """A page and what was read of its lines, of which an answer is made."""

    form: PageForm
    page: Page
    lines: list[LineReading]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What a page worker is to do: one of these."""

    task: Task | None = None  # with a body
    drawing: Task | None = None  # with a body, of which a page is drawn
    rendering: Rendering | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a page worker answers: one of these."""

    input: Input | None = None
    page: Page | None = None
    n_pages: int | None = None  # of the document of that page, or of the one that is refused
    image: bytes | None = None  # of a drawing, JPEG
    text: str | None = None  # of a rendering
    refusal: tuple[str, str] | None = None  # code and message of an error
    failure: str | None = None  # traceback of a failure that no error of ours names


def pack(job: Job) -> bytes:
    """Return a job as the page worker gets it."""
    return msgspec.msgpack.encode(job, enc_hook=_packed)


def unpack(outcome: bytes) -> Outcome:
    """Return the outcome that a page worker sent."""
    return msgspec.msgpack.decode(outcome, type=Outcome, dec_hook=_unpacked)


def work(job: bytes, body: bytes) -> bytes:
    """Return the outcome of a job, packed."""
    try:
        outcome = _outcome(msgspec.msgpack.decode(job, type=Job, dec_hook=_unpacked), body)
    except InkstreamError as error:
        outcome = Outcome(refusal=(error.code, str(error)))
    except MemoryError:
        text = "this takes more memory than is allowed"
        outcome = Outcome(refusal=(OverLimitError.code, text))
    except Exception:
        outcome = Outcome(failure=traceback.format_exc())
    return msgspec.msgpack.encode(outcome, enc_hook=_packed)


def _outcome(job: Job, body: bytes) -> Outcome:
    if job.rendering is not None:
        return Outcome(text=_rendered(job.rendering))
    if job.drawing is not None:
        pages = read_pages(job.drawing, body)
        return Outcome(image=draw_page(job.drawing, pages), n_pages=pages.count)
    assert job.task is not None
    if not job.task.is_page:
        return Outcome(input=read(job.task, body))
    pages = read_pages(job.task, body)
    n_pages = pages.count if pages.is_document else None
    try:
        return Outcome(page=find_lines(job.task, pages), n_pages=n_pages)
    except InkstreamError as error:
        return Outcome(refusal=(error.code, str(error)), n_pages=n_pages)


def _rendered(rendering: Rendering) -> str:
    """Return the answer about a page; its lines are made one by one, for their memory's sake."""
    readings = TypeAdapter(list[Letter | Word])
    lines = (
        read_line(line, reading.text, readings.validate_json(reading.events))
        for line, reading in zip(rendering.page.lines, rendering.lines, strict=True)
    )
    render, _ = FORMS[rendering.form]
    return render(rendering.page, lines)


def _packed(array: NDArray[Any]) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, array.tobytes()


def _unpacked(_kind: type, packed: tuple[str, tuple[int, ...], bytes]) -> NDArray[Any]:
    dtype, shape, data = packed
    return np.frombuffer(data, dtype).reshape(shape)


if __name__ == "__main__":
    serve(work)

"""A request's body -> the columns or the page that it holds.

`read` does so, in a page worker or, for a small body, on the server's event loop.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic_core import from_json
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, create_form_parser

from inkstream.model.config import Kind, ModelConfig
from inkstream.model.errors import InkSizeError, InputError
from inkstream.model.pages import Page, bounded, find_page, read_page
from inkstream.model.pages.content import content_of, kind_for
from inkstream.model.preprocess.columns import LINE_SIDE, image_columns, ink_hint
from inkstream.model.preprocess.documents import Pages, pages_of
from inkstream.model.preprocess.ink import MAX_LENGTH, stroke_columns
from inkstream.service.protocol.columns import json_columns
from inkstream.service.protocol.errors import (
    InkError,
    JsonError,
    MessageError,
    OverLimitError,
    ValueRefusedError,
    described,
)
from inkstream.service.protocol.strokes import json_strokes

FORM: Final = "multipart/form-data"
JSON: Final = "application/json"
PDF: Final = "application/pdf"
JPEG: Final = "image/jpeg"
JPEG_QUALITY: Final = 90


@dataclass(frozen=True, slots=True)
class Task:
    """How to read a body."""

    content_type: str  # with its parameters
    is_page: bool | None  # whether it is an image of many lines, or a document of such; or either
    models: dict[str, ModelConfig]  # by name, from which the input chooses; at least one
    max_pixels: int  # of an image
    max_columns: int  # of a line
    max_path: int = MAX_LENGTH  # pixels that the pen of strokes goes
    max_pages: int = 1  # of a document
    page_index: int = 0  # which of them is read

    def choose(self, kind: Kind | None) -> tuple[str, ModelConfig]:
        """Return the first model of a kind, or the first of all where there is none."""
        suitable = (item for item in self.models.items() if item[1].kind == kind)
        return next(suitable, next(iter(self.models.items())))


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """The columns that a body became, and the model that they are for."""

    model: str
    columns: NDArray[np.uint8]  # [n, H]
    hint: str | None = None  # what to try if the input looks like something else


def media_type(content_type: str) -> str:
    """Return a content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def read(task: Task, body: bytes | bytearray) -> Input | None:
    """Return what a body holds, of a document its first page.

    Where a task leaves open whether it is a page, a document is one, and so is an image that shows
    one: of these None is returned. Raises an `InkstreamError` that says what came and what is
    allowed.
    """
    if media_type(task.content_type) == JSON:
        return _from_json(task, body)
    pages = pages_of(_file(task, body), task.max_pixels)
    image = pages.page(0)
    content = content_of(image, task.max_pixels)
    name, config = task.choose(kind_for(content))
    is_page = content == "page" or pages.is_document
    if is_page and task.is_page is None and config.kind == "transcriber":
        return None
    columns, hint = image_columns(image, config, task.max_pixels)
    if config.kind == "transcriber":
        columns = _bounded(task, columns)
    if pages.count > 1:
        hint = f"this is the first of {pages.count} pages: /v1/page reads all"
    return Input(name, columns, hint)


def read_pages(task: Task, body: bytes | bytearray) -> Pages:
    """Return the pages of a body, none of which is read yet; raises as `read` does."""
    if media_type(task.content_type) == JSON:
        raise ValueRefusedError(f"a page needs an image, {JSON} came")
    pages = pages_of(_file(task, body), task.max_pixels)
    if pages.count > task.max_pages:
        hint = "; with format=json /v1/page reads all" if task.max_pages == 1 else ""
        text = f"the document has {pages.count} pages, allowed: up to {task.max_pages}{hint}"
        raise OverLimitError(text)
    return pages


def find_lines(task: Task, pages: Pages) -> Page:
    """Return the lines of the page that a task names; raises as `read` does."""
    _, config = task.choose("transcriber")
    image = pages.page(task.page_index)
    page = bounded(find_page(image, config.column_height, task.max_pixels))
    for line in page.lines:
        _bounded(task, line.columns)
    return page


def draw_page(task: Task, pages: Pages) -> bytes:
    """Return the page that a task names as grey JPEG, upright; raises as `read` does."""
    if task.page_index >= pages.count:
        text = f"page is {task.page_index + 1}, allowed: 1 to {pages.count}"
        raise ValueRefusedError(text)
    jpeg = BytesIO()
    grey = read_page(pages.page(task.page_index), task.max_pixels)
    Image.fromarray(grey).save(jpeg, "JPEG", quality=JPEG_QUALITY)
    return jpeg.getvalue()


def _file(task: Task, body: bytes | bytearray) -> bytes:
    if media_type(task.content_type) == FORM:
        return file_of_form(task.content_type, body)
    return bytes(body)


def _from_json(task: Task, data: bytes | bytearray) -> Input:
    """Turn `{"columns": [...]}` or `{"strokes": [...]}` into columns."""
    try:
        message: Any = from_json(data)
    except ValueError as error:
        raise JsonError(f"the body is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise JsonError(f"the body is {described(message)}, expected an object")
    if "strokes" in message and "columns" in message:
        raise ValueRefusedError("the body has columns and strokes, allowed: one of them")
    if "strokes" in message:
        strokes, height = json_strokes(message)
        name, config = task.choose("transcriber")
        try:
            max_columns = min(task.max_columns, LINE_SIDE)
            columns = stroke_columns(strokes, config, height, max_columns, task.max_path)
        except InkSizeError as error:
            raise OverLimitError(str(error)) from error
        except InputError as error:
            raise InkError(str(error)) from error
        return Input(name, columns, ink_hint(strokes, config.kind))
    if "columns" not in message:
        raise ValueRefusedError("the body has neither columns nor strokes")
    name, config = task.choose(None)
    joined = json_columns(message["columns"], config.column_height)
    columns = np.frombuffer(joined, np.uint8).reshape(-1, config.column_height)
    return Input(name, _bounded(task, columns))


def _bounded(task: Task, columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the columns; raise `OverLimitError` for more than a line may have."""
    if len(columns) > task.max_columns:
        raise OverLimitError(f"a line of {len(columns)} columns, allowed: up to {task.max_columns}")
    return columns


def file_of_form(content_type: str, body: bytes | bytearray) -> bytes:
    """Return the part `file` of a multipart body, held in memory alone.

    Raises `MessageError`, and `ValueRefusedError` for another part.
    """
    files: list[Any] = []

    def take(part: Any) -> None:
        name = (part.field_name or b"").decode(errors="replace")
        if name != "file":
            text = f"the form holds {name!r:.100}, allowed: the part 'file' alone;"
            raise ValueRefusedError(f"{text} parameters stand in the query, as ?model=lines")
        if files:
            raise MessageError("the multipart body holds several files, allowed: one")
        files.append(part)

    headers = {"Content-Type": content_type.encode()}
    config = {"MAX_MEMORY_FILE_SIZE": len(body)}  # the disk may be read-only, and is slower
    try:
        parser = create_form_parser(headers, take, take, config)
        parser.write(bytes(body))
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise MessageError(f"the multipart body cannot be read: {error}") from None
    if not files or isinstance(files[0], Field):
        raise MessageError("the multipart body holds no file, expected a part 'file'")
    content = cast(BytesIO, files[0].file_object)
    if not (data := content.getvalue()):  # `read` would copy it
        raise MessageError("the file is empty, expected an image")
    return data

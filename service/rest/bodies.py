"""Read a request's body and turn it into columns: an image, columns or strokes.

A body is read under a limit, whether its length was announced or not, and all bodies together under
another, so that many large ones at once are refused before they fill the memory. Decoding runs in
threads, few at a time: one image of the largest size takes tens of megabytes.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from inkstream.model.errors import ImageError, InkstreamError, InputError
from inkstream.model.pages import Page, find_page
from inkstream.model.preprocess.columns import image_columns, ink_hint, kind_for
from inkstream.model.preprocess.ink import stroke_columns
from inkstream.service.logs import get_logger
from inkstream.service.pages import bounded
from inkstream.service.protocol.columns import json_columns
from inkstream.service.protocol.errors import (
    IdleError,
    InkError,
    JsonError,
    MessageError,
    OverLimitError,
    ServerFullError,
    UnreadableError,
    ValueRefusedError,
    described,
)
from inkstream.service.protocol.strokes import json_strokes
from inkstream.service.service import RunningModel, Service

BODIES_AT_ONCE: Final = 4  # of the largest size: the memory that all bodies together may take
DECODES_AT_ONCE: Final = 2
PAGES_AT_ONCE: Final = 1  # whose lines are being found: each takes a core and much memory
TIME_SHARE: Final = 0.8  # of a body's time limit; after all of it the connection is cut unanswered
MAX_FIELDS: Final = 16  # of a multipart body, beside its file
# JSON takes up to 25 times its size once it is parsed (`[],` is 3 bytes and 64 in memory).
MAX_JSON_BYTES: Final = 2 * 1024 * 1024

FORM: Final = "multipart/form-data"
JSON: Final = "application/json"
TYPES: Final = ("", "application/octet-stream", FORM, JSON)  # beside all images
ALLOWED: Final = f"image/*, application/octet-stream, {FORM}, {JSON}"

UNREADABLE: Final = "this body cannot be read; the server's log says why under this request id"

T = TypeVar("T")

log = get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """The columns that a body became, and the model that they are for."""

    model: RunningModel
    columns: NDArray[np.uint8]  # [n, H]
    hint: str | None = None  # what to try if the input looks like something else


class BodyReader:
    """Read the bodies of one server's requests."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._timeout_s = TIME_SHARE * service.settings.body_timeout_s
        self._free_bytes = BODIES_AT_ONCE * service.limits.max_body_bytes
        self._decodes = asyncio.Semaphore(DECODES_AT_ONCE)
        self._pages = asyncio.Semaphore(PAGES_AT_ONCE)

    async def columns(self, request: Request, model: RunningModel | None) -> Input:
        """Read an image, columns or strokes for a model, or for the one that suits them if None.

        Raises an `InputError` or a `ServiceError` that says what came and what is allowed.
        """

        def decode(data: bytes, content_type: str) -> Input:
            from_body = self._from_json if content_type == JSON else self._from_image
            return from_body(data, model)

        return await self._decoded(request, decode, self._decodes)

    async def page(self, request: Request, model: RunningModel) -> Page:
        """Read the image of a page and find its lines; raises as `columns` does."""
        self._service.require_kind(model, "transcriber", "page=true")
        most_pixels = self._service.limits.max_image_pixels

        def find(data: bytes, content_type: str) -> Page:
            if content_type == JSON:
                raise ValueRefusedError(f"page=true needs an image, {JSON} came")
            return bounded(find_page(data, model.info.column_height, most_pixels))

        page = await self._decoded(request, find, self._pages)
        for line in page.lines:
            self._bounded(line.columns)
        return page

    async def _decoded(
        self, request: Request, decode: Callable[[bytes, str], T], turns: asyncio.Semaphore
    ) -> T:
        """Receive a body of an allowed content type and decode it in a thread, when turns allow.

        Where decoding fails unexpectedly, this body alone is refused, with `UnreadableError`.
        """
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not content_type.startswith("image/") and content_type not in TYPES:
            raise ImageError(f"content type is {content_type[:100]}, allowed: {ALLOWED}")
        with self._reserved(request, content_type) as reserve:
            data = await self._receive(request, reserve)
            if content_type == FORM:
                data = await file_of_form(request.headers, data)
            try:
                async with turns:
                    return await asyncio.to_thread(decode, data, content_type)
            except InkstreamError:
                raise
            except Exception as error:
                log.error("body could not be read", exc_info=error)
                raise UnreadableError(UNREADABLE) from error

    @contextmanager
    def _reserved(self, request: Request, content_type: str) -> Iterator[Callable[[int], None]]:
        """Yield a function that reserves memory for so many bytes; all is free after the block.

        The function raises `OverLimitError` or `ServerFullError`; a body that is announced to be
        too large is refused at once.
        """
        most, name, held = self._service.limits.max_body_bytes, "body", 0
        if content_type == JSON:
            most, name = min(most, MAX_JSON_BYTES), "JSON body"
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            raise OverLimitError(f"the {name} has {announced} bytes, allowed: up to {most}")

        def reserve(n_bytes: int) -> None:
            nonlocal held
            if held + n_bytes > most:
                raise OverLimitError(f"the {name} has more than {most} bytes, allowed: up to that")
            if n_bytes > self._free_bytes:
                raise ServerFullError("too many large bodies at once, try again")
            held += n_bytes
            self._free_bytes -= n_bytes

        try:
            yield reserve
        finally:
            self._free_bytes += held

    async def _receive(self, request: Request, reserve: Callable[[int], None]) -> bytes:
        body = bytearray()  # not a list: chunks may be of one byte each
        try:
            async with asyncio.timeout(self._timeout_s):
                async for chunk in request.stream():
                    reserve(len(chunk))
                    body += chunk
        except TimeoutError:
            raise IdleError(f"the body took more than {self._timeout_s:g} s") from None
        if not body:
            raise MessageError("the body is empty, expected an image, columns or strokes")
        return bytes(body)

    def _from_image(self, data: bytes, model: RunningModel | None) -> Input:
        """Turn an image file into columns; raises `ImageError`."""
        model = model or self._service.model(None, kind_for(data))
        config, most = model.session_model.config, self._service.limits.max_image_pixels
        columns, hint = image_columns(data, config, most)
        if config.kind == "transcriber":
            columns = self._bounded(columns)
        return Input(model, columns, hint)

    def _from_json(self, data: bytes, model: RunningModel | None) -> Input:
        """Turn `{"columns": [...]}` or `{"strokes": [...]}` into columns.

        Raises a `MessageError`, or `OverLimitError`.
        """
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
            model = model or self._service.model(None, kind_for(None))
            config = model.session_model.config
            try:
                columns = self._bounded(stroke_columns(strokes, config, height))
            except InputError as error:
                raise InkError(str(error)) from error
            return Input(model, columns, ink_hint(strokes, config.kind))
        if "columns" not in message:
            raise ValueRefusedError("the body has neither columns nor strokes")
        model = model or self._service.model(None)
        height = model.info.column_height
        joined = json_columns(message["columns"], height)
        columns = np.frombuffer(joined, np.uint8).reshape(-1, height)
        return Input(model, self._bounded(columns))

    def _bounded(self, columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the columns; raise `OverLimitError` for more than a line may have."""
        most = self._service.limits.max_line_columns
        if len(columns) > most:
            raise OverLimitError(f"a line of {len(columns)} columns, allowed: up to {most}")
        return columns


async def file_of_form(headers: Headers, body: bytes) -> bytes:
    """Return the part `file` of a multipart body, held in memory alone; raise `MessageError`."""

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(headers, whole(), max_files=1, max_fields=MAX_FIELDS)
    parser.spool_max_size = len(body) + 1  # the disk may be read-only, and is slower
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise MessageError(f"the multipart body cannot be read: {error.message}") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            came = ", ".join(map(repr, form)) or "nothing"
            raise MessageError(f"the multipart body holds {came:.100}, expected a part 'file'")
        data = await file.read()
        if not data:
            raise MessageError("the file is empty, expected an image")
        return data
    finally:
        await form.close()

"""What may come in the body of a request, and how it becomes columns: image, columns or strokes.

A body is read under a limit, whether its length was announced or not, and all bodies together under
another, so that many large ones at once are refused instead of filling the memory. Decoding is done
in threads, few at a time: one image of the largest size takes tens of megabytes.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from inkstream.model.config import ModelConfig
from inkstream.model.errors import ImageError, InputError
from inkstream.model.pages.page import Page
from inkstream.model.preprocess.columns import LINE_SIDE, digit_columns, line_columns
from inkstream.model.preprocess.image import read_image
from inkstream.model.preprocess.strokes import stroke_columns
from inkstream.service.client.sending import pixels
from inkstream.service.protocol.errors import (
    ColumnsError,
    IdleError,
    InkError,
    JsonError,
    MessageError,
    OverLimitError,
    ServerFullError,
    ValueRefusedError,
)
from inkstream.service.protocol.server_messages import Limits
from inkstream.service.protocol.strokes import strokes_of
from inkstream.service.protocol.validation import shown

BODIES_AT_ONCE: Final = 4  # of the largest size: the memory that all bodies together may take
DECODES_AT_ONCE: Final = 2
PAGES_AT_ONCE: Final = 1  # whose lines are being found: each takes a core and much memory
TIME_SHARE: Final = 0.8  # of a body's time: after the whole of it the connection is cut in silence
MAX_FIELDS: Final = 16  # of a multipart body, beside its file
# JSON takes up to 25 times its size once it is parsed (`[],` is 3 bytes and 64 in memory).
MAX_JSON_BYTES: Final = 2 * 1024 * 1024

T = TypeVar("T")

ALLOWED: Final = "image/*, application/octet-stream, multipart/form-data, application/json"
FORM: Final = "multipart/form-data"
JSON: Final = "application/json"


class BodyReader:
    """Reads the bodies of one server's requests."""

    def __init__(self, limits: Limits, body_timeout_s: float) -> None:
        self._limits = limits
        self._timeout_s = TIME_SHARE * body_timeout_s
        self._free_bytes = BODIES_AT_ONCE * limits.max_body_bytes
        self._decodes = asyncio.Semaphore(DECODES_AT_ONCE)
        self._pages = asyncio.Semaphore(PAGES_AT_ONCE)

    async def columns(self, request: Request, config: ModelConfig) -> NDArray[np.uint8]:
        """The columns [n, H] that a request brings for a net: an image, columns or strokes.

        Raises an `InputError` or a `ServiceError` that says what came and what is allowed.
        """

        def decoded(data: bytes, kind: str) -> NDArray[np.uint8]:
            decode = columns_of_json if kind == JSON else columns_of_image
            return decode(data, config, self._limits)

        return await self._decoded(request, decoded, self._decodes)

    async def page(self, request: Request, find: Callable[[bytes], Page]) -> Page:
        """The page that a request brings as an image; raises as `columns` does."""

        def decoded(data: bytes, kind: str) -> Page:
            if kind == JSON:
                raise ValueRefusedError("page is true, allowed: of an image alone")
            if not data:
                raise MessageError("the file is empty, expected an image")
            return find(data)

        return await self._decoded(request, decoded, self._pages)

    async def _decoded(
        self, request: Request, decode: Callable[[bytes, str], T], turns: asyncio.Semaphore
    ) -> T:
        """What a body of a kind that may come is decoded to, in a thread, when its turn comes."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (FORM, JSON, "", "application/octet-stream") and kind[:6] != "image/":
            raise ImageError(f"content type is {kind[:100]}, allowed: {ALLOWED}")
        with self._room(request, kind) as take:
            data = await self._receive(request, take)
            if kind == FORM:
                data = await file_of_form(request.headers, data)
            async with turns:
                return await asyncio.to_thread(decode, data, kind)

    @contextmanager
    def _room(self, request: Request, kind: str) -> Iterator[Callable[[int], None]]:
        """Counts the bytes of one body, and among those of all while the block runs.

        The function that it gives takes room for so many bytes more, or raises `OverLimitError` or
        `ServerFullError`; a body that is announced to be too large is refused at once.
        """
        most, name, held = self._limits.max_body_bytes, "body", 0
        if kind == JSON:
            most, name = min(most, MAX_JSON_BYTES), "JSON body"
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            raise OverLimitError(f"the {name} has {announced} bytes, allowed: up to {most}")

        def take(n_bytes: int) -> None:
            nonlocal held
            if held + n_bytes > most:
                raise OverLimitError(f"the {name} has more than {most} bytes, allowed: up to that")
            if n_bytes > self._free_bytes:
                raise ServerFullError("too many large bodies at once, try again")
            held += n_bytes
            self._free_bytes -= n_bytes

        try:
            yield take
        finally:
            self._free_bytes += held

    async def _receive(self, request: Request, take: Callable[[int], None]) -> bytes:
        body = bytearray()  # not a list: chunks may be of one byte each
        try:
            async with asyncio.timeout(self._timeout_s):
                async for chunk in request.stream():
                    take(len(chunk))
                    body += chunk
        except TimeoutError:
            raise IdleError(f"the body took more than {self._timeout_s:g} s") from None
        if not body:
            raise MessageError("the body is empty, expected an image, columns or strokes")
        return bytes(body)


async def file_of_form(headers: Headers, body: bytes) -> bytes:
    """The part `file` of a multipart body, held in memory alone; raises `MessageError`."""

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
        return await file.read()
    finally:
        await form.close()


def columns_of_image(data: bytes, config: ModelConfig, limits: Limits) -> NDArray[np.uint8]:
    """The columns [T, H] of an image file; raises `ImageError`."""
    if not data:
        raise MessageError("the file is empty, expected an image")
    if config.kind == "classifier":
        return digit_columns(read_image(data, limits.max_image_pixels), config.column_height)
    image = read_image(data, limits.max_image_pixels, LINE_SIDE)
    return _bounded(line_columns(image, config.column_height), limits)


def columns_of_json(data: bytes, config: ModelConfig, limits: Limits) -> NDArray[np.uint8]:
    """The columns [n, H] of `{"columns": [...]}` or `{"strokes": [...]}`.

    Raises a `MessageError`, or `OverLimitError`.
    """
    try:
        message: Any = from_json(data)
    except ValueError as error:
        raise JsonError(f"the body is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise JsonError(f"the body is {shown(message)}, expected an object")
    if "strokes" in message and "columns" in message:
        raise ValueRefusedError("the body has columns and strokes, allowed: one of them")
    if "strokes" in message:
        strokes, height = strokes_of(message)
        try:
            return _bounded(stroke_columns(strokes, config, height), limits)
        except InputError as error:
            raise InkError(str(error)) from error
    if "columns" not in message:
        raise ValueRefusedError("the body has neither columns nor strokes")
    if not isinstance(message["columns"], list):
        raise ColumnsError(f"columns is {shown(message['columns'])}, expected an array of columns")
    joined = pixels(message["columns"], config.column_height, shown)
    columns = np.frombuffer(joined, np.uint8).reshape(-1, config.column_height)
    if not len(columns):
        raise ColumnsError("columns is empty, expected at least one column")
    return _bounded(columns, limits)


def _bounded(columns: NDArray[np.uint8], limits: Limits) -> NDArray[np.uint8]:
    """The same; raises `OverLimitError` for more than a line may have."""
    if len(columns) > limits.max_line_columns:
        raise OverLimitError(f"{len(columns)} columns, allowed: up to {limits.max_line_columns}")
    return columns

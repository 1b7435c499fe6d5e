"""Receive a request's body, and have it read by a page worker, or read it where it is small.

A body is received under a limit, whether its length was announced or not, and bodies together under
others, of each client and of all, so that they are refused before they fill the memory; so are the
columns that they become. What comes too slowly is ended. What may take long or much memory is read
in a page worker, which is killed when it does or when the client leaves; a small body is read at
once.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Final

from starlette.requests import Request

from inkstream.model.config import Kind, ModelConfig
from inkstream.model.errors import ImageError, ImageSizeError, InkstreamError
from inkstream.model.pages import Page
from inkstream.service.observe.logs import get_logger
from inkstream.service.page_workers.pool import UNREADABLE
from inkstream.service.page_workers.turns import Turns
from inkstream.service.protocol.errors import (
    IdleError,
    MessageError,
    OverLimitError,
    ServerFullError,
    UnreadableError,
    error_of,
)
from inkstream.service.rest import inputs
from inkstream.service.rest.inputs import FORM, JSON, Input, Task, media_type
from inkstream.service.rest.rendering import Rendering
from inkstream.service.rest.requests import address_of, while_connected
from inkstream.service.rest.work import Job, Outcome, pack, unpack
from inkstream.service.service import RunningModel, Service

MAX_HELD_BODIES: Final = 4  # of the largest size: the memory that all bodies together may take
MAX_CLIENT_HELD_BODIES: Final = 2
BODY_TIME_SHARE: Final = 0.8  # of `body_timeout_s`, after which the connection is cut unanswered
# A body must bring so many bytes in so many seconds, again and again, until it is complete.
PACE_BYTES: Final = 16 * 1024
PACE_S: Final = 5.0
# JSON takes up to 25 times its size once it is parsed (`[],` is 3 bytes and 64 in memory).
MAX_JSON_BYTES: Final = 2 * 1024 * 1024
# What is read on the event loop, within a millisecond or two; a process would be started for it.
SMALL_BODY_BYTES: Final = 4 * 1024
SMALL_IMAGE_PIXELS: Final = 32 * 32
SMALL_LINE_COLUMNS: Final = 4096
SMALL_PATH_PIXELS: Final = 16_384  # that the pen goes
# What a column takes until the request is answered: its pixels twice, the second time in messages;
# and of a classifier, which may answer each of them, its result.
COLUMN_COPIES: Final = 2
RESULT_BYTES: Final = 1024

CONTENT_TYPES: Final = ("", "application/octet-stream", FORM, JSON)  # beside all images
CONTENT_TYPES_ALLOWED: Final = f"image/*, application/octet-stream, {FORM}, {JSON}"

log = get_logger()


class BodyReader:
    """Read the bodies of one server's requests."""

    def __init__(self, service: Service) -> None:
        limits = service.limits
        self._service = service
        self._page_workers = service.page_workers
        self._timeout_s = BODY_TIME_SHARE * service.settings.body_timeout_s
        self._free_bytes = MAX_HELD_BODIES * limits.max_body_bytes
        self._held_bytes: Counter[str] = Counter()  # by client
        self._turns = Turns(
            1,
            max_waiting=limits.max_sessions,
            max_waiting_per_client=limits.max_sessions_per_client,
        )

    @asynccontextmanager
    async def columns(self, request: Request, model: RunningModel | None) -> AsyncIterator[Input]:
        """Read an image, columns or strokes for a model, or for the one that suits them if None.

        Their memory is reserved until the block ends. Raises an `InputError` or a `ServiceError`
        that says what came and what is allowed.
        """
        came = await self._read(request, self._task(request, self._choice(model)))
        assert isinstance(came, Input)
        with self._held(address_of(request), self._price(came)):
            yield came

    @asynccontextmanager
    async def page(self, request: Request, model: RunningModel) -> AsyncIterator[Page]:
        """Read the image of a page and find its lines; holds and raises as `columns` does."""
        task = replace(self._task(request, self._choice(model)), is_page=True)
        page = await self._read(request, task)
        assert isinstance(page, Page)
        with self._held(address_of(request), self._price(page)):
            yield page

    @contextmanager
    def _held(self, client: str, n_bytes: int) -> Iterator[None]:
        """Reserve memory while the block runs."""
        self._reserve(client, n_bytes)
        try:
            yield
        finally:
            self._release(client, n_bytes)

    def _choice(self, model: RunningModel | None) -> Mapping[str, ModelConfig]:
        """Return the model, or those from which an input chooses, with their dimensions."""
        kinds: tuple[Kind | None, ...] = (None, "classifier", "transcriber")
        models = [model] if model else [self._service.model(None, kind) for kind in kinds]
        return {each.info.name: each.session_model.config for each in models}

    def _task(self, request: Request, models: Mapping[str, ModelConfig]) -> Task:
        limits = self._service.limits
        return Task(
            content_type=request.headers.get("content-type", ""),
            is_page=False,
            models=dict(models),
            max_pixels=limits.max_image_pixels,
            max_columns=limits.max_line_columns,
        )

    async def _read(self, request: Request, task: Task) -> Input | Page:
        """Receive a body of an allowed content type and read it.

        Where reading fails unexpectedly, this body alone is refused, with `UnreadableError`.
        """
        kind = media_type(task.content_type)
        if not kind.startswith("image/") and kind not in CONTENT_TYPES:
            raise ImageError(f"content type is {kind[:100]}, allowed: {CONTENT_TYPES_ALLOWED}")
        client = address_of(request)
        with self._reserved(request, client, kind) as reserve:
            body = await self._receive(request, reserve)
            found: Input | Page | None = None
            if not task.is_page and kind != FORM and len(body) <= SMALL_BODY_BYTES:
                found = await self._read_small(client, task, body)
            if found is None:
                outcome = await self._work(request, Job(task=task), body)
                found = outcome.page or outcome.input
            assert found is not None
        return found

    def _price(self, found: Input | Page) -> int:
        """Return the bytes that columns take while they are recognised."""
        if isinstance(found, Page):
            return COLUMN_COPIES * sum(line.columns.nbytes for line in found.lines)
        config = self._service.models[found.model].session_model.config
        answer = RESULT_BYTES * len(found.columns) if config.kind == "classifier" else 0
        return COLUMN_COPIES * found.columns.nbytes + answer

    async def rendered(self, request: Request, rendering: Rendering) -> str:
        """Return the answer about a page, made by a page worker; raises as `columns` does."""
        outcome = await self._work(request, Job(rendering=rendering), has_begun=True)
        return outcome.text or ""

    async def _work(
        self, request: Request, job: Job, body: bytes | bytearray = b"", *, has_begun: bool = False
    ) -> Outcome:
        """Have a page worker do a job while the client is connected; raise its error."""
        asked = [pack(job), body]
        work = self._page_workers.run(address_of(request), asked, has_begun=has_begun)
        outcome = unpack(await while_connected(request, work))
        if outcome.refusal is not None:
            raise error_of(*outcome.refusal)
        if outcome.failure is not None:
            log.error("body could not be read", exc_info=ChildProcessError(outcome.failure))
            raise UnreadableError(UNREADABLE)
        return outcome

    async def _read_small(self, client: str, task: Task, body: bytearray) -> Input | Page | None:
        """Read a small body; return None for an image or strokes too large to be read here."""
        small = replace(
            task,
            max_pixels=min(SMALL_IMAGE_PIXELS, task.max_pixels),
            max_columns=min(SMALL_LINE_COLUMNS, task.max_columns),
            max_path=SMALL_PATH_PIXELS,
        )
        try:
            async with self._turns.turn(client):
                await asyncio.sleep(0)  # one body in a turn of the event loop
                return inputs.read(small, body)
        except (ImageSizeError, OverLimitError):
            return None
        except InkstreamError:
            raise
        except Exception as error:
            log.error("body could not be read", exc_info=error)
            raise UnreadableError(UNREADABLE) from error

    @contextmanager
    def _reserved(
        self, request: Request, client: str, kind: str
    ) -> Iterator[Callable[[int], None]]:
        """Yield a function that reserves memory for so many bytes; all is free after the block.

        The function raises `OverLimitError` or `ServerFullError`; a body that is announced to be
        too large is refused at once.
        """
        max_bytes, name, held = self._service.limits.max_body_bytes, "body", 0
        if kind == JSON:
            max_bytes, name = min(max_bytes, MAX_JSON_BYTES), "JSON body"
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > max_bytes:
            raise OverLimitError(f"the {name} has {announced} bytes, allowed: up to {max_bytes}")

        def reserve(n_bytes: int) -> None:
            nonlocal held
            if held + n_bytes > max_bytes:
                raise OverLimitError(
                    f"the {name} has more than {max_bytes} bytes, allowed: up to that"
                )
            self._reserve(client, n_bytes)
            held += n_bytes

        try:
            yield reserve
        finally:
            self._release(client, held)

    def _reserve(self, client: str, n_bytes: int) -> None:
        """Reserve memory for a body or its columns; raise `ServerFullError` if none is free."""
        max_client_bytes = MAX_CLIENT_HELD_BODIES * self._service.limits.max_body_bytes
        if self._held_bytes[client] + n_bytes > max_client_bytes:
            raise ServerFullError(f"too many large bodies of {client} at once, try again")
        if n_bytes > self._free_bytes:
            raise ServerFullError("too many large bodies at once, try again")
        self._held_bytes[client] += n_bytes
        self._free_bytes -= n_bytes

    def _release(self, client: str, n_bytes: int) -> None:
        self._free_bytes += n_bytes
        self._held_bytes[client] -= n_bytes
        if not self._held_bytes[client]:
            del self._held_bytes[client]

    async def _receive(self, request: Request, reserve: Callable[[int], None]) -> bytearray:
        """Return the body; raise `IdleError` if it comes too slowly."""
        body = bytearray()  # not a list: chunks may be of one byte each
        loop = asyncio.get_running_loop()
        started_s, paced = loop.time(), 0
        try:
            async with asyncio.timeout(min(PACE_S, self._timeout_s)) as timeout:
                async for chunk in request.stream():
                    reserve(len(chunk))
                    body += chunk
                    if len(body) - paced >= PACE_BYTES:
                        paced = len(body)
                        due_s = min(loop.time() + PACE_S, started_s + self._timeout_s)
                        timeout.reschedule(due_s)
        except TimeoutError:
            took_s = loop.time() - started_s
            raise IdleError(
                f"{len(body)} bytes of the body came in {took_s:.1f} s, expected all of it in"
                f" {self._timeout_s:g} s, and {PACE_BYTES} bytes every {PACE_S:g} s"
            ) from None
        if not body:
            raise MessageError("the body is empty, expected an image, columns or strokes")
        return body

"""Receive a request's body, and have it read by a page worker, or read it where it is small.

A body is received under a limit, whether its length was announced or not. The bodies of a client
together have a limit too, and so have those of all clients, and the columns that they become: what
exceeds one is refused before it fills the memory. A body that comes too slowly is ended. What may
take long or much memory is read in a page worker, which is killed when it does or when the client
leaves; a small body is read at once.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect, Request

from inkstream.model.config import Kind
from inkstream.model.errors import ImageError, ImageSizeError, InkstreamError
from inkstream.model.pages import Page
from inkstream.model.preprocess.documents import needs_library
from inkstream.service.access import network_of
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
from inkstream.service.rest.inputs import FORM, JSON, PDF, Input, Task, media_type
from inkstream.service.rest.work import Job, Outcome, Rendering, pack, unpack
from inkstream.service.service import RunningModel, Service

# A body must bring so many bytes in so many seconds, again and again, until it is complete.
PACE_BYTES: Final = 16 * 1024
PACE_S: Final = 5.0
SMALL_PATH_PIXELS: Final = 16_384  # that the pen goes in strokes that are drawn on the event loop

T = TypeVar("T")

log = get_logger()


def address_of(request: Request) -> str:
    """Return the client: its address, which a trusted proxy may have named, or its network."""
    return network_of(request.client.host) if request.client else "unknown"


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await `work` for a request whose body was read; cancel it when the client disconnects.

    Raises `ClientDisconnect` then.
    """

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    leaving = asyncio.create_task(disconnected())
    working = asyncio.create_task(work)
    try:
        await asyncio.wait([leaving, working], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.wait([leaving, working])  # nothing is being read any more


class BodyReader:
    """Read the bodies of one server's requests."""

    def __init__(self, service: Service) -> None:
        limits = service.limits
        self._service = service
        # Beyond `body_timeout_s` the connection is cut, and no answer could be sent.
        self._timeout_s = 0.8 * service.settings.body_timeout_s
        self._free_bytes = 4 * limits.max_body_bytes  # that all bodies together may take
        self._held_bytes: Counter[str] = Counter()  # by client
        self._turns = Turns(1, limits.max_sessions, limits.max_sessions_per_client)

    @asynccontextmanager
    async def columns(
        self, request: Request, model: RunningModel | None, *, may_be_page: bool = False
    ) -> AsyncIterator[Input | bytearray]:
        """Read an image, columns or strokes for a model, or for the one that suits them if None.

        If it `may_be_page` and shows one, the body is yielded, which `pages` takes.

        Until the block ends, the request counts as a session, and memory is reserved. Raises an
        `InputError` or a `ServiceError` that says what came and what is allowed.
        """
        client = address_of(request)
        async with self._service.sessions.admit_request(client):
            is_page = None if may_be_page else False
            came = await self._read(request, self._task(request, model, is_page=is_page))
            if isinstance(came, bytearray):
                yield came
                return
            # A column takes its bytes twice, the second time in messages; and of a classifier,
            # which may answer each of them, its result.
            n_bytes = 2 * came.columns.nbytes
            if self._service.models[came.model].info.kind == "classifier":
                n_bytes += 1024 * len(came.columns)
            with self._memory(client) as reserve:
                reserve(n_bytes)
                yield came

    async def pages(
        self,
        request: Request,
        model: RunningModel,
        max_pages: int,
        received: bytearray | None = None,
    ) -> AsyncGenerator[tuple[Page | InkstreamError, bool]]:
        """Yield each page of a body, which may have been received, or the error in its place.

        The second value is whether it is a page of a document: the error of another image is
        raised. Holds and raises as `columns` does.
        """
        client, settings = address_of(request), self._service.settings
        until_s = asyncio.get_running_loop().time() + settings.max_document_s
        task = replace(self._task(request, model, is_page=True), max_pages=max_pages)
        async with self._service.sessions.admit_request(client):
            with self._memory(client) as reserve:
                if received is None:
                    body = await self._receive(request, self._kind(task), reserve)
                else:
                    reserve(len(body := received))
                index, n_pages, is_document = 0, 1, False
                while index < n_pages:
                    content: Page | InkstreamError | None  # the error in the place of a page
                    with self._memory(client) as reserve_lines:
                        try:
                            if index and asyncio.get_running_loop().time() > until_s:
                                text = f"the document takes more than {settings.max_document_s:g} s"
                                raise OverLimitError(f"{text}, the most allowed")
                            job = Job(task=replace(task, page_index=index))
                            outcome = await self._work(request, job, body, has_begun=index > 0)
                            n_pages = outcome.n_pages or 1
                            is_document = outcome.n_pages is not None
                            if outcome.refusal is not None:
                                raise error_of(*outcome.refusal)
                            content = outcome.page
                            assert content is not None
                            reserve_lines(2 * sum(line.columns.nbytes for line in content.lines))
                        except InkstreamError as error:
                            if not is_document:
                                raise
                            content = error
                        yield content, is_document
                    index += 1

    async def image(self, request: Request, number: int) -> tuple[bytes, int]:
        """Return a page of a body, from 1, as JPEG, and how many there are.

        Holds and raises as `columns` does.
        """
        client, max_pages = address_of(request), self._service.settings.max_document_pages
        task = self._task(request, None, is_page=True)
        task = replace(task, max_pages=max_pages, page_index=number - 1)
        async with self._service.sessions.admit_request(client):
            with self._memory(client) as reserve:
                body = await self._receive(request, self._kind(task), reserve)
                outcome = await self._work(request, Job(drawing=task), body)
        return outcome.image or b"", outcome.n_pages or 1

    async def rendered(self, request: Request, rendering: Rendering) -> str:
        """Return the answer about a page, made by a page worker; raises as `columns` does."""
        outcome = await self._work(request, Job(rendering=rendering), has_begun=True)
        return outcome.text or ""

    def _task(self, request: Request, model: RunningModel | None, *, is_page: bool | None) -> Task:
        # Where no model is named: the default, and the first of each kind.
        kinds: tuple[Kind | None, ...] = (None, "classifier", "transcriber")
        models = [model] if model else [self._service.model(None, kind) for kind in kinds]
        limits = self._service.limits
        return Task(
            content_type=request.headers.get("content-type", ""),
            is_page=is_page,
            models={model.info.name: model.session_model.config for model in models},
            max_pixels=limits.max_image_pixels,
            max_columns=limits.max_line_columns,
        )

    def _kind(self, task: Task) -> str:
        """Return the content type of a task; raise `ImageError` if it is not allowed."""
        kind = media_type(task.content_type)
        allowed = ("image/*", PDF, "application/octet-stream", FORM, JSON)
        if kind.startswith("image/") or kind in ("", *allowed):
            return kind
        hint = ""
        if kind == "application/x-www-form-urlencoded":
            hint = ' (curl names this one for lack of another: add -H "Content-Type: image/png",'
            hint += " or send -F file=@FILE)"
        raise ImageError(f"content type is {kind[:100]}, allowed: {', '.join(allowed)}{hint}")

    async def _read(self, request: Request, task: Task) -> Input | bytearray:
        """Receive a body of an allowed content type and read it; return it where it is a page.

        Where reading fails unexpectedly, this body alone is refused, with `UnreadableError`.
        """
        kind = self._kind(task)
        client = address_of(request)
        with self._memory(client) as reserve:
            body = await self._receive(request, kind, reserve)
            # A process would be started for a body that is read here within a millisecond or two.
            if kind != FORM and len(body) <= 4096 and not needs_library(bytes(body[:64])):
                came = await self._read_small(client, task, body)
                if came is not None:
                    return came
            outcome = await self._work(request, Job(task=task), body)
        return outcome.input or body

    async def _work(
        self, request: Request, job: Job, body: bytes | bytearray = b"", *, has_begun: bool = False
    ) -> Outcome:
        """Have a page worker do a job while the client is connected; raise its error."""
        parts = [pack(job), body]
        work = self._service.page_workers.run(address_of(request), parts, has_begun=has_begun)
        outcome = unpack(await while_connected(request, work))
        if outcome.refusal is not None and outcome.n_pages is None:
            raise error_of(*outcome.refusal)
        if outcome.failure is not None:
            log.error("body could not be read", exc_info=ChildProcessError(outcome.failure))
            raise UnreadableError(UNREADABLE)
        return outcome

    async def _read_small(self, client: str, task: Task, body: bytearray) -> Input | None:
        """Read a small body; return None for an image or strokes too large to be read here."""
        small = replace(
            task,
            max_pixels=min(32 * 32, task.max_pixels),
            max_columns=min(4096, task.max_columns),
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
    def _memory(self, client: str) -> Iterator[Callable[[int], None]]:
        """Yield a function that reserves memory for so many bytes; all is free after the block.

        The function raises `ServerFullError` if a client or all of them hold too much.
        """
        n_reserved = 0

        def reserve(n_bytes: int) -> None:
            nonlocal n_reserved
            if self._held_bytes[client] + n_bytes > 2 * self._service.limits.max_body_bytes:
                raise ServerFullError(f"too many large bodies of {client} at once, try again")
            if n_bytes > self._free_bytes:
                raise ServerFullError("too many large bodies at once, try again")
            self._held_bytes[client] += n_bytes
            self._free_bytes -= n_bytes
            n_reserved += n_bytes

        try:
            yield reserve
        finally:
            self._free_bytes += n_reserved
            self._held_bytes -= Counter({client: n_reserved})  # which leaves out clients with none

    async def _receive(
        self, request: Request, kind: str, reserve: Callable[[int], None]
    ) -> bytearray:
        """Return the body, for which memory is reserved while it comes.

        Raises `OverLimitError` if it is too large, at once where its length is announced, and
        `IdleError` if it comes too slowly.
        """
        max_bytes, name = self._service.limits.max_body_bytes, "body"
        if kind == JSON:  # takes up to 25 times its size once it is parsed: `[],` is 64 bytes then
            max_bytes, name = min(max_bytes, 2 * 1024 * 1024), "JSON body"
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > max_bytes:
            raise OverLimitError(f"the {name} has {announced} bytes, allowed: up to {max_bytes}")
        body = bytearray()  # not a list: chunks may be of one byte each
        loop = asyncio.get_running_loop()
        started_s, paced = loop.time(), 0
        try:
            async with asyncio.timeout(min(PACE_S, self._timeout_s)) as timeout:
                async for chunk in request.stream():
                    if len(body) + len(chunk) > max_bytes:
                        text = f"the {name} has more than {max_bytes} bytes, allowed: up to that"
                        raise OverLimitError(text)
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

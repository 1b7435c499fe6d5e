"""Python client of the stream, for asyncio and without.

    async with connect("ws://127.0.0.1:8000") as stream:
        async for result in stream.send(columns):
            print(result.column, result.label)

    with connect_sync("ws://127.0.0.1:8000", model="lines") as stream:
        for result in stream.send(columns):
            print(result.column, result.text, result.events)
        print(stream.flush().text)

A connection that breaks is replaced, and the line goes on where it was, perhaps on another server:
no result and no event is missing or comes twice. With `reconnect=False` an error is raised instead.

`conversation` holds the protocol; here are the two streams that wait for sockets. They need
websockets, pydantic and tenacity; numpy arrays are accepted, numpy is not needed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Generic, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception,
    stop_before_delay,
    wait_random_exponential,
)
from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as open_async
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection as SyncConnection
from websockets.sync.client import connect as open_sync
from websockets.typing import Subprotocol

from inkstream.model.errors import InkstreamError
from inkstream.service.conversation import (
    LOSSES,
    Answer,
    Conversation,
    Done,
    Exchange,
    Flushed,
    NoConnectionError,
    Result,
    error_of_closing,
    error_of_http,
    stream_url,
)
from inkstream.service.protocol import server_messages as messages

Socket = TypeVar("Socket")
ANSWER_S: Final = 10.0  # how long each answer may take while a connection is opened
CLOSE_S: Final = 1.0  # how long the server may take to close too: a lost connection never does
OPTIONS: Final[dict[str, Any]] = {  # of both kinds of connection
    "subprotocols": [Subprotocol(messages.PROTOCOL)],
    "compression": None,  # deflate takes longer than it saves on so few bytes
    "open_timeout": ANSWER_S,
    "close_timeout": CLOSE_S,
}
FIRST_WAIT_S: Final = 0.05  # at most, before the second attempt to reconnect; then doubled
LONGEST_WAIT_S: Final = 5.0  # at most, unless the server asks for more
GAP_S: Final = 60.0  # from the loss of a connection to the last attempt
RETRIED: Final = LOSSES | {"too_many_sessions"}  # the lost one may still be counted


@dataclass(frozen=True, slots=True)
class Reconnected:
    """What a program may know of a connection that was replaced."""

    reason: InkstreamError  # why
    attempts: int
    seconds: float  # from the loss to the answers that the connection owed


@asynccontextmanager
async def connect(
    url: str, *, model: str | None = None, key: str | None = None, reconnect: bool = True
) -> AsyncIterator["AsyncStream"]:
    """Open a stream for the `async with` block.

    Args:
        url: the server, as `ws://host:port` or `https://host/below/a/path`.
        model: which of its models; None takes its first.
        key: API key, where the server wants one.
        reconnect: whether the line goes on, on another connection, when this one breaks. For a
            minute the client tries to open one; then a call raises `NoConnectionError`.

    Raises `NoConnectionError` if no server answers; the server's refusal as a typed error
    (`UnauthorizedError`, `ServerFullError`, ...).
    """
    address = stream_url(url, model)

    async def open_socket() -> AsyncConnection:
        with _explained(url):
            return await open_async(address, additional_headers=_headers(key), **OPTIONS)

    async with await open_socket() as socket:
        with _explained(url):
            first = await socket.recv()
        stream = AsyncStream(socket, Conversation(first, reconnect=reconnect), open_socket)
        try:
            await stream._begin()
            yield stream
        finally:
            await stream._close()


@contextmanager
def connect_sync(
    url: str, *, model: str | None = None, key: str | None = None, reconnect: bool = True
) -> Iterator["Stream"]:
    """Open a stream for the `with` block; see `connect`."""
    address = stream_url(url, model)

    def open_socket() -> SyncConnection:
        with _explained(url):
            socket: SyncConnection = open_sync(address, additional_headers=_headers(key), **OPTIONS)
        socket.__enter__()  # websockets warns of connections that are not entered
        return socket

    with open_socket() as socket:
        with _explained(url):
            first = socket.recv()
        stream = Stream(socket, Conversation(first, reconnect=reconnect), open_socket)
        try:
            stream._begin()
            yield stream
        finally:
            stream._socket.close()


def _headers(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Raise errors of the connection as typed errors."""
    try:
        yield
    except ConnectionClosed as closed:
        raise error_of_close(closed) from closed
    except InvalidStatus as refusal:
        raise error_of_http(refusal.response.status_code, refusal.response.body) from refusal
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it did not answer in time"
        raise NoConnectionError(f"cannot reach {url}: {reason}") from error


def error_of_close(closed: ConnectionClosed) -> InkstreamError:
    """Return the typed error of a close that came while an answer was awaited."""
    if closed.rcvd is None:
        return NoConnectionError("the connection broke off")
    return error_of_closing(closed.rcvd.code, closed.rcvd.reason)


@contextmanager
def _ended(timeout_s: float | None) -> Iterator[None]:
    """Raise the end of a connection as a typed error, silence too."""
    try:
        yield
    except ConnectionClosed as closed:
        raise error_of_close(closed) from closed
    except TimeoutError as error:
        raise NoConnectionError(f"the server sent nothing for {timeout_s:g} s") from error


def _attempts() -> dict[str, Any]:
    """Return when another attempt to reconnect follows: exponential backoff with full jitter."""
    return {
        "retry": retry_if_exception(lambda error: getattr(error, "code", None) in RETRIED),
        "wait": _wait_s,
        "stop": stop_before_delay(GAP_S),
    }


def _wait_s(state: RetryCallState) -> float:
    """Return how long to wait before the next attempt; longer if the server asks for it."""
    backoff = wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)(state)
    error = state.outcome.exception() if state.outcome else None
    refusal = None if error is None else error.__cause__
    if not isinstance(refusal, InvalidStatus):
        return backoff
    return max(backoff, retry_after_s(refusal.response.headers.get("Retry-After", "")))


def retry_after_s(value: str) -> float:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3); 0 for one that says none."""
    if value.isdecimal():
        return float(value)
    try:
        then = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return (then.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()


def _given_up(reason: InkstreamError, failed: RetryError) -> NoConnectionError:
    """Return the error for a line that no attempt could continue."""
    newest = failed.last_attempt
    tried = f"tried {newest.attempt_number} times in {GAP_S:g} s to go on elsewhere"
    return NoConnectionError(f"{reason}; {tried}, at last: {newest.exception()}")


class _Stream(Generic[Socket]):
    """What both streams know of the server beside its answers."""

    def __init__(
        self,
        socket: Socket,
        conversation: Conversation,
        open_socket: Callable[[], Any] | None = None,
    ) -> None:
        self._socket = socket
        self._conversation = conversation
        self._open_socket = open_socket
        self._reconnected: Reconnected | None = None
        self._loss: InkstreamError | None = None  # why the socket is to be replaced, if it is

    def _opener(self, error: InkstreamError) -> Callable[[], Any]:
        """Return what opens another connection; raise `error` if the line cannot go on after it."""
        if self._open_socket is None or not self._conversation.can_resume(error):
            raise error
        self._loss = error
        return self._open_socket

    def _check_loss(self) -> None:
        """Raise the loss of a connection that no other has replaced, as where that was cancelled.

        What may still come over it is no part of the conversation any more.
        """
        if self._loss is not None:
            raise self._loss

    def _replace(self, socket: Socket, attempts: int, seconds: float) -> None:
        """Go on over another connection."""
        assert self._loss is not None
        self._socket = socket
        self._reconnected, self._loss = Reconnected(self._loss, attempts, seconds), None

    @property
    def reconnected(self) -> Reconnected | None:
        """The newest replacement of a broken connection, once one was; the line went on."""
        return self._reconnected

    @property
    def ready(self) -> messages.Ready:
        """The server's first message: session, model, labels, column height, limits."""
        return self._conversation.ready

    @property
    def going_away(self) -> messages.Goaway | None:
        """The server's notice that it is about to stop, once it came."""
        return self._conversation.going_away

    @property
    def ended_line(self) -> Flushed | None:
        """The newest line that ended by itself or with the stream, once one did."""
        return self._conversation.ended_line

    @property
    def rewound(self) -> messages.Rewound | None:
        """The newest rewind that a late stroke or an undo caused, once one did.

        Events from its `letters` and `words` on are withdrawn, and its `text` is what remains.
        """
        return self._conversation.rewound


class AsyncStream(_Stream[AsyncConnection]):
    """A stream for asyncio; `connect` opens one."""

    def __init__(
        self,
        socket: AsyncConnection,
        conversation: Conversation,
        open_socket: Callable[[], Any] | None = None,
    ) -> None:
        super().__init__(socket, conversation, open_socket)
        self._closing: set[asyncio.Task[None]] = set()  # of connections that were replaced

    def send(self, columns: Any) -> AsyncIterator[Result]:
        """Send columns; yield their results as they come.

        Args:
            columns: n columns of H bytes, 0 = paper, 255 = ink: bytes, an array [n, H] of uint8, or
                a list of lists. For an image array [row, column] that is `image.T`.

        If the loop over the results is left early, the columns not yet sent stay unsent. Raises
        `ColumnsError` before anything is sent if they do not fit, and the server's errors.
        """
        return self._results(self._conversation.columns(columns))

    def ink(
        self, strokes: Any, height: float, *, pause: bool = False, fit: bool = False
    ) -> AsyncIterator[Result]:
        """Send strokes of a pen; yield the results of their columns as they come.

        Args:
            strokes: each an array of points (x, y), x to the right and y downwards; or a mapping
                with `points`, an `id`, which events and `undo` refer to, and `last`: if that is
                False, more points of this `id` follow.
            height: of the frame that is written in, in the same units; one for the whole line.
            pause: whether the pen rests: the columns that it still touches are read too.
            fit: whether a line whose ink is small in its frame, or exceeds it, is read in a frame
                that fits; `rewound.frame` is that frame.

        Columns that the pen still touches get their results with later strokes or a flush. A stroke
        that changes earlier columns yields new results for all columns from there on, with a higher
        `epoch`. For `ready.limits.max_control_per_s` a call counts as one message, or as more if it
        has much ink. Raises `InkError` before anything is sent if these are no strokes, and the
        server's errors.
        """
        return self._results(self._conversation.ink(strokes, height, pause=pause, fit=fit))

    def undo(self, stroke: int | str) -> AsyncIterator[Result]:
        """Remove the stroke of that id; yield the results of the columns that it changes."""
        return self._results(self._conversation.ink(undo=stroke))

    async def _results(self, exchange: Exchange) -> AsyncIterator[Result]:
        message = None
        with suppress(StopIteration):
            while True:
                step, message = exchange.send(message), None
                if step is None:
                    message = await self._read()
                elif isinstance(step, Result):
                    yield step
                else:
                    await self._write(step)

    async def flush(self) -> Flushed:
        """Decide everything; return the line's answer: a `label` or a `text`, and events."""
        return await self._ask(Flushed, "flush")

    async def reset(self) -> messages.ResetDone:
        """Start a new line at column 0."""
        return await self._ask(messages.ResetDone, "reset")

    async def rewind(self, column: int) -> messages.Rewound:
        """Forget `column` and all after it; the next column gets its number."""
        return await self._ask(messages.Rewound, "rewind", column=column)

    async def configure(self, **values: Any) -> messages.Configured:
        """Change options of the protocol's `configure`, such as `every` or `language_model`.

        With `results="events"` nothing is yielded: `flush`, `end` and `ended_line` have the events.
        """
        return await self._ask(messages.Configured, "configure", **values)

    async def ping(self) -> messages.Pong:
        """Wait for an answer of the server."""
        return await self._ask(messages.Pong, "ping")

    async def end(self) -> Done:
        """End the stream; return its summary. A call after it raises `StreamEndedError`."""
        return await self._ask(Done, "end")

    async def _ask(self, expected: type[Answer], kind: str, **fields: Any) -> Answer:
        await self._write(self._conversation.ask(kind, **fields))
        while (answer := self._conversation.answers(await self._read(), expected)) is None:
            pass
        return answer

    async def _write(self, data: str | bytes) -> None:
        with suppress(ConnectionClosed):  # the server's reason is still to be read
            await self._socket.send(data)

    async def _read(self) -> messages.ServerMessage:
        while (message := self._conversation.take()) is None:
            try:
                self._check_loss()
                await self._receive(self._socket, self._conversation.patience_s)
            except InkstreamError as error:
                await self._reconnect(error)
        return message

    async def _receive(
        self, socket: AsyncConnection, timeout_s: float | None
    ) -> messages.ServerMessage:
        with _ended(timeout_s):
            async with asyncio.timeout(timeout_s):
                text = await socket.recv()
        return self._conversation.read(text)

    async def _close(self) -> None:
        await asyncio.gather(self._socket.close(), *self._closing)

    async def _begin(self) -> None:
        if (opening := self._conversation.opening) is not None:
            await self._write(opening)

    async def _reconnect(self, reason: InkstreamError) -> None:
        """Replace the connection, and go on with the line on the new one."""
        open_socket, since_s = self._opener(reason), time.monotonic()
        try:
            async for attempt in AsyncRetrying(**_attempts()):
                with attempt:
                    socket = await self._resume(await open_socket())
        except RetryError as failed:
            raise _given_up(reason, failed) from reason
        closing = asyncio.create_task(self._socket.close())  # nobody need wait for it
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._replace(socket, attempt.retry_state.attempt_number, time.monotonic() - since_s)

    async def _resume(self, socket: AsyncConnection) -> AsyncConnection:
        """Go on with the line on another connection, and return it."""
        try:
            with _ended(ANSWER_S):
                async with asyncio.timeout(ANSWER_S):
                    first = await socket.recv()
            exchange, message = self._conversation.resume(first), None
            with suppress(StopIteration):
                while True:
                    step, message = exchange.send(message), None
                    if step is None:
                        message = await self._receive(socket, ANSWER_S)
                    else:
                        with suppress(ConnectionClosed):
                            await socket.send(step)
        except BaseException:
            await socket.close()
            raise
        return socket


class Stream(_Stream[SyncConnection]):
    """A stream without asyncio; `connect_sync` opens one."""

    def send(self, columns: Any) -> Iterator[Result]:
        """Send columns; yield their results as they come; see `AsyncStream.send`."""
        return self._results(self._conversation.columns(columns))

    def ink(
        self, strokes: Any, height: float, *, pause: bool = False, fit: bool = False
    ) -> Iterator[Result]:
        """Send strokes; yield the results of their columns; see `AsyncStream.ink`."""
        return self._results(self._conversation.ink(strokes, height, pause=pause, fit=fit))

    def undo(self, stroke: int | str) -> Iterator[Result]:
        """Remove the stroke of that id; yield the results of the columns that it changes."""
        return self._results(self._conversation.ink(undo=stroke))

    def _results(self, exchange: Exchange) -> Iterator[Result]:
        message = None
        with suppress(StopIteration):
            while True:
                step, message = exchange.send(message), None
                if step is None:
                    message = self._read()
                elif isinstance(step, Result):
                    yield step
                else:
                    self._write(step)

    def flush(self) -> Flushed:
        """Decide everything; return the line's answer: a `label` or a `text`, and events."""
        return self._ask(Flushed, "flush")

    def reset(self) -> messages.ResetDone:
        """Start a new line at column 0."""
        return self._ask(messages.ResetDone, "reset")

    def rewind(self, column: int) -> messages.Rewound:
        """Forget `column` and all after it; the next column gets its number."""
        return self._ask(messages.Rewound, "rewind", column=column)

    def configure(self, **values: Any) -> messages.Configured:
        """Change options of the protocol's `configure`, such as `every` or `language_model`.

        With `results="events"` nothing is yielded: `flush`, `end` and `ended_line` have the events.
        """
        return self._ask(messages.Configured, "configure", **values)

    def ping(self) -> messages.Pong:
        """Wait for an answer of the server."""
        return self._ask(messages.Pong, "ping")

    def end(self) -> Done:
        """End the stream; return its summary. A call after it raises `StreamEndedError`."""
        return self._ask(Done, "end")

    def _ask(self, expected: type[Answer], kind: str, **fields: Any) -> Answer:
        self._write(self._conversation.ask(kind, **fields))
        while (answer := self._conversation.answers(self._read(), expected)) is None:
            pass
        return answer

    def _write(self, data: str | bytes) -> None:
        with suppress(ConnectionClosed):  # the server's reason is still to be read
            self._socket.send(data)

    def _read(self) -> messages.ServerMessage:
        while (message := self._conversation.take()) is None:
            try:
                self._check_loss()
                self._receive(self._socket, self._conversation.patience_s)
            except InkstreamError as error:
                self._reconnect(error)
        return message

    def _receive(self, socket: SyncConnection, timeout_s: float | None) -> messages.ServerMessage:
        with _ended(timeout_s):
            text = socket.recv(timeout_s)
        return self._conversation.read(text)

    def _begin(self) -> None:
        if (opening := self._conversation.opening) is not None:
            self._write(opening)

    def _reconnect(self, reason: InkstreamError) -> None:
        """Replace the connection, and go on with the line on the new one."""
        open_socket, since_s = self._opener(reason), time.monotonic()
        try:
            for attempt in Retrying(**_attempts()):
                with attempt:
                    socket = self._resume(open_socket())
        except RetryError as failed:
            raise _given_up(reason, failed) from reason
        lost = self._socket
        self._replace(socket, attempt.retry_state.attempt_number, time.monotonic() - since_s)
        lost.close()

    def _resume(self, socket: SyncConnection) -> SyncConnection:
        """Go on with the line on another connection, and return it."""
        try:
            with _ended(ANSWER_S):
                first = socket.recv(ANSWER_S)
            exchange, message = self._conversation.resume(first), None
            with suppress(StopIteration):
                while True:
                    step, message = exchange.send(message), None
                    if step is None:
                        message = self._receive(socket, ANSWER_S)
                    else:
                        with suppress(ConnectionClosed):
                            socket.send(step)
        except BaseException:
            socket.close()
            raise
        return socket

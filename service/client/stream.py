"""Python client of the stream, for asyncio and without.

    async with connect("ws://127.0.0.1:8000") as stream:
        async for result in stream.send(columns):
            print(result.column, result.label)

    with connect_sync("ws://127.0.0.1:8000", model="lines") as stream:
        for result in stream.send(columns):
            print(result.column, result.text, result.events)
        print(stream.end().text)

`send`, `ink` and `undo` send their data whether or not their results are read. `SyncStream` sends
as much at once as the server accepts without an answer, `AsyncStream` when it is next awaited. The
rest is sent while results are read, by the next call, or at the end of the block. These drop
results that were not read; their events come with the next result or answer.

A connection that breaks is replaced, and the line goes on where it was, perhaps on another server:
no result and no event is missing or comes twice. With `reconnect=False` an error is raised instead.

`conversation` holds the protocol; here are the two streams that wait for sockets. They need
websockets, pydantic and tenacity; numpy arrays are accepted, numpy is not needed.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Generic, Self, TypeVar

import tenacity
from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as open_async
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection as SyncConnection
from websockets.sync.client import connect as open_sync
from websockets.typing import Subprotocol

from inkstream.model.errors import InkstreamError
from inkstream.service.client.conversation import (
    Call,
    Conversation,
    Done,
    Exchange,
    Flushed,
    Io,
    Reply,
    Result,
    T,
    Waiting,
    stream_url,
)
from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.errors import (
    LOSSES,
    CallError,
    NoConnectionError,
    StreamEndedError,
    ValueRefusedError,
    error_of_closing,
    error_of_http,
)
from inkstream.service.protocol.strokes import python_height

ANSWER_S: Final = 10.0  # how long each answer may take while a connection is opened
FIRST_WAIT_S: Final = 0.05  # at most, before the second attempt to reconnect; then doubled
LONGEST_WAIT_S: Final = 5.0  # at most, unless the server asks for more
GAP_S: Final = 60.0  # from the loss of a connection to the last attempt

Results = TypeVar("Results")


@dataclass(frozen=True, slots=True)
class Reconnected:
    """What a program may know of a connection that was replaced."""

    reason: InkstreamError  # why
    attempts: int
    seconds: float  # from the loss to the answers that the connection owed


def connect(
    url: str, *, model: str | None = None, key: str | None = None, reconnect: bool = True
) -> "AsyncStream":
    """Return a stream, which is open in its `async with` block.

    Args:
        url: the server, as `ws://host:port` or `https://host/below/a/path`.
        model: which of its models; None takes its first.
        key: API key, where the server wants one.
        reconnect: whether the line goes on, on another connection, when this one breaks. For a
            minute the client tries to open one; then a call raises `NoConnectionError`.

    The block's beginning raises `NoConnectionError` if no server answers; the server's refusal as a
    typed error (`UnauthorizedError`, `ServerFullError`, ...). Its end, unless by an error, waits
    until all that was given has been sent and answered, and raises what the server has refused.
    """
    return AsyncStream(url, model, key, reconnect=reconnect)


def connect_sync(
    url: str, *, model: str | None = None, key: str | None = None, reconnect: bool = True
) -> "SyncStream":
    """Return a stream, which is open in its `with` block; see `connect`."""
    return SyncStream(url, model, key, reconnect=reconnect)


def retry_after_s(value: str) -> float:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3); 0 for one that says none."""
    if value.isdecimal():
        return float(value)
    try:
        then = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return (then.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()


def _wait_s(state: tenacity.RetryCallState) -> float:
    """Return how long to wait before the next attempt; longer if the server asks for it."""
    backoff = tenacity.wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)(state)
    error = state.outcome.exception() if state.outcome else None
    if error is None or not isinstance(refusal := error.__cause__, InvalidStatus):
        return backoff
    return max(backoff, retry_after_s(refusal.response.headers.get("Retry-After", "")))


class _Stream(Conversation, Generic[Results]):
    """What both streams have in common; `Results` is how they give results."""

    _BLOCK: str  # in which a program uses the stream
    reconnected: Reconnected | None = None  # the newest replacement of a connection, if any

    def __init__(self, url: str, model: str | None, key: str | None, *, reconnect: bool) -> None:
        super().__init__(reconnect=reconnect)
        self._is_open = False
        self._has_ended = False  # by `end`
        self._lock = threading.Lock()  # of the thread or task that uses the stream
        self._url = url
        self._address = stream_url(url, model)
        self._options: dict[str, Any] = {  # of both kinds of connection
            "subprotocols": [Subprotocol(messages.PROTOCOL)],
            "compression": None,  # deflate takes longer than it saves on so few bytes
            "open_timeout": ANSWER_S,
            "close_timeout": 1.0,  # a lost connection is never closed by the server
            "additional_headers": {} if key is None else {"Authorization": f"Bearer {key}"},
        }

    def send(self, columns: Any) -> Results:
        """Send columns; return their results, to be read as they come.

        Args:
            columns: n columns of H bytes, 0 = paper, 255 = ink: bytes, an array [n, H] of uint8, or
                a list of lists. For an image array [row, column] that is `image.T`.

        All are sent, even if the loop over the results is left early, or there is none. Raises
        `ColumnsError` before anything is sent if they do not fit. The server's errors are raised
        where results are read, or by the next call.
        """
        self._check_can_send()
        return self._sent(Call(self._columns(columns)))

    def ink(
        self, strokes: Any, height: float, *, pause: bool = False, fit: bool = False
    ) -> Results:
        """Send strokes of a pen; return the results of their columns, as `send` does.

        Args:
            strokes: each an array of points (x, y), x to the right and y downwards; or a mapping
                with `points`, an `id`, which events and `undo` refer to, and `last`: if that is
                False, more points of this `id` follow.
            height: of the frame that is written in, in the same units; one for the whole line.
            pause: whether the pen rests: the columns that it still touches are read too.
            fit: whether a line whose ink is small in its frame, or exceeds it, is read in a frame
                that fits; `revised.frame` is that frame.

        Columns that the pen still touches get their results with later strokes or a flush. A stroke
        that changes earlier columns yields new results for all columns from there on: `revised`
        says so. For `ready.limits.max_control_per_s` a call counts as one message, or as more if it
        has much ink. Raises `InkError` before anything is sent if these are no strokes, and the
        server's errors as `send` does.
        """
        self._check_can_send()
        return self._sent(Call(self._ink(strokes, python_height(height), pause=pause, fit=fit)))

    def undo(self, stroke: int | str) -> Results:
        """Remove the stroke of that id; return the results of the columns that it changes."""
        self._check_can_send()
        if not isinstance(stroke, int | str):
            allowed = "the id of a stroke, a whole number or a text"
            raise ValueRefusedError(f"stroke is {stroke!r:.40}, allowed: {allowed}")
        return self._sent(Call(self._ink(undo=stroke)))

    def _sent(self, call: Call) -> Results:
        """Send what can be sent of a call, and return its results."""
        raise NotImplementedError

    def _begin_block(self) -> None:
        if hasattr(self, "ready"):
            raise StreamEndedError(f"a stream has one block: {self._BLOCK} opens another one")
        self._is_open = True

    def _check_open(self) -> None:
        if not self._is_open and not hasattr(self, "ready"):
            raise CallError(f"the stream is not open: call it in its block, {self._BLOCK}")
        if not self._is_open:
            raise StreamEndedError("the stream is closed: its `with` block has ended")

    def _check_can_send(self) -> None:
        self._check_open()
        if self._has_ended:
            raise StreamEndedError("the stream has ended, by `end`: open another one")

    def __repr__(self) -> str:
        about = f"model={self.ready.model.name!r}, " if hasattr(self, "ready") else ""
        return f"{type(self).__name__}({self._address!r}, {about}is_open={self._is_open})"

    @contextmanager
    def _running(self, exchange: Exchange[Any]) -> Iterator[None]:
        """Run an exchange in the block; raise `CallError` if another one is running."""
        self._check_open()
        if not self._lock.acquire(blocking=False):
            advice = "wait until its call has returned, or open a stream for each"
            raise CallError(f"another thread or task is using this stream: {advice}")
        try:
            with closing(exchange):
                yield
        finally:
            self._lock.release()

    def _reconnect(self, reason: InkstreamError) -> Waiting[None]:
        """Try to resume, with exponential backoff and full jitter."""
        waits_s: list[float] = []
        retried = LOSSES | {"too_many_sessions"}  # the lost one may still be counted
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: getattr(error, "code", "") in retried),
            wait=_wait_s,
            stop=tenacity.stop_before_delay(GAP_S),
            sleep=waits_s.append,
        )
        try:
            for attempt in attempts:
                if waits_s:
                    yield waits_s.pop()
                with attempt:
                    yield from self._resume()
        except tenacity.RetryError as failed:
            newest = failed.last_attempt
            tried = f"tried {newest.attempt_number} times in {GAP_S:g} s to go on elsewhere"
            raise NoConnectionError(f"{reason}; {tried}, at last: {newest.exception()}") from reason
        state = attempt.retry_state
        seconds = state.seconds_since_start or 0.0
        self.reconnected = Reconnected(reason, state.attempt_number, seconds)

    def _error(self, error: Exception) -> InkstreamError:
        """Return the typed error of one of a socket."""
        if isinstance(error, InvalidStatus):
            typed = error_of_http(error.response.status_code, error.response.body)
        elif not isinstance(error, ConnectionClosed):
            reason = getattr(error, "strerror", None) or str(error) or "no answer in time"
            typed = NoConnectionError(f"cannot reach {self._url}: {reason}")
        elif error.rcvd is None:
            typed = NoConnectionError("the connection broke off")
        else:
            typed = error_of_closing(error.rcvd.code, error.rcvd.reason)
        typed.__cause__ = error
        return typed


class AsyncStream(_Stream["AsyncResults"]):
    """A stream for asyncio; `connect` makes one."""

    _BLOCK = "`async with connect(...) as stream:`"
    _socket: AsyncConnection

    async def __aenter__(self) -> Self:
        self._sockets = AsyncExitStack()  # closes the only one
        self._begin_block()
        try:
            await self._run(self._begin())
        except BaseException as error:
            await self.__aexit__(error)
            raise
        return self

    async def __aexit__(self, *raised: object) -> None:
        try:
            if raised[0] is None:
                await self._run(self._complete())
        finally:
            self._is_open = False
            await self._sockets.aclose()

    async def flush(self) -> Flushed:
        """Decide everything; return the line's answer: a `label` or a `text`, and events."""
        return await self._call(Flushed, "flush")

    async def reset(self) -> messages.ResetDone:
        """Start a new line at column 0."""
        return await self._call(messages.ResetDone, "reset")

    async def rewind(self, column: int) -> messages.Rewound:
        """Forget `column` and all after it; the next column gets its number."""
        return await self._call(messages.Rewound, "rewind", column=column)

    async def configure(self, **values: Any) -> messages.Configured:
        """Change options of the protocol's `configure`, such as `top_k` or `language`.

        With `results="none"` nothing is yielded: `flush`, `end` and `ended_line` have the events.
        """
        return await self._call(messages.Configured, "configure", **values)

    async def ping(self) -> messages.Pong:
        """Wait for an answer of the server."""
        return await self._call(messages.Pong, "ping")

    async def end(self) -> Done:
        """End the stream; return its last line. A call after it raises `StreamEndedError`."""
        done = await self._call(Done, "end")
        self._has_ended = True
        return done

    async def _call(self, expected: type[T], kind: str, **fields: Any) -> T:
        answer = await self._run(self._ask(expected, kind, **fields))
        assert answer is not None  # else an error is raised
        return answer

    def _sent(self, call: Call) -> "AsyncResults":
        self._calls.append(call)
        return AsyncResults(lambda: self._run(self._next_of(call)))

    async def _run(self, exchange: Exchange[T]) -> T | None:
        """Do what an exchange asks for until the program gets something; return that, or None."""
        reply: Reply = None
        with self._running(exchange), suppress(StopIteration):
            while True:
                step, reply = exchange.send(reply), None
                try:
                    if step is Io.OPEN:
                        await self._sockets.aclose()
                        self._socket = await open_async(self._address, **self._options)
                        self._sockets.push_async_callback(self._socket.close)
                    elif isinstance(step, Io):
                        async with asyncio.timeout(ANSWER_S if step is Io.RECEIVE_SOON else None):
                            reply = await self._socket.recv()
                    elif isinstance(step, float):
                        await asyncio.sleep(step)
                    elif isinstance(step, str | bytes):
                        await self._socket.send(step)
                    else:
                        return step
                except (OSError, WebSocketException) as error:
                    reply = self._error(error)
        return None


@dataclass(frozen=True, slots=True)
class AsyncResults(AsyncIterator[Result]):
    """The results of a call: `async for` gives each as it comes, `await` a list of all."""

    _next: Callable[[], Awaitable[Result | None]]

    async def __anext__(self) -> Result:
        """Return the next result."""
        if (result := await self._next()) is None:
            raise StopAsyncIteration
        return result

    def __await__(self) -> Generator[Any, Any, list[Result]]:
        """Return all results."""
        return self._all().__await__()

    async def _all(self) -> list[Result]:
        return [result async for result in self]


class SyncStream(_Stream[Iterator[Result]]):
    """A stream without asyncio, with the calls of `AsyncStream`; `connect_sync` makes one."""

    _BLOCK = "`with connect_sync(...) as stream:`"
    _socket: SyncConnection

    def __enter__(self) -> Self:
        self._sockets = ExitStack()  # closes the only one
        self._begin_block()
        try:
            self._run(self._begin())
        except BaseException as error:
            self.__exit__(error)
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        try:
            if raised[0] is None:
                self._run(self._complete())
        finally:
            self._is_open = False
            self._sockets.close()

    def flush(self) -> Flushed:
        """Decide everything; return the line's answer: a `label` or a `text`, and events."""
        return self._call(Flushed, "flush")

    def reset(self) -> messages.ResetDone:
        """Start a new line at column 0."""
        return self._call(messages.ResetDone, "reset")

    def rewind(self, column: int) -> messages.Rewound:
        """Forget `column` and all after it; the next column gets its number."""
        return self._call(messages.Rewound, "rewind", column=column)

    def configure(self, **values: Any) -> messages.Configured:
        """Change options of the protocol's `configure`: see `AsyncStream.configure`."""
        return self._call(messages.Configured, "configure", **values)

    def ping(self) -> messages.Pong:
        """Wait for an answer of the server."""
        return self._call(messages.Pong, "ping")

    def end(self) -> Done:
        """End the stream; return its last line. A call after it raises `StreamEndedError`."""
        done = self._call(Done, "end")
        self._has_ended = True
        return done

    def _call(self, expected: type[T], kind: str, **fields: Any) -> T:
        answer = self._run(self._ask(expected, kind, **fields))
        assert answer is not None  # else an error is raised
        return answer

    def _sent(self, call: Call) -> Iterator[Result]:
        self._run(self._start(call))
        return iter(lambda: self._run(self._next_of(call)), None)

    def _run(self, exchange: Exchange[T]) -> T | None:
        """Do what an exchange asks for until the program gets something; return that, or None."""
        reply: Reply = None
        with self._running(exchange), suppress(StopIteration):
            while True:
                step, reply = exchange.send(reply), None
                try:
                    if step is Io.OPEN:
                        self._sockets.close()
                        self._socket = open_sync(self._address, **self._options)
                        self._socket.__enter__()  # else websockets warns
                        self._sockets.callback(self._socket.close)
                    elif isinstance(step, Io):
                        reply = self._socket.recv(ANSWER_S if step is Io.RECEIVE_SOON else None)
                    elif isinstance(step, float):
                        time.sleep(step)
                    elif isinstance(step, str | bytes):
                        self._socket.send(step)
                    else:
                        return step
                except (OSError, WebSocketException) as error:
                    reply = self._error(error)
        return None

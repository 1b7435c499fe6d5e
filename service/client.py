"""Python client of the stream, for asyncio and without.

    async with connect("ws://127.0.0.1:8000") as stream:
        async for result in stream.send(columns):
            print(result.column, result.label)

    with connect_sync("ws://127.0.0.1:8000", model="lines") as stream:
        for result in stream.send(columns):
            print(result.column, result.text, result.events)
        print(stream.flush().text)

`conversation` holds the protocol; here are the two streams that wait for sockets. They need
websockets and pydantic; numpy arrays are accepted, numpy is not needed.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, Generic, TypeVar

from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as open_async
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection as SyncConnection
from websockets.sync.client import connect as open_sync
from websockets.typing import Subprotocol

from inkstream.model.errors import InkstreamError
from inkstream.service.conversation import (
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
OPTIONS: Final[dict[str, Any]] = {  # of both kinds of connection
    "subprotocols": [Subprotocol(messages.PROTOCOL)],
    "compression": None,  # deflate takes longer than it saves on so few bytes
    "open_timeout": 10.0,  # seconds
}


@asynccontextmanager
async def connect(
    url: str, *, model: str | None = None, key: str | None = None
) -> AsyncIterator["AsyncStream"]:
    """Open a stream for the `async with` block.

    Args:
        url: the server, as `ws://host:port` or `https://host/below/a/path`.
        model: which of its models; None takes its first.
        key: API key, where the server wants one.

    Raises `NoConnectionError` if no server answers; the server's refusal as a typed error
    (`UnauthorizedError`, `ServerFullError`, ...).
    """
    with _explained(url):
        socket = await open_async(
            stream_url(url, model), additional_headers=_headers(key), **OPTIONS
        )
    async with socket:
        with _explained(url):
            first = await socket.recv()
        yield AsyncStream(socket, Conversation(first))


@contextmanager
def connect_sync(
    url: str, *, model: str | None = None, key: str | None = None
) -> Iterator["Stream"]:
    """Open a stream for the `with` block; see `connect`."""
    with _explained(url):
        socket = open_sync(stream_url(url, model), additional_headers=_headers(key), **OPTIONS)
    with socket:
        with _explained(url):
            first = socket.recv()
        yield Stream(socket, Conversation(first))


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


class _Stream(Generic[Socket]):
    """What both streams know of the server beside its answers."""

    def __init__(self, socket: Socket, conversation: Conversation) -> None:
        self._socket = socket
        self._conversation = conversation

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
        """Change options of the protocol's `configure`, such as `every` or `language_model`."""
        return await self._ask(messages.Configured, "configure", **values)

    async def ping(self) -> messages.Pong:
        """Wait for an answer of the server."""
        return await self._ask(messages.Pong, "ping")

    async def end(self) -> Done:
        """End the stream; return its summary."""
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
        try:
            return self._conversation.read(await self._socket.recv())
        except ConnectionClosed as closed:
            raise error_of_close(closed) from closed


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
        """Change options of the protocol's `configure`, such as `every` or `language_model`."""
        return self._ask(messages.Configured, "configure", **values)

    def ping(self) -> messages.Pong:
        """Wait for an answer of the server."""
        return self._ask(messages.Pong, "ping")

    def end(self) -> Done:
        """End the stream; return its summary."""
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
        try:
            return self._conversation.read(self._socket.recv())
        except ConnectionClosed as closed:
            raise error_of_close(closed) from closed

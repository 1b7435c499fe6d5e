"""HTTP connections on uvicorn's protocol, with what it leaves unbounded: headers, trailers, time.

uvicorn and httptools keep headers and trailers of any size and wait for them for ever. They keep
answers that the client does not read, and give no answer to a WebSocket handshake that websockets'
parser refuses. docs/decisions/serving.md names the versions.
"""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from websockets.exceptions import InvalidMessage

from inkstream.service.connections import REQUEST_S, Peer, refusal
from inkstream.service.frames import WebSocketConnection

MAX_HEADER_BYTES: Final = 64 * 1024  # browsers and proxies stay below 32 KiB
MAX_HEADERS: Final = 256  # with trailers
MAX_PARAMETERS: Final = 5000  # of a query: room for max_hint_characters words, and read in 4 ms
CHUNK_SHARE: Final = 8  # a body's chunks take an eighth of its bytes more, and no client's do
MAX_PIPELINED: Final = 8  # requests that wait for the answer to an earlier one
PIECE_BYTES: Final = 4096  # parsed at once: what is refused has been kept in memory so far
HALF_CLOSED_S: Final = 1.0  # for an answer whose client has closed its side


class AnswerTransport(asyncio.Transport):
    """The transport that answers are written to: nothing is written once it is closing.

    asyncio's transports leave such writes out; uvloop's raise, until `connection_lost` is called.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()


class HttpConnection(HttpToolsProtocol):
    """HTTP whose requests are bounded, and must arrive in time (against slow loris)."""

    config: Any  # server.Config
    peer: Peer
    _deadline: asyncio.TimerHandle | None = None
    _cut: asyncio.TimerHandle | None = None  # while writing has to wait
    _came_bytes = 0  # of the request that is coming
    _body_bytes = 0  # of these
    _held_bytes = 0  # of an answer that the client has not taken
    _in_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._allow(self.config.settings.headers_timeout_s)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and self._is_idle():
            self._in_headers = True
            self._allow(self.config.settings.headers_timeout_s)
        if not self.peer.run(partial(self._parse, data)):
            self.transport.pause_reading()  # else more and more reads would wait

    def _parse(self, data: bytes) -> None:
        """Parse what has come, in pieces, and refuse it when it is too much."""
        if self.transport.is_closing():
            return
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            self._came_bytes += len(piece)
            super().data_received(piece)
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                return
            beside_body = self._came_bytes - self._body_bytes
            allowed = MAX_HEADER_BYTES + self._body_bytes // CHUNK_SHARE
            if beside_body > allowed or len(self.headers or ()) > MAX_HEADERS:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")
                return
        if not self.flow.read_paused:
            self.transport.resume_reading()

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio has it
        """Leave an answer a moment: a client may close its own side, or hang up, by the same."""
        if self._is_idle() or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        self._deadline = self.loop.call_later(HALF_CLOSED_S, self.transport.close)
        return True

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests wait")  # answered with 400, as all that is raised
        super().on_message_begin()
        self._in_headers = True
        self._came_bytes = self._body_bytes = 0
        self._allow(self.config.settings.headers_timeout_s)

    def on_headers_complete(self) -> None:
        n_hosts = sum(name == b"host" for name, _ in self.headers)
        if n_hosts > 1 or (not n_hosts and self.parser.get_http_version() != "1.0"):
            raise ValueError("one Host is required")  # RFC 9112, 3.2
        if self.url.count(b"&") >= MAX_PARAMETERS:
            raise ValueError("too many parameters")
        self._in_headers = False
        self._allow(self.config.settings.body_timeout_s)
        self.peer.spend(REQUEST_S)
        super().on_headers_complete()
        if self.cycle is not None:  # the request is no WebSocket handshake
            self.cycle.transport = AnswerTransport(self.transport)

    def on_body(self, body: bytes) -> None:
        if self.pipeline:  # it would be kept until the earlier answers are sent
            raise ValueError("a body before the answer to the request before it")
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._cancel_deadline()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, by uvicorn or httptools."""
        self._refuse(HTTPStatus.BAD_REQUEST, "bad_request")

    def handle_websocket_upgrade(self) -> None:
        """Open a WebSocket, or refuse a handshake that uvicorn would leave without an answer."""
        super().handle_websocket_upgrade()
        self._cancel_deadline()
        connection = self.transport.get_protocol()
        assert isinstance(connection, WebSocketConnection)
        connection.peer = self.peer
        if (fault := connection.refused_handshake) is not None:
            connection.give_up()
            self.transport.set_protocol(self)
            is_invalid = isinstance(fault, InvalidMessage)
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self._refuse(HTTPStatus.BAD_REQUEST if is_invalid else status, "bad_handshake")
        else:
            self.parser = None  # type: ignore[assignment]  # else it and this form a cycle
            connection.resume_reading()  # which stops while a request waits for its turn

    def pause_writing(self) -> None:
        super().pause_writing()
        self._held_bytes = self.transport.get_write_buffer_size()
        patience_s = self.config.settings.stall_timeout_s
        if not self.peer.hold(self._held_bytes):
            patience_s = 0  # not at once: this is called within a write
        self._cut = self.loop.call_later(patience_s, self._cut_off)

    def resume_writing(self) -> None:
        self._release()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        self._release()
        self.peer.left()
        self.peer.run(partial(super().connection_lost, exc))

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _allow(self, seconds: float) -> None:
        self._cancel_deadline()
        self._deadline = self.loop.call_later(seconds, self._is_late)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _release(self) -> None:
        """Hold nothing of an answer any more: it was taken, or the connection is lost."""
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None
        self.peer.hold(-self._held_bytes)
        self._held_bytes = 0

    def _is_late(self) -> None:
        if self._in_headers:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "slow_headers")
        else:  # the application may have begun to answer: say nothing, and it sees a disconnect
            self.peer.refused("slow_body")
            self.transport.close()

    def _cut_off(self) -> None:
        """Hang up on a client that does not take its answer."""
        self.peer.refused("stalled")
        self.transport.abort()

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        if not self.transport.is_closing():
            self.peer.refused(reason)
            self.transport.write(refusal(status))
            self.transport.close()

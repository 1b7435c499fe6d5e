"""HTTP connections on uvicorn's protocol, with what it leaves unbounded: headers and time.

uvicorn and httptools keep headers and trailers of any size and wait for them for ever, and give no
answer to a WebSocket handshake that websockets' parser refuses. docs/decisions/serving.md names the
versions.
"""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from inkstream.service.server.connections import Peer, refusal
from inkstream.service.server.frames import WebSocketConnection

MAX_HEADER_BYTES: Final = 64 * 1024  # browsers and proxies stay below 32 KiB


class AnswerTransport:
    """The transport that answers are written to: nothing is written once it is closing.

    asyncio's transports leave such writes out; uvloop's raise, until `connection_lost` is called.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._write = transport.write
        self.close, self.is_closing = transport.close, transport.is_closing

    def write(self, data: bytes) -> None:
        if not self.is_closing():
            self._write(data)


class HttpConnection(HttpToolsProtocol):
    """HTTP with a bound for headers and one deadline at a time (against slow loris).

    The deadline is that of the headers, then of the body, then of an answer that is not read.
    """

    config: Any  # server.Config
    peer: Peer
    _deadline: asyncio.TimerHandle | None = None
    _header_bytes_left = MAX_HEADER_BYTES  # for all that is no body, of the request that is coming

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._set_deadline(self.config.settings.headers_timeout_s)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and self._is_idle():  # blank lines begin no request
            self._set_deadline(self.config.settings.headers_timeout_s)
        if not self.peer.run(partial(self._parse, data)):
            self.transport.pause_reading()  # else more and more reads would wait

    def _parse(self, data: bytes) -> None:
        """Parse what has come, in pieces, and refuse too much that is no body."""
        for start in range(0, len(data), 4096):  # what is refused is in memory by then
            if self.transport.is_closing():
                return
            piece = data[start : start + 4096]
            self._header_bytes_left -= len(piece)
            super().data_received(piece)
            if self.transport.get_protocol() is not self:  # it is a WebSocket now
                return
            if self._header_bytes_left < 0 or len(self.headers or ()) > 256:  # with trailers
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")
        if not self.flow.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= 8:
            raise ValueError("too many requests wait")  # answered with 400, as all that is raised
        super().on_message_begin()
        self._header_bytes_left = MAX_HEADER_BYTES
        self._set_deadline(self.config.settings.headers_timeout_s)

    def on_headers_complete(self) -> None:
        n_hosts = sum(name == b"host" for name, _ in self.headers)
        if n_hosts > 1 or (not n_hosts and self.parser.get_http_version() != "1.0"):
            raise ValueError("one Host is required")  # RFC 9112, 3.2
        if self.url.count(b"&") >= 5000:  # room for max_hint_characters words, and read in 4 ms
            raise ValueError("too many parameters")
        self._set_deadline(self.config.settings.body_timeout_s)
        # What the application takes in later turns, to answer a request or to open a session,
        # counts as time of this turn.
        self.peer.turn.spend(0.0007)
        super().on_headers_complete()
        if self.cycle is not None:  # the request is no WebSocket handshake
            self.cycle.transport = AnswerTransport(self.transport)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        # Chunks of a body take an eighth of its bytes more, and those of no client we know do.
        self._header_bytes_left += len(body) * 9 // 8
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._set_deadline(None)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, by uvicorn or httptools."""
        self._refuse(HTTPStatus.BAD_REQUEST, "bad_request")

    def handle_websocket_upgrade(self) -> None:
        """Open a WebSocket, or refuse a handshake that uvicorn would leave without an answer."""
        super().handle_websocket_upgrade()
        self._set_deadline(None)
        connection = self.transport.get_protocol()
        assert isinstance(connection, WebSocketConnection)
        connection.peer = self.peer
        self.parser = None  # type: ignore[assignment]  # else it and this form a cycle
        if connection.uvicorn.handshake_initiated:
            connection.resume_reading()  # which stops while a request waits for its turn
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, "bad_handshake")

    def pause_writing(self) -> None:
        self._set_deadline(self.config.settings.stall_timeout_s)
        super().pause_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._set_deadline(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.flow.resume_writing()
        self._set_deadline(None)
        self.peer.left()
        self.peer.run(partial(super().connection_lost, exc))

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _set_deadline(self, seconds: float | None) -> None:
        """Set the one deadline, or None; that of an answer which is not read is kept."""
        if self.flow.write_paused:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._is_late)

    def _is_late(self) -> None:
        is_stalled = self.flow.write_paused
        if self._is_idle() and not is_stalled:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "slow_headers")
        else:  # the application may have begun to answer: say nothing, and it sees a disconnect
            self.peer.refused("stalled" if is_stalled else "slow_body")
            self.transport.abort()

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        if not self.transport.is_closing():
            self.peer.refused(reason)
            self.transport.write(refusal(status))
            self.transport.close()

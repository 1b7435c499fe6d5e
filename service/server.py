"""Run the application on uvicorn until a signal stops it: sockets, connections, drain.

A request must arrive in time (uvicorn would wait for its headers for ever), and a WebSocket is not
closed for a pong that waits behind columns which are not read yet; it reads and writes short
messages itself. What a client does not take is bounded by the kernel: see `listen`. The internals
of uvicorn and websockets that are used here are named by a test, and pyproject.toml bounds their
versions.
"""

import asyncio
import gc
import resource
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, apply_mask  # type: ignore[attr-defined]  # the mask in C
from websockets.http11 import Request
from websockets.protocol import State

from inkstream.model.errors import ConfigError
from inkstream.service import logs
from inkstream.service.app import create_app
from inkstream.service.service import Service
from inkstream.service.settings import Settings
from inkstream.service.websocket import DIRECT

CLOSING_S: Final = 2  # for closing handshakes, after the sessions had their time
REPLY_S: Final = 1.0  # of these, for the client's reply to a close
SHORT_HEADER_BYTES: Final = 6  # of a client's frame up to 125 bytes long: kind, length, mask
LONGEST_SIZE_BYTES: Final = 10  # of a frame: kind, length, and eight bytes of a larger length
LOST: Final = -1
REFUSAL: Final = "HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
TOO_LATE: Final = "408 Request Timeout"
TOO_LARGE: Final = "431 Request Header Fields Too Large"
MAX_HEADER_BYTES: Final = 64 * 1024  # browsers and proxies stay below 32 KiB
BACKLOG: Final = 2048  # connections that the kernel keeps until we accept them
BUFFER_BYTES: Final = 128 * 1024  # of the kernel, each way of a connection: bounds a flood
SIGNAL_CHECK_S: Final = 0.1  # a signal only sets a flag, which uvicorn checks as often
SPARE_DESCRIPTORS: Final = 64  # beside sessions: files, listeners, connections to be refused

log = logs.get_logger()


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises an `InkstreamError` if it cannot start: a port in use, a model that cannot be read.
    """
    logs.configure(settings.log_format, settings.log_level)
    listeners = listen(settings)
    app = create_app(settings)
    raise_descriptor_limit(settings.max_sessions + SPARE_DESCRIPTORS)
    if not settings.on_loopback and not settings.api_keys:
        log.warning(
            "no API keys are set: anyone who reaches this server may use it",
            set="INKSTREAM_API_KEYS",
        )
    Server(Config(app, settings), app.state.service).run(sockets=listeners)


def listen(settings: Settings) -> list[socket.socket]:
    """Listen on every address of the host; raise `ConfigError` if that fails.

    Connections inherit TCP_USER_TIMEOUT: the kernel cuts off a client that takes nothing of what is
    sent to it for so long, alive or not (tcp(7)).
    """
    host, port = settings.host, settings.port
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            timeout_ms = round(settings.stall_timeout_s * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address[0], port, *address[2:]))
            listener.listen(BACKLOG)
            port = listener.getsockname()[1]  # where any port would do, all take the same
    except OSError as error:
        for listener in listeners:
            listener.close()
        reason = error.strerror or str(error)
        raise ConfigError(f"cannot listen on {host} port {port}: {reason}") from None
    return listeners


def raise_descriptor_limit(needed: int) -> None:
    """Allow this process the open descriptors that it needs, or warn if that is not possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return
    allowed = needed if hard == unlimited else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        log.warning(
            "too few descriptors: some sessions may be refused", allowed=allowed, needed=needed
        )


class Config(uvicorn.Config):
    """uvicorn's configuration from our settings, which the connections read here."""

    def __init__(self, app: Any, settings: Settings) -> None:
        super().__init__(
            app,
            host=settings.host,
            port=settings.port,
            root_path=settings.root_path,
            http=HttpConnection,
            ws=WebSocketConnection,
            ws_max_size=settings.max_frame_bytes,
            ws_ping_interval=settings.ping_interval_s,
            ws_ping_timeout=settings.ping_timeout_s,
            ws_per_message_deflate=False,  # columns are small: it costs more than it saves
            lifespan="on",
            interface="asgi3",
            access_log=False,  # it would print query strings
            log_config=None,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            server_header=False,
            timeout_graceful_shutdown=CLOSING_S,
        )
        self.settings = settings


class Server(uvicorn.Server):
    """uvicorn's server that drains: when it stops, it sends goaway and lets sessions end."""

    def __init__(self, config: Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and log where."""
        await super().startup(sockets)
        gc.freeze()  # what is loaded stays: collections need not walk over it again
        for server in self.servers:
            for listener in server.sockets:
                host, port = listener.getsockname()[:2]
                name = f"[{host}]" if ":" in host else host
                log.info("serving", url=f"http://{name}:{port}")

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain on the first signal, stop at once on the second; either way exit normally."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, let the sessions end, then close the other connections."""
        for server in self.servers:
            server.close()
        time_left_s = self._service.settings.drain_timeout_s
        drain = asyncio.ensure_future(self._service.sessions.drain(time_left_s))
        while not drain.done() and not self.force_exit:
            await asyncio.wait([drain], timeout=SIGNAL_CHECK_S)
        drain.cancel()
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn would skip it, and the application would fail
            await self.lifespan.shutdown()


class HttpConnection(HttpToolsProtocol):
    """HTTP whose requests must arrive in time (against slow loris)."""

    config: Config
    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._allow(self.config.settings.headers_timeout_s)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        self._header_bytes = 0
        self._allow(self.config.settings.headers_timeout_s)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._allow(self.config.settings.body_timeout_s)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._cancel_deadline()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    def _allow(self, seconds: float) -> None:
        self._cancel_deadline()
        self._deadline = self.loop.call_later(seconds, self._is_late)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def _is_late(self) -> None:
        if self._in_headers:
            self._refuse(TOO_LATE)
        else:  # the application may have begun to answer: say nothing, and it sees a disconnect
            self.transport.close()

    def _refuse(self, status: str) -> None:
        if not self.transport.is_closing():
            self.transport.write((REFUSAL % status).encode())
            self.transport.close()


class WebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket for many small messages, a `DirectConnection` of `websocket`.

    uvicorn queues each message, wakes a task and pauses reading for it. A `listener` is called with
    each message at once instead, and pauses reading itself.
    """

    listener: Callable[[str | bytes], None] | None = None
    _ahead = 0  # bytes to come until the next frame begins; LOST if that is not known

    def data_received(self, data: bytes) -> None:
        """Decode one whole short binary message here; leave all else to websockets.

        One column is such a message, and websockets' parser would take a fifth of its whole time.
        """
        state = self.conn.state
        if self._ahead == 0 and state is State.OPEN and self.listener and not self.frames:
            message = short_message(data)
            if message is not None:
                self.listener(message)
                return
        if state is not State.CONNECTING:
            self._ahead = next_frame(data, self._ahead)
        elif self.handshake_initiated:  # frames before our answer to the handshake
            self._ahead = LOST
        super().data_received(data)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            extensions = cast(dict[str, Any], self.scope["extensions"])
            extensions[DIRECT] = self

    def send_receive_event_to_app(self) -> None:
        """Call the listener with a message that is complete."""
        if self.listener is None or self.close_sent:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.curr_msg_data_type == "bytes":
            self.listener(data)
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            # uvicorn does the same, but logs the client's fault as an error of the server.
            self.conn.fail(CloseCode.INVALID_DATA)
            self.handle_parser_exception()
        else:
            self.listener(text)

    async def send(self, message: Any) -> None:
        """Send an ASGI event of the application."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # by a refusal; uvicorn would log that none was sent

    def shutdown(self) -> None:
        """Stop, but leave a client that was sent a close time to reply.

        uvicorn would close the connection at once, and a client that is just sending something
        would lose the last messages (RFC 1122, 4.2.2.13).
        """
        if self.close_timer is None:
            super().shutdown()
        else:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(REPLY_S, self.transport.close)

    def send_now(self, text: str) -> bool:
        """Write a text as one frame (RFC 6455, 5.2), unless writing has to wait."""
        if (
            self.conn.state is not State.OPEN
            or not self.writable.is_set()
            or self.transport.is_closing()
        ):
            return False
        data = text.encode()
        self.transport.write(_text_header(len(data)) + data)
        return True

    def pause_reading(self) -> None:
        """Read nothing more from the client."""
        if not self.read_paused and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the client again."""
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    def keepalive_timeout(self) -> None:
        """Wait for a pong again if reading is paused: pongs are not read then either.

        That ends, because the engine reaches the columns of every session, and the kernel cuts off
        a client that does not read.
        """
        if self.read_paused and self.ping_timeout is not None:
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
        else:
            super().keepalive_timeout()


def short_message(data: bytes) -> bytes | None:
    """Return the payload of one whole binary frame of a client of up to 125 bytes, else None."""
    length = len(data) - SHORT_HEADER_BYTES
    if not 0 <= length <= 125 or data[0] != 0x82 or data[1] != 0x80 | length:
        return None
    return apply_mask(data[SHORT_HEADER_BYTES:], data[2:SHORT_HEADER_BYTES])


def next_frame(data: bytes, ahead: int) -> int:
    """Return how many bytes after `data` the next frame begins; `ahead` is that before `data`.

    LOST if `data` ends within the first bytes of a frame, which give its length.
    """
    position, end = ahead, len(data)
    while 0 <= position < end:
        header = data[position : position + LONGEST_SIZE_BYTES]
        length = header[1] & 0x7F if len(header) > 1 else 0
        size_bytes = {126: 2, 127: 8}.get(length, 0)  # that follow, RFC 6455, 5.2
        if len(header) < 2 + size_bytes:
            return LOST
        if size_bytes:
            length = int.from_bytes(header[2 : 2 + size_bytes])
        position += SHORT_HEADER_BYTES + size_bytes + length
    return position - end if position >= 0 else LOST


def _text_header(length: int) -> bytes:
    """Return the header of one whole unmasked text frame of so many bytes."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2)
    return b"\x81\x7f" + length.to_bytes(8)

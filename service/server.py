"""Run the application on uvicorn until a signal stops it: sockets, connections, drain.

A request must arrive in time (uvicorn would wait for its headers for ever). What a client does not
take is bounded by the kernel: see `listen`. The internals of uvicorn and websockets that are used
here are named by a test, and pyproject.toml bounds their versions.
"""

import asyncio
import gc
import logging
import resource
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, apply_mask  # type: ignore[attr-defined]  # the mask in C

from inkstream.model.errors import ConfigError
from inkstream.service import logs
from inkstream.service.app import create_app
from inkstream.service.service import Service
from inkstream.service.settings import Settings
from inkstream.service.websocket import DIRECT

CLOSING_S: Final = 2  # for closing handshakes, after the sessions had their time
REPLY_S: Final = 1.0  # of these, for the clients' replies to a close
CLIENT_FAULTS: Final = {  # which uvicorn logs as errors of the application
    "ASGI callable returned without completing handshake.",  # it refused the client
    "Invalid UTF-8 sequence received from client.",
}
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A  # whole frames: RFC 6455, 5.2
OPCODES: Final = {0x0, 0x1, 0x2, 0x8, 0x9, 0xA}
SHORT_HEADER_BYTES: Final = 6  # of a client's frame up to 125 bytes long: kind, length, mask
MASK_BYTES: Final = 4
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
            ws_ping_interval=None,  # our connection pings
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
        logging.getLogger("uvicorn.error").addFilter(lambda it: it.msg not in CLIENT_FAULTS)


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
        # uvicorn would close WebSockets at once, and a client that is just sending something would
        # lose the last messages (RFC 1122, 4.2.2.13): leave it time to reply to the close.
        for _ in range(round(REPLY_S / SIGNAL_CHECK_S)):
            kinds = map(type, self.server_state.connections)
            if WebSocketsSansIOProtocol in kinds and not self.force_exit:
                await asyncio.sleep(SIGNAL_CHECK_S)
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


class WebSocketConnection(asyncio.Protocol):
    """A `DirectConnection` of `websocket`, between a socket and uvicorn's own WebSocket protocol.

    That one passes each message on through a parser, a queue and a task. Here a message of one
    frame goes to the listener at once. Left to uvicorn are the handshake, control frames, what
    RFC 6455 forbids, and from the first fragment on all messages, which then keep their order.
    """

    listener: Callable[[str | bytes], None] | None = None
    _is_simple = True  # no fragment has come, and no fault
    _may_write = True

    def __init__(self, config: Config, server_state: ServerState, app_state: Any) -> None:
        state = {**app_state, DIRECT: self}  # the application finds it in its scope
        self._uvicorn = WebSocketsSansIOProtocol(config, server_state, state)
        self._settings, self._most_bytes = config.settings, config.settings.max_frame_bytes
        self._unread = bytearray()  # the beginning of a frame
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._settings.ping_interval_s, self._ping)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._uvicorn.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._uvicorn.connection_lost(exc)

    def pause_writing(self) -> None:
        self._may_write = False
        self._uvicorn.pause_writing()

    def resume_writing(self) -> None:
        self._may_write = True
        self._uvicorn.resume_writing()

    def data_received(self, data: bytes | bytearray) -> None:
        if self._unread:
            self._unread += data
            data = self._unread
        rest = self._take_frames(data)
        if not self.listener:
            self._uvicorn.data_received(bytes(data[rest:]))
            rest = len(data)
        if data is self._unread:
            del self._unread[:rest]
        elif rest < len(data):
            self._unread += data[rest:]

    def _take_frames(self, data: bytes | bytearray) -> int:
        """Take whole frames, as RFC 6455 describes them in 5.2; return where the rest begins."""
        start = 0
        while self.listener and len(data) >= start + 2:
            kind, length = data[start], data[start + 1] - 0x80  # below 0 without a mask
            payload = start + SHORT_HEADER_BYTES
            if length >= 126:
                payload += 2 if length == 126 else 8
                if len(data) < payload - MASK_BYTES:
                    break
                length = int.from_bytes(data[start + 2 : payload - MASK_BYTES])
            end = payload + length
            if kind & 0x0F not in OPCODES or not 0 <= length <= self._most_bytes:
                self._is_simple, end = False, len(data)  # uvicorn refuses the frame by its header
            elif end > len(data):
                break
            message = None
            if self._is_simple and kind in (TEXT, BINARY):
                mask = data[payload - MASK_BYTES : payload]
                message = read_message(kind, apply_mask(data[payload:end], mask))
            if message is not None:
                self.listener(message)
            else:
                self._uvicorn.data_received(bytes(data[start:end]))
                if self.transport.is_closing():
                    return len(data)
                self._is_simple &= kind in (PING, PONG)
                if kind == PONG:
                    self._wait(self._settings.ping_interval_s, self._ping)
            start = end
        return start

    def send_now(self, texts: Iterable[str]) -> bool:
        """Write texts, a frame for each, all at once, unless writing has to wait."""
        if not self._may_write or self.transport.is_closing():
            return False
        self.transport.write(b"".join([frame(TEXT, text.encode()) for text in texts]))
        return True

    def _wait(self, seconds: float, call: Callable[[], None]) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, call)

    def _ping(self) -> None:
        """Ask whether the client is still there, if a session is open."""
        if self.listener and not self.transport.is_closing():
            self.transport.write(frame(PING, b""))
            self._wait(self._settings.ping_timeout_s, self._miss_pong)
        else:
            self._wait(self._settings.ping_interval_s, self._ping)

    def _miss_pong(self) -> None:
        """Close, or wait again while reading is paused: pongs are not read either.

        That ends, because the engine reaches the columns of every session, and the kernel cuts off
        a client that does not read.
        """
        if self.listener and self.transport.is_reading():
            reason = CloseCode.INTERNAL_ERROR.to_bytes(2) + b"keepalive ping timeout"
            self.transport.write(frame(CLOSE, reason))
            self.transport.close()
        else:
            self._wait(self._settings.ping_timeout_s, self._miss_pong)


def read_message(kind: int, data: bytes) -> str | bytes | None:
    """Return the message of a text or binary frame, None for text that is not UTF-8."""
    try:
        return data.decode() if kind == TEXT else data
    except UnicodeDecodeError:
        return None


def frame(kind: int, payload: bytes) -> bytes:
    """Return one whole frame of a server (RFC 6455, 5.2); `kind` is its first byte."""
    length = len(payload)
    if length < 126:
        return bytes((kind, length)) + payload
    if length < 65_536:
        return bytes((kind, 126)) + length.to_bytes(2) + payload
    return bytes((kind, 127)) + length.to_bytes(8) + payload

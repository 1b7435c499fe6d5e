"""Run the application on uvicorn until a signal stops it: sockets, connections, drain.

What a client does not take is bounded by the kernel too: see `listen`. The internals of uvicorn and
websockets that are used here and in `http_connection` and `frames` are named by a test, and
pyproject.toml bounds their versions.
"""

import asyncio
import ctypes
import gc
import logging
import resource
import signal
import socket
import threading
import time
from typing import Any, Final

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from inkstream.model.errors import ConfigError
from inkstream.service import logs
from inkstream.service.app import create_app
from inkstream.service.connections import Acceptor, Connections, Peer
from inkstream.service.frames import WebSocketConnection
from inkstream.service.http_connection import HttpConnection
from inkstream.service.service import Service
from inkstream.service.settings import Settings

REPLY_S: Final = 0.5  # for the clients' replies to a close, after the sessions had their time
FLUSH_S: Final = 0.3  # for what is written then; connections that remain are cut off
LAST_S: Final = 2.0  # after the sessions' time: then the kernel ends the process, whatever it does
CLOSING_S: Final = 2  # until tasks are cancelled that do not end without their connections
CLIENT_FAULTS: Final = {  # which uvicorn logs as errors of the application; they are counted
    "ASGI callable returned without completing handshake.",  # it refused the client
    "Invalid UTF-8 sequence received from client.",
    "Invalid HTTP request received.",
    "Unsupported upgrade request.",
}
BACKLOG: Final = 2048  # connections that the kernel keeps until we accept them
BUFFER_BYTES: Final = 128 * 1024  # of the kernel, each way of a connection: bounds a flood
SIGNAL_CHECK_S: Final = 0.1  # a signal only sets a flag, which uvicorn checks as often
COLLECT_EVERY_S: Final = 10  # with few sessions open, else
COLLECT_AT_LEAST_S: Final = 600.0
FEW_SESSIONS: Final = 32  # whose objects are walked over in about 1 ms
NEVER: Final = 1_000_000_000
TRIM: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc: 1 to 4 ms
SPARE_DESCRIPTORS: Final = 64  # beside connections: files, listeners, connections to be refused

log = logs.get_logger()


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; a hang-up (SIGHUP) is only logged.

    Raises an `InkstreamError` if it cannot start: a port in use, a model that cannot be read.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logs.configure(settings.log_format, settings.log_level)
    with logs.in_background():
        listeners = listen(settings)
        app = create_app(settings)
        raise_descriptor_limit(settings.most_connections + SPARE_DESCRIPTORS)
        if not settings.on_loopback and not settings.api_keys:
            log.warning(
                "no API keys are set: anyone who reaches this server may use it",
                set="INKSTREAM_API_KEYS",
            )
        Server(Config(app, settings), app.state.service).run(sockets=listeners)
    signal.setitimer(signal.ITIMER_REAL, 0)


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
            "too few descriptors: some clients may have to wait", allowed=allowed, needed=needed
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
            timeout_notify=COLLECT_EVERY_S,
        )
        self.settings = settings
        logging.getLogger("uvicorn.error").addFilter(lambda it: it.msg not in CLIENT_FAULTS)


class Server(uvicorn.Server):
    """uvicorn's server that drains: when it stops, it sends goaway and lets sessions end."""

    def __init__(self, config: Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        config.callback_notify = self._collect

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and log where."""
        await super().startup([])  # we accept ourselves
        if threading.current_thread() is threading.main_thread():  # the only one with signals
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._note_hangup)
        gc.freeze()  # what is loaded stays: collections need not walk over it again
        self._thresholds = gc.get_threshold()
        gc.set_threshold(*self._thresholds[:2], NEVER)
        self._collected_s = time.monotonic()
        connections = Connections(self._service.settings, self._service.metrics)
        self._acceptor = Acceptor(sockets or [], connections, self._new_connection)
        self._acceptor.start()
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            name = f"[{host}]" if ":" in host else host
            log.info("serving", url=f"http://{name}:{port}")

    async def _collect(self) -> None:
        """Collect the garbage of all generations when few sessions are open, and give memory back.

        Of 500 sessions this takes 15 ms and more, for nothing: they make no reference cycles.
        After a flood glibc would keep 90 MB that are free.
        """
        now_s = time.monotonic()
        is_few = len(self._service.sessions) <= FEW_SESSIONS
        if is_few or now_s >= self._collected_s + COLLECT_AT_LEAST_S:
            gc.collect()
            if TRIM is not None:
                TRIM(0)
            self._collected_s = now_s

    def _new_connection(self, peer: Peer) -> HttpConnection:
        connection = HttpConnection(self.config, self.server_state, self.lifespan.state)
        connection.peer = peer
        return connection

    def _note_hangup(self) -> None:
        log.info("hang-up ignored", signal="SIGHUP", stop_with="SIGTERM")

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain on the first signal, stop at once on the second; either way exit normally.

        If that fails, because a step of the loop does not end, SIGALRM ends the process.
        """
        if not self.should_exit:
            last_s = self._service.settings.drain_timeout_s + LAST_S
            signal.setitimer(signal.ITIMER_REAL, last_s)
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, let the sessions end, then close the other connections."""
        self._acceptor.stop()
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
        gc.set_threshold(*self._thresholds)
        asyncio.get_running_loop().call_later(FLUSH_S, self._cut_off)
        await super().shutdown()
        if self.force_exit:  # uvicorn would skip it, and the application would fail
            await self.lifespan.shutdown()

    def _cut_off(self) -> None:
        """Hang up on the clients that take nothing, so that the requests' tasks end."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()

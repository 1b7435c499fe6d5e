"""Run the application on uvicorn until a signal stops it: connections and the drain.

The internals of uvicorn and websockets that are used here and in `http_connection` and `frames` are
named by a test, and pyproject.toml bounds their versions.
"""

import asyncio
import gc
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from inkstream.service.app import create_app
from inkstream.service.loading import Loading
from inkstream.service.observe import logs, memory
from inkstream.service.server.balance import Balance
from inkstream.service.server.connections import Acceptor, Connections, Peer
from inkstream.service.server.frames import WebSocketConnection
from inkstream.service.server.http_connection import HttpConnection
from inkstream.service.server.listeners import listen, raise_descriptor_limit, warn_if_open_to_all
from inkstream.service.service import Service
from inkstream.service.settings import Settings

FIRST_REQUEST_S: Final = 0.25  # for the first requests of connections that were just accepted
REPLY_S: Final = 0.5  # for the clients' replies to a close, after the sessions had their time
FLUSH_S: Final = 0.3  # for what is written then; connections that remain are cut off
CLOSING_S: Final = 2  # until tasks are cancelled that do not end without their connections
CLIENT_FAULTS: Final = {  # which uvicorn logs as errors of the application; they are counted
    "ASGI callable returned without completing handshake.",  # it refused the client
    "Invalid UTF-8 sequence received from client.",
    "Invalid HTTP request received.",
    "Unsupported upgrade request.",
}
SIGNAL_CHECK_S: Final = 0.1  # a signal only sets a flag, which uvicorn checks as often
FIRST_CHECK_S: Final = 0.02
COLLECT_EVERY_S: Final = 2  # with few connections open, else
COLLECT_REST: Final = 500  # times as long as a collection takes, until the next one
COLLECT_AT_LEAST_S: Final = 600.0
FEW_CONNECTIONS: Final = 32  # whose objects are walked over in about 1 ms
NEVER: Final = 1_000_000_000
SPARE_DESCRIPTORS: Final = 64  # beside connections: files, listeners, connections to be refused

log = logs.get_logger()


def serve(settings: Settings, loading: Loading) -> None:
    """Serve what is being loaded until SIGTERM or Ctrl-C; a hang-up (SIGHUP) is only logged.

    Raises an `InkstreamError` if it cannot start: a port in use, a model that cannot be read.
    """
    logs.configure(settings.log_format, settings.log_level)
    warn_if_open_to_all(settings)
    run(settings, listen(settings), Server, loading)


def run(
    settings: Settings,
    listeners: Sequence[socket.socket],
    new_server: "Callable[[Config, Service], Server]",
    loading: Loading | None = None,
) -> None:
    """Serve on these sockets until a signal comes; raise an `InkstreamError` if that fails.

    `loading` has begun to load what the settings name.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    app = create_app(settings, loading)
    service: Service = app.state.service
    with logs.in_background(service.metrics.line_dropped):
        raise_descriptor_limit(settings.most_connections + SPARE_DESCRIPTORS)
        new_server(Config(app, settings), service).run(sockets=list(listeners))
    signal.setitimer(signal.ITIMER_REAL, 0)


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

    def __init__(self, config: Config, service: Service, balance: Balance | None = None) -> None:
        super().__init__(config)
        self._service = service
        self._balance = balance
        config.callback_notify = self._collect

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and log where."""
        await super().startup([])  # we accept ourselves
        if threading.current_thread() is threading.main_thread():  # the only one with signals
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._note_hangup)
        gc.freeze()  # what is loaded stays: collections need not walk over it again
        self._thresholds = gc.get_threshold()
        gc.set_threshold(*self._thresholds[:2], NEVER)
        self._collected_s = self._collect_next_s = time.monotonic()
        self._connections = Connections(
            self._service.settings, self._service.metrics, self._balance
        )
        self._acceptor = Acceptor(sockets or [], self._connections, self._new_connection)
        self._acceptor.start()
        self._service.metrics.accepts(True)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            name = f"[{host}]" if ":" in host else host
            log.info("serving", url=f"http://{name}:{port}")

    async def _collect(self) -> None:
        """Collect the garbage of all generations when few clients are there, and give memory back.

        With 500 connections this takes 15 ms and more, for nothing: they make no reference cycles.
        After a flood glibc would keep 90 MB that are free.

        The longer it takes, the rarer it is: much else may live in a process that others use too.
        """
        now_s = time.monotonic()
        is_few = len(self._connections) <= FEW_CONNECTIONS and now_s >= self._collect_next_s
        if is_few or now_s >= self._collected_s + COLLECT_AT_LEAST_S:
            gc.collect()
            self._collect_next_s = now_s + COLLECT_REST * (time.monotonic() - now_s)
            await asyncio.to_thread(memory.give_back)
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
            signal.setitimer(signal.ITIMER_REAL, self._service.settings.stop_within_s)
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, let the sessions end, then close the other connections."""
        self._acceptor.stop()
        self._service.metrics.accepts(False)
        await self._wait_for_first_requests()
        for connection in self._http_connections():
            connection.shutdown()  # now, or with the answer to its request
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

    async def _wait_for_first_requests(self) -> None:
        """Let who was accepted at the last moment ask: a client that is hung up on was refused."""
        end_s = time.monotonic() + FIRST_REQUEST_S
        while not self.force_exit and time.monotonic() < end_s:
            silent = (connection.cycle is None for connection in self._http_connections())
            if not self._acceptor.opening and not any(silent):
                break
            await asyncio.sleep(FIRST_CHECK_S)

    def _http_connections(self) -> list[HttpConnection]:
        opened = list(self.server_state.connections)
        return [connection for connection in opened if isinstance(connection, HttpConnection)]

    def _cut_off(self) -> None:
        """Hang up on the clients that take nothing, so that the requests' tasks end."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()

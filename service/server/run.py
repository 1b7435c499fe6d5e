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
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
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
CLIENT_FAULTS: Final = {  # which uvicorn logs as errors of the application; they are counted
    "ASGI callable returned without completing handshake.",  # it refused the client
    "Invalid UTF-8 sequence received from client.",
    "Invalid HTTP request received.",
    "Unsupported upgrade request.",
}
SIGNAL_CHECK_S: Final = 0.1  # a signal only sets a flag, which uvicorn checks as often
COLLECT_EVERY_S: Final = 2  # garbage, with few connections open
SPARE_DESCRIPTORS: Final = 64  # beside connections: files, listeners, connections to be refused

log = logs.get_logger()


def serve(settings: Settings, loading: Loading) -> None:
    """Serve what is being loaded until SIGTERM or Ctrl-C; a hang-up (SIGHUP) is only logged.

    Raises an `InkstreamError` if it cannot start: a port in use, a model that cannot be read.
    """
    logs.configure(settings.log_format, settings.log_level)
    warn_if_open_to_all(settings)
    run(settings, listen(settings), loading)


def run(
    settings: Settings,
    listeners: Sequence[socket.socket],
    loading: Loading | None,
    balance: Balance | None = None,
    supervisor: Connection | None = None,
) -> None:
    """Serve on these sockets until a signal comes; raise an `InkstreamError` if that fails.

    `loading` has begun to load what the settings name. For the others see `Server`.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    app = create_app(settings, loading)
    service: Service = app.state.service
    with logs.in_background(service.metrics.line_dropped):
        raise_descriptor_limit(settings.max_connections + SPARE_DESCRIPTORS)
        server = Server(Config(app, settings), service, balance, supervisor)
        server.run(sockets=list(listeners))
    signal.setitimer(signal.ITIMER_REAL, 0)


def tell(supervisor: Connection, reason: str) -> None:
    """Tell that a worker serves, or the reason why it cannot."""
    with suppress(OSError):  # the supervisor has been killed, which `Server` notices
        supervisor.send_bytes(reason.encode())


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
            timeout_graceful_shutdown=2,  # then tasks that do not end are cancelled
            timeout_notify=COLLECT_EVERY_S,
        )
        self.settings = settings
        logging.getLogger("uvicorn.error").addFilter(lambda line: line.msg not in CLIENT_FAULTS)


class Server(uvicorn.Server):
    """uvicorn's server that drains: when it stops, it sends goaway and lets sessions end.

    That of a worker tells its supervisor when it serves, and does not outlive it.
    """

    def __init__(
        self,
        config: Config,
        service: Service,
        balance: Balance | None = None,  # with the other workers
        supervisor: Connection | None = None,  # of a worker
    ) -> None:
        super().__init__(config)
        self._service = service
        self._balance = balance
        self._supervisor = supervisor
        config.callback_notify = self._collect

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and tell where: the log, and a supervisor."""
        await super().startup([])  # we accept ourselves
        if threading.current_thread() is threading.main_thread():  # the only one with signals
            note = partial(log.info, "hang-up ignored", signal="SIGHUP", stop_with="SIGTERM")
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, note)
        gc.freeze()  # what is loaded stays: collections need not walk over it again
        self._thresholds = gc.get_threshold()
        gc.set_threshold(*self._thresholds[:2], 1_000_000_000)  # `_collect` does so instead
        self._collected_s = self._collect_next_s = time.monotonic()
        settings, metrics = self._service.settings, self._service.metrics
        self._connections = Connections(settings, metrics, self._balance)
        self._acceptor = Acceptor(sockets or [], self._connections, self._new_connection)
        self._acceptor.start()
        metrics.accepts(True)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            name = f"[{host}]" if ":" in host else host
            log.info("serving", url=f"http://{name}:{port}")
        if self._supervisor is not None:
            asyncio.get_running_loop().add_reader(self._supervisor.fileno(), self._obey)
            tell(self._supervisor, "")

    async def _collect(self) -> None:
        """Collect the garbage of all generations when few clients are there, and give memory back.

        With 500 connections this takes 15 ms and more, for nothing: they make no reference cycles.
        The objects of 32 are walked over in about 1 ms. After a flood glibc would keep 90 MB that
        are free.

        The longer it takes, the rarer it is: much else may live in a process that others use too.
        """
        now_s = time.monotonic()
        is_few = len(self._connections) <= 32 and now_s >= self._collect_next_s
        if is_few or now_s >= self._collected_s + 600:
            gc.collect()
            self._collect_next_s = now_s + 500 * (time.monotonic() - now_s)
            await asyncio.to_thread(memory.give_back)
            self._collected_s = now_s

    def _new_connection(self, peer: Peer) -> HttpConnection:
        connection = HttpConnection(self.config, self.server_state, self.lifespan.state)
        connection.peer = peer
        return connection

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain on the first signal, stop at once on the second; either way exit normally.

        If that fails, because a step of the loop does not end, SIGALRM ends the process. Only the
        supervisor ends the drain of a worker: to that a signal may come from it and from a service
        manager, which signals all processes of a service.
        """
        if not self.should_exit:
            signal.setitimer(signal.ITIMER_REAL, self._service.settings.stop_within_s)
            self.should_exit = True
        elif self._supervisor is None:
            self.force_exit = True

    def _obey(self) -> None:
        """Stop at once if the supervisor says so; drain if it has ended."""
        assert self._supervisor is not None
        try:
            self._supervisor.recv_bytes()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._supervisor.fileno())
            self.handle_exit(signal.SIGTERM, None)
        else:
            self.force_exit = True

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
        # lose the last messages (RFC 1122, 4.2.2.13): leave it 0.5 s to reply to the close.
        for _ in range(5):
            kinds = map(type, self.server_state.connections)
            if WebSocketsSansIOProtocol in kinds and not self.force_exit:
                await asyncio.sleep(SIGNAL_CHECK_S)
        gc.set_threshold(*self._thresholds)
        asyncio.get_running_loop().call_later(0.3, self._cut_off)  # once the rest is written
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
            await asyncio.sleep(0.02)

    def _http_connections(self) -> list[HttpConnection]:
        opened = list(self.server_state.connections)
        return [connection for connection in opened if isinstance(connection, HttpConnection)]

    def _cut_off(self) -> None:
        """Hang up on the clients that take nothing, so that the requests' tasks end."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()

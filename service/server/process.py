"""Run the application until it is told to stop: sockets, start, drain, exit code."""

import asyncio
import gc
import resource
import socket
from typing import Any, Final

import uvicorn

from inkstream.model.errors import ConfigError
from inkstream.service import logs
from inkstream.service.app import create_app
from inkstream.service.server.connections import Config
from inkstream.service.service import Service
from inkstream.service.settings import Settings

BACKLOG: Final = 2048  # connections that the kernel keeps until we accept them
BUFFER_BYTES: Final = 128 * 1024  # of the kernel, each way of a connection: bounds a flood
SIGNAL_CHECK_S: Final = 0.1  # a signal only sets a flag, which uvicorn checks as often
SPARE_DESCRIPTORS: Final = 64  # beside sessions: files, listeners, connections to be refused

log = logs.get_logger()


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; return the exit code.

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
    return 0


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
        """Accept no more connections, let the sessions end, then close what is left."""
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

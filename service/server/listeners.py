"""Sockets that listen, and the descriptors of a process: what a server needs of the system.

What a client does not take is bounded by the kernel too: see `listen`.
"""

import resource
import socket
from typing import Final

from inkstream.model.errors import ConfigError
from inkstream.service.observe.logs import get_logger
from inkstream.service.settings import Settings

BUFFER_BYTES: Final = 128 * 1024  # of the kernel, each way of a connection: bounds a flood

log = get_logger()


def listen(settings: Settings, *, shared: bool = False) -> list[socket.socket]:
    """Listen on every address of the host; raise `ConfigError` if that fails.

    Where it is `shared`, other processes of this user may listen on the same port, and the kernel
    deals connections to all of them.

    Connections inherit TCP_USER_TIMEOUT: the kernel cuts off a client that takes nothing of what is
    sent to it for so long, alive or not (tcp(7)).
    """
    host, port = settings.host, settings.port
    listeners: list[socket.socket] = []
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(infos):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            timeout_ms = round(settings.stall_timeout_s * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address[0], port, *address[2:]))
            listener.listen(2048)  # connections that the kernel keeps until we accept them
            port = listener.getsockname()[1]  # where any port would do, all take the same
    except OSError as error:
        for listener in listeners:
            listener.close()
        reason = error.strerror or str(error)
        raise ConfigError(f"cannot listen on {host} port {port}: {reason}") from None
    return listeners


def warn_if_open_to_all(settings: Settings) -> None:
    """Warn if anyone who reaches the server may use it."""
    if not settings.on_loopback and not settings.api_keys:
        log.warning(
            "no API keys are set: anyone who reaches this server may use it",
            set="INKSTREAM_API_KEYS",
        )


def raise_descriptor_limit(needed: int) -> None:
    """Allow this process the open descriptors that it needs, or warn if that is not possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        log.warning(
            "too few descriptors: some clients may have to wait", allowed=allowed, needed=needed
        )

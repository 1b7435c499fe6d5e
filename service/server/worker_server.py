"""The server of a worker, one of several processes: it tells the supervisor when it serves."""

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from inkstream.model.errors import InkstreamError
from inkstream.service.loading import Loading
from inkstream.service.observe import logs, metrics
from inkstream.service.server.balance import Balance
from inkstream.service.server.run import Config, Server, run
from inkstream.service.service import Service
from inkstream.service.settings import Settings


class WorkerServer(Server):
    """A server that tells the supervisor when it serves, and does not outlive it."""

    def __init__(
        self, config: Config, service: Service, balance: Balance, supervisor: Connection
    ) -> None:
        super().__init__(config, service, balance)
        self._supervisor = supervisor

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and tell the supervisor."""
        await super().startup(sockets)
        asyncio.get_running_loop().add_reader(self._supervisor.fileno(), self._obey)
        _tell(self._supervisor, "")

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain on a signal, however often it comes.

        A service manager may signal all processes of a service, and the supervisor does too. Only
        the supervisor's word ends the drain.
        """
        if not self.should_exit:
            super().handle_exit(sig, frame)

    def _obey(self) -> None:
        """Stop at once if the supervisor says so; drain if it has ended."""
        try:
            self._supervisor.recv_bytes()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._supervisor.fileno())
            self.handle_exit(signal.SIGTERM, None)
        else:
            self.force_exit = True


def serve(
    settings: Settings,
    loading: Loading | None,
    supervisor: Connection,
    *,
    number: int,
    folder: Path,
    listeners: Sequence[int],
) -> None:
    """Serve until the supervisor says otherwise or ends; exit if that cannot be begun.

    Args:
        settings: as the supervisor has them.
        loading: has begun to load what the settings name.
        supervisor: the socket to it.
        number: of the worker.
        folder: which all workers share.
        listeners: descriptors of the listening sockets.
    """
    logs.configure(settings.log_format, settings.log_level, worker=number)
    metrics.share(folder, number)
    balance = Balance(folder, number)
    try:
        run(
            settings,
            [socket.socket(fileno=listener) for listener in listeners],
            lambda config, service: WorkerServer(config, service, balance, supervisor),
            loading,
        )
    except (InkstreamError, OSError) as error:
        _tell(supervisor, str(error))
        sys.exit(1)


def _tell(supervisor: Connection, reason: str) -> None:
    """Tell that this worker serves, or the reason why it cannot."""
    with suppress(OSError):  # the supervisor has been killed, which `_obey` notices
        supervisor.send_bytes(reason.encode())

"""One of several processes that serve: `python -m inkstream.service.worker`, for the supervisor.

Its arguments are its number, the folder that all workers share, the descriptor of its socket to the
supervisor, and those of the listening sockets. It gets its settings from the supervisor, which it
tells when it serves, or why it cannot.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from inkstream.model.errors import InkstreamError
from inkstream.service import logs, metrics
from inkstream.service.balance import Balance
from inkstream.service.server import Config, Server, run
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


def main(number: int, folder: Path, descriptor: int, *listeners: int) -> None:
    """Serve as the supervisor says, until it says otherwise or ends."""
    supervisor_id = os.getppid()
    with Connection(descriptor) as supervisor:
        settings = Settings.load(**json.loads(supervisor.recv_bytes()))
        logs.configure(settings.log_format, settings.log_level, worker=number)
        metrics.share(folder, number)
        balance = Balance(folder, number)
        try:
            run(
                settings,
                [socket.socket(fileno=listener) for listener in listeners],
                lambda config, service: WorkerServer(config, service, balance, supervisor),
            )
        except (InkstreamError, OSError) as error:
            _tell(supervisor, str(error))
            sys.exit(1)
    if os.getppid() != supervisor_id:  # it was killed, and cannot do this
        shutil.rmtree(folder, ignore_errors=True)


def _tell(supervisor: Connection, reason: str) -> None:
    """Tell that this worker serves, or the reason why it cannot."""
    with suppress(OSError):  # the supervisor has been killed, which `_obey` notices
        supervisor.send_bytes(reason.encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))

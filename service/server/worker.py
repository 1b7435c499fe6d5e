"""One of several processes that serve, started by the supervisor as a module.

Its arguments are its number, the folder that all workers share, the descriptor of its socket to the
supervisor, and those of the listening sockets. It gets its settings from the supervisor.

To import the server and to load its models takes most of a second of a core that the workers beside
it need. So a thread of low priority does this. Linux sets priorities for each thread (sched(7)); a
process that has lowered its own may not raise it again without privileges.
"""

import gc
import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from inkstream.service.loading import Loading
    from inkstream.service.settings import Settings

NICENESS: Final = 10


def main(number: int, folder: Path, descriptor: int, *listeners: int) -> None:
    """Serve as the supervisor says, until it says otherwise or ends."""
    supervisor_id = os.getppid()
    with Connection(descriptor) as supervisor:
        given = json.loads(supervisor.recv_bytes())
        gc.disable()  # it would walk over what is imported and stays, again and again
        with ThreadPoolExecutor(1, initializer=os.nice, initargs=(NICENESS,)) as thread:
            settings, loading = thread.submit(_prepare, given).result()
        from inkstream.service.server import worker_server  # noqa: PLC0415 - imported by the thread

        gc.freeze()
        gc.enable()
        worker_server.serve(
            settings, loading, supervisor, number=number, folder=folder, listeners=listeners
        )
    if os.getppid() != supervisor_id:  # it was killed, and cannot do this
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(given: dict[str, Any]) -> "tuple[Settings, Loading | None]":
    """Import the server, and begin to load what it serves.

    The threads of ONNX Runtime would keep the low priority, so where it has several, None is
    returned: it is loaded later.
    """
    from inkstream.service.loading import Loading  # noqa: PLC0415 - at low priority
    from inkstream.service.settings import Settings  # noqa: PLC0415

    settings = Settings.load(**given)
    loading = Loading(settings) if settings.threads == 1 else None
    from inkstream.service.server import worker_server  # noqa: F401, PLC0415

    return settings, loading


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))

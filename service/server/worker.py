"""One of several processes that serve, started by the supervisor as a module.

To import the server and to load its models takes most of a second of a core that the workers beside
it need. So a thread of low priority does this. Linux sets priorities for each thread (sched(7)); a
process that has lowered its own may not raise it again without privileges.
"""

import gc
import json
import os
import shutil
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inkstream.service.loading import Loading
    from inkstream.service.settings import Settings


def main(number: int, folder: Path, descriptor: int, *listeners: int) -> None:
    """Serve as the supervisor says, until it says otherwise or ends.

    All workers share `folder`. The settings come from the supervisor's socket, `descriptor`;
    `listeners` are descriptors too.
    """
    supervisor_id = os.getppid()
    with Connection(descriptor) as supervisor:
        given = json.loads(supervisor.recv_bytes())
        gc.disable()  # it would walk over what is imported and stays, again and again
        with ThreadPoolExecutor(1, initializer=os.nice, initargs=(10,)) as thread:
            settings, loading = thread.submit(_prepare, given).result()
        # The thread has imported these.
        from inkstream.model.errors import InkstreamError  # noqa: PLC0415
        from inkstream.service.observe import logs, metrics  # noqa: PLC0415
        from inkstream.service.server import run  # noqa: PLC0415
        from inkstream.service.server.balance import Balance  # noqa: PLC0415

        gc.freeze()
        gc.enable()
        logs.configure(settings.log_format, settings.log_level, worker=number)
        metrics.share(folder, number)
        sockets = [socket.socket(fileno=listener) for listener in listeners]
        try:
            run.run(settings, sockets, loading, Balance(folder, number), supervisor)
        except (InkstreamError, OSError) as error:
            run.tell(supervisor, str(error))
            sys.exit(1)
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
    from inkstream.service.server import run  # noqa: F401, PLC0415

    return settings, loading


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))

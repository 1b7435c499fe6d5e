"""Processes for work that can run away: each has limits of time and memory, and can be killed.

A page worker is a Python process of its own that runs one module, which calls `worker.serve`.
It is started when it is needed and ends when it was idle for a while, so an idle server has none.
It does not inherit the settings in the environment, and so no keys; what it sends is bytes, and
nothing of it is unpickled.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from typing import Final

from inkstream.model.errors import InkstreamError
from inkstream.service.observe.logs import get_logger
from inkstream.service.page_workers.turns import Turns
from inkstream.service.protocol.errors import OverLimitError, StoppingError, UnreadableError
from inkstream.service.settings import Settings, environment_without_settings

WALL_S_PER_CPU_S: Final = 6  # then a worker is killed, however little the machine let it compute
IDLE_S: Final = 10.0  # after which a worker ends: starting one takes half a second
MAX_ANSWER_BYTES: Final = 64 << 20
MAX_CLIENT_WAITING_REQUESTS: Final = 8
UNREADABLE: Final = "this body cannot be read; the server's log says why under this request id"

log = get_logger()


class PageWorkers:
    """A few page workers for the requests of all clients; used on one event loop."""

    def __init__(self, module: str, settings: Settings) -> None:
        """Prepare; no worker is started yet. `module` calls `worker.serve`."""
        self._cpu_s = settings.page_worker_cpu_s
        limits = map(str, (settings.page_worker_memory_bytes, self._cpu_s))
        self._command = [sys.executable, "-P", "-m", module, *limits]
        self._turns = Turns(settings.page_workers, 32, MAX_CLIENT_WAITING_REQUESTS)
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []  # the one that was used last at the end
        self._stopped = False

    async def run(
        self, client: str, request: Sequence[bytes | bytearray], *, has_begun: bool = False
    ) -> bytes:
        """Return a worker's answer to a request of the address `client`.

        If this is cancelled, the worker is killed. For `has_begun` see `Turns.turn`.

        Raises:
            OverLimitError: it takes longer than allowed.
            UnreadableError: the worker ended without an answer, which the log says.
            ServerFullError: too many requests wait.
            StoppingError: the server is stopping.
        """
        async with self._turns.turn(client, has_begun=has_begun):
            while True:
                worker = self._take()
                try:
                    async with asyncio.timeout(WALL_S_PER_CPU_S * self._cpu_s):
                        answer = await asyncio.to_thread(worker.ask, request)
                except TimeoutError:
                    self._kill(worker)
                    raise OverLimitError(
                        f"reading this body takes longer than {WALL_S_PER_CPU_S * self._cpu_s} s"
                    ) from None
                except ChildProcessError as error:
                    self._kill(worker)
                    if worker.was_idle and isinstance(error.__cause__, ConnectionError):
                        continue  # it was ending and has not read the request
                    raise self._reason(worker, error) from None
                except asyncio.CancelledError:
                    self._kill(worker)
                    raise
                self._give_back(worker)
                return answer

    def stop(self) -> None:
        """Kill all workers, whatever they do; what waits for them fails with `StoppingError`."""
        self._stopped = True
        for worker in list(self._workers):
            self._kill(worker)

    def _reason(self, worker: "_Worker", error: ChildProcessError) -> InkstreamError:
        """Return why a request has no answer, after its worker has ended."""
        if self._stopped:
            return StoppingError("the server has stopped")
        exit_code = worker.process.wait()
        if exit_code == -signal.SIGXCPU:
            text = f"reading this body takes more than {self._cpu_s} s of processor time"
            return OverLimitError(f"{text}, the most allowed")
        log.error("page worker ended without an answer", exit_code=exit_code, reason=str(error))
        return UnreadableError(UNREADABLE)

    def _take(self) -> "_Worker":
        """Return an idle worker, or a new one."""
        if self._stopped:
            raise StoppingError("the server has stopped")
        while self._idle:
            worker = self._idle.pop()
            worker.idle_timer.cancel()
            if worker.process.poll() is None:
                return worker
            self._workers.remove(worker)
        worker = _Worker(self._command)
        self._workers.add(worker)
        return worker

    def _give_back(self, worker: "_Worker") -> None:
        if self._stopped:  # and so it was killed
            return
        worker.was_idle = True
        self._idle.append(worker)
        loop = asyncio.get_running_loop()
        worker.idle_timer = loop.call_later(IDLE_S, self._kill, worker)

    def _kill(self, worker: "_Worker") -> None:
        self._workers.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
            worker.idle_timer.cancel()
        worker.process.kill()
        asyncio.get_running_loop().run_in_executor(None, worker.process.wait)


class _Worker:
    """One process, seen from the server."""

    idle_timer: asyncio.TimerHandle
    was_idle = False  # it has answered before

    def __init__(self, command: list[str]) -> None:
        self._connection, far_end = Pipe()
        # So large blocks of memory are given back as soon as they are free. By default glibc keeps
        # blocks as large as one that was free before, up to 32 MiB (mallopt(3)).
        memory_settings = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
        with far_end:
            self.process = subprocess.Popen(  # noqa: S603 - a module of ours
                [*command, str(far_end.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment_without_settings() | memory_settings,
                pass_fds=[far_end.fileno()],
            )

    def ask(self, request: Sequence[bytes | bytearray]) -> bytes:
        """Return the answer to a request; it blocks, so call it in a thread.

        Raises `ChildProcessError` when the process has ended, or answers too much. Its cause is a
        `ConnectionError` when the process has ended before it had read the whole request.
        """
        try:
            for part in request:
                self._connection.send_bytes(part)
            return self._connection.recv_bytes(MAX_ANSWER_BYTES)
        except (EOFError, OSError) as error:
            self.process.kill()  # where it answers too much; nothing happens if it has ended
            self.process.wait()
            raise ChildProcessError(repr(error)) from error

"""Serve with several processes, the workers: start them, replace them, and end with them.

The supervisor listens, and its workers accept: a connection that waits in the kernel's queue
outlives the worker that would have accepted it. A worker is a new Python process that inherits the
listening sockets and a socket to the supervisor. Through this one it gets the settings, keys
included, and tells that it serves, or why it cannot. Either side sees when the other one has ended.

SIGHUP replaces all workers, one by one: a new one starts with the settings, models and program as
they are now, and once it serves an old one drains. The first SIGTERM or SIGINT has all workers
drain, a second one ends them at once.
"""

import math
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from prometheus_client.multiprocess import mark_process_dead
from pydantic import SecretStr

from inkstream.model.errors import ConfigError, InkstreamError
from inkstream.service.access import GOAWAY_SHARE
from inkstream.service.observe import logs
from inkstream.service.sealing import random_key
from inkstream.service.server.balance import MAX_WORKERS, Balance
from inkstream.service.server.listeners import listen, warn_if_open_to_all
from inkstream.service.settings import LAST_S, Settings, environment_without_settings

MODULE: Final = "inkstream.service.server.worker"
KILL_S: Final = 0.5  # after the time in which a worker ends by itself

log = logs.get_logger()


def supervise(load: Callable[[], Settings]) -> None:
    """Serve with several processes until SIGTERM or Ctrl-C; `load` is called again on SIGHUP.

    Raises an `InkstreamError` if one of the first workers cannot start, or if one did not end by
    itself when the server was stopped.
    """
    with TemporaryDirectory(prefix="inkstream-") as folder, _signals() as signals:
        Supervisor(load, Path(folder)).run(signals)


class Supervisor:
    """The workers of one service: which live, and which of them start, serve and end."""

    def __init__(self, load: Callable[[], Settings], folder: Path) -> None:
        self._load = load
        self._folder = folder  # an empty one that all workers share
        self._logs = ExitStack()
        self._resume_key = SecretStr(random_key())  # of all workers, where none is set
        self._settings = self._earlier = self._read_settings()
        self._configure_logs()
        self._listeners = listen(self._settings)
        Balance.create(folder)
        self._workers: list[_Worker] = []  # that live, the oldest first
        self._has_served = False  # with all workers
        self._n_stops = 0  # how often the supervisor was told to stop
        self._n_early_ends = 0
        self._start_at_s = time.monotonic()  # no missing worker is started before
        self._faults: list[str] = []  # of workers that did not end by themselves

    def run(self, signals: socket.socket) -> None:
        """Keep the workers alive until a signal stops them; the numbers of signals are received."""
        try:
            while self._workers or not self._n_stops:
                self._start_missing()
                self._stop_surplus()
                connections = [worker.connection for worker in self._workers]
                ready = wait([signals, *connections], self._patience_s())
                if signals in ready:
                    for number in signals.recv(64):
                        if number != signal.SIGHUP:
                            self._stop()
                        elif not self._n_stops:
                            self._replace()
                for worker in [worker for worker in self._workers if worker.connection in ready]:
                    self._hear(worker)
                for worker in self._workers:
                    if time.monotonic() >= worker.deadline_s:
                        worker.kill("it took too long and was killed")
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.wait()
            self._logs.close()
        if self._faults:
            raise InkstreamError("; ".join(self._faults))

    # Which workers live

    @property
    def _staying(self) -> "list[_Worker]":
        return [worker for worker in self._workers if not worker.is_leaving]

    @property
    def _is_replacing(self) -> bool:
        return any(worker.is_outdated for worker in self._staying)

    def _start_missing(self) -> None:
        """Start the workers that are missing: one at a time where they replace others."""
        staying = self._staying
        missing = self._settings.workers - sum(not worker.is_outdated for worker in staying)
        if self._is_replacing:
            missing = min(missing, 1 - sum(not worker.serves for worker in staying))
        used = {worker.number for worker in self._workers}
        free = (number for number in range(1, MAX_WORKERS) if number not in used)
        for _, number in zip(range(missing), free, strict=False):
            if self._n_stops or time.monotonic() < self._start_at_s:
                return
            try:
                worker = _Worker(number, self._folder, self._settings, self._listeners)
            except OSError as error:
                self._could_not_start(number, error.strerror or str(error))
            else:
                self._workers.append(worker)

    def _stop_surplus(self) -> None:
        """Have the oldest workers drain where more serve than are wanted."""
        was_replacing = self._is_replacing
        serving = [worker for worker in self._staying if worker.serves]
        if len(serving) >= self._settings.workers:
            self._has_served = True
        for worker in serving[: max(0, len(serving) - self._settings.workers)]:
            worker.drain(self._settings.stop_within_s)
            # To start a worker takes time from those that take lines over: first all clients move.
            self._start_at_s = time.monotonic() + GOAWAY_SHARE * self._settings.drain_timeout_s
        if was_replacing and not self._is_replacing:
            log.info("workers replaced", workers=self._settings.workers)

    def _patience_s(self) -> float | None:
        """Return for how long nothing is to be done; None is until something comes."""
        now_s = time.monotonic()
        dues_s = [worker.deadline_s for worker in self._workers]
        if now_s < self._start_at_s:
            dues_s.append(self._start_at_s)
        due_s = min(dues_s, default=math.inf)
        return None if due_s == math.inf else max(0.0, due_s - now_s)

    # What comes

    def _stop(self) -> None:
        """Have all workers drain, or end at once where that was begun before."""
        self._n_stops += 1
        for listener in self._listeners:
            listener.close()
        for worker in self._workers:
            if self._n_stops == 1:
                worker.drain(self._settings.stop_within_s)
            else:
                worker.stop_at_once()

    def _replace(self) -> None:
        """Begin to replace all workers, unless the settings are refused."""
        try:
            settings = self._read_settings()
        except ConfigError as error:
            log.error("workers not replaced: the settings are refused", reason=str(error))
            return
        address = self._settings.host, self._settings.port
        if (settings.host, settings.port) != address:
            log.warning("host and port stay until the server is started again")
        if not self._is_replacing:
            self._earlier = self._settings
        self._settings = settings
        self._configure_logs()
        self._start_at_s = time.monotonic()
        for worker in self._workers:
            worker.is_outdated = True
        log.info("replacing workers", workers=settings.workers)

    def _hear(self, worker: "_Worker") -> None:
        """Take what a worker tells: that it serves, why it cannot, or, by its end, nothing more."""
        try:
            reason = worker.connection.recv_bytes().decode()
        except (EOFError, OSError):
            self._ended(worker)
            return
        if reason:
            worker.reason = reason
        else:  # an empty message says that it serves
            worker.serves = True
            if not worker.is_leaving:
                worker.deadline_s = math.inf

    def _ended(self, worker: "_Worker") -> None:
        """Forget a worker that has ended, and note if it should not have."""
        exit_code = worker.wait()
        if exit_code < 0:
            meaning = f"ended by {signal.Signals(-exit_code).name}"
        else:
            meaning = f"ended with exit code {exit_code}"
        self._workers.remove(worker)
        Balance(self._folder, worker.number).leave()
        mark_process_dead(worker.number, str(self._folder))  # its gauges; its counts are kept
        reason = worker.reason or meaning
        if worker.is_leaving:
            if exit_code not in (0, -signal.SIGTERM):
                self._faults += [f"worker {worker.number}: {reason}"] if self._n_stops else []
                log.error("worker did not end by itself", worker=worker.number, reason=reason)
        elif not worker.serves and not worker.is_outdated:
            self._could_not_start(worker.number, reason)
        else:
            log.error("worker ended, another one starts", worker=worker.number, reason=reason)
            self._pause(worker.started_s)

    def _could_not_start(self, number: int, reason: str) -> None:
        """Go on with the workers that serve; raise `ConfigError` if the server has just started."""
        if not self._has_served:
            raise ConfigError(reason)
        if self._is_replacing:
            log.error("workers not replaced: a new one cannot start", worker=number, reason=reason)
            self._settings = self._earlier
            for worker in self._workers:
                worker.is_outdated = False
        else:
            log.error("worker cannot start", worker=number, reason=reason)
            self._pause(time.monotonic())

    def _pause(self, started_s: float) -> None:
        """Start no worker for a while if one that started at that time ended within 10 s.

        Each time in a row the pause is twice as long, up to 30 s.
        """
        now_s = time.monotonic()
        self._n_early_ends = 0 if now_s >= started_s + 10 else self._n_early_ends + 1
        pause_s = min(30.0, 0.125 * 2 ** min(self._n_early_ends, 8))
        self._start_at_s = now_s + (pause_s if self._n_early_ends else 0.0)

    def _read_settings(self) -> Settings:
        """Return the settings as they are now, with a resume key that all workers share."""
        settings = self._load()
        keys = settings.resume_keys or (self._resume_key,)
        return settings.model_copy(update={"resume_keys": keys})

    def _configure_logs(self) -> None:
        self._logs.close()
        logs.configure(self._settings.log_format, self._settings.log_level)
        self._logs.enter_context(logs.in_background(lambda: None))
        warn_if_open_to_all(self._settings)


class _Worker:
    """One process that serves, seen from the supervisor."""

    def __init__(
        self, number: int, folder: Path, settings: Settings, listeners: Sequence[socket.socket]
    ) -> None:
        """Start it; raise `OSError` if the system has no process for it."""
        self.number = number
        self.serves = False
        self.is_outdated = False  # it is to be replaced
        self.is_leaving = False
        self.reason = ""  # why it cannot serve, or was killed
        self.started_s = time.monotonic()
        # Until then it has to serve or end; it takes about a second on an idle machine.
        self.deadline_s = self.started_s + 120
        self.connection, far_end = Pipe()
        self.connection.send_bytes(settings.export().encode())
        with far_end:
            descriptors = [far_end.fileno(), *(listener.fileno() for listener in listeners)]
            arguments = map(str, (number, folder, *descriptors))
            self.process = subprocess.Popen(  # noqa: S603 - a module of ours
                [sys.executable, "-P", "-m", MODULE, *arguments],
                stdin=subprocess.DEVNULL,
                env=environment_without_settings(),
                pass_fds=descriptors,
                process_group=0,  # a terminal's Ctrl-C is for the supervisor
            )

    def drain(self, within_s: float) -> None:
        """Have it end after its sessions; it does so by itself within a time."""
        if not self.is_leaving:
            self.is_leaving = True
            self.deadline_s = time.monotonic() + within_s + KILL_S
            self.process.terminate()

    def stop_at_once(self) -> None:
        """Have it end without its sessions."""
        self.deadline_s = min(self.deadline_s, time.monotonic() + LAST_S + KILL_S)
        with suppress(OSError):  # it has just ended
            self.connection.send_bytes(b"")  # any message says so

    def kill(self, reason: str) -> None:
        """Kill it; `reason` is for the log."""
        self.reason, self.deadline_s = reason, math.inf
        self.process.kill()

    def wait(self) -> int:
        """Return the exit code of a worker that has closed its connection, and so ends now."""
        self.connection.close()
        left_s = self.deadline_s - time.monotonic()
        try:  # when all is done, the end takes long on a busy machine
            return self.process.wait(min(max(KILL_S, left_s), 5.0))
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Receive the numbers of signals from a socket, from now on until the process ends."""
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    with receiver, sender:
        signal.set_wakeup_fd(sender.fileno())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: None)
        try:
            yield receiver
        finally:
            signal.set_wakeup_fd(-1)

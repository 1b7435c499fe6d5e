"""The worker processes of a simulated service, and what befalls them.

Each worker is the real service: endpoint, sessions, engine and sealer. The cluster starts workers
and replaces them as the supervisor does: one that has crashed soon has a successor; in a deploy the
successor is there before the old one drains.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from inkstream.model.runtime import Runtime
from inkstream.service.access import Access, Sessions
from inkstream.service.engine import Engine
from inkstream.service.observe.metrics import Metrics
from inkstream.service.page_workers.pool import PageWorkers
from inkstream.service.rest import work
from inkstream.service.sealing import Sealer
from inkstream.service.service import RunningModel, Service
from inkstream.service.session import SessionModel
from inkstream.service.settings import Settings
from tests.helpers.single_session import LANGUAGES
from tests.simulation.network import ClientSocket, Connection, Faults

N_WORKERS: Final = 3
METRICS: Final = Metrics()  # of all workers: to make them takes long, and nothing reads them
HEALTHY: Final = Faults()
MAX_BATCH, MAX_COLUMNS = 8, 64  # of a run: small, so that runs are cut in many ways


class Worker:
    """One process of the service."""

    def __init__(self, net: Runtime, version: int, keys: Sequence[str], settings: Settings) -> None:
        self.version = version
        self.is_accepting = True
        self.connections: list[Connection] = []
        limits = settings.limits
        self._engine = Engine(net, max_batch=MAX_BATCH, max_columns=MAX_COLUMNS, metrics=METRICS)
        clock = asyncio.get_running_loop().time
        seals = Sealer(keys, f"snapshot of weights {version}", clock)
        model = SessionModel.of(
            net.metadata, limits, LANGUAGES, digest=f"weights {version}", seals=seals
        )
        self.service = Service(
            settings,
            limits,
            {model.info.name: RunningModel.of(model, self._engine)},
            Sessions(limits, METRICS),
            Access(settings, Sealer(keys, "token")),
            METRICS,
            PageWorkers(work.__name__, settings),
        )
        self._engine.start()

    async def crash(self) -> None:
        """End at once; what is under way to clients may still arrive."""
        self.is_accepting = False
        self._engine.stop()
        for connection in self.connections:
            connection.cut()
            connection.server.is_over = True
            await connection.server.end()

    async def drain(self) -> None:
        """Accept no more connections, let sessions end or go elsewhere, and end."""
        self.is_accepting = False
        await self.service.sessions.drain(self.service.settings.drain_timeout_s)
        await self.crash()


@dataclass
class Cluster:
    """All workers, and the service's present keys and weights."""

    nets: Sequence[Runtime]  # by version of the weights
    rng: Random
    settings: Settings
    n_workers: int = N_WORKERS
    faults: Faults = HEALTHY  # that connections have from now on

    def __post_init__(self) -> None:
        self.version = 0
        self.keys: tuple[str, ...] = ("a secret that all workers share: 0",)
        self.workers: list[Worker] = []
        self._started: list[Worker] = []  # those that have ended too
        self.versions: list[int] = []  # of the weights, behind each connection
        self._befalling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the workers."""
        self.workers = [self._new_worker() for _ in range(self.n_workers)]

    def begin(self, faults: Faults, n_events: int, within_s: float) -> None:
        """Begin to have faults, and so many events; connections break for `within_s` seconds."""
        self.faults = faults
        healthy = replace(faults, refused=0.0, breaks=0.0)
        asyncio.get_running_loop().call_later(within_s, setattr, self, "faults", healthy)
        self._befalling = asyncio.ensure_future(self._befall(n_events, within_s))

    def _new_worker(self) -> Worker:
        worker = Worker(self.nets[self.version], self.version, self.keys, self.settings)
        self._started.append(worker)
        return worker

    async def open_async(self, url: str, **_: Any) -> ClientSocket:
        """Open a connection to any worker, as `websockets` does."""
        await asyncio.sleep(self.rng.random() * self.faults.delay_s)
        accepting = [worker for worker in self.workers if worker.is_accepting]
        if not accepting or self.rng.random() < self.faults.refused:
            raise ConnectionRefusedError("connection refused")
        worker = self.rng.choice(accepting)
        connection = Connection(self, worker, url.partition("?")[2])
        worker.connections.append(connection)
        self.versions.append(worker.version)
        return connection.client

    # What befalls them

    async def crash(self) -> None:
        """Let a worker crash, and start its successor after a while."""
        place = self.rng.randrange(self.n_workers)
        await self.workers[place].crash()
        await asyncio.sleep(self.rng.random() * 0.5)
        self.workers[place] = self._new_worker()

    async def deploy(self) -> None:
        """Replace all workers one by one."""
        for place, worker in enumerate(self.workers):
            self.workers[place] = self._new_worker()
            await worker.drain()

    async def rotate_keys(self) -> None:
        """Deploy a new key; the old one is kept, or lost."""
        number = int(self.keys[0].rpartition(" ")[2]) + 1
        new = f"a secret that all workers share: {number}"
        self.keys = (new, self.keys[0]) if self.rng.random() < 0.5 else (new,)
        await self.deploy()

    async def change_model(self) -> None:
        """Deploy other weights."""
        self.version = (self.version + 1) % len(self.nets)
        await self.deploy()

    async def cut_all(self) -> None:
        """Break every connection."""
        for worker in self.workers:
            for connection in worker.connections:
                connection.cut()

    async def _befall(self, n_events: int, within_s: float) -> None:
        events = (self.crash, self.deploy, self.rotate_keys, self.change_model, self.cut_all)
        for _ in range(n_events):
            await asyncio.sleep(self.rng.random() * within_s / n_events)
            await self.rng.choice(events)()

    async def stop(self) -> None:
        """End everything; raise what failed in a worker."""
        if self._befalling is not None:
            self._befalling.cancel()
            with suppress(asyncio.CancelledError):
                await self._befalling
        for worker in self._started:
            await worker.crash()

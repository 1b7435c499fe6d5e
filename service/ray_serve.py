"""Serve on a cluster of Ray: Serve starts, checks, scales and replaces replicas of our server.

    INKSTREAM_HOST=0.0.0.0 serve run inkstream.service.ray_serve:app replicas=3 most_replicas=12

Each replica of `app` is our own server and listens on its node's port itself, so a message costs
what it costs without Ray. A load balancer in front lists the nodes. Replicas of one node share the
port (SO_REUSEPORT: socket(7)). `proxied` is the same application behind Serve's own proxy.
docs/decisions/serving.md has what each costs.

The settings are read where `serve` builds the application, and handed to all replicas as arguments.
Keys are not among them, since Ray shows arguments and writes them into logs: each replica reads
them from the environment of its machine, and does not start with others than `serve` had.
"""

import asyncio
import json
import math
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, Field
from ray import serve

from inkstream.model.errors import ConfigError, InkstreamError
from inkstream.service.app import create_app
from inkstream.service.observe import logs
from inkstream.service.server.listeners import listen, raise_descriptor_limit, warn_if_open_to_all
from inkstream.service.server.run import SPARE_DESCRIPTORS, Config, Server
from inkstream.service.service import Service
from inkstream.service.settings import SECRETS, Settings

HEALTH_S: Final = 5.0  # within which the event loop must have its turn


class Arguments(BaseModel, extra="forbid"):
    """What `serve run` takes behind the application, as `name=value`."""

    replicas: int = Field(default=1, ge=1)
    """Replicas at least."""
    most_replicas: int = Field(default=1, ge=1)
    """Replicas at most; fewer than `replicas` counts as these."""
    sessions: float = Field(default=40, gt=0)
    """Open sessions of a replica that the number of replicas aims at."""
    queue_wait_s: float = Field(default=0.02, gt=0)
    """Mean wait for a run of the net, from which on one replica more is wanted."""
    cpus: float = Field(default=1, gt=0)
    """Cores that Ray sets aside for a replica."""
    upscale_delay_s: float = Field(default=15, ge=0)
    """For how long more replicas must be wanted until they start."""
    downscale_delay_s: float = Field(default=300, ge=0)
    """For how long fewer replicas must be wanted until one drains."""


def app(arguments: Arguments) -> Any:
    """Return the application whose replicas listen themselves, for `serve run`.

    Raises `ConfigError` for a setting that is refused.
    """
    settings = _settings()
    policy = {
        "policy_function": f"{__name__}:{SessionsAndWait.__name__}",
        "policy_kwargs": {"sessions": arguments.sessions, "queue_wait_s": arguments.queue_wait_s},
    }
    return _deployed(Replica, arguments, settings, {"policy": policy}).bind(without_keys(settings))


def proxied(arguments: Arguments) -> Any:
    """Return the application behind Serve's proxy, for `serve run`.

    A session or a request is an ongoing request of Serve, by whose number it scales; the wait for
    the net is not looked at.
    """
    settings = _settings()
    exported = without_keys(settings)

    def build() -> FastAPI:
        return create_app(with_keys(exported))

    return _deployed(
        serve.ingress(build)(),
        arguments,
        settings,
        {"target_ongoing_requests": arguments.sessions},
        max_ongoing_requests=settings.max_sessions,
    ).bind()


class SessionsAndWait:
    """Serve's policy for the number of replicas: by open sessions, and by the wait for the net."""

    def __init__(self, sessions: float, queue_wait_s: float) -> None:
        """Keep what a replica should have at most."""
        self._sessions = sessions
        self._queue_wait_s = queue_wait_s

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """Return the replicas that are wanted, and no state; `context` is `AutoscalingContext`."""
        metrics = context.aggregated_metrics or {}
        wanted = self.wanted(
            context.current_num_replicas,
            [*metrics.get("sessions", {}).values()],
            [*metrics.get("queue_wait_s", {}).values()],
        )
        least, most = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
        return min(max(wanted, least), most), {}

    def wanted(self, current: int, sessions: list[float], waits_s: list[float]) -> int:
        """Return how many replicas are wanted, by the sessions and waits that were reported."""
        wanted = math.ceil(sum(sessions) / self._sessions)
        if waits_s and sum(waits_s) / len(waits_s) > self._queue_wait_s:
            wanted = max(wanted, current + 1)
        return wanted


class Replica:
    """Our server, in a thread of the process that Serve keeps for it."""

    def __init__(self, exported: str) -> None:
        """Load and listen; raise an `InkstreamError` if that fails. See `without_keys`."""
        settings = with_keys(exported)
        logs.configure(settings.log_format, settings.log_level)
        warn_if_open_to_all(settings)
        raise_descriptor_limit(settings.max_connections + SPARE_DESCRIPTORS)
        application = create_app(settings)
        self._service: Service = application.state.service
        self._stop_within_s = settings.stop_within_s
        self._waited = (0.0, 0.0)  # runs, and their waits in s, when they were last asked for
        self._server = ThreadServer(Config(application, settings), self._service)
        self._thread = threading.Thread(
            target=self._run, args=(listen(settings, shared=True),), name="inkstream", daemon=True
        )
        self._thread.start()
        deadline_s = time.monotonic() + 60  # to load the nets takes long on a busy machine
        while not self._server.serves.wait(0.1):
            if not self._thread.is_alive() or time.monotonic() >= deadline_s:
                raise InkstreamError("the server of this replica did not start; its log says why")

    def _run(self, listeners: list[socket.socket]) -> None:
        with logs.in_background(self._service.metrics.line_dropped):
            self._server.run(sockets=listeners)

    def check_health(self) -> None:
        """Raise unless the event loop of the server has its turns; Serve then replaces us."""
        if not self._thread.is_alive():
            raise InkstreamError("the server has ended")
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._server.loop).result(HEALTH_S)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Return the open sessions, and the mean wait for the net since the last call."""
        sample = self._service.metrics.registry.get_sample_value
        name = "inkstream_queue_wait_seconds"
        runs, waits_s = sample(f"{name}_count") or 0.0, sample(f"{name}_sum") or 0.0
        (runs_before, waits_before_s), self._waited = self._waited, (runs, waits_s)
        mean_s = (waits_s - waits_before_s) / max(runs - runs_before, 1.0)
        return {"sessions": float(len(self._service.sessions)), "queue_wait_s": mean_s}

    def __del__(self) -> None:
        """Drain: Serve calls this when the replica is to end, and waits for it."""
        if "_thread" in vars(self):  # else it could not start
            self._server.should_exit = True
            self._thread.join(self._stop_within_s)


class ThreadServer(Server):
    """A server that runs in a thread, which gets no signals."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, config: Config, service: Service) -> None:
        super().__init__(config, service)
        self.serves = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.serves.set()


def _settings() -> Settings:
    settings = Settings.load()
    if not settings.resume_keys:
        raise ConfigError(
            "INKSTREAM_RESUME_KEYS is not set: each replica must open what another one has sealed,"
            " so set it here and on all machines"
        )
    return settings


def without_keys(settings: Settings) -> str:
    """Return settings as JSON for the replicas: of keys only how many there are."""
    values = json.loads(settings.export())
    return json.dumps(values | {name: len(values[name]) for name in SECRETS})


def with_keys(exported: str) -> Settings:
    """Return what `without_keys` had, with the keys of this machine; raise `ConfigError`."""
    values = json.loads(exported)
    counts = {name: values.pop(name) for name in SECRETS}
    settings = Settings.load(**values)
    for name, expected in counts.items():
        if (n := len(getattr(settings, name))) != expected:
            raise ConfigError(
                f"INKSTREAM_{name.upper()} has {n} keys on this machine, expected {expected}"
                " as where `serve` ran"
            )
    return settings


def _deployed(
    replica: Any, arguments: Arguments, settings: Settings, scaling: Mapping[str, Any], **more: Any
) -> Any:
    """Return a deployment of replicas, whose number follows `scaling`."""
    return serve.deployment(replica).options(
        name="inkstream",
        ray_actor_options={"num_cpus": arguments.cpus},
        graceful_shutdown_timeout_s=settings.stop_within_s + 5,  # then Serve kills the replica
        health_check_timeout_s=2 * HEALTH_S,
        max_surge_percent=20,  # of the replicas, which start before old ones drain
        autoscaling_config={
            "min_replicas": arguments.replicas,
            "max_replicas": max(arguments.replicas, arguments.most_replicas),
            "upscale_delay_s": arguments.upscale_delay_s,
            "downscale_delay_s": arguments.downscale_delay_s,
            **scaling,
        },
        **more,
    )

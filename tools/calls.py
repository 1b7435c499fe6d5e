"""Count the function calls of one message: `python -m tools.calls`.

Sessions in an engine each send one column a message, all at once, and wait for their results; every
result is encoded as JSON. The calls from the message to its JSON are counted, those within
libraries too. WebSocket and HTTP are left out.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from types import FrameType
from typing import Any

import numpy as np

from inkstream.model import checkpoint
from inkstream.model.runtime import Runtime
from inkstream.service.engine import Engine
from inkstream.service.metrics import Metrics
from inkstream.service.protocol.server_messages import Result, encode
from inkstream.service.session import Close, Effect, Restore, Session, SessionModel
from inkstream.service.settings import Settings

SESSIONS = 64
WARM_UP_MESSAGES = 20
MESSAGES = 100  # counted messages of each session
INK_SHARE = 0.15  # of the pixels of a column


class Calls:
    """Counts function calls, those of Python and those of C separately."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Count one event of the profiler."""
        self.counts[event] += 1


async def count_calls(name: str, sessions: int) -> dict[str, float]:
    """Return the calls of a message, with so many sessions of a shipped model."""
    runtime = Runtime(checkpoint.read(checkpoint.find(name)))
    settings = Settings.load(max_line_columns=10**9)
    engine = Engine(runtime, max_batch=sessions, max_columns=512, metrics=Metrics())
    model = SessionModel.of(runtime.metadata, settings.limits)
    random = np.random.default_rng(0)
    pixels = random.random((WARM_UP_MESSAGES + MESSAGES, model.config.column_height)) < INK_SHARE
    columns = [column.tobytes() for column in np.where(pixels, 255, 0).astype(np.uint8)]
    calls, n_missing, all_answered = Calls(), 0, asyncio.Event()

    def deliver(effects: list[Effect]) -> None:
        nonlocal n_missing
        for effect in effects:
            assert not isinstance(effect, Close | Restore)
            encode(effect)
            if isinstance(effect, Result):
                n_missing -= 1
                if not n_missing:
                    all_answered.set()

    engine.start()
    members = [engine.attach(Session(str(i), model), deliver) for i in range(sessions)]
    for number, column in enumerate(columns):
        if number == WARM_UP_MESSAGES:
            calls.counts.clear()
            sys.setprofile(calls)
        n_missing = sessions
        all_answered.clear()
        for member in members:
            engine.receive(member, column, time.monotonic())
        await all_answered.wait()
    sys.setprofile(None)
    engine.stop()
    total = sessions * MESSAGES
    return {
        "python": round(calls.counts["call"] / total, 1),
        "c": round(calls.counts["c_call"] / total, 1),
    }


if __name__ == "__main__":
    print(
        json.dumps({name: asyncio.run(count_calls(name, SESSIONS)) for name in ("digits", "lines")})
    )

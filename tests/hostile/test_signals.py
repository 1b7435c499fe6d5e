"""Signals: SIGHUP is only logged, SIGTERM ends the server in its time whatever runs."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest

from inkstream.service.client.stream import connect_sync
from inkstream.service.settings import LAST_S
from tests.helpers import builders
from tests.helpers.command_line import ROOT
from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.target import Target
from tests.hostile import test_floods as floods
from tests.hostile import test_messages as messages
from tests.hostile import test_mutations as mutations
from tests.hostile.conftest import faults_in

pytestmark = pytest.mark.slow

DRAIN_S = 1.0
FLAGS = ("--models", "digits", "--languages", "", "--drain-timeout-s", str(DRAIN_S))


def test_a_hang_up_is_logged_and_ends_nothing() -> None:
    with Target(*FLAGS) as target, connect_sync(target.url) as stream:
        for _ in range(3):
            logged = len(target.log)
            target.process.send_signal(signal.SIGHUP)
            target.wait_for("hang-up ignored", logged)
        assert len(list(stream.send(builders.columns(20)))) == 20
        stream.end()
        assert target.stop()[0] == 0


def test_a_stop_with_open_sessions_keeps_its_time() -> None:
    with Target(*FLAGS) as target, ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(connect_sync(target.url))
        code, seconds = target.stop()
    assert code == 0
    assert DRAIN_S < seconds < DRAIN_S + LAST_S


ATTACKS: dict[str, Callable[[Target], None]] = {
    "columns": partial(floods.flood, data=floods.MANY_A_MESSAGE),
    "ink": partial(floods.flood, data=floods.INK),
    "patterns": lambda target: messages.attack(
        target, *map(messages.configured, messages.PATTERNS)
    ),
    "messages": partial(mutations.send_messages, seconds=floods.FLOOD_S),
    "requests": partial(mutations.send_requests, seconds=floods.FLOOD_S),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_stop_under_an_attack_keeps_its_time(name: str) -> None:
    flags = ("--models", "lines", *FLAGS[2:])
    with Target(*flags) as target, ThreadPoolExecutor(1) as pool:
        attacked = pool.submit(ATTACKS[name], target)
        target.sleep(2.0)
        code, seconds = target.stop()
        attacked.exception()  # once the attacker has noticed
    assert code == 0
    assert seconds < DRAIN_S + LAST_S
    assert not faults_in(target.log)


BLOCKED = """
import asyncio, sys, time
from inkstream.service.server import run as server
from inkstream.service.loading import Loading
from inkstream.service.settings import Settings

class Blocked(server.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        asyncio.get_running_loop().call_later(0.2, time.sleep, 60)

server.Server = Blocked
settings = Settings.load(
    port=0, models="digits", languages="", drain_timeout_s=1, log_format="json"
)
server.serve(settings, Loading(settings))
"""


def test_a_server_whose_loop_does_not_go_on_is_ended_in_time() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BLOCKED], cwd=ROOT, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        try:
            assert json.loads(process.stderr.readline())["event"] == "serving"
            time.sleep(0.5)
            start_s = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == -signal.SIGALRM
            assert time.monotonic() - start_s < 1.0 + LAST_S + 1.0
        finally:
            process.kill()

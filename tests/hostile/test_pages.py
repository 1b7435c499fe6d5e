"""Attacks by pages: those that take long, those that nobody waits for, and many at once."""

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.helpers import hard_metadata
from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.hard_pages import tiled_writing
from tests.helpers.target import Target
from tests.hostile.conftest import Unnoticed, faults_in
from tools.pages import encoded, page

pytestmark = pytest.mark.slow

PAGE = "/v1/recognize?model=lines&page=true"
HEAD = (
    "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: image/png\r\ncontent-length: {}\r\n\r\n"
)
TIMEOUT_S = 120


@cache
def words() -> bytes:
    """Return a PNG of 22 kB with 600 words that stand apart: 3 s of processor time."""
    image = Image.new("L", (2048, 2048), 255)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(30)
    for y in range(4, 2018, 70):
        for x in range(4, 1988, 90):
            pen.text((x, y), "ab", fill=0, font=font)
    return encoded(np.asarray(image), "PNG")


@cache
def dense() -> bytes:
    """Return a PNG of a page that is full of very small writing: 561 lines, too many."""
    return encoded(tiled_writing(0.4, 2339, 1654), "PNG")


@cache
def full() -> bytes:
    """Return a PNG of a page that is as full as one that is read: 238 lines, 41,622 columns."""
    return encoded(tiled_writing(0.6, 2339, 1654), "PNG")


def page_workers(target: Target) -> list[psutil.Process]:
    return psutil.Process(target.process.pid).children()


@contextmanager
def asked(target: Target, content: bytes, count: int, host: str = "127.0.0.1") -> Iterator[None]:
    """Ask for a page on several connections from one address; hang up at the end of the block."""
    with ExitStack() as stack:
        for _ in range(count):
            there = ("127.0.0.1", target.port)
            raw = stack.enter_context(socket.create_connection(there, DEADLINE_S, (host, 0)))
            raw.sendall(HEAD.format(PAGE, len(content)).encode() + content)
        yield


def test_nobody_notices_pages_that_take_long(unnoticed: Unnoticed) -> None:
    with (
        unnoticed.attack(settle_s=12) as target,
        ThreadPoolExecutor(4) as pool,
    ):

        def post(content: bytes) -> int:
            return httpx.post(target.http + PAGE, content=content, timeout=TIMEOUT_S).status_code

        assert set(pool.map(post, [words(), dense(), full()] * 2)) <= {200, 413}


@pytest.mark.parametrize("form", ["json", "hocr", "alto"])
def test_nobody_notices_the_answer_about_a_large_page(unnoticed: Unnoticed, form: str) -> None:
    with unnoticed.attack(settle_s=12) as target:
        url = f"{target.http}{PAGE}&format={form}"
        assert httpx.post(url, content=full(), timeout=TIMEOUT_S).status_code == 200


def test_nobody_notices_the_largest_pages_of_two_clients(unnoticed: Unnoticed) -> None:
    def post(address: str) -> list[int]:
        transport = httpx.HTTPTransport(local_address=address)
        with httpx.Client(transport=transport, timeout=TIMEOUT_S) as client:
            urls = [f"{target.http}{PAGE}&format={form}" for form in ("alto", "json")] * 2
            return [client.post(url, content=full()).status_code for url in urls]

    with unnoticed.attack(settle_s=12) as target, ThreadPoolExecutor(2) as pool:
        assert [*pool.map(post, ["127.0.0.2", "127.0.0.3"])] == [[200] * 4] * 2


def ask_for_an_innocent_page(target: Target) -> None:
    """Ask for a page from an address of its own; check that it is read in time."""
    innocent = encoded(page(n_lines=3).image, "PNG")
    transport = httpx.HTTPTransport(local_address="127.0.0.9")
    with httpx.Client(transport=transport, timeout=TIMEOUT_S) as client:
        started_s = time.monotonic()
        answer = client.post(target.http + PAGE, content=innocent)
        assert time.monotonic() - started_s < 5
    assert len(answer.json()["lines"]) == 3


def test_an_innocent_page_waits_for_nobody_elses(unnoticed: Unnoticed) -> None:
    with unnoticed.attack(settle_s=12) as target, asked(target, words(), 8):
        time.sleep(1)
        ask_for_an_innocent_page(target)


def test_two_addresses_with_metadata_that_is_dear_delay_no_page(unnoticed: Unnoticed) -> None:
    content = hard_metadata.tiff(1_900_000)
    with (
        unnoticed.attack(settle_s=12) as target,
        asked(target, content, 2, "127.0.0.2"),
        asked(target, content, 2, "127.0.0.3"),
    ):
        ask_for_an_innocent_page(target)


def test_a_client_that_hangs_up_ends_its_work(unnoticed: Unnoticed) -> None:
    with unnoticed.attack(settle_s=12) as target:
        for _ in range(5):
            with asked(target, words(), 3):
                end_s = time.monotonic() + DEADLINE_S
                while not page_workers(target):
                    assert time.monotonic() < end_s
                    time.sleep(0.1)
        time.sleep(1)
        assert not [each for each in page_workers(target) if each.cpu_percent(0.2) > 20]


def test_more_pages_than_may_wait_get_503_and_retry_after(target: Target) -> None:
    with asked(target, words(), 9):
        time.sleep(0.5)
        answer = httpx.post(target.http + PAGE, content=words(), timeout=TIMEOUT_S)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "server_full"
        assert int(answer.headers["retry-after"]) > 0


def test_sigterm_ends_the_work_in_the_announced_time() -> None:
    with Target("--drain-timeout-s", "1") as target, ThreadPoolExecutor(4) as pool:
        wait = pool.submit(httpx.post, target.http + PAGE, content=words(), timeout=TIMEOUT_S)
        with asked(target, words(), 4, "127.0.0.2"):
            time.sleep(1)
            running = page_workers(target)
            assert running
            code, seconds = target.stop(signal.SIGTERM)
            assert code == 0
            assert seconds < 3
            assert not any(each.is_running() for each in running)
        answer = wait.result()
        if answer.status_code != 200:
            assert answer.json()["error"]["code"] == "stopping"
        assert not faults_in(target.log)

"""Fixtures: a server, a browser, and the writing pad in it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.helpers.running_server import Running, server
from tests.service.web.pad.pad_page import HELLO, Pad, chromium

OpenPad = Callable[..., Pad]


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("weights"), models="lines,digits") as started:
        yield started


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="package")
def url(running: Running) -> str:
    return address(running)


def address(running: Running) -> str:
    """Return the address of a server's pad."""
    return f"http://127.0.0.1:{running.port}/"


@pytest.fixture
def open_pad(browser: Browser) -> Iterator[OpenPad]:
    """Return a function that opens the pad of an address, with options of `Pad`, for this test."""
    with ExitStack() as pads:

        def opened(url: str, script: str = "", **options: Any) -> Pad:
            options.setdefault("viewport", {"width": 1100, "height": 800})
            pad = Pad(browser, url, script, **options)
            pads.callback(pad.page.close)
            return pad

        yield opened


@pytest.fixture
def pad(open_pad: OpenPad, url: str) -> Iterator[Pad]:
    opened = open_pad(url)
    yield opened
    opened.page.close()
    assert not opened.console_texts
    assert all("127.0.0.1" in address for address in opened.requested_urls)


@pytest.fixture
def written(pad: Pad) -> Pad:
    """Return the pad with one line, which has been read."""
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    return pad

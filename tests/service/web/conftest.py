"""Fixtures: a server, a browser, and the writing pad in it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.helpers.pad_page import Pad, chromium
from tests.helpers.running_server import Running, server


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
    return f"http://127.0.0.1:{running.port}/"


@pytest.fixture
def pad(browser: Browser, url: str) -> Iterator[Pad]:
    opened = Pad(browser, url, viewport={"width": 1100, "height": 800})
    yield opened
    opened.page.close()
    assert not opened.console_texts
    assert all("127.0.0.1" in address for address in opened.requested_urls)

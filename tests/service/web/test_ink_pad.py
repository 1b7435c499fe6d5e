"""The element `<ink-pad>` in a page of another origin, under a strict content security policy.

The page is the example for users, which brings its policy along.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.helpers.command_line import EXAMPLES
from tests.helpers.running_server import server
from tests.service.web.pad.pad_page import CHROMIUM, EXAMPLE_HEIGHT, HELLO

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

EXAMPLE = EXAMPLES / "ink-pad.html"
HEIGHT = 118.0  # of the field without its border


@contextmanager
def files_of(folder: Path) -> Iterator[str]:
    """Serve the files of a folder; yield the origin."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


def write(page: Page) -> None:
    """Write the example into the field."""
    box = page.locator("ink-pad").bounding_box()
    assert box is not None
    size = 0.8 * HEIGHT / EXAMPLE_HEIGHT
    for stroke in HELLO:
        for number, (x, y) in enumerate(stroke):
            page.mouse.move(box["x"] + 20 + size * x, box["y"] + 6 + size * y)
            if not number:
                page.mouse.down()
        page.mouse.up()


def test_a_foreign_page_embeds_the_element(browser: Browser, tmp_path: Path) -> None:
    with (
        files_of(tmp_path) as origin,
        server(tmp_path, models="lines", origins=(origin,)) as running,
    ):
        text = EXAMPLE.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{running.port}")
        (tmp_path / "index.html").write_text(text)
        page = browser.new_page()
        violations: list[str] = []
        page.on("console", lambda message: violations.append(message.text))
        page.goto(origin)
        expect(page.locator("ink-pad canvas")).to_be_visible()
        page.evaluate(
            """() => {
              window.events = [];
              const pad = document.querySelector("ink-pad");
              for (const kind of ["input", "change"]) {
                pad.addEventListener(kind, () => {
                  events.push([kind, pad.text]);
                  pad.dataset[kind] = "";
                });
              }
            }"""
        )
        write(page)
        expect(page.locator("ink-pad[data-change]")).to_be_visible()
        kinds = {kind for kind, _ in page.evaluate("events")}
        assert kinds == {"input", "change"}
        assert page.evaluate("document.querySelector('ink-pad').text") == "hello, world!"
        expect(page.locator("output")).to_have_text("hello, world!")
        page.evaluate("document.querySelector('ink-pad').clear()")
        assert page.evaluate("document.querySelector('ink-pad').text") == ""
        assert [text for text in violations if "favicon" not in text] == []
        page.close()

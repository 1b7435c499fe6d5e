"""Ink on the writing pad in a real browser."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from inkstream.model import installed_version
from tests.helpers.proxies import path_proxy
from tests.helpers.running_server import Running, server
from tests.service.web.conftest import OpenPad, address
from tests.service.web.pad.pad_page import CHROMIUM, HELLO, Pad, recognize_at_once

AXE = Path(sys.prefix) / "npm" / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

WIDTHS = (320, 360, 1400, 2560)  # CSS pixels: of the narrowest phone, and of a wide screen


def test_the_page_shows_the_text_that_the_python_client_gets(
    running: Running, written: Pad
) -> None:
    assert written.text == recognize_at_once(running, written) != ""
    written.see()
    letters = written.page.locator("#letters button").all_inner_texts()
    assert written.text.replace(" ", "") == "".join(letters)
    assert written.page.locator("#letters i").count() == len(written.text.split())
    expect(written.page.locator("#version")).to_have_text(installed_version())


def test_a_late_stroke_changes_the_text_and_undoing_it_restores_the_text(
    running: Running, pad: Pad
) -> None:
    bar = [[60.0, 20.0], [200.0, 150.0]]
    pad.write(*HELLO)
    pad.settle()
    before = pad.text
    pad.write(bar)
    pad.settle()
    assert pad.text == recognize_at_once(running, pad)
    pad.page.get_by_role("button", name="Undo").click()
    pad.settle()
    assert pad.text == before


def test_choosing_a_language_recognizes_the_ink_again(running: Running, written: Pad) -> None:
    assert written.hints()["language"] == "english"  # the browser's language
    in_english = written.text
    in_no_language = recognize_at_once(running, written, language=None)
    written.set("#language", lambda menu: menu.select_option("No language"))
    expect(written.page.locator("#text li")).to_have_text(in_no_language)
    written.page.keyboard.press("Control+z")
    expect(written.page.locator("#text li")).to_have_text(in_english)


def test_small_writing_gets_its_own_frame_and_its_letters_stay_aligned(pad: Pad) -> None:
    pad.see()
    pad.write(*HELLO, scale=0.4, left=200)
    pad.settle()
    assert pad.text == "hello, world!"
    ink = [x for stroke in pad.strokes()[0] for x, _ in stroke["points"]]
    first, last = (pad.page.locator("#letters > span > button").nth(n) for n in (0, -1))
    box, left, right = (each.bounding_box() for each in (pad.page.locator("#pad"), first, last))
    assert box is not None
    assert left is not None
    assert right is not None
    assert left["x"] - box["x"] == pytest.approx(min(ink), abs=8)
    assert right["x"] + right["width"] - box["x"] == pytest.approx(max(ink), abs=25)


def test_lines_have_streams_of_their_own_and_can_be_gone_back_to(
    running: Running, pad: Pad
) -> None:
    half = len(HELLO) // 2
    pad.write(*HELLO[:half], scale=0.6)
    pad.settle()
    first = pad.text
    pad.write(*HELLO, scale=0.6, row=1)
    pad.settle()
    second = pad.text
    assert second == recognize_at_once(running, pad) != ""
    assert pad.texts == [first, second]
    pad.write(*HELLO[half:], scale=0.6)
    expect(pad.page.locator("#text li").first).to_have_text(second)
    expect(pad.page.locator("#text li").nth(1)).to_have_text(second)


@pytest.mark.parametrize("new_line", ["button", "key"])
def test_a_new_line_between_two_moves_the_ink_below_down(pad: Pad, new_line: str) -> None:
    pad.write(*HELLO[:6], scale=0.6)
    pad.write(*HELLO, scale=0.6, row=1)
    pad.settle()
    pad.page.locator("#text button").first.click()
    pad.page.keyboard.press("Escape")
    if new_line == "button":
        pad.page.get_by_role("button", name="New line").click()
    else:
        pad.page.locator("#paper").press("Enter")
    first, last = pad.texts
    pad.write(*HELLO[:2], scale=0.6, row=1)
    expect(pad.page.locator("#text li")).to_have_count(3)
    assert [pad.texts[0], pad.texts[2]] == [first, last]


def test_the_eraser_removes_strokes(pad: Pad) -> None:
    pad.write(*HELLO[:3], scale=0.85)
    pad.settle()
    x, y = pad.positions(HELLO[0])[0]
    pad.page.get_by_role("button", name="Eraser").click()
    pad.page.mouse.click(x, y)
    pad.wait_for_strokes(2)
    pad.page.get_by_role("button", name="Undo").click()
    pad.wait_for_strokes(3)


def test_a_digit_has_bars_and_one_beside_it_is_another_digit(running: Running, pad: Pad) -> None:
    pad.see()
    pad.read_as("A digit")
    one = [[90.0, 20.0], [88.0, 90.0], [86.0, 155.0]]
    pad.write(one)
    pad.settle()
    assert pad.text == recognize_at_once(running, pad, "digits")
    assert pad.page.locator("#bars [data-best] b").inner_text() == pad.text
    pad.write(one, one, left=200)
    expect(pad.page.locator("#text li")).to_have_count(2)
    pad.wait_for_strokes(2)


def test_the_page_works_below_a_proxys_path(open_pad: OpenPad, tmp_path: Path) -> None:
    with (
        server(tmp_path, models="lines", root_path="/ink") as running,
        path_proxy(running.port, "/ink") as proxied,
    ):
        pad = open_pad(f"{proxied}/")
        pad.write(*HELLO, scale=0.6)
        pad.settle()
        assert pad.text == recognize_at_once(running, pad) != ""
        assert all("/ink/" in url for url in pad.requested_urls)
        assert not pad.console_texts


def test_the_page_asks_for_the_api_key_of_a_server(browser: Browser, tmp_path: Path) -> None:
    with server(tmp_path, models="lines", api_keys=("secret",)) as running:
        page = browser.new_page()
        page.goto(address(running))
        expect(page.locator("#error")).to_have_text("This server requires an API key.")
        for key, error in (
            ("of two words", "key has other characters than letters, digits and !#$%&'*+.^_`|~-"),
            ("wrong", "The server does not accept this key."),
            ("secret", None),
        ):
            page.get_by_label("API key").fill(key)
            page.get_by_role("button", name="Connect").click()
            if error is not None:
                expect(page.locator("#error")).to_have_text(error)
        expect(page.locator("#state-words")).to_have_text("connected")
        page.close()


@pytest.fixture(scope="module", params=["light", "dark"])
def screen(request: pytest.FixtureRequest, browser: Browser, url: str) -> Iterator[Pad]:
    """Open the page and write something on it."""
    size = {"width": WIDTHS[0], "height": 740}
    pad = Pad(browser, url, viewport=size, color_scheme=request.param)
    pad.write(*HELLO, scale=0.5)
    pad.settle()
    yield pad
    pad.page.close()
    assert not pad.console_texts


def test_the_page_does_not_scroll_sideways(screen: Pad) -> None:
    wide = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
    for width in WIDTHS:
        screen.page.set_viewport_size({"width": width, "height": 740})
        assert screen.page.evaluate(wide) == 0, width


@pytest.mark.needs(AXE.exists())
def test_the_page_is_accessible(screen: Pad) -> None:
    screen.page.evaluate(AXE.read_text())
    for width in WIDTHS:
        screen.page.set_viewport_size({"width": width, "height": 740})
        report = screen.page.evaluate("axe.run()")
        assert len(report["passes"]) > 10
        faults = [(fault["id"], fault["nodes"][0]["html"]) for fault in report["violations"]]
        assert faults == [], width

"""The paper follows the pen, and its rows become lines of text."""

import pytest
from playwright.sync_api import expect

from tests.service.web.conftest import OpenPad
from tests.service.web.pad.pad_page import CHROMIUM, HELLO, ROW_HEIGHT, Pad
from tests.service.web.pad.pointer import draw

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

SCROLLED = "document.querySelector('#paper').scrollTop"


def copied(pad: Pad) -> str:
    """Return the text of the document, as it is copied."""
    pad.page.keyboard.press("Control+c")
    return str(pad.page.evaluate("navigator.clipboard.readText()"))


@pytest.mark.parametrize(
    ("scale", "text"),
    [(0.5, "hello, world! hello, world! hello, world!"), (0.3, "\n".join(["hello, world!"] * 3))],
    ids=["filled rows", "a list"],
)
def test_filled_rows_of_a_phone_are_one_line_of_text(
    open_pad: OpenPad, url: str, scale: float, text: str
) -> None:
    pad = open_pad(
        url,
        viewport={"width": 390, "height": 844},
        permissions=["clipboard-read", "clipboard-write"],
    )
    for row in range(3):
        pad.write(*HELLO, scale=scale, row=row)
    pad.settle()
    assert copied(pad) == text


def test_a_new_line_that_was_asked_for_begins_a_line_of_text(open_pad: OpenPad, url: str) -> None:
    pad = open_pad(
        url,
        viewport={"width": 390, "height": 844},
        permissions=["clipboard-read", "clipboard-write"],
    )
    pad.write(*HELLO, scale=0.5)
    pad.page.get_by_role("button", name="New line").click()
    pad.write(*HELLO, scale=0.5, row=1)
    pad.settle()
    assert copied(pad) == "hello, world!\nhello, world!"


def test_the_paper_follows_the_pen_when_it_rests_in_the_last_row(
    open_pad: OpenPad, url: str
) -> None:
    pad = open_pad(url, viewport={"width": 1100, "height": 520})
    y = 3 * ROW_HEIGHT + 20
    draw(pad, (440, y), (444, y + 50), steps=4)
    draw(pad, (480, y), (484, y + 50), steps=4)  # the paper rests while the hand writes
    assert pad.page.evaluate(SCROLLED) == 0
    pad.wait_for_strokes(2)
    expect(pad.page.locator("#text")).to_have_attribute("aria-busy", "false")
    pad.page.wait_for_timeout(600)
    scrolled = pad.page.evaluate(SCROLLED)
    assert scrolled > 0
    assert scrolled % ROW_HEIGHT == 0  # no row is cut at the top
    height = pad.page.evaluate("document.querySelector('#paper').clientHeight")
    assert scrolled + height >= 5 * ROW_HEIGHT  # the next row is in view
    pad.page.set_viewport_size({"width": 1100, "height": 320})
    pad.page.wait_for_timeout(300)  # until the page is laid out
    scrolled = pad.page.evaluate(SCROLLED)
    height = pad.page.evaluate("document.querySelector('#paper').clientHeight")
    assert scrolled <= 3 * ROW_HEIGHT
    assert scrolled + height >= 4 * ROW_HEIGHT

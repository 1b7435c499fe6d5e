"""Furniture and paper are neither selected nor dragged; `Ctrl+A` and copying mean the text."""

import pytest
from playwright.sync_api import Browser, expect

from tests.service.web.pad.pad_page import CHROMIUM, HELLO, Pad
from tests.service.web.pad.pointer import Point, draw

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

N_STROKES = 6


def write(pad: Pad) -> None:
    """Write short strokes side by side in the second row."""
    for i in range(N_STROKES):
        draw(pad, (20.0 + 40 * i, 126), (24.0 + 40 * i, 146), (28.0 + 40 * i, 176), steps=4)


@pytest.mark.parametrize(
    "stroke",
    [
        ((300.0, -8.0), (500.0, 60.0)),
        ((300.0, -30.0), (900.0, 300.0)),
        ((1090.0, 500.0), (20.0, 20.0)),
    ],
    ids=["just above the paper", "in the header", "beside the text"],
)
@pytest.mark.parametrize("keys", ["", "Control+a"])
def test_every_stroke_is_kept_after_one_that_begins_beside_the_paper(
    written: Pad, stroke: tuple[Point, Point], keys: str
) -> None:
    draw(written, *stroke, steps=8)
    if keys:
        written.page.keyboard.press(keys)
    write(written)
    written.wait_for_strokes(N_STROKES)


def test_select_all_and_copy_mean_the_text(browser: Browser, url: str) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with browser.new_context(permissions=permissions, service_workers="block") as context:
        pad = Pad(context, url)
        pad.write(*HELLO, scale=0.6)
        pad.settle()
        for keys in (["Control+c"], ["Control+a", "Control+c"]):
            pad.page.evaluate("navigator.clipboard.writeText('')")
            for key in keys:
                pad.page.keyboard.press(key)
            assert pad.page.evaluate("navigator.clipboard.readText()") == pad.text != ""
        expect(pad.page.locator("#text")).to_be_visible()
        selected = pad.page.evaluate("getSelection().toString().trim()")
        assert selected == pad.text
        pad.write(*HELLO, row=1, scale=0.6)
        pad.settle()
        assert len(pad.texts) == 2

"""A word that is written between two others has room made for it, as one step of undo."""

import pytest
from playwright.sync_api import expect

from tests.service.web.pad.pad_page import CHROMIUM, HELLO, ROW_HEIGHT, Pad
from tests.service.web.pad.pointer import draw

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

SCALE = 0.6
GAP = 38.0  # between two words, CSS pixels
HELLO_WIDTH = 150.0  # of "hello,"


@pytest.fixture
def spaced(pad: Pad) -> Pad:
    """Return the pad with two equal words, which have been read."""
    for number in range(2):
        pad.write(*HELLO[:7], scale=SCALE, left=20 + number * (HELLO_WIDTH + GAP))
    pad.settle()
    assert pad.text == "hello, hello,"
    pad.page.wait_for_timeout(600)  # the pen has rested
    return pad


def test_a_word_written_into_a_gap_pushes_the_next_one_on(spaced: Pad) -> None:
    last = max(x for stroke in spaced.strokes()[0] for x, _ in stroke["points"])
    spaced.write(*HELLO[:7], scale=SCALE, left=20 + HELLO_WIDTH + 6)
    spaced.settle()
    expect(spaced.page.locator("#text li")).to_have_text("hello, hello, hello,")
    assert max(x for stroke in spaced.strokes()[0] for x, _ in stroke["points"]) > last + 50


def test_undo_takes_the_letter_and_its_room_back(spaced: Pad) -> None:
    before = spaced.strokes()[0]
    spaced.write(HELLO[0], scale=SCALE, left=20 + HELLO_WIDTH + 6)
    spaced.page.keyboard.press("Control+z")
    spaced.settle()
    after = spaced.strokes()[0]
    assert sorted(stroke["points"] for stroke in after) == sorted(
        stroke["points"] for stroke in before
    )
    expect(spaced.page.locator("#text li")).to_have_text("hello, hello,")


def test_a_caret_opens_a_gap_and_is_not_kept(spaced: Pad) -> None:
    (n, last) = (
        len(spaced.strokes()[0]),
        max(x for stroke in spaced.strokes()[0] for x, _ in stroke["points"]),
    )
    x = 20 + HELLO_WIDTH + GAP / 2 - 12
    draw(spaced, (x - 12, 88), (x, 48), (x + 12, 88), steps=6)
    spaced.settle()
    assert len(spaced.strokes()[0]) == n
    moved = max(x for stroke in spaced.strokes()[0] for x, _ in stroke["points"])
    assert moved == pytest.approx(last + 2 * ROW_HEIGHT, abs=1)
    expect(spaced.page.locator("#text li")).to_have_text("hello, hello,")

"""Other readings of an unsure word stand beside its ink while one writes; a tap takes one."""

import pytest
from playwright.sync_api import FloatRect, Locator, expect

from tests.service.web.conftest import OpenPad
from tests.service.web.pad.pad_page import CHROMIUM, HELLO, Pad
from tests.service.web.pad.pointer import draw, origin

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

N_UNSURE = 10  # strokes of the example after which its last word is no word yet


def candidates(pad: Pad) -> Locator:
    return pad.page.locator("#candidates")


def box_of(locator: Locator) -> FloatRect:
    box = locator.bounding_box()
    assert box is not None
    return box


@pytest.fixture
def unsure(pad: Pad) -> Pad:
    """Return the pad with a line whose last word is unsure."""
    pad.write(*HELLO[:N_UNSURE], scale=0.6)
    pad.settle()
    return pad


def test_a_tap_takes_a_reading_by_one_operation(unsure: Pad) -> None:
    text, (left, top) = unsure.text, origin(unsure)
    first = candidates(unsure).get_by_role("button").first
    reading, box = first.inner_text(), box_of(first)
    assert reading not in text
    draw(
        unsure, (box["x"] - left + 8, box["y"] - top + 8), (box["x"] - left + 9, box["y"] - top + 8)
    )
    expect(unsure.page.locator("#text li")).to_have_text([f"{text.rsplit(' ', 1)[0]} {reading}"])
    expect(candidates(unsure)).to_be_hidden()
    unsure.page.wait_for_timeout(1500)
    assert len(unsure.strokes()[0]) == N_UNSURE, "the tap was written"
    unsure.page.keyboard.press("Control+z")
    expect(unsure.page.locator("#text li")).to_have_text([text])


def test_a_stroke_that_begins_on_a_reading_is_written(unsure: Pad) -> None:
    (left, top), box = origin(unsure), box_of(candidates(unsure))
    x, y = box["x"] - left + 8, box["y"] - top + 8
    draw(unsure, (x, y), (x + 6, y + 30), steps=5)
    expect(candidates(unsure)).to_be_hidden()
    unsure.page.wait_for_timeout(1500)
    inked = unsure.page.evaluate("document.querySelectorAll('#text li').length")
    assert inked == 2 or len(unsure.strokes()[0]) == N_UNSURE + 1


def test_nothing_is_offered_for_a_word_that_is_sure(pad: Pad) -> None:
    pad.write(*HELLO[:6], scale=0.6)
    pad.settle()
    expect(candidates(pad)).to_be_hidden()


@pytest.mark.parametrize("size", [(375, 667), (320, 256), (1280, 800)], ids=str)
def test_readings_stand_in_view_and_not_over_their_ink(
    open_pad: OpenPad, url: str, size: tuple[int, int]
) -> None:
    pad = open_pad(url, viewport=dict(zip(("width", "height"), size, strict=True)))
    pad.write(*HELLO[:1], scale=0.6)
    pad.settle()
    box = box_of(candidates(pad))
    points = pad.positions(HELLO[0], scale=0.6)
    assert all(
        not (0 < x - box["x"] < box["width"] and 0 < y - box["y"] < box["height"])
        for x, y in points
    )
    assert 0 <= box["x"] <= size[0] - box["width"]
    assert 0 <= box["y"] <= size[1] - box["height"]

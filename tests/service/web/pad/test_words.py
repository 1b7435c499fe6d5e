"""A word's popover: opened from its text, by a key, or by a tap on its ink, which it marks."""

import pytest
from playwright.sync_api import expect

from tests.service.web.conftest import OpenPad
from tests.service.web.pad.pad_page import CHROMIUM, HELLO, Pad
from tests.service.web.pad.pointer import Point, draw, origin

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

PHONE = {"width": 375, "height": 667}
COUNT_DRAWN = """() => {
  const pad = document.querySelector("#pad");
  const copy = new OffscreenCanvas(pad.width, pad.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(pad, 0, 0);
  const { data } = context.getImageData(0, 0, pad.width, pad.height);
  return data.filter((value, i) => i % 4 === 3 && value > 0).length;
}"""


def n_drawn(pad: Pad) -> int:
    """Return how many pixels of the paper are drawn: more if a word is marked by a glow."""
    pad.page.wait_for_timeout(100)  # a frame or two
    return int(pad.page.evaluate(COUNT_DRAWN))


def on_ink(pad: Pad) -> Point:
    """Return a point of the first word's ink."""
    (left, top), ((x, y), (to_x, to_y), *_) = origin(pad), pad.positions(HELLO[0], scale=0.6)
    return (x + to_x) / 2 - left, (y + to_y) / 2 - top


def tap(pad: Pad) -> None:
    x, y = on_ink(pad)
    draw(pad, (x, y), (x + 1, y + 1))


def test_a_tap_on_ink_opens_its_word_as_its_text_does(written: Pad) -> None:
    page, text = written.page, written.text
    unmarked = n_drawn(written)
    page.locator("#text button").first.click()
    expect(page.locator("#word")).to_be_visible()
    (choices, marked) = page.locator("#choices").inner_text(), n_drawn(written)
    assert marked > 1.2 * unmarked
    page.keyboard.press("Escape")
    assert n_drawn(written) == unmarked
    tap(written)
    expect(page.locator("#word")).to_be_visible()
    assert page.locator("#correct").input_value() == text.split()[0]
    assert (page.locator("#choices").inner_text(), n_drawn(written)) == (choices, marked)
    page.keyboard.press("Escape")
    written.page.wait_for_timeout(1500)
    assert written.text == text, "the tap was written"
    assert len(written.strokes()[0]) == len(HELLO)


@pytest.mark.parametrize("viewport", [PHONE, {"width": 1280, "height": 800}], ids=["phone", "wide"])
def test_the_popover_stands_beside_the_ink(
    open_pad: OpenPad, url: str, viewport: dict[str, int]
) -> None:
    pad = open_pad(url, viewport=viewport)
    for row in range(3):
        pad.write(*HELLO[:12], scale=0.6, row=row)
    pad.settle()
    for is_tapped in (False, True):
        if is_tapped:
            tap(pad)
        else:
            pad.page.locator("#text button").first.click()
        expect(pad.page.locator("#word")).to_be_visible()
        box = pad.page.locator("#word").bounding_box()
        assert box is not None
        ys = [y for stroke in HELLO[:4] for _, y in pad.positions(stroke, scale=0.6)]
        assert box["y"] >= max(ys) or box["y"] + box["height"] <= min(ys)
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= viewport["height"]
        pad.page.keyboard.press("Escape")


def test_a_dot_beside_ink_and_a_tap_before_it_is_read_are_writing(written: Pad) -> None:
    n, (x, y) = len(HELLO), on_ink(written)
    draw(written, (x - 12, y), (x - 11, y + 1))
    draw(written, (x, y), (x + 1, y + 1))
    written.wait_for_strokes(n + 2)
    expect(written.page.locator("#word")).to_be_hidden()


def test_enter_on_a_word_goes_into_its_list_and_back(written: Pad) -> None:
    page = written.page
    word = page.locator("#text button").first
    word.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#choices button").first).to_be_focused()
    chosen = page.locator("#choices button").first.inner_text()
    page.keyboard.press("Enter")
    expect(word).to_have_text(chosen)

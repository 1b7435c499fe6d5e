"""Pens, fingers, palms and keys on the writing pad: ink is recognized where it is written."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.helpers.command_line import EXAMPLES
from tests.helpers.pad_page import CHROMIUM, HELLO, Pad, recognize_at_once
from tests.helpers.running_server import Running, server

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

# A network that delays each message by 300 ms.
SLOW = """window.WebSocket = class extends WebSocket {
  set onmessage(handle) { super.onmessage = (event) => setTimeout(() => handle(event), 300); }
  send(data) { setTimeout(() => super.send(data), 300); }
};"""


def xs(pad: Pad) -> list[float]:
    """Return the x of the line's points, CSS pixels from the pad's left side."""
    return [x for stroke in pad.strokes()[0] for x, _ in stroke["points"]]


def draw(pad: Pad, x: float, *, key: str = "") -> None:
    """Write a stroke downwards; press a key halfway."""
    box = pad.page.locator("#pad").bounding_box()
    assert box is not None
    pad.page.mouse.move(box["x"] + 1 + x, box["y"] + 20)
    pad.page.mouse.down()
    for number in range(1, 8):
        pad.page.mouse.move(box["x"] + 1 + x, box["y"] + 20 + 18 * number)
        if key and number == 4:
            pad.page.keyboard.press(key)
    pad.page.mouse.up()


def write_v(pad: Pad, x: float) -> None:
    """Write the letter V as one stroke."""
    box = pad.page.locator("#pad").bounding_box()
    assert box is not None
    left, top = box["x"] + 1 + x, box["y"] + 20
    pad.page.mouse.move(left, top)
    pad.page.mouse.down()
    pad.page.mouse.move(left + 30, top + 126, steps=7)
    pad.page.mouse.move(left + 60, top, steps=7)
    pad.page.mouse.up()


@pytest.fixture
def touched(browser: Browser, url: str) -> Iterator[Pad]:
    opened = Pad(browser, url, has_touch=True, viewport={"width": 900, "height": 800})
    yield opened
    opened.page.close()
    assert not opened.console_texts


class Pointer:
    """A finger, a palm or a pen on the pad, simulated by the browser's developer tools."""

    def __init__(self, pad: Pad) -> None:
        self._devtools = pad.page.context.new_cdp_session(pad.page)
        box = pad.page.locator("#pad").bounding_box()
        assert box is not None
        self._left, self._top = box["x"], box["y"]

    def touch(self, kind: str, *point: float) -> None:
        points = [{"x": self._left + point[0], "y": self._top + point[1]}] if point else []
        event: dict[str, Any] = {"type": f"touch{kind}", "touchPoints": points}
        self._devtools.send("Input.dispatchTouchEvent", event)

    def pen(self, kind: str, x: float, y: float) -> None:
        position = {"x": self._left + x, "y": self._top + y, "button": "left", "buttons": 1}
        event = {"type": f"mouse{kind}", "pointerType": "pen", "clickCount": 1}
        self._devtools.send("Input.dispatchMouseEvent", position | event)


def test_ink_that_replaces_a_scrolled_image_is_at_the_pen(browser: Browser, url: str) -> None:
    pad = Pad(browser, url, viewport={"width": 600, "height": 800})
    pad.choose_speed("all")
    pad.page.locator("#file").set_input_files(EXAMPLES / "hello.png")
    expect(pad.page.locator("#play")).to_have_text("Replay")
    draw(pad, 60)
    pad.settle()
    assert set(xs(pad)) == {60}
    pad.page.close()


def test_a_digit_after_one_at_the_edge_is_at_the_pen(running: Running, pad: Pad) -> None:
    pad.page.get_by_label("A digit").check()
    expect(pad.page.locator("#model")).to_have_text(re.compile(r"^digits \d+$"))
    draw(pad, 205)
    pad.settle()
    draw(pad, 60)
    pad.settle()
    assert set(xs(pad)) == {60}
    assert pad.text == recognize_at_once(running, pad, "digits")


def test_a_stroke_that_is_being_written_when_the_pad_is_cleared_is_kept_whole(
    running: Running, pad: Pad
) -> None:
    pad.write(*HELLO[:2])
    draw(pad, 400, key="Escape")
    pad.settle()
    (stroke,), _ = pad.strokes()
    assert [round(y) for _, y in stroke["points"]] == [*range(19, 19 + 8 * 18, 18)]
    assert pad.text == recognize_at_once(running, pad)


def test_writing_goes_on_before_the_finished_line_is_answered(
    running: Running, browser: Browser, url: str
) -> None:
    pad = Pad(browser, url, SLOW, viewport={"width": 1100, "height": 800})
    pad.write(*HELLO[:4])
    pad.settle()
    texts = """() => {
      const text = document.querySelector("#text");
      window.texts = [];
      const keep = () => texts.push(text.textContent);
      new MutationObserver(keep).observe(text, { subtree: true, childList: true });
    }"""
    pad.page.evaluate(texts)
    recognized = recognize_at_once(running, pad)
    expect(pad.page.locator("#text")).to_have_text(recognized)
    pad.page.keyboard.press("Enter")
    pad.page.keyboard.press("Enter")
    pad.write(*HELLO[:2])
    pad.settle()
    expect(pad.page.locator("#lines li")).to_have_text([recognized])
    assert len(pad.strokes()[0]) == 2
    expect(pad.page.locator("#text")).to_have_text(recognize_at_once(running, pad))
    shown = pad.page.evaluate("texts")
    assert recognized not in shown[shown.index("") :]
    pad.page.close()


def test_a_stroke_too_far_back_for_a_rewind_can_be_undone(browser: Browser, tmp_path: Path) -> None:
    with server(tmp_path, models="lines", max_rewind_columns=40) as running:
        pad = Pad(
            browser, f"http://127.0.0.1:{running.port}/", viewport={"width": 1100, "height": 800}
        )
        for x in (50, 400, 700):
            write_v(pad, x)
            pad.settle()
        for left in (2, 1, 0):
            pad.page.keyboard.press("Control+z")
            expect(pad.page.locator("#letters button")).to_have_count(left)
        expect(pad.page.locator("#text")).to_have_text("")
        expect(pad.page.locator("#error")).to_be_hidden()
        pad.page.close()


def test_the_paper_scrolls_back_to_the_ink_that_an_undo_leaves(pad: Pad) -> None:
    for x in (50, 1000):
        draw(pad, x)
        pad.settle()
    draw(pad, 600)
    pad.settle()
    for _ in range(2):
        pad.page.keyboard.press("Control+z")
    pad.settle()
    expect(pad.page.locator("#letters button")).to_have_count(1)
    box = pad.page.locator("#letters button").bounding_box()
    assert box is not None
    assert 0 < box["x"] < 120


def test_a_line_continues_after_the_page_is_zoomed(running: Running, pad: Pad) -> None:
    pad.write(*HELLO[:4], scale=0.6)
    pad.page.evaluate("document.documentElement.style.zoom = 0.67")
    pad.write(*HELLO[4:6], scale=0.6, left=330)
    pad.settle()
    assert not [each for each in pad.received if each["type"] == "error"]
    assert pad.text == recognize_at_once(running, pad)


def test_a_pen_replaces_the_stroke_of_the_palm_beside_it(touched: Pad) -> None:
    pointer = Pointer(touched)
    pointer.touch("Start", 300, 150)
    pointer.pen("Pressed", 50, 50)
    pointer.pen("Moved", 60, 90)
    pointer.pen("Released", 60, 90)
    pointer.touch("End")
    touched.settle()
    (stroke,), _ = touched.strokes()
    assert [round(x) for x, _ in stroke["points"]] == [49, 59]


def test_a_touch_that_the_system_cancels_is_removed(touched: Pad) -> None:
    pointer = Pointer(touched)
    pointer.touch("Start", 300, 100)
    pointer.touch("Move", 310, 150)
    pointer.touch("Cancel")
    touched.wait_to_send("undo")
    assert touched.strokes()[0] == []


def test_a_touch_on_the_pad_removes_the_focus_from_the_correction(touched: Pad) -> None:
    pointer = Pointer(touched)
    touched.page.get_by_label("Correct text").fill("old")
    pointer.touch("Start", 100, 20)
    for y in range(30, 160, 10):
        pointer.touch("Move", 100, y)
    pointer.touch("End")
    touched.settle()
    expect(touched.page.get_by_label("Correct text")).to_have_value(touched.text)

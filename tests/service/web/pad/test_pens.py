"""Pens, fingers, palms and keys on the writing pad: ink is recognized where it is written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

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
    pad.page.mouse.move(box["x"] + x, box["y"] + 12)
    pad.page.mouse.down()
    for number in range(1, 8):
        pad.page.mouse.move(box["x"] + x, box["y"] + 12 + 9 * number)
        if key and number == 4:
            pad.page.keyboard.press(key)
    pad.page.mouse.up()


def write_v(pad: Pad, x: float) -> None:
    """Write the letter V as one stroke."""
    box = pad.page.locator("#pad").bounding_box()
    assert box is not None
    left, top = box["x"] + x, box["y"] + 12
    pad.page.mouse.move(left, top)
    pad.page.mouse.down()
    pad.page.mouse.move(left + 15, top + 66, steps=7)
    pad.page.mouse.move(left + 30, top, steps=7)
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


def test_a_stroke_that_is_being_written_when_another_is_undone_is_kept_whole(
    running: Running, pad: Pad
) -> None:
    pad.write(*HELLO[:2])
    draw(pad, 400, key="Control+z")
    pad.settle()
    first, second = pad.strokes()[0]
    assert len(first["points"]) == len(HELLO[0])
    assert [round(y) for _, y in second["points"]] == [*range(12, 12 + 8 * 9, 9)]
    assert pad.text == recognize_at_once(running, pad)


def test_writing_goes_on_before_the_finished_line_is_answered(browser: Browser, url: str) -> None:
    pad = Pad(browser, url, SLOW, viewport={"width": 1100, "height": 800})
    pad.write(*HELLO, scale=0.6)
    pad.page.keyboard.press("Enter")
    pad.write(*HELLO, scale=0.6, row=1)
    expect(pad.page.locator("#text li")).to_have_text(["hello, world!"] * 2)
    pad.page.close()


def test_ink_beyond_the_view_is_reached_by_scrolling(browser: Browser, url: str) -> None:
    pad = Pad(browser, url, viewport={"width": 1100, "height": 800})
    pad.write(*HELLO, scale=0.85, left=500)
    pad.settle()
    pad.page.set_viewport_size({"width": 500, "height": 800})
    pad.page.locator("#paper").hover()
    pad.page.mouse.wheel(400, 0)
    pad.page.wait_for_timeout(300)  # until the paper has moved
    assert pad.page.evaluate("document.querySelector('#paper').scrollLeft") > 300
    n_points = len(xs(pad))
    draw(pad, 60)
    pad.settle()
    assert {round(x) for x in xs(pad)[n_points:]} == {
        round(60 + pad.page.evaluate("document.querySelector('#paper').scrollLeft"))
    }
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
            expect(pad.page.locator("#text button")).to_have_count(left)
        expect(pad.page.locator("#error")).to_be_hidden()
        pad.page.close()


def test_a_line_continues_after_the_page_is_zoomed(running: Running, pad: Pad) -> None:
    pad.write(*HELLO[:4], scale=0.6)
    pad.page.evaluate("document.documentElement.style.zoom = 0.67")
    pad.write(*HELLO[4:6], scale=0.6, left=330)
    pad.settle()
    assert not [each for each in pad.received if each["type"] == "error"]
    assert pad.text == recognize_at_once(running, pad)


def test_a_pen_replaces_the_stroke_of_the_palm_beside_it(touched: Pad) -> None:
    pointer = Pointer(touched)
    pointer.touch("Start", 300, 70)
    pointer.pen("Pressed", 50, 20)
    pointer.pen("Moved", 60, 60)
    pointer.pen("Released", 60, 60)
    pointer.touch("End")
    touched.settle()
    (stroke,), _ = touched.strokes()
    assert [round(x) for x, _ in stroke["points"]] == [50, 60]


def test_a_touch_that_the_system_cancels_is_removed(touched: Pad) -> None:
    pointer = Pointer(touched)
    pointer.touch("Start", 300, 10)
    pointer.touch("Move", 310, 50)
    pointer.touch("Cancel")
    touched.page.wait_for_timeout(200)
    expect(touched.page.locator("#text li")).to_have_count(0)
    expect(touched.page.locator("#undo")).to_be_disabled()


def test_two_fingers_move_the_paper_and_write_nothing(touched: Pad) -> None:
    touched.write(*HELLO[:2], row=3)
    touched.settle()
    devtools = touched.page.context.new_cdp_session(touched.page)
    for kind, y in (("Start", 250), ("Move", 200), ("Move", 150)):
        points = [{"x": x, "y": y + 60, "id": n} for n, x in enumerate((100, 200))]
        event: dict[str, Any] = {"type": f"touch{kind}", "touchPoints": points}
        devtools.send("Input.dispatchTouchEvent", event)
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert touched.page.evaluate("document.querySelector('#paper').scrollTop") > 50
    expect(touched.page.locator("#text li")).to_have_count(1)


def test_two_fingers_zoom_the_paper_and_the_ink_stays_as_it_was_written(
    running: Running, touched: Pad
) -> None:
    devtools = touched.page.context.new_cdp_session(touched.page)
    for kind, apart in (("Start", 100), ("Move", 150), ("Move", 200)):
        points = [
            {"x": 400 + side * apart / 2, "y": 200, "id": n} for n, side in enumerate((-1, 1))
        ]
        event: dict[str, Any] = {"type": f"touch{kind}", "touchPoints": points}
        devtools.send("Input.dispatchTouchEvent", event)
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    zoom = touched.page.locator("#zoom")
    expect(zoom).to_have_text("200 %")
    touched.page.evaluate("document.querySelector('#paper').scrollTo(0, 0)")
    touched.page.wait_for_timeout(100)
    touched.write(*HELLO[:2], scale=1.2)
    touched.settle()
    box = touched.page.locator("#pad").bounding_box()
    assert box is not None
    x, y = touched.positions(HELLO[0], scale=1.2)[0]
    assert touched.strokes()[0][0]["points"][0] == pytest.approx(
        [(x - box["x"]) / 2, (y - box["y"]) / 2], abs=0.5
    )
    assert touched.text == recognize_at_once(running, touched)
    zoom.click()
    expect(zoom).to_be_hidden()


def test_a_pinch_of_a_touchpad_zooms_around_the_pointer(pad: Pad) -> None:
    box = pad.page.locator("#pad").bounding_box()
    assert box is not None
    pad.page.mouse.move(box["x"] + 300, box["y"] + 200)
    pad.page.keyboard.down("Control")
    pad.page.mouse.wheel(0, -500)
    pad.page.keyboard.up("Control")
    expect(pad.page.locator("#zoom")).to_be_visible()
    zoom = float(pad.page.locator("#zoom").inner_text().split()[0]) / 100
    assert zoom > 1.5
    scrolled = pad.page.evaluate("document.querySelector('#paper').scrollTop")
    assert scrolled == pytest.approx(200 * (zoom - 1), abs=3)


def test_what_is_scratched_out_is_gone_and_can_be_brought_back(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    text = pad.text
    box = pad.page.locator("#pad").bounding_box()
    assert box is not None
    pad.page.mouse.move(box["x"] + 10, box["y"] + 8)
    pad.page.mouse.down()
    for turn in range(1, 10):
        x = box["x"] + (700 if turn % 2 else 10)
        pad.page.mouse.move(x, box["y"] + 8 + 9 * turn, steps=8)
    pad.page.mouse.up()
    expect(pad.page.locator("#text li")).to_have_count(0)
    pad.page.keyboard.press("Control+z")
    pad.page.keyboard.press("Control+z")
    expect(pad.page.locator("#text li")).to_have_text(text)

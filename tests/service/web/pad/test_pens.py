"""Pens, fingers, palms and keys on the writing pad: ink is recognized where it is written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.helpers.running_server import Running, server
from tests.service.web.conftest import OpenPad, address
from tests.service.web.pad.pad_page import CHROMIUM, HELLO, Pad, recognize_at_once
from tests.service.web.pad.pointer import Pointer, draw, origin

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

# A network that delays each message by 300 ms.
SLOW = """window.WebSocket = class extends WebSocket {
  set onmessage(handle) { super.onmessage = (event) => setTimeout(() => handle(event), 300); }
  send(data) { setTimeout(() => super.send(data), 300); }
};"""
DOWNWARDS = [*range(12, 12 + 8 * 9, 9)]  # CSS pixels


def xs(pad: Pad) -> list[float]:
    """Return the x of the line's points, CSS pixels from the pad's left side."""
    return [x for stroke in pad.strokes()[0] for x, _ in stroke["points"]]


@pytest.fixture
def touched(open_pad: OpenPad, url: str) -> Iterator[Pad]:
    opened = open_pad(url, has_touch=True, viewport={"width": 900, "height": 800})
    yield opened
    assert not opened.console_texts


def test_a_stroke_that_is_being_written_when_another_is_undone_is_kept_whole(
    running: Running, pad: Pad
) -> None:
    pad.write(*HELLO[:2])
    draw(pad, *((400, y) for y in DOWNWARDS), key="Control+z")
    pad.settle()
    first, second = pad.strokes()[0]
    assert len(first["points"]) == len(HELLO[0])
    assert [round(y) for _, y in second["points"]] == DOWNWARDS
    assert pad.text == recognize_at_once(running, pad)


def test_writing_goes_on_before_the_finished_line_is_answered(open_pad: OpenPad, url: str) -> None:
    pad = open_pad(url, SLOW)
    pad.write(*HELLO, scale=0.6)
    pad.page.keyboard.press("Enter")
    pad.write(*HELLO, scale=0.6, row=1)
    expect(pad.page.locator("#text li")).to_have_text(["hello, world!"] * 2)


def test_ink_beyond_the_view_is_reached_by_scrolling(open_pad: OpenPad, url: str) -> None:
    pad = open_pad(url)
    pad.write(*HELLO, scale=0.85, left=160)
    pad.settle()
    pad.page.set_viewport_size({"width": 340, "height": 800})
    pad.page.locator("#paper").hover()
    pad.page.mouse.wheel(400, 0)
    pad.page.wait_for_timeout(300)  # until the paper has moved
    scrolled = pad.page.evaluate("document.querySelector('#paper').scrollLeft")
    assert scrolled > 300
    n_points = len(xs(pad))
    draw(pad, *((60, y) for y in DOWNWARDS))
    pad.settle()
    assert {round(x) for x in xs(pad)[n_points:]} == {round(60 + scrolled)}


def test_a_stroke_too_far_back_for_a_rewind_can_be_undone(
    open_pad: OpenPad, tmp_path: Path
) -> None:
    with server(tmp_path, models="lines", max_rewind_columns=40) as running:
        pad = open_pad(address(running))
        for x in (50, 330, 600):
            draw(pad, (x, 12), (x + 15, 78), (x + 30, 12), steps=7)  # the letter V
            pad.settle()
        for left in (2, 1, 0):
            pad.page.keyboard.press("Control+z")
            expect(pad.page.locator("#text button")).to_have_count(left)
        expect(pad.page.locator("#error")).to_be_hidden()


def test_a_line_continues_after_the_page_is_zoomed(running: Running, pad: Pad) -> None:
    pad.write(*HELLO[:4], scale=0.6)
    pad.page.evaluate("document.documentElement.style.zoom = 0.67")
    pad.write(*HELLO[4:6], scale=0.6, left=330)
    pad.settle()
    assert not [message for message in pad.received if message["type"] == "error"]
    assert pad.text == recognize_at_once(running, pad)


def test_a_touch_writes_until_a_pen_is_used(touched: Pad) -> None:
    pointer, (left, top) = Pointer(touched), origin(touched)
    touched.page.touchscreen.tap(left + 50, top + 50)
    touched.wait_for_strokes(1)
    pointer.pen("Pressed", 90, 60)
    pointer.pen("Released", 90, 60)
    touched.wait_for_strokes(2)
    touched.page.touchscreen.tap(left + 150, top + 50)
    touched.page.wait_for_timeout(100)
    assert len(touched.strokes()[0]) == 2


def test_a_pen_replaces_the_stroke_of_the_palm_beside_it(touched: Pad) -> None:
    pointer = Pointer(touched)
    pointer.touch("Start", (300, 70))
    pointer.pen("Pressed", 50, 20)
    pointer.pen("Moved", 60, 60)
    pointer.pen("Released", 60, 60)
    pointer.touch("End")
    touched.settle()
    (stroke,), _ = touched.strokes()
    assert [round(x) for x, _ in stroke["points"]] == [50, 60]


def test_a_touch_that_the_system_cancels_is_removed(touched: Pad) -> None:
    pointer = Pointer(touched)
    pointer.touch("Start", (300, 10))
    pointer.touch("Move", (310, 50))
    pointer.touch("Cancel")
    touched.page.wait_for_timeout(200)
    expect(touched.page.locator("#text li")).to_have_count(0)
    expect(touched.page.locator("#undo")).to_be_disabled()


def test_two_fingers_move_the_paper_and_write_nothing(touched: Pad) -> None:
    touched.write(*HELLO[:2], row=4)
    touched.settle()
    pointer = Pointer(touched)
    for kind, y in (("Start", 250), ("Move", 200), ("Move", 150)):
        pointer.touch(kind, (100, y), (200, y))
    pointer.touch("End")
    assert touched.page.evaluate("document.querySelector('#paper').scrollTop") > 50
    expect(touched.page.locator("#text li")).to_have_count(1)


def test_a_palm_beside_a_finger_that_writes_changes_neither_zoom_nor_row(touched: Pad) -> None:
    pointer = Pointer(touched)
    palm = (300.0, 300.0)
    pointer.touch("Start", (60, 20))
    pointer.touch("Start", (60, 20), palm=palm)
    pointer.touch("Move", (64, 40), palm=palm)
    pointer.touch("Move", (68, 70), palm=(320, 290))
    pointer.touch("End")
    touched.wait_for_strokes(1)
    expect(touched.page.locator("#zoom")).to_be_hidden()
    assert [round(x) for x, _ in touched.strokes()[0][0]["points"]] == [60, 64, 68]
    expect(touched.page.locator("#text li")).to_have_attribute("style", "--at: 1;")


def test_two_fingers_zoom_the_paper_and_the_ink_stays_as_it_was_written(
    running: Running, touched: Pad
) -> None:
    pointer = Pointer(touched)
    for kind, apart in (("Start", 100), ("Move", 150), ("Move", 200)):
        pointer.touch(kind, (400 - apart / 2, 150), (400 + apart / 2, 150))
    pointer.touch("End")
    zoom = touched.page.locator("#zoom")
    expect(zoom).to_have_text("200 %")
    touched.page.evaluate("document.querySelector('#paper').scrollTo(0, 0)")
    touched.page.wait_for_timeout(100)
    touched.write(*HELLO[:2], scale=1.2)
    touched.settle()
    (left, top), (x, y) = origin(touched), touched.positions(HELLO[0], scale=1.2)[0]
    assert touched.strokes()[0][0]["points"][0] == pytest.approx(
        [(x - left) / 2, (y - top) / 2], abs=0.5
    )
    assert touched.text == recognize_at_once(running, touched)
    zoom.click()
    expect(zoom).to_be_hidden()


def test_a_pinch_of_a_touchpad_zooms_around_the_pointer(pad: Pad) -> None:
    left, top = origin(pad)
    pad.page.mouse.move(left + 300, top + 200)
    pad.page.keyboard.down("Control")
    pad.page.mouse.wheel(0, -500)
    pad.page.keyboard.up("Control")
    expect(pad.page.locator("#zoom")).to_be_visible()
    zoom = float(pad.page.locator("#zoom").inner_text().split()[0]) / 100
    assert zoom > 1.5
    scrolled = pad.page.evaluate("document.querySelector('#paper').scrollTop")
    assert scrolled == pytest.approx(200 * (zoom - 1), abs=3)


def test_what_is_scratched_out_is_gone_and_can_be_brought_back(written: Pad) -> None:
    text = written.text
    turns = ((700 if turn % 2 else 10, 8 + 9 * turn) for turn in range(10))
    draw(written, *turns, steps=8)
    expect(written.page.locator("#text li")).to_have_count(0)
    written.page.keyboard.press("Control+z")
    written.page.keyboard.press("Control+z")
    expect(written.page.locator("#text li")).to_have_text(text)

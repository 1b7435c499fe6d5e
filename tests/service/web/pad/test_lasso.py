"""The lasso chooses ink, which is moved, duplicated, deleted or read again; lines are typed too."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from inkstream.model.preprocess import inkml
from tests.service.web.conftest import OpenPad
from tests.service.web.pad.pad_page import CHROMIUM, HELLO, ROW_HEIGHT, Pad
from tests.service.web.pad.pointer import Point, draw
from tests.service.web.pad.test_colours import exported

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]


def press(pad: Pad, name: str) -> None:
    pad.page.get_by_role("button", name=name, exact=True).click()


def box_of(pad: Pad, row: int = 0) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom of the example's ink on the paper in view."""
    points = [at for stroke in HELLO for at in pad.positions(stroke, scale=0.6, row=row)]
    paper = pad.page.locator("#pad").bounding_box()
    assert paper is not None
    xs, ys = [x - paper["x"] for x, _ in points], [y - paper["y"] for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def encircle(pad: Pad, left: float, top: float, right: float, bottom: float) -> None:
    """Draw the lasso around a part of the paper."""
    corners = [(right, top), (right, bottom), (left, bottom), (left, top + 2)]
    draw(pad, (left, top), *[(max(1, x), max(1, y)) for x, y in corners], steps=8)


@pytest.fixture
def chosen(written: Pad) -> Pad:
    """Return the pad with its only line chosen."""
    press(written, "Select")
    left, top, right, bottom = box_of(written)
    encircle(written, left - 8, top - 6, right + 8, bottom + 6)
    expect(written.page.get_by_role("toolbar", name="Selected ink")).to_be_visible()
    return written


def middle(pad: Pad, row: int = 0) -> Point:
    left, top, right, bottom = box_of(pad, row)
    return (left + right) / 2, (top + bottom) / 2


def test_chosen_ink_is_moved_to_another_row_by_one_operation(chosen: Pad, tmp_path: Path) -> None:
    text, lines = chosen.text, chosen.page.locator("#text li")
    (before,) = inkml.read(exported(chosen, "Ink (InkML)", tmp_path / "a").read_bytes())
    x, y = middle(chosen)
    draw(chosen, (x, y), (x + 60, y + 2 * ROW_HEIGHT), steps=10)
    chosen.page.wait_for_timeout(500)
    expect(lines).to_have_text([text])
    (after,) = inkml.read(exported(chosen, "Ink (InkML)", tmp_path / "b").read_bytes())
    moved = [to - of for of, to in zip(before.strokes, after.strokes, strict=True)]
    assert all(abs(shift - (60, 2 * ROW_HEIGHT)).max() < 2 for shift in moved)
    press(chosen, "Undo")
    expect(lines).to_have_text([text])
    expect(lines).to_have_attribute("style", "--at: 1;")


def test_chosen_ink_stands_twice_after_it_was_duplicated(chosen: Pad) -> None:
    text, lines = chosen.text, chosen.page.locator("#text li")
    press(chosen, "Duplicate")
    expect(lines).to_have_text([text, text])
    chosen.page.keyboard.press("Delete")  # the copy, which is chosen now
    expect(lines).to_have_text([text])


def test_chosen_ink_is_deleted_and_the_rest_stays(written: Pad) -> None:
    nothing = written.page.get_by_role("toolbar", name="Selected ink")
    press(written, "Select")
    left, top, right, bottom = box_of(written)
    encircle(written, right + 60, top, right + 120, bottom)
    expect(nothing).to_be_hidden()
    encircle(written, left - 8, top - 6, (left + right) / 2, bottom + 6)
    nothing.get_by_role("button", name="Delete").click()
    expect(nothing).to_be_hidden()
    written.settle()
    rest = written.text
    assert 0 < len(rest) < len("hello, world!")
    press(written, "Undo")
    expect(written.page.locator("#text li")).not_to_have_text(rest)


def test_a_line_that_is_read_again_forgets_its_corrections(chosen: Pad) -> None:
    lines, text = chosen.page.locator("#text li"), chosen.text
    chosen.page.keyboard.press("Escape")
    lines.get_by_role("button").first.click()
    chosen.page.locator("#correct").fill("hullo")
    press(chosen, "Change")
    expect(lines).to_contain_text(["hullo"])
    left, top, right, bottom = box_of(chosen)
    encircle(chosen, left - 8, top - 6, right + 8, bottom + 6)
    press(chosen, "Read again")
    expect(lines).to_have_text([text])
    expect(chosen.page.locator("#text")).to_have_attribute("aria-busy", "false")


def test_typed_lines_stand_between_written_ones(
    written: Pad, open_pad: OpenPad, url: str, tmp_path: Path
) -> None:
    text, lines = written.text, written.page.locator("#text li")
    for typed in ("and <this>", "typed"):
        press(written, "Type")
        expect(written.page.locator("#correct")).to_be_focused()
        written.page.keyboard.type(typed)
        written.page.keyboard.press("Enter")
    expect(lines).to_have_text([text, "and <this>", "typed"])
    written.write(*HELLO, scale=0.6, row=3)
    expect(lines).to_have_text([text, "and <this>", "typed", text])
    drawing = exported(written, "Drawing", tmp_path / "a.svg").read_text()
    assert "and &lt;this&gt;</text>" in drawing
    press(written, "Type")
    written.page.keyboard.type("no")
    written.page.keyboard.press("Escape")
    written.page.reload()
    expect(lines).to_have_text([text, "and <this>", "typed", text])
    lines.get_by_role("button", name="typed").click()
    press(written, "Delete")
    expect(lines).to_have_text([text, "and <this>", text])

"""The writing pad's controls: keys, labels, models, and what is said of what goes wrong."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.service.commands import ROOT
from tests.service.pad.hand import CHROMIUM, HELLO, Pad, read_in_one_piece
from tests.service.running import server

pytestmark = pytest.mark.needs(CHROMIUM)


def test_escape_closes_what_is_said_of_a_letter_and_leaves_the_line(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    before = pad.text
    pad.page.locator("#letters button").first.hover()
    said = pad.page.locator("[popover]")
    expect(said).to_be_visible()
    pad.page.keyboard.press("Escape")
    expect(said).to_be_hidden()
    assert pad.text == before != ""


def test_the_keyboard_goes_from_a_letter_to_what_else_it_may_be(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    for letter in pad.page.locator("#letters > span > button").all():
        letter.press("Enter")
        other = pad.page.locator("[popover] button").first
        if other.count():
            break
    char = other.inner_text().split()[0]
    pad.page.keyboard.press("Tab")
    expect(other).to_be_focused()
    pad.page.keyboard.press("Enter")
    field = pad.page.get_by_label("What you wrote")
    expect(field).to_be_focused()
    assert char in field.input_value()


def test_enter_follows_the_link_that_it_is_pressed_on(pad: Pad) -> None:
    pad.page.get_by_role("link").press("Enter")
    pad.page.wait_for_url("**/docs")
    pad.asked = []  # what that page loads is its own


def test_what_says_nothing_is_not_kept_and_what_is_kept_is_put_away_as_corrected(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    field, keep = pad.page.get_by_label("What you wrote"), pad.page.get_by_text("Keep this line")
    field.fill("  ")
    keep.click()
    expect(pad.page.locator("#download")).to_have_text("Download 0 lines")
    field.fill(" Hello ")
    keep.click()
    expect(pad.page.locator("#download")).to_have_text("Download 1 line")
    expect(pad.page.locator("#lines li")).to_have_text(["Hello"])


def test_what_was_corrected_stays_while_more_is_written(pad: Pad) -> None:
    field, half = pad.page.get_by_label("What you wrote"), len(HELLO) // 2
    pad.write(*HELLO[:half], scale=0.6)
    pad.settle()
    before = pad.text
    field.fill(f"Ju{before[1:]}")
    pad.write(*HELLO[half:], scale=0.6)
    pad.settle()
    text = pad.text
    assert text.startswith(before)
    assert len(text) > len(before) > 1
    expect(field).to_have_value(f"Ju{text[1:]}")
    for letter in reversed(pad.page.locator("#letters > span > button").all()):
        place = text.rindex(letter.inner_text())
        letter.press("Enter")
        other = pad.page.locator("[popover] button").first
        if other.count():
            break
    assert place > 0
    char = other.inner_text().split()[0]
    other.click()
    expect(field).to_have_value(f"Ju{text[1:place]}{char}{text[place + 1 :]}")
    pad.page.get_by_role("button", name="Undo stroke").click()
    pad.settle()
    expect(field).to_have_value(re.compile(f"^Ju{before[1]}"))
    pad.page.get_by_role("button", name="Clear").click()
    expect(field).to_have_value("")


def test_a_page_that_is_come_back_to_reads_what_it_says_it_reads(pad: Pad) -> None:
    pad.page.get_by_label("A digit").check()
    expect(pad.page.locator("#model")).to_have_text("digits 1")
    pad.page.goto(f"{pad.page.url}docs")
    pad.page.go_back()
    pad.asked = []  # what that page loads is its own
    expect(pad.page.locator("#model")).to_have_text("lines 1")
    expect(pad.page.get_by_label("Words")).to_be_checked()


def test_a_net_of_another_name_reads_too(browser: Browser, tmp_path: Path) -> None:
    shutil.copy(ROOT / "model" / "weights" / "lines.onnx", tmp_path / "hand.onnx")
    with server(tmp_path, models=str(tmp_path / "hand.onnx")) as place:
        pad = Pad(browser, f"http://127.0.0.1:{place.port}/")
        pad.write(*HELLO[:4])
        pad.settle()
        assert pad.text != ""
        expect(pad.page.locator("#measured")).to_contain_text("%")
        pad.page.get_by_label("A digit").check()
        expect(pad.page.locator("#state-words")).to_have_text("not connected")
        expect(pad.page.locator("#problem")).to_contain_text("choose the other one")
        pad.page.close()


def test_after_a_refusal_a_new_line_is_another_try(browser: Browser, tmp_path: Path) -> None:
    with server(tmp_path, models="lines", max_control_per_s=2) as place:
        pad = Pad(browser, f"http://127.0.0.1:{place.port}/")
        pad.write(*HELLO)
        expect(pad.page.locator("#state-words")).to_have_text("not connected")
        expect(pad.page.locator("#problem")).to_be_visible()
        pad.page.get_by_role("button", name="Clear").click()
        expect(pad.page.locator("#state-words")).to_have_text("connected")
        expect(pad.page.locator("#problem")).to_be_hidden()
        pad.page.close()


def test_what_is_said_of_a_line_that_is_full_goes_with_it(browser: Browser, tmp_path: Path) -> None:
    with server(tmp_path, models="lines", max_line_columns=60) as place:
        pad = Pad(browser, f"http://127.0.0.1:{place.port}/")
        pad.write(*HELLO)
        expect(pad.page.locator("#problem")).to_contain_text("allowed: 0..59")
        pad.page.get_by_role("button", name="Clear").click()
        expect(pad.page.locator("#problem")).to_be_hidden()
        pad.write(*HELLO[:2])
        pad.settle()
        assert pad.text == read_in_one_piece(place, pad) != ""
        pad.page.close()


def test_all_strokes_of_a_digit_are_read_by_a_server_that_comes_back(
    browser: Browser, tmp_path: Path
) -> None:
    with server(tmp_path, models="lines,digits") as first:
        port = first.port
        pad = Pad(browser, f"http://127.0.0.1:{port}/")
        pad.page.get_by_label("A digit").check()
        expect(pad.page.locator("#model")).to_have_text("digits 1")
        pad.write([[60.0, 20.0], [120.0, 20.0], [80.0, 155.0]], [[70.0, 80.0], [120.0, 85.0]])
        pad.settle()
    expect(pad.page.locator("#problem")).to_be_visible()
    with server(tmp_path, models="lines,digits", port=port) as second:
        expect(pad.page.locator("#state-words")).to_have_text("connected", timeout=20_000)
        pad.settle()
        assert len(pad.strokes()[0]) == 2
        assert pad.text == read_in_one_piece(second, pad, "digits")
        pad.page.close()

"""The writing pad's controls: shortcuts, corrections, models, errors."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.helpers.command_line import ROOT
from tests.helpers.pad_page import CHROMIUM, HELLO, Pad, recognize_at_once
from tests.helpers.running_server import server

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]


def test_escape_closes_the_popover_and_keeps_the_line(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    before = pad.text
    pad.page.locator("#letters button").first.hover()
    popover = pad.page.locator("[popover]")
    expect(popover).to_be_visible()
    pad.page.keyboard.press("Escape")
    expect(popover).to_be_hidden()
    assert pad.text == before != ""


def test_the_keyboard_reaches_the_alternatives_of_a_letter(pad: Pad) -> None:
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
    field = pad.page.get_by_label("Correct text")
    expect(field).to_be_focused()
    assert char in field.input_value()


def test_enter_on_a_link_follows_it(pad: Pad) -> None:
    pad.page.get_by_role("link").press("Enter")
    pad.page.wait_for_url("**/docs")
    pad.requested_urls = []  # the other page's are not tested here


def test_only_lines_with_a_text_are_kept_and_they_are_listed_as_corrected(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    field, keep = pad.page.get_by_label("Correct text"), pad.page.get_by_text("Keep this line")
    field.fill("  ")
    keep.click()
    expect(pad.page.locator("#download")).to_have_text("Download 0 lines")
    field.fill(" Hello ")
    keep.click()
    expect(pad.page.locator("#download")).to_have_text("Download 1 line")
    expect(pad.page.locator("#lines li")).to_have_text(["Hello"])


def test_a_correction_stays_while_more_is_written(pad: Pad) -> None:
    field, half = pad.page.get_by_label("Correct text"), len(HELLO) // 2
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
    index = len(text)
    for letter in reversed(pad.page.locator("#letters > span > button").all()):
        index = text.rindex(letter.inner_text(), 0, index)
        if index > len(text) - 3:  # the stroke that is undone below is one of theirs
            continue
        letter.press("Enter")
        other = pad.page.locator("[popover] button").first
        if other.count():
            break
    assert index > 0
    char = other.inner_text().split()[0]
    other.click()
    expect(field).to_have_value(f"Ju{text[1:index]}{char}{text[index + 1 :]}")
    pad.page.get_by_role("button", name="Undo stroke").click()
    pad.settle()
    expect(field).to_have_value(re.compile(f"^Ju{before[1]}"))
    pad.page.get_by_role("button", name="Clear").click()
    expect(field).to_have_value("")


def test_going_back_to_the_page_resets_the_model_and_its_control(pad: Pad) -> None:
    pad.page.get_by_label("A digit").check()
    expect(pad.page.locator("#model")).to_have_text(re.compile(r"^digits \d+$"))
    pad.page.goto(f"{pad.page.url}docs")
    pad.page.go_back()
    pad.requested_urls = []  # the other page's are not tested here
    expect(pad.page.locator("#model")).to_have_text(re.compile(r"^lines \d+$"))
    expect(pad.page.get_by_label("Words")).to_be_checked()


def test_a_model_of_another_name_is_used(browser: Browser, tmp_path: Path) -> None:
    shutil.copy(ROOT / "model" / "weights" / "lines.onnx", tmp_path / "hand.onnx")
    with server(tmp_path, models=str(tmp_path / "hand.onnx")) as running:
        pad = Pad(browser, f"http://127.0.0.1:{running.port}/")
        pad.write(*HELLO[:4])
        pad.settle()
        assert pad.text != ""
        expect(pad.page.locator("#measured")).to_contain_text("%")
        pad.page.get_by_label("A digit").check()
        expect(pad.page.locator("#state-words")).to_have_text("not connected")
        expect(pad.page.locator("#error")).to_contain_text("choose the other one")
        pad.page.close()


def test_a_new_line_connects_again_after_a_fatal_error(browser: Browser, tmp_path: Path) -> None:
    with server(tmp_path, models="lines", max_line_columns=60, max_bad_messages=1) as running:
        pad = Pad(browser, f"http://127.0.0.1:{running.port}/")
        pad.write(*HELLO)
        expect(pad.page.locator("#state-words")).to_have_text("not connected")
        expect(pad.page.locator("#error")).to_be_visible()
        pad.page.get_by_role("button", name="Clear").click()
        expect(pad.page.locator("#state-words")).to_have_text("connected")
        expect(pad.page.locator("#error")).to_be_hidden()
        pad.page.close()


def test_a_new_line_removes_the_error_of_a_full_line(browser: Browser, tmp_path: Path) -> None:
    with server(tmp_path, models="lines", max_line_columns=60) as running:
        pad = Pad(browser, f"http://127.0.0.1:{running.port}/")
        pad.write(*HELLO)
        expect(pad.page.locator("#error")).to_contain_text("allowed: 0..59")
        pad.page.get_by_role("button", name="Clear").click()
        expect(pad.page.locator("#error")).to_be_hidden()
        pad.write(*HELLO[:2])
        pad.settle()
        assert pad.text == recognize_at_once(running, pad) != ""
        pad.page.close()


def test_all_strokes_of_a_digit_are_sent_again_to_a_restarted_server(
    browser: Browser, tmp_path: Path
) -> None:
    with server(tmp_path, models="lines,digits") as first:
        port = first.port
        pad = Pad(browser, f"http://127.0.0.1:{port}/")
        pad.page.get_by_label("A digit").check()
        expect(pad.page.locator("#model")).to_have_text(re.compile(r"^digits \d+$"))
        pad.write([[60.0, 20.0], [120.0, 20.0], [80.0, 155.0]], [[70.0, 80.0], [120.0, 85.0]])
        pad.settle()
    expect(pad.page.locator("#error")).to_be_visible()
    with server(tmp_path, models="lines,digits", port=port) as second:
        expect(pad.page.locator("#state-words")).to_have_text("connected", timeout=20_000)
        pad.settle()
        assert len(pad.strokes()[0]) == 2
        assert pad.text == recognize_at_once(second, pad, "digits")
        pad.page.close()

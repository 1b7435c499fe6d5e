"""The writing pad's controls: keys, labels, models, and what is said of what goes wrong."""

import pytest
from playwright.sync_api import expect

from tests.service.pad.hand import CHROMIUM, HELLO, Pad

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


def test_a_page_that_is_come_back_to_reads_what_it_says_it_reads(pad: Pad) -> None:
    pad.page.get_by_label("A digit").check()
    expect(pad.page.locator("#model")).to_have_text("digits 1")
    pad.page.goto(f"{pad.page.url}docs")
    pad.page.go_back()
    pad.asked = []  # what that page loads is its own
    expect(pad.page.locator("#model")).to_have_text("lines 1")
    expect(pad.page.get_by_label("Words")).to_be_checked()

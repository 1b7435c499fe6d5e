"""The pad as a new user has it: a shopping list on a phone, kept by the browser, copied."""

import pytest
from playwright.sync_api import Browser, expect

from tests.service.web.pad.pad_page import CHROMIUM, HELLO, ROW_HEIGHT, Pad
from tests.service.web.pad.pointer import Pointer

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

# Strokes of the example that make one letter.
LETTERS = {"h": (0, 2), "e": (2, 3), "l": (3, 4), "o": (5, 6), "w": (7, 8), "r": (9, 11)}
LETTERS |= {"d": (12, 14), "!": (14, 16)}
LETTER_GAP, WORD_GAP = 28.0, 130.0  # units of the example
SIZE = 0.28  # CSS pixels of a unit
MAX_REQUESTS = 40
LIST = ["wool", "red wood", "hoe", "roller", "old door", "hello!"]


def test_the_page_takes_few_requests(pad: Pad) -> None:
    loaded = {url for url in pad.requested_urls if url.startswith("http")}
    assert 10 < len(loaded) <= MAX_REQUESTS, sorted(loaded)


def ink_of(text: str) -> list[list[tuple[float, float]]]:
    """Return strokes that spell a text with the letters of the example, in CSS pixels."""
    strokes, left = [], 12.0 / SIZE
    for char in text:
        if char == " ":
            left += WORD_GAP - LETTER_GAP
            continue
        letter = HELLO[slice(*LETTERS[char])]
        start = min(x for stroke in letter for x, _ in stroke)
        for stroke in letter:
            strokes.append([(SIZE * (left + x - start), 20 + SIZE * y) for x, y in stroke])
        left += max(x for stroke in letter for x, _ in stroke) - start + LETTER_GAP
    return strokes


def write(pad: Pad, text: str, row: int) -> None:
    """Write with a finger in a row of the paper."""
    scrolled = float(pad.page.evaluate("document.querySelector('#paper').scrollTop"))
    top, finger = row * ROW_HEIGHT - scrolled, Pointer(pad)
    for stroke in ink_of(text):
        for number, (x, y) in enumerate(stroke):
            finger.touch("Move" if number else "Start", (x, y + top))
        finger.touch("End")


def test_a_shopping_list_is_written_corrected_kept_and_copied_on_a_phone(
    browser: Browser, url: str
) -> None:
    with browser.new_context(
        viewport={"width": 360, "height": 740},
        has_touch=True,
        is_mobile=True,
        service_workers="block",
        permissions=["clipboard-read", "clipboard-write"],
    ) as context:
        pad = Pad(context, url)
        for number, text in enumerate(LIST):
            if number:
                pad.page.get_by_role("button", name="New line").tap()
                pad.page.wait_for_timeout(300)
            write(pad, text, number)
            pad.settle()
        assert [text.lower() for text in pad.texts[:-1]] == LIST[:-1]
        expect(pad.page.locator("#text li").last).to_be_in_viewport(ratio=1)
        pad.page.get_by_role("button", name="hoe").tap()
        pad.page.locator("#correct").fill("hoes")
        pad.page.get_by_role("button", name="Change").tap()
        expect(pad.page.locator("#text li").nth(2)).to_have_text("hoes")
        texts = pad.texts
        pad.page.close()

        again = Pad(context, url)
        expect(again.page.locator("#text li")).to_have_text(texts)
        again.page.get_by_role("button", name="Copy").tap()
        expect(again.page.locator("#copy")).to_have_text("Copied")
        assert again.page.evaluate("navigator.clipboard.readText()") == "\n".join(texts)
        assert not pad.console_texts + again.console_texts

"""What is written is kept: beside other windows, where the browser keeps nothing, after a fault."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.service.web.conftest import OpenPad
from tests.service.web.pad.pad_page import CHROMIUM, HELLO, Pad
from tests.service.web.pad.pointer import draw

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

# A window that does not answer whether it has a document open, as one that sleeps.
SILENT = """
  const post = BroadcastChannel.prototype.postMessage;
  BroadcastChannel.prototype.postMessage = function (note) {
    if (note.kind !== "has" && note.kind !== "gone") post.call(this, note);
  };
"""
# Whether the browser's storage is full is up to the test.
FULL = """
  const put = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (...values) {
    if (window.isFull) throw new DOMException("full", "QuotaExceededError");
    return put.apply(this, values);
  };
"""
ALL = """() => new Promise((resolve) => {
  indexedDB.open(`inkstream ${location.pathname}`).onsuccess = ({ target }) => {
    const documents = target.result.transaction("documents").objectStore("documents");
    documents.getAll().onsuccess = (event) => resolve(event.target.result);
  };
})"""


def strokes_stored(page: Page) -> list[int]:
    """Return how many strokes each document has, as the browser has stored it."""
    documents: list[Any] = page.evaluate(ALL)
    return sorted(sum(len(line["strokes"]) for line in each["lines"]) for each in documents)


def test_two_windows_that_do_not_know_of_each_other_lose_no_stroke(
    browser: Browser, url: str
) -> None:
    with browser.new_context(service_workers="block") as context:
        one = Pad(context, url, SILENT)
        one.write(*HELLO[:3], scale=0.6)
        one.settle()
        other = Pad(context, url)
        expect(other.page.locator("#text li")).to_have_count(1)
        draw(one, (20, 240), (24, 280), steps=3)
        expect(other.page.locator("#error")).to_contain_text("goes on with a copy")
        draw(other, (60, 240), (64, 280), steps=3)
        draw(other, (90, 240), (94, 280), steps=3)
        other.page.wait_for_timeout(300)  # until the browser has stored it
        assert strokes_stored(other.page) == [4, 5]


@pytest.mark.parametrize("script", [FULL, FULL + "window.isFull = true;"], ids=["later", "at once"])
def test_a_full_storage_is_told_and_what_it_could_not_keep_is_kept_later(
    open_pad: OpenPad, url: str, script: str
) -> None:
    pad = open_pad(url, script)
    pad.page.evaluate("window.isFull = true")
    pad.write(*HELLO[:3], scale=0.6)
    expect(pad.page.locator("#unkept")).to_be_visible()
    pad.settle()
    pad.page.get_by_role("button", name="Documents").click()
    pad.page.get_by_role("button", name="New document").click()
    pad.write(*HELLO[:2], scale=0.6)
    pad.settle()
    assert pad.page.evaluate(ALL) == []
    pad.page.evaluate("window.isFull = false")
    draw(pad, (60, 240), (64, 280), steps=3)
    expect(pad.page.locator("#unkept")).to_be_hidden()
    pad.page.wait_for_timeout(300)
    assert strokes_stored(pad.page) == [3, 3]


def test_an_empty_document_is_never_the_one_that_is_gone_on_with(written: Pad) -> None:
    text = written.text
    written.page.get_by_role("button", name="Documents").click()
    written.page.get_by_role("button", name="New document").click()
    expect(written.page.locator("#intro")).to_be_visible()
    written.page.reload()
    expect(written.page.locator("#text li")).to_have_text(text)


def test_after_a_fault_in_the_page_the_line_is_read_again(open_pad: OpenPad, url: str) -> None:
    pad = open_pad(url, "window.toFail = 1;")
    pad.page.evaluate(
        """() => {
          const set = Map.prototype.set;
          Map.prototype.set = function (key, value) {
            if (value?.letters && window.toFail-- > 0) throw new TypeError("a fault");
            return set.call(this, key, value);
          };
        }"""
    )
    pad.write(*HELLO, scale=0.6)
    expect(pad.page.locator("#text li")).to_have_text("hello, world!")
    expect(pad.page.locator("#state-words")).to_have_text("connected")
    assert ["a fault" in text for text in pad.console_texts] == [True]

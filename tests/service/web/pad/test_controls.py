"""The writing pad's controls: corrections, undo, settings, models, errors."""

import json
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.helpers.command_line import ROOT
from tests.helpers.pad_page import CHROMIUM, HELLO, Pad, recognize_at_once
from tests.helpers.running_server import server

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

HALF = len(HELLO) // 2
# A browser that takes a second to write a document.
SLOW_DISK = """const of = IDBTransaction.prototype;
const { set } = Object.getOwnPropertyDescriptor(of, "oncomplete");
Object.defineProperty(of, "oncomplete", {
  set(handle) { set.call(this, (event) => setTimeout(() => handle(event), 1000)); },
});"""


def correct(pad: Pad, word: int, text: str) -> None:
    """Replace a word of the text by another one."""
    pad.page.locator("#text button").nth(word).click()
    pad.page.get_by_label("Correct text").fill(text)
    pad.page.get_by_role("button", name="Change").click()
    expect(pad.page.locator("#text")).to_contain_text(text)


def test_escape_closes_the_popover_and_keeps_the_line(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    before = pad.text
    pad.page.locator("#text button").first.click()
    expect(pad.page.locator("#word")).to_be_visible()
    pad.page.keyboard.press("Escape")
    expect(pad.page.locator("#word")).to_be_hidden()
    assert pad.text == before != ""


def test_the_keyboard_reaches_the_alternatives_of_a_word_and_one_changes_the_text_at_once(
    pad: Pad,
) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    before = pad.text.split()
    pad.page.locator("#text button").first.press("Enter")
    other = pad.page.locator("#choices button").first
    chosen = other.inner_text()
    other.press("Enter")
    expect(pad.page.locator("#word")).to_be_hidden()
    expect(pad.page.locator("#text li")).to_have_text(" ".join([chosen, *before[1:]]))


def test_a_correction_stays_while_more_is_written_and_on_a_new_line(pad: Pad) -> None:
    pad.write(*HELLO[:HALF], scale=0.6)
    pad.settle()
    correct(pad, 0, "Jupiter")
    expect(pad.page.locator("#text button").first).to_have_text("Jupiter")
    pad.write(*HELLO[HALF:], scale=0.6)
    pad.settle()
    assert pad.text.startswith("Jupiter")
    assert len(pad.text) > len("Jupiter")
    text = pad.text
    pad.page.get_by_role("button", name="New line").click()
    assert pad.texts == [text]


def test_what_is_typed_into_the_field_survives_a_new_line(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    rest = pad.text.split()[1:]
    pad.page.locator("#text button").first.click()
    pad.page.get_by_label("Correct text").fill("Howdy")
    pad.page.get_by_role("heading").click()  # the popover closes
    pad.page.get_by_role("button", name="New line").click()
    expect(pad.page.locator("#text li")).to_have_text(" ".join(["Howdy", *rest]))
    pad.page.locator("#text button").first.click()
    pad.page.get_by_label("Correct text").fill("dropped")
    pad.page.keyboard.press("Escape")
    pad.page.wait_for_timeout(100)
    assert pad.texts == [" ".join(["Howdy", *rest])]


def test_a_word_can_be_deleted_and_brought_back(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    words = pad.text.split()
    assert len(words) > 1
    pad.page.locator("#text button").first.click()
    pad.page.get_by_role("button", name="Delete").click()
    expect(pad.page.locator("#text li")).to_have_text(" ".join(words[1:]))
    pad.page.get_by_role("button", name="Undo").click()
    expect(pad.page.locator("#text li")).to_have_text(" ".join(words))


def test_a_learned_word_is_kept_and_sent(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    pad.page.locator("#text button").first.click()
    pad.page.get_by_label("Correct text").fill("Zschage")
    pad.page.get_by_role("button", name="Learn this word").click()
    pad.page.reload()
    expect(pad.page.locator("#text button").first).to_have_text("Zschage")
    pad.write(*HELLO[:2], row=1)
    pad.settle()
    assert pad.hints()["words"] == ["Zschage"]


def test_what_is_done_just_before_a_reload_is_kept_though_the_disk_is_slow(
    browser: Browser, url: str
) -> None:
    pad = Pad(browser, url, SLOW_DISK, viewport={"width": 1100, "height": 800})
    pad.write(*HELLO[:4], scale=0.6)
    with pad.page.expect_navigation():
        pad.page.evaluate(
            "() => { for (let i = 0; i < 4; i += 1) document.querySelector('#undo').click();"
            " location.reload(); }"
        )
    expect(pad.page.locator("#redo")).to_be_enabled()
    expect(pad.page.locator("#undo")).to_be_disabled()
    pad.page.close()


def test_clear_and_everything_else_can_be_undone_and_done_again(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    correct(pad, 0, "Howdy")
    text = pad.text
    pad.page.get_by_role("button", name="Clear").click()
    expect(pad.page.locator("#text li")).to_have_count(0)
    pad.page.keyboard.press("Control+z")
    expect(pad.page.locator("#text li")).to_have_text(text)
    pad.page.keyboard.press("Control+z")
    expect(pad.page.locator("#text")).not_to_contain_text("Howdy")
    pad.page.keyboard.press("Control+y")
    expect(pad.page.locator("#text li")).to_have_text(text)


def test_the_document_outlives_a_reload_with_its_undo(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    correct(pad, 0, "Howdy")
    pad.read_as("Numbers")
    text = pad.text
    pad.page.wait_for_timeout(300)  # until the browser has stored it
    pad.page.reload()
    expect(pad.page.locator("#text li")).to_have_text(text)
    assert pad.page.locator("#reads").input_value() == "number"
    pad.page.keyboard.press("Control+z")
    assert pad.page.locator("#reads").input_value() == "text"
    pad.page.keyboard.press("Control+z")
    expect(pad.page.locator("#text")).not_to_contain_text("Howdy")


def test_documents_are_listed_and_opened_again(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    text = pad.text
    pad.page.get_by_role("button", name="Documents").click()
    pad.page.get_by_role("button", name="New document").click()
    expect(pad.page.locator("#text li")).to_have_count(0)
    expect(pad.page.locator("#intro")).to_be_visible()
    pad.page.get_by_role("button", name="Documents").click()
    pad.page.locator("#document-list button").first.click()
    expect(pad.page.locator("#text li")).to_have_text(text)


def test_a_document_that_is_open_in_another_window_is_not_opened_again(pad: Pad) -> None:
    pad.write(*HELLO[:6], scale=0.6)
    pad.settle()
    text = pad.text
    with pad.page.expect_popup() as popup:
        pad.page.evaluate("void open(location.href)")
    other = popup.value
    expect(other.locator("#intro")).to_be_visible()
    other.get_by_role("button", name="Documents").click()
    other.get_by_role("button", name=text, exact=True).click()
    expect(other.locator("#error")).to_contain_text("another window")
    pad.page.goto("about:blank")
    other.get_by_role("button", name="Documents").click()
    other.get_by_role("button", name=text, exact=True).click()
    expect(other.locator("#text li")).to_have_text(text)
    other.close()


def test_the_text_is_copied(browser: Browser, url: str) -> None:
    pad = Pad(browser, url, permissions=["clipboard-read", "clipboard-write"])
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    pad.page.get_by_role("button", name="Copy").click()
    expect(pad.page.locator("#copy")).to_have_text("Copied")
    assert pad.page.evaluate("navigator.clipboard.readText()") == pad.text != ""
    pad.page.close()


@pytest.mark.parametrize(
    ("name", "ending", "part"),
    [
        ("Text", "txt", "hello"),
        ("Markdown", "md", "hello"),
        ("Drawing (SVG)", "svg", "<path d="),
        ("Ink (InkML)", "inkml", "<trace>"),
        ("Training data (JSON lines)", "jsonl", '"strokes"'),
    ],
)
def test_the_document_is_exported(
    pad: Pad, tmp_path: Path, name: str, ending: str, part: str
) -> None:
    pad.page.get_by_role("button", name="Try an example").click()
    expect(pad.page.locator("#text li")).to_have_text("hello, world!")
    pad.page.get_by_role("button", name="Export").click()
    with pad.page.expect_download() as download:
        pad.page.get_by_role("button", name=name, exact=True).click()
    assert download.value.suggested_filename.endswith(f".{ending}")
    download.value.save_as(tmp_path / "file")
    assert part in (tmp_path / "file").read_text()


def test_going_back_to_the_page_keeps_what_is_read(pad: Pad) -> None:
    pad.read_as("A digit")
    pad.page.wait_for_timeout(300)  # until the browser has stored it
    pad.page.goto(f"{pad.page.url}docs")
    pad.page.go_back()
    pad.requested_urls = []  # the other page's are not tested here
    expect(pad.page.locator("#reads")).to_have_value("digit")


def test_a_deleted_document_can_be_brought_back_until_the_list_is_closed(pad: Pad) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    text = pad.text
    documents = pad.page.get_by_role("button", name="Documents")
    documents.click()
    pad.page.get_by_role("button", name=f"Delete {text}").click()
    expect(pad.page.locator("#text li")).to_have_count(0)
    pad.page.get_by_role("button", name="Bring back").click()
    pad.page.get_by_role("button", name=text, exact=True).click()
    expect(pad.page.locator("#text li")).to_have_text(text)
    documents.click()
    pad.page.get_by_role("button", name=f"Delete {text}").click()
    expect(pad.page.get_by_role("button", name="Bring back")).to_be_visible()
    pad.page.reload()
    expect(pad.page.locator("#paper")).not_to_have_attribute("inert", "")
    documents.click()
    expect(pad.page.get_by_role("button", name="New document")).to_be_visible()
    expect(pad.page.get_by_role("button", name=text, exact=True)).to_have_count(0)


def test_a_document_that_is_open_in_another_window_is_not_deleted(
    browser: Browser, url: str
) -> None:
    with browser.new_context(service_workers="block") as context:
        first, second = context.new_page(), context.new_page()
        first.goto(url)
        expect(first.locator("#state-words")).to_have_text("connected")
        first.get_by_role("button", name="Try an example").click()
        expect(first.locator("#text li")).not_to_have_text("")
        second.goto(url)
        expect(second.locator("#intro")).to_be_visible()
        second.get_by_role("button", name="Documents").click()
        second.get_by_role("button", name="Delete").click()
        expect(second.locator("#error")).to_contain_text("open in another window")
        second.get_by_role("button", name="New document").click()
        second.get_by_role("button", name="Documents").click()
        expect(second.locator("#document-list li")).to_have_count(1)


def test_a_pattern_of_ones_own_is_sent_and_a_wrong_one_is_explained(pad: Pad) -> None:
    pad.read_as("My own pattern")
    pad.set("#pattern", lambda field: field.fill("[a-z]{2} [0-9]{3}"))
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    assert pad.hints()["pattern"] == "[a-z]{2} [0-9]{3}"
    assert re.fullmatch("[a-z]{2} [0-9]{3}", pad.text)
    pad.set("#pattern", lambda field: field.fill("[a-z"))
    expect(pad.page.locator("#error")).to_contain_text("pattern")


def test_colours_can_be_chosen_and_are_kept(pad: Pad) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light = pad.page.evaluate(colour)
    pad.set("#colours", lambda menu: menu.select_option("Dark"))
    dark = pad.page.evaluate(colour)
    assert dark != light
    pad.page.emulate_media(color_scheme="dark")
    assert pad.page.evaluate(colour) == dark
    pad.page.reload()
    expect(pad.page.locator("#paper")).not_to_have_attribute("inert", "")
    assert pad.page.evaluate(colour) == dark
    pad.set("#colours", lambda menu: menu.select_option("Light"))
    assert pad.page.evaluate(colour) == light


def test_the_tools_of_left_handers_are_on_the_other_side_and_stay_there(pad: Pad) -> None:
    left = "document.querySelector('#undo').getBoundingClientRect().left"
    assert pad.page.evaluate(left) < 100
    pad.set("#left-handed", lambda switch: switch.check())
    assert pad.page.evaluate(left) > 900
    pad.page.reload()
    expect(pad.page.locator("#paper")).not_to_have_attribute("inert", "")
    assert pad.page.evaluate(left) > 900


def test_numbers_are_read_as_numbers(pad: Pad) -> None:
    pad.read_as("Numbers")
    pad.write(*HELLO[:6], scale=0.6)
    pad.settle()
    assert not any(char.isalpha() for char in pad.text)


def test_a_model_of_another_name_is_used(browser: Browser, tmp_path: Path) -> None:
    shutil.copy(ROOT / "model" / "weights" / "lines.onnx", tmp_path / "hand.onnx")
    with server(tmp_path, models=str(tmp_path / "hand.onnx")) as running:
        pad = Pad(browser, f"http://127.0.0.1:{running.port}/")
        pad.write(*HELLO[:4])
        pad.settle()
        assert pad.text != ""
        pad.read_as("A digit")
        expect(pad.page.locator("#error")).to_contain_text("does not have this model")
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


def test_clearing_removes_the_error_of_a_full_line(browser: Browser, tmp_path: Path) -> None:
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


def test_what_is_written_while_the_server_is_gone_is_read_when_it_is_back(
    browser: Browser, tmp_path: Path
) -> None:
    with server(tmp_path, models="lines,digits") as first:
        port = first.port
        pad = Pad(browser, f"http://127.0.0.1:{port}/")
        pad.write(*HELLO, scale=0.6)
        pad.settle()
        text = pad.text
    top = "document.querySelector('#pad').getBoundingClientRect().top"
    before = pad.page.evaluate(top)
    expect(pad.page.locator("#error")).to_be_visible()
    assert pad.page.evaluate(top) == before  # the error does not move the paper
    pad.page.get_by_role("button", name="New line").click()
    pad.write(*HELLO, scale=0.6, row=1)
    pad.page.get_by_role("button", name="New line").click()
    pad.write(*HELLO[:6], scale=0.6, row=2)
    assert pad.texts[0] == text
    with server(tmp_path, models="lines,digits", port=port):
        expect(pad.page.locator("#state-words")).to_have_text("connected", timeout=20_000)
        expect(pad.page.locator("#text li").nth(1)).to_have_text(text)
        expect(pad.page.locator("#text li").nth(2)).not_to_have_text("")
        pad.page.close()


def test_the_training_data_have_the_corrected_text(pad: Pad, tmp_path: Path) -> None:
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    correct(pad, 0, "Howdy,")
    text = pad.text
    pad.page.get_by_role("button", name="Export").click()
    with pad.page.expect_download() as download:
        pad.page.locator("#download").click()
    download.value.save_as(tmp_path / "lines.jsonl")
    (line,) = (tmp_path / "lines.jsonl").read_text().splitlines()
    assert json.loads(line)["label"] == text
    assert len(json.loads(line)["strokes"]) == len(HELLO)


@pytest.mark.parametrize(
    ("limit", "explained"),
    [("max_sessions", "ist ausgelastet"), ("max_sessions_per_client", "Zu viele dieser Seiten")],
)
def test_a_server_that_admits_no_more_is_explained_in_the_browsers_language(
    browser: Browser, tmp_path: Path, limit: str, explained: str
) -> None:
    with server(tmp_path, models="lines", **{limit: 1}) as running:
        pad = Pad(browser, f"http://127.0.0.1:{running.port}/")
        page = browser.new_page(locale="de-DE", service_workers="block")
        page.goto(pad.page.url)
        expect(page.locator("#error")).to_contain_text(explained)
        page.close()
        pad.page.close()

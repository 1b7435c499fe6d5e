"""The writing pad's controls: corrections, undo, settings, models, errors."""

import re
import shutil
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.helpers.command_line import ROOT
from tests.helpers.running_server import server
from tests.service.web.conftest import OpenPad, address
from tests.service.web.pad.pad_page import CHROMIUM, HELLO, Pad, recognize_at_once
from tests.service.web.pad.pointer import draw

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

# A browser that takes a second to write a document.
SLOW_DISK = """const of = IDBTransaction.prototype;
const { set } = Object.getOwnPropertyDescriptor(of, "oncomplete");
Object.defineProperty(of, "oncomplete", {
  set(handle) { set.call(this, (event) => setTimeout(() => handle(event), 1000)); },
});"""


def press(pad: Pad, name: str) -> None:
    """Press the button of this name."""
    pad.page.get_by_role("button", name=name, exact=True).click()


def type_word(pad: Pad, text: str) -> None:
    """Type another text for the first word, into its field."""
    pad.page.locator("#text button").first.click()
    pad.page.locator("#correct").fill(text)


def correct(pad: Pad, text: str) -> None:
    """Replace the first word by another one."""
    type_word(pad, text)
    press(pad, "Change")
    expect(pad.page.locator("#text button").first).to_have_text(text)


def reload(pad: Pad) -> None:
    pad.page.reload()
    expect(pad.page.locator("#paper")).not_to_have_attribute("inert", "")


def test_what_is_typed_into_the_field_survives_a_new_line_but_not_escape(written: Pad) -> None:
    text = " ".join(["Howdy", *written.text.split()[1:]])
    type_word(written, "Howdy")
    written.page.get_by_role("heading").click()  # the popover closes
    press(written, "New line")
    expect(written.page.locator("#text li")).to_have_text(text)
    type_word(written, "dropped")
    written.page.keyboard.press("Escape")
    expect(written.page.locator("#word")).to_be_hidden()
    written.page.wait_for_timeout(100)
    assert written.texts == [text]


def test_a_word_can_be_deleted_and_brought_back(written: Pad) -> None:
    words = written.text.split()
    assert len(words) > 1
    written.page.locator("#text button").first.click()
    press(written, "Delete")
    expect(written.page.locator("#text li")).to_have_text(" ".join(words[1:]))
    press(written, "Undo")
    expect(written.page.locator("#text li")).to_have_text(" ".join(words))


def test_a_learned_word_is_kept_and_sent(written: Pad) -> None:
    type_word(written, "Zschage")
    press(written, "Learn this word")
    written.page.reload()
    expect(written.page.locator("#text button").first).to_have_text("Zschage")
    written.write(*HELLO[:2], row=1)
    written.settle()
    assert written.hints()["words"] == ["Zschage"]


def test_what_is_done_just_before_a_reload_is_kept_though_the_disk_is_slow(
    open_pad: OpenPad, url: str
) -> None:
    pad = open_pad(url, SLOW_DISK)
    pad.write(*HELLO[:4], scale=0.6)
    with pad.page.expect_navigation():
        pad.page.evaluate(
            "() => { for (let i = 0; i < 4; i += 1) document.querySelector('#undo').click();"
            " location.reload(); }"
        )
    expect(pad.page.locator("#redo")).to_be_enabled()
    expect(pad.page.locator("#undo")).to_be_disabled()


def test_the_document_outlives_a_reload_with_its_undo(written: Pad) -> None:
    correct(written, "Howdy")
    written.read_as("Numbers")
    text = written.text
    written.page.wait_for_timeout(300)  # until the browser has stored it
    written.page.reload()
    expect(written.page.locator("#text li")).to_have_text(text)
    assert written.page.locator("#reads").input_value() == "number"
    written.page.keyboard.press("Control+z")
    assert written.page.locator("#reads").input_value() == "text"
    written.page.keyboard.press("Control+z")
    expect(written.page.locator("#text")).not_to_contain_text("Howdy")


def test_a_document_that_is_open_in_another_window_is_not_opened_again(written: Pad) -> None:
    text = written.text
    with written.page.expect_popup() as popup:
        written.page.evaluate("void open(location.href)")
    other = popup.value
    expect(other.locator("#intro")).to_be_visible()
    expect(other.locator("#elsewhere")).to_contain_text("open in another window")
    other.get_by_role("button", name="Documents").click()
    other.get_by_role("button", name=text, exact=True).click()
    expect(other.locator("#elsewhere")).to_contain_text("open in another window")
    other.get_by_role("button", name="Go on here").click()
    expect(other.locator("#text li")).to_have_text(text)
    expect(written.page.locator("#intro")).to_be_visible()
    written.page.get_by_role("button", name="Go on here").click()
    expect(written.page.locator("#text li")).to_have_text(text)
    expect(other.locator("#intro")).to_be_visible()
    other.reload()
    expect(other.locator("#elsewhere")).to_be_visible()
    other.close()


def test_a_document_that_is_still_being_written_is_whole_in_another_window(
    open_pad: OpenPad, url: str
) -> None:
    pad = open_pad(url, SLOW_DISK)
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    pad.page.wait_for_timeout(2500)  # until it is stored
    with pad.page.expect_popup() as popup:
        pad.page.evaluate("void open(location.href)")
    other = popup.value
    expect(other.locator("#elsewhere")).to_be_visible()
    pad.write(HELLO[0], left=500)
    other.get_by_role("button", name="Go on here").click()
    expect(other.locator("#text li")).to_have_count(1)
    expect(pad.page.locator("#elsewhere")).to_be_visible()
    other.wait_for_timeout(1500)
    expect(other.locator("#error")).to_be_hidden()  # no copy was made
    other.close()


def test_a_window_that_answers_late_keeps_its_document(open_pad: OpenPad, url: str) -> None:
    pad = open_pad(url)
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    with pad.page.context.expect_page() as opened:
        pad.page.evaluate(
            """() => { open(location.href, "_blank", "noopener");  // it shares no thread
              const end = performance.now() + 3000;
              setTimeout(() => { while (performance.now() < end); }); }"""
        )
    other = opened.value
    expect(other.locator("#elsewhere")).to_be_visible()
    expect(other.locator("#intro")).to_be_visible()
    expect(pad.page.locator("#error")).to_be_hidden()
    other.close()


def test_a_word_is_deleted_with_its_ink_and_one_undo_brings_both_back(written: Pad) -> None:
    text = written.text
    written.page.get_by_role("button", name="world!").click()
    press(written, "Delete")
    expect(written.page.locator("#text li")).to_have_text("hello,")
    assert len(stored_strokes(written)) < len(HELLO)
    written.page.locator("#paper").press("Control+z")
    expect(written.page.locator("#text li")).to_have_text(text)
    assert len(stored_strokes(written)) == len(HELLO)


def stored_strokes(pad: Pad) -> list[str]:
    """Return the strokes of the document, as it is exported."""
    press(pad, "Export")
    with pad.page.expect_download() as download:
        press(pad, "Drawing")
    pad.page.keyboard.press("Escape")
    return re.findall("<path ", Path(download.value.path()).read_text())


def test_one_sweep_of_the_eraser_is_one_undo(written: Pad) -> None:
    text = written.text
    press(written, "Eraser")
    draw(written, (10, 60), (500, 60), steps=60)
    expect(written.page.locator("#text li")).not_to_have_text(text)
    press(written, "Undo")
    expect(written.page.locator("#text li")).to_have_text(text)


def test_the_text_is_copied(open_pad: OpenPad, url: str) -> None:
    pad = open_pad(url, permissions=["clipboard-read", "clipboard-write"])
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    press(pad, "Copy")
    expect(pad.page.locator("#copy")).to_have_text("Copied")
    assert pad.page.evaluate("navigator.clipboard.readText()") == pad.text != ""


@pytest.mark.parametrize(
    ("name", "ending", "part"),
    [
        ("Text", "txt", "hello"),
        ("Markdown", "md", "hello"),
        ("Drawing", "svg", "<path "),
        ("Ink (InkML)", "inkml", "<trace "),
        ("Ink with its text (JSON lines)", "jsonl", '"strokes"'),
    ],
)
def test_the_document_is_exported(
    pad: Pad, tmp_path: Path, name: str, ending: str, part: str
) -> None:
    press(pad, "Try an example")
    expect(pad.page.locator("#text li")).to_have_text("hello, world!")
    press(pad, "Export")
    pad.page.get_by_text("For other programs").click()
    with pad.page.expect_download() as download:
        press(pad, name)
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


def test_a_deleted_document_can_be_brought_back_until_the_list_is_closed(written: Pad) -> None:
    text = written.text
    press(written, "Documents")
    press(written, f"Delete {text}")
    expect(written.page.locator("#text li")).to_have_count(0)
    press(written, "Bring back")
    press(written, text)
    expect(written.page.locator("#text li")).to_have_text(text)
    press(written, "Documents")
    press(written, f"Delete {text}")
    expect(written.page.get_by_role("button", name="Bring back")).to_be_visible()
    reload(written)
    press(written, "Documents")
    expect(written.page.get_by_role("button", name="New document")).to_be_visible()
    expect(written.page.get_by_role("button", name=text, exact=True)).to_have_count(0)


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
        expect(second.locator("#elsewhere")).to_contain_text("open in another window")
        second.get_by_role("button", name="New document").click()
        second.get_by_role("button", name="Documents").click()
        expect(second.locator("#document-list li")).to_have_count(1)


def test_an_example_is_sent_as_its_pattern_and_says_what_else_is_read(pad: Pad) -> None:
    pad.read_as("Like my example")
    pad.set("#pattern", lambda field: field.fill("ab 12.5"))
    expect(pad.page.locator("#pattern-help")).to_have_text("Also read: de 45.8")
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    assert pad.hints()["pattern"] == r"[a-z]{2} [0-9]{2}\.[0-9]"
    assert re.fullmatch(r"[a-z]{2} \d\d\.\d", pad.text)


def test_a_pattern_of_ones_own_is_sent_and_a_wrong_one_is_explained(pad: Pad) -> None:
    pad.read_as("Like my example")
    pad.set("#pattern", lambda field: field.fill("[a-z]{2} [0-9]{3}"))
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    assert pad.hints()["pattern"] == "[a-z]{2} [0-9]{3}"
    assert re.fullmatch("[a-z]{2} [0-9]{3}", pad.text)
    for wrong in ("[a-z", "(?=a)b"):  # the browser refuses one, the server the other
        pad.set("#pattern", partial(Locator.fill, value=wrong))
        expect(pad.page.locator("#pattern-help")).to_contain_text("an example instead")
        expect(pad.page.locator("#pattern")).to_have_attribute("aria-invalid", "true")


def test_numbers_are_read_as_numbers(pad: Pad) -> None:
    pad.read_as("Numbers")
    pad.write(*HELLO[:6], scale=0.6)
    pad.settle()
    assert not any(char.isalpha() for char in pad.text)


def test_colours_can_be_chosen_and_are_kept(pad: Pad) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light = pad.page.evaluate(colour)
    pad.set("#colours", lambda menu: menu.select_option("Dark"))
    dark = pad.page.evaluate(colour)
    assert dark != light
    pad.page.emulate_media(color_scheme="dark")
    assert pad.page.evaluate(colour) == dark
    reload(pad)
    assert pad.page.evaluate(colour) == dark
    pad.set("#colours", lambda menu: menu.select_option("Light"))
    assert pad.page.evaluate(colour) == light


def test_the_tools_of_left_handers_are_on_the_other_side_and_stay_there(pad: Pad) -> None:
    left = "document.querySelector('#undo').getBoundingClientRect().left"
    assert pad.page.evaluate(left) < 100
    pad.set("#left-handed", lambda switch: switch.check())
    assert pad.page.evaluate(left) > 900
    reload(pad)
    assert pad.page.evaluate(left) > 900


def test_a_model_of_another_name_is_used(open_pad: OpenPad, tmp_path: Path) -> None:
    shutil.copy(ROOT / "model" / "weights" / "lines.onnx", tmp_path / "hand.onnx")
    with server(tmp_path, models=str(tmp_path / "hand.onnx")) as running:
        pad = open_pad(address(running))
        pad.write(*HELLO[:4])
        pad.settle()
        assert pad.text != ""
        pad.read_as("A digit")
        expect(pad.page.locator("#error")).to_contain_text("does not have this model")


def test_the_model_is_chosen_by_its_name_where_several_read_text(
    open_pad: OpenPad, tmp_path: Path
) -> None:
    with server(tmp_path, models="lines,anna=lines,digits") as running:
        pad = open_pad(address(running))
        pad.write(*HELLO[:4])
        pad.settle()
        text = pad.text
        assert (served(pad), pad.page.locator("#text-model").input_value()) == ("lines", "lines")
        pad.set("#text-model", lambda menu: menu.select_option("anna"))
        pad.settle()  # what is written was read again
        assert (served(pad), pad.text) == ("anna", text)
        reload(pad)
        pad.write(*HELLO[:2], row=1)
        pad.settle()
        assert served(pad) == "anna"
    with server(tmp_path, models="lines,digits") as running:
        expect(open_pad(address(running)).page.locator("#text-model-label")).to_be_hidden()


def served(pad: Pad) -> str:
    """Return the name of the model that has read the ink written last."""
    name: str = pad.received[0]["model"]["name"]
    return name


def test_a_new_line_connects_again_after_a_fatal_error(open_pad: OpenPad, tmp_path: Path) -> None:
    with server(tmp_path, models="lines", max_line_columns=60, max_bad_messages=1) as running:
        pad = open_pad(address(running))
        pad.write(*HELLO)
        expect(pad.page.locator("#state-words")).to_have_text("not connected")
        expect(pad.page.locator("#error")).to_be_visible()
        press(pad, "Clear")
        expect(pad.page.locator("#state-words")).to_have_text("connected")
        expect(pad.page.locator("#error")).to_be_hidden()


def test_clearing_removes_the_error_of_a_full_line(open_pad: OpenPad, tmp_path: Path) -> None:
    with server(tmp_path, models="lines", max_line_columns=60) as running:
        pad = open_pad(address(running))
        pad.write(*HELLO)
        expect(pad.page.locator("#error")).to_contain_text("allowed: 0..59")
        press(pad, "Clear")
        expect(pad.page.locator("#error")).to_be_hidden()
        pad.write(*HELLO[:2])
        pad.settle()
        assert pad.text == recognize_at_once(running, pad) != ""


def test_what_is_written_while_the_server_is_gone_is_read_when_it_is_back(
    open_pad: OpenPad, tmp_path: Path
) -> None:
    with server(tmp_path, models="lines,digits") as first:
        port = first.port
        pad = open_pad(address(first))
        pad.write(*HELLO, scale=0.6)
        pad.settle()
        text = pad.text
    top = "document.querySelector('#pad').getBoundingClientRect().top"
    before = pad.page.evaluate(top)
    expect(pad.page.locator("#error")).to_be_visible()
    assert pad.page.evaluate(top) == before  # the error does not move the paper
    press(pad, "New line")
    pad.write(*HELLO, scale=0.6, row=1)
    press(pad, "New line")
    pad.write(*HELLO[:6], scale=0.6, row=2)
    assert pad.texts[0] == text
    with server(tmp_path, models="lines,digits", port=port):
        expect(pad.page.locator("#state-words")).to_have_text("connected", timeout=20_000)
        expect(pad.page.locator("#text li").nth(1)).to_have_text(text)
        expect(pad.page.locator("#text li").nth(2)).not_to_have_text("")
        expect(pad.page.locator("#error")).to_be_hidden()


@pytest.mark.parametrize(
    ("limit", "explained"),
    [("max_sessions", "ist ausgelastet"), ("max_sessions_per_client", "Zu viele dieser Seiten")],
)
def test_a_server_that_admits_no_more_is_explained_in_the_browsers_language(
    browser: Browser, open_pad: OpenPad, tmp_path: Path, limit: str, explained: str
) -> None:
    with server(tmp_path, models="lines", **{limit: 1}) as running:
        open_pad(address(running))
        page = browser.new_page(locale="de-DE", service_workers="block")
        page.goto(address(running))
        expect(page.locator("#error")).to_contain_text(explained)
        page.close()

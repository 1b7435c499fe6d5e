"""Documents: names, search, trash, backups, and files of all kinds that are taken into them."""

import base64
import json
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.helpers.command_line import EXAMPLES
from tests.helpers.documents import saved
from tests.helpers.running_server import server
from tests.service.web.conftest import OpenPad, address
from tests.service.web.pad.pad_page import CHROMIUM, HELLO, Pad

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

# A document whose one stroke has no points that can be drawn.
BROKEN = json.dumps(
    {
        "inkstream": "backup",
        "documents": [
            {
                "version": 1, "id": "a", "changed": 9e15, "title": "a", "settings": {},
                "lines": [{"id": 1, "row": 0, "strokes": [{"id": 2, "points": [["x", None]]}]}],
                "past": [], "future": [], "readings": [],
            }
        ],
    },
    separators=(",", ":"),
).encode()  # fmt: skip
LATER = "const now = Date.now; Date.now = () => now() + DAYS * 24 * 3600 * 1000;"


def press(pad: Pad, name: str) -> None:
    pad.page.get_by_role("button", name=name, exact=True).click()


def give(pad: Pad, *files: Path) -> None:
    pad.page.locator("#file").set_input_files(files)


def test_a_document_is_renamed_and_found_by_its_name_and_its_text(written: Pad) -> None:
    text = written.text
    written.page.on("dialog", lambda dialog: dialog.accept("Letter to Ada"))
    press(written, "Documents")
    press(written, f"Rename {text}")
    items = written.page.locator("#document-list li")
    expect(items).to_contain_text(["Letter to Ada"])
    press(written, "New document")
    press(written, "Try an example")
    expect(written.page.locator("#text li")).to_have_text("hello, world!")
    press(written, "Documents")
    expect(items).to_have_count(2)
    search = written.page.get_by_role("searchbox")
    for wanted, count in (("ada", 1), (text[:5].upper(), 2), ("nothing of it", 0)):
        search.fill(wanted)
        expect(items).to_have_count(count)
    search.fill("ada")
    expect(items).to_have_count(1)
    assert not items.locator("canvas").evaluate(
        "(canvas) => canvas.getContext('2d')"
        ".getImageData(0, 0, 72, 54).data.every((value) => value === 0)"
    )
    written.page.on("dialog", lambda dialog: dialog.accept("Ada"))
    press(written, "Letter to Ada")
    expect(written.page.locator("#text li")).to_have_text(text)


@pytest.mark.parametrize(("days", "kept"), [(29, 1), (31, 0)])
def test_the_trash_keeps_documents_for_30_days(
    browser: Browser, url: str, days: int, kept: int
) -> None:
    with browser.new_context(service_workers="block") as context:
        pad = Pad(context, url)
        press(pad, "Try an example")
        expect(pad.page.locator("#text li")).to_have_text("hello, world!")
        press(pad, "Documents")
        press(pad, "Delete hello, world!")
        expect(pad.page.locator("#trash-list li")).to_have_count(1)
        pad.page.reload()
        expect(pad.page.locator("#intro")).to_be_visible()
        pad.page.close()
        later = Pad(context, url, LATER.replace("DAYS", str(days)))
        press(later, "Documents")
        expect(later.page.locator("#document-list li")).to_have_count(0)
        expect(later.page.locator("#trash-list li")).to_have_count(kept)
        if kept:
            later.page.locator("#trash summary").click()
            press(later, "Bring back")
            press(later, "hello, world!")
            expect(later.page.locator("#text li")).to_have_text("hello, world!")


def test_a_backup_is_restored_in_another_browser(
    written: Pad, open_pad: OpenPad, url: str, tmp_path: Path
) -> None:
    give(written, EXAMPLES / "hello.png")
    expect(written.page.locator("#text li")).to_have_text([written.texts[0], "hello, world!"])
    press(written, "Documents")
    with written.page.expect_download() as download:
        press(written, "Save a backup of everything")
    download.value.save_as(tmp_path / "backup.json")
    other = open_pad(url)
    give(other, tmp_path / "backup.json")
    press(other, written.texts[0])
    expect(other.page.locator("#text li")).to_have_text(written.texts)


def test_files_of_all_kinds_are_taken_one_after_the_other(pad: Pad, tmp_path: Path) -> None:
    pad.choose_speed("all")
    with Image.open(EXAMPLES / "page.jpg") as page:
        page.save(tmp_path / "page.pdf", resolution=150)
    give(pad, EXAMPLES / "hello.png", tmp_path / "page.pdf", EXAMPLES / "hello.jsonl")
    lines = pad.page.locator("#text li")
    expect(lines).to_have_count(8)
    expect(lines.first).to_have_text("hello, world!")
    expect(lines.last).to_have_text("hello, world!")
    assert sum("hello" in text for text in pad.texts) >= 7


@pytest.mark.parametrize("kind", ["PDF", "TIFF"])
def test_each_page_of_a_document_is_an_image_of_its_lines(
    pad: Pad, tmp_path: Path, kind: str
) -> None:
    with Image.open(EXAMPLES / "page.jpg") as page:
        (tmp_path / "sheets").write_bytes(saved([page, page], kind))
    give(pad, tmp_path / "sheets")
    expect(pad.page.locator("#text li")).to_have_count(12)
    assert sum("hello" in text for text in pad.texts) >= 10
    press(pad, "Documents")
    with pad.page.expect_download() as download:
        press(pad, "Save a backup of everything")
    (document,) = json.loads(download.value.path().read_text())["documents"]
    assert [len(line["image"]["jpeg"]) > 1000 for line in document["lines"]] == [True] * 12


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xml", b"<xml></xml>", "no ink"),
        ("b.xml", b"<ink><trace>a b</trace></ink>", "no ink"),
        ("c.xml", b"<ink><trace>1 2", "no ink"),
        ("a.txt", b"text", "no ink"),
        ("a.json", b'{"inkstream":"backup","documents":[{"id":1,"lines":2}]}', "no ink"),
        ("b.json", b'{"inkstream":"backup","documents":null}', "no ink"),
        ("c.json", BROKEN, "no ink"),
        ("a.png", base64.b64decode("iVBORw0KGgo="), "not an image"),
        ("a.pdf", b"%PDF-1.7 and nothing", "damaged"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_in_plain_words(
    written: Pad, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    before = written.texts
    (tmp_path / name).write_bytes(content)
    give(written, tmp_path / name)
    expect(written.page.locator("#error")).to_contain_text(words)
    assert written.texts == before
    press(written, "Documents")
    expect(written.page.locator("#document-list li")).to_have_count(1)
    written.console_texts.clear()  # the browser logs the server's refusal


def test_a_file_that_is_too_large_is_refused_without_figures(pad: Pad, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(bytes(20 << 20))
    give(pad, tmp_path / "large.png")
    expect(pad.page.locator("#error")).to_contain_text("too large for this server")
    pad.console_texts.clear()  # the browser logs the server's refusal


def test_a_key_is_remembered_if_that_is_asked(browser: Browser, tmp_path: Path) -> None:
    with server(tmp_path, models="lines", api_keys="secret") as running:
        for is_asked in (True, False):
            context = browser.new_context(service_workers="block")
            page = context.new_page()
            page.goto(address(running))
            page.get_by_label("API key").fill("secret")
            if is_asked:
                page.get_by_label("Remember").check()
            page.get_by_role("button", name="Connect").click()
            expect(page.locator("#state-words")).to_have_text("connected")
            page.reload()
            if is_asked:
                expect(page.locator("#state-words")).to_have_text("connected")
            else:
                expect(page.get_by_label("API key")).to_be_visible()
            context.close()


def test_a_phone_shares_the_text_and_the_image(open_pad: OpenPad, url: str) -> None:
    pad = open_pad(
        url,
        """navigator.canShare = () => true;
        navigator.share = async ({ text, files }) => console.log(text, files[0].name);""",
    )
    pad.write(*HELLO, scale=0.6)
    pad.settle()
    press(pad, "Export")
    with pad.page.expect_console_message() as message:
        press(pad, "Share")
    assert message.value.text == f"{pad.text} document.png"

"""Images on the writing pad: their columns are played to the stream, as by a line scanner."""

import base64
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw
from playwright.sync_api import Browser, expect
from rapidfuzz.distance import Levenshtein

from inkstream.service.protocol.errors import UnreadableError
from inkstream.service.rest.bodies import BodyReader
from tests.helpers.command_line import EXAMPLES
from tests.helpers.running_server import Running, server
from tests.service.web.conftest import address
from tests.service.web.pad.pad_page import CHROMIUM, HELLO, Pad

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

LINE = EXAMPLES / "hello.png"
DIGIT = EXAMPLES / "7.png"
PAGE = EXAMPLES / "page.jpg"

TRANSFER = """([name, type, data, kind]) => {
  const files = new DataTransfer();
  const bytes = Uint8Array.from(atob(data), (char) => char.codePointAt(0));
  files.items.add(new File([bytes], name, { type }));
  const options = { bubbles: true, cancelable: true, dataTransfer: files, clipboardData: files };
  const event = kind === "drop" ? new DragEvent(kind, options) : new ClipboardEvent(kind, options);
  document.querySelector("#pad").dispatchEvent(event);
}"""


def answer(running: Running, image: Path, query: str) -> Any:
    """Return the server's answer for a whole image."""
    url = f"{address(running)}v1/recognize?{query}"
    return httpx.post(url, content=image.read_bytes(), timeout=60).json()


def transfer(pad: Pad, file: Path, kind: str) -> None:
    """Drop a file on the pad, or paste it."""
    data = base64.b64encode(file.read_bytes()).decode()
    media_type = "text/plain" if file.suffix == ".txt" else "image/png"
    pad.page.evaluate(TRANSFER, [file.name, media_type, data, kind])


def choose(pad: Pad, file: Path) -> None:
    """Choose a file by the pad's button."""
    pad.page.locator("#file").set_input_files(file)


def explained(pad: Pad, text: str, status: int) -> None:
    """Wait for an error; check that the browser says nothing on the console but its status."""
    expect(pad.page.locator("#error")).to_contain_text(text)
    pad.console_texts = [logged for logged in pad.console_texts if str(status) not in logged]


def paper_with_a_line(path: Path) -> Path:
    """Write an image of a line that takes a small part of ruled paper; return its path."""
    line = Image.open(LINE).convert("L")
    paper = Image.new("L", (800, 1000), 235)
    pen = ImageDraw.Draw(paper)
    for y in range(100, 1000, 80):
        pen.line((0, y, 800, y), fill=170, width=2)
    place = (100, 120, 100 + line.width, 120 + line.height)
    paper.paste(ImageChops.darker(line, paper.crop(place)), place)
    paper.save(path)
    return path


def played(pad: Pad) -> bytes:
    return b"".join(each["pixels"] for each in pad.sent if each["type"] == "columns")


def test_a_played_line_has_the_text_of_the_whole_image(running: Running, pad: Pad) -> None:
    pad.choose_speed("all")
    transfer(pad, LINE, "drop")
    expected = answer(running, LINE, "model=lines")
    expect(pad.page.locator("#image-text")).to_have_text(expected["text"])
    assert len(played(pad)) == 32 * expected["columns"]
    expect(pad.page.locator("#position")).to_have_text("100 %")


def test_an_image_of_a_digit_can_be_pasted(running: Running, pad: Pad) -> None:
    pad.read_as("A digit")
    transfer(pad, DIGIT, "paste")
    expect(pad.page.locator("#position")).to_have_text("100 %")
    label = answer(running, DIGIT, "model=digits")["label"]
    expect(pad.page.locator("#image-text")).to_have_text(label)


def test_a_word_that_came_as_a_digit_is_offered_as_text(running: Running, pad: Pad) -> None:
    pad.read_as("A digit")
    transfer(pad, LINE, "drop")
    label = answer(running, LINE, "model=digits")["label"]
    expect(pad.page.locator("#image-text")).to_have_text(label)
    pad.page.wait_for_timeout(300)
    expect(pad.page.locator("#text li")).to_have_count(0)
    pad.page.get_by_role("button", name="Read as text").click()
    text = answer(running, LINE, "model=lines")["text"]
    expect(pad.page.locator("#text li")).to_have_text(text)
    expect(pad.page.get_by_role("button", name="Read as text")).to_be_hidden()


def test_a_page_that_came_as_a_digit_is_offered_as_text(pad: Pad) -> None:
    pad.read_as("A digit")
    choose(pad, PAGE)
    pad.page.get_by_role("button", name="Read as text").click()
    expect(pad.page.locator("#page button").last).to_be_enabled()


def test_a_server_without_text_offers_none(browser: Browser, tmp_path: Path) -> None:
    with server(tmp_path, models="digits") as running:
        page = browser.new_page(service_workers="block")
        page.goto(address(running))
        page.get_by_role("button", name="Settings").click()
        page.locator("#reads").select_option("A digit")
        page.keyboard.press("Escape")
        page.locator("#file").set_input_files(LINE)
        expect(page.locator("#image-text")).not_to_have_text("")
        expect(page.locator("#looks-like-text")).to_be_hidden()
        expect(page.locator("#pages")).to_have_attribute("hidden", "")
        page.close()


def test_playing_can_be_paused_stepped_and_resumed(pad: Pad) -> None:
    pad.choose_speed("5")
    choose(pad, LINE)
    play, step = pad.page.locator("#play"), pad.page.locator("#step")
    expect(play).to_have_text("Pause")
    step.click()
    expect(play).to_have_text("Play")
    pad.page.wait_for_timeout(300)  # until the browser has reported what was sent
    before = len(played(pad))
    for number in range(1, 4):
        step.click()
        pad.page.wait_for_timeout(300)
        assert len(played(pad)) == before + 32 * number
    pad.page.locator("#speed").select_option("all")
    play.click()
    expect(play).to_have_text("Replay")
    expect(step).to_be_disabled()
    text = pad.page.locator("#image-text")
    expect(text).not_to_have_text("")
    pad.page.wait_for_timeout(300)
    first = text.inner_text()
    play.click()
    expect(play).to_have_text("Replay")
    expect(text).to_have_text(first)


def test_an_error_of_a_proxy_is_shown(pad: Pad) -> None:
    pad.page.route("**/v1/page/columns*", lambda route: route.fulfill(status=502, body="<html>"))
    choose(pad, LINE)
    explained(pad, "answer was 502", 502)


def test_writing_goes_on_beside_an_image(pad: Pad) -> None:
    pad.choose_speed("5")
    choose(pad, LINE)
    expect(pad.page.locator("#player")).to_be_visible()
    pad.write(*HELLO, scale=0.6)
    expect(pad.page.locator("#text li")).to_have_text("hello, world!")
    expect(pad.page.locator("#player")).to_be_visible()


def test_a_closed_image_is_not_played_on(pad: Pad) -> None:
    pad.choose_speed("20")
    choose(pad, LINE)
    expect(pad.page.locator("#position")).to_contain_text("%")
    pad.page.locator("#close-image").click()
    expect(pad.page.locator("#player")).to_be_hidden()
    pad.page.wait_for_timeout(300)
    n = len(played(pad))
    pad.page.wait_for_timeout(300)
    assert len(played(pad)) == n
    expect(pad.page.locator("#text li")).to_have_count(0)


def test_a_file_that_is_not_an_image_causes_an_error_and_keeps_the_line(
    written: Pad, tmp_path: Path
) -> None:
    before = written.text
    (tmp_path / "no.png").write_text("text")
    choose(written, tmp_path / "no.png")
    explained(written, "not an image", 415)
    assert written.text == before


def test_all_lines_of_a_page_enter_the_document(running: Running, pad: Pad) -> None:
    lines = answer(running, PAGE, "model=lines&page=true")["lines"]
    assert len(lines) > 3
    choose(pad, PAGE)
    expect(pad.page.locator("#text li")).to_have_text([line["text"] for line in lines])
    position = pad.page.locator("#position")
    expect(position).to_have_text(f"Line {len(lines)} of {len(lines)}, 100 %")
    assert len(played(pad)) == 32 * sum(line["columns"] for line in lines)
    pad.page.get_by_role("button", name="Undo").click()
    expect(pad.page.locator("#text li")).to_have_count(0)


def test_an_image_is_part_of_the_document_and_what_is_written_next_stands_below_it(
    pad: Pad, tmp_path: Path
) -> None:
    choose(pad, LINE)
    expect(pad.page.locator("#text li")).to_have_text("hello, world!")
    pad.page.locator("#close-image").click()
    pad.write(*HELLO, scale=0.6, row=1)
    pad.settle()
    assert pad.texts == ["hello, world!"] * 2
    pad.page.wait_for_timeout(300)  # until the browser has stored it
    pad.page.reload()
    row = {"x": 60, "y": 60, "width": 400, "height": 80}  # of the image, on the page
    expect(pad.page.locator("#text li")).to_have_text(pad.texts)
    pad.page.wait_for_timeout(500)  # until the image is decoded

    def dark_pixels() -> int:
        image = Image.open(io.BytesIO(pad.page.screenshot(clip=row)))  # type: ignore[arg-type]
        return int((np.asarray(image.convert("L")) < 100).sum())

    shown = dark_pixels()
    assert shown > 300
    pad.page.get_by_role("button", name="Export").click()
    with pad.page.expect_download() as download:
        pad.page.get_by_role("button", name="Drawing").click()
    download.value.save_as(tmp_path / "drawing.svg")
    assert (tmp_path / "drawing.svg").read_text().count("<image ") == 1
    with pad.page.expect_download() as download:
        pad.page.locator("#export").get_by_role("button", name="Image").click()
    download.value.save_as(tmp_path / "drawing.png")
    inked = np.asarray(Image.open(tmp_path / "drawing.png").convert("L")) < 128  # [h, w]
    rows = inked[32 : 32 + 4 * 96].reshape(2, 2 * 96, -1).sum((1, 2))
    assert rows.min() > 500  # of the image, and of the ink below it
    pad.page.keyboard.press("Escape")
    for _ in range(len(HELLO) + 1):
        pad.page.locator("#paper").press("Control+z")
    expect(pad.page.locator("#text li")).to_have_count(0)
    assert dark_pixels() < shown / 2  # the example of the empty page
    pad.page.locator("#paper").press("Control+y")
    expect(pad.page.locator("#text li")).to_have_text("hello, world!")
    assert dark_pixels() == pytest.approx(shown, rel=0.2)


def test_a_page_is_shown_with_a_box_around_each_line_which_shows_its_text(
    running: Running, pad: Pad
) -> None:
    page = answer(running, PAGE, "model=lines&page=true")
    choose(pad, PAGE)
    boxes = pad.page.locator("#page button")
    expect(boxes).to_have_count(len(page["lines"]))
    expect(boxes.last).to_be_enabled()
    second, canvas = boxes.nth(1).bounding_box(), pad.page.locator("#page canvas").bounding_box()
    assert second is not None
    assert canvas is not None
    x, y = zip(*page["lines"][1]["box"], strict=True)  # of its corners
    scale = canvas["width"] / page["width"]
    assert second["y"] - canvas["y"] == pytest.approx(scale * min(y), abs=1)
    assert second["width"] == pytest.approx(scale * (max(x) - min(x)), abs=1)
    boxes.nth(1).click()
    expect(pad.page.locator("#image-text")).to_have_text(page["lines"][1]["text"])
    expect(pad.page.locator("#position")).to_contain_text(f"Line 2 of {len(page['lines'])}")
    choose(pad, LINE)
    expect(pad.page.locator("#page")).to_be_hidden()


def test_a_line_that_takes_a_small_part_of_its_paper_is_read_as_a_page(
    running: Running, pad: Pad, tmp_path: Path
) -> None:
    paper = paper_with_a_line(tmp_path / "paper.png")
    (line,) = answer(running, paper, "model=lines&page=true")["lines"]
    pad.choose_speed("all")
    transfer(pad, paper, "drop")
    expect(pad.page.locator("#image-text")).to_have_text(line["text"])
    assert Levenshtein.distance(line["text"], "hello, world!") <= 1
    assert len(played(pad)) == 32 * line["columns"]


def test_a_page_is_played_at_once_and_a_line_at_a_speed_to_look_at(pad: Pad) -> None:
    speed = pad.page.locator("#speed")
    choose(pad, PAGE)
    expect(pad.page.locator("#text li").first).not_to_have_text("")
    expect(speed).to_have_value("all")
    choose(pad, LINE)
    expect(speed).to_have_value("60")


def test_an_image_that_the_server_cannot_read_is_explained(
    pad: Pad, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UnreadableError("internal")

    monkeypatch.setattr(BodyReader, "pages", fail)
    choose(pad, PAGE)
    explained(pad, "cannot read this image", 422)

"""What images show, and which way up pages stand."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.config import Kind
from inkstream.model.pages import find_page
from inkstream.model.pages.content import Content, content_of, kind_for
from inkstream.model.recognizer import Recognizer, load
from tests.helpers import builders
from tests.helpers.command_line import EXAMPLES, run_here
from tests.helpers.image_files import encoded

Grey = NDArray[np.uint8]
ON_ITS_SIDE = Image.Exif()
ON_ITS_SIDE[0x0112] = 6  # to be turned by a quarter


def example(name: str) -> Grey:
    with Image.open(EXAMPLES / name) as image:
        return np.asarray(image.convert("L"))


def sheet(image: Grey, height: int = 800, width: int = 900) -> Grey:
    """Return a large sheet of paper with an image on it, dark on light."""
    paper = np.full((height, width), 240, np.uint8)
    corner = paper[300 : 300 + image.shape[0], 200 : 200 + image.shape[1]]
    np.minimum(corner, image, out=corner)
    return paper


def on_a_desk(image: Grey) -> Grey:
    """Return a photograph of a sheet on a dark desk."""
    return np.pad(image, 150, constant_values=60)


IMAGES: dict[str, tuple[Callable[[], Grey], Content]] = {
    "page": (lambda: example("page.jpg"), "page"),
    "old page": (lambda: example("will.jpg"), "page"),
    "page on a desk": (lambda: on_a_desk(example("page.jpg")), "page"),
    "two lines": (lambda: np.concatenate([example("hello.png")] * 2), "page"),
    "line": (lambda: example("hello.png"), "line"),
    "line on a sheet": (lambda: sheet(example("hello.png")), "line"),
    "digit on a sheet": (
        lambda: sheet(np.kron(255 - example("7.png"), np.ones((5, 5), np.uint8))),
        "character",
    ),
    "blank sheet": (lambda: np.full((800, 600), 240, np.uint8), "page"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_a_page_a_line_or_a_character_by_what_it_shows(name: str) -> None:
    image, content = IMAGES[name]
    assert content_of(image()) == content


def test_digits_are_characters_at_any_size() -> None:
    digits = builders.excerpt(60).columns  # [n, H, H]
    for columns in digits:
        assert content_of(255 - columns.T) == "character"
    for columns in digits[:20]:
        assert content_of(np.kron(255 - columns.T, np.ones((5, 5), np.uint8))) == "character"


def test_a_low_image_is_a_line_however_short_its_word_and_never_a_page() -> None:
    line = Image.fromarray(example("hello.png"))
    height = 80
    line = line.resize((line.width * height // line.height, height))
    word = np.asarray(line)[:, :130]
    assert content_of(word) == "line"
    low = np.concatenate([np.asarray(line.resize((line.width // 2, height // 2)))] * 2)
    assert content_of(low) == "line"


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (encoded(Image.new("L", (10, 40)), "PNG"), "classifier"),
        (encoded(Image.new("L", (79, 40)), "PNG"), "classifier"),
        (encoded(Image.new("L", (80, 40)), "PNG"), "transcriber"),
        (encoded(Image.new("L", (40, 100)), "PNG", exif=ON_ITS_SIDE), "transcriber"),
        (b"text", "classifier"),
    ],
)
def test_the_shape_of_a_small_image_decides(image: bytes, kind: Kind) -> None:
    assert kind_for(content_of(image)) == kind


@pytest.fixture(scope="module")
def lines() -> Recognizer:
    return load("lines")


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_page_is_read_whichever_way_up_it_lies(lines: Recognizer, degrees: int) -> None:
    upright = lines.read_page(example("page.jpg"))
    turned = lines.read_page(np.rot90(example("page.jpg"), degrees // 90))
    assert turned.turned == degrees
    assert (turned.width, turned.height) == np.rot90(example("page.jpg"), degrees // 90).shape[::-1]
    assert len(turned.lines) == len(upright.lines)
    assert turned.lines[0].text == upright.lines[0].text
    (x, y), *_ = upright.lines[0].box  # its upper left corner, where the turned image has it
    width, height = upright.width, upright.height
    there = {0: (x, y), 90: (y, width - x), 180: (width - x, height - y), 270: (height - y, x)}
    assert turned.lines[0].box[0] == pytest.approx(there[degrees], abs=12)


def test_lines_that_run_down_are_found_without_reading_them() -> None:
    page = find_page(np.rot90(example("page.jpg")), 32)
    assert (page.turned, len(page.lines)) == (270, 6)


def test_a_blank_page_has_no_writing(tmp_path: Path) -> None:
    path = tmp_path / "blank.png"
    Image.new("L", (600, 800), 240).save(path)
    forms = [["--json", option] for option in ("--page", "--line")]
    of_kind = [["--model", name, "--line"] for name in ("digits", "lines")]
    for options in ([], ["--page"], *of_kind, ["--json"], *forms, ["--alto"]):
        done = run_here("recognize", path, *options)
        assert done.returncode == 0
        if "--json" in options:
            answer = json.loads(done.stdout)
            assert (answer["text"], "error" in answer) == ("", False)
        elif "--alto" not in options:
            assert "no writing found" in done.stderr


def test_the_command_line_may_be_told_what_an_image_shows() -> None:
    page = EXAMPLES / "page.jpg"
    assert run_here("recognize", page).stdout == run_here("recognize", page, "--page").stdout
    line = run_here("recognize", page, "--line")
    assert len(line.stdout.splitlines()) == 1
    assert "looks like a page" in line.stderr

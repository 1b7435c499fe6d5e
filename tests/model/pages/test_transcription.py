"""Pages as a Python program reads them."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inkstream.model.errors import InputError
from inkstream.model.pages.transcription import Page
from inkstream.model.recognizer import Recognizer, load
from tests.helpers.command_line import run_here
from tools.pages import encoded, page


@pytest.fixture(scope="module")
def lines() -> Recognizer:
    return load("lines")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.png"
    path.write_bytes(encoded(page(n_blocks=2, n_lines=3).image, "PNG"))
    return path


@pytest.fixture(scope="module")
def read(lines: Recognizer, path: Path) -> Page:
    return lines.read_page(path)


def test_a_page_has_text_lines_boxes_blocks_and_confidence(read: Page) -> None:
    assert [len(block) for block in read.blocks] == [3, 3]
    blocks = ["\n".join(line.text for line in block) for block in read.blocks]
    assert read.text == "\n\n".join(blocks)
    assert [line for block in read.blocks for line in block] == [*read.lines]
    for line in read.lines:
        assert all(0 <= x <= read.width and 0 <= y <= read.height for x, y in line.box)
    letters = [letter.confidence for line in read.lines for letter in line.letters]
    assert min(letters) < read.confidence < max(letters)
    assert Page(text="", width=1, height=1, lines=()).confidence == 0


def test_a_page_and_its_lines_are_shown_in_one_line(read: Page) -> None:
    for text in (repr(read), repr(read.lines[0])):
        assert len(text) < 120
        assert "\n" not in text
        assert read.lines[0].text[:5] in text


def test_the_command_line_and_a_program_read_the_same(read: Page, path: Path) -> None:
    fields = json.loads(run_here("recognize", path, "--page", "--json").stdout)
    assert fields == json.loads(json.dumps({"image": str(path)} | read.to_dict()))


@pytest.mark.parametrize("form", ["path", "bytes", "array"])
def test_a_page_is_read_from_all_that_images_are_read_from(
    lines: Recognizer, read: Page, path: Path, form: str
) -> None:
    image = page(n_blocks=2, n_lines=3).image
    source: Any = {"path": str(path), "bytes": path.read_bytes(), "array": image}[form]
    assert lines.read_page(source) == read


def test_an_image_is_a_document_of_one_page(lines: Recognizer, read: Page, path: Path) -> None:
    assert [*lines.read_document(path)] == [read]


def test_several_pages_are_a_document(lines: Recognizer, path: Path, tmp_path: Path) -> None:
    several = tmp_path / "several.tiff"
    with Image.open(path) as image:
        image.save(several, save_all=True, append_images=[image.copy()])
    with pytest.raises(InputError, match="2 pages came, expected one: `read_document` reads"):
        lines.read_page(several)
    assert len([*lines.read_document(several)]) == 2
    assert lines.recognize(several).hint == "this is the first of 2 pages: read_document reads all"


def test_a_model_for_single_characters_reads_no_page(path: Path) -> None:
    with pytest.raises(InputError, match="'digits' reads one character, and a page needs one"):
        load("digits").read_page(path)

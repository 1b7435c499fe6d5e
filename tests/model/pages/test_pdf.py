"""Searchable PDF: the scan as it was, and its text where it is written."""

from pathlib import Path
from typing import Final

import numpy as np
import pypdfium2 as pdfium
import pytest
from PIL import Image

from inkstream.model.pages.answers import Box, BoxedWord, ReadLine
from inkstream.model.pages.pdf import SearchablePdf
from inkstream.model.pages.transcription import Page
from inkstream.model.preprocess.pdf import drawn_page
from tests.helpers.documents import blank_pdf

WORDS: Final = {  # and their boxes, upright and askew
    "Grüße": ((100.0, 100.0), (300.0, 100.0), (300.0, 160.0), (100.0, 160.0)),
    "été,": ((340.0, 100.0), (480.0, 100.0), (480.0, 160.0), (340.0, 160.0)),
    "Straße": ((100.0, 300.0), (295.0, 330.0), (286.0, 389.0), (91.0, 359.0)),
    "»Łódź": ((330.0, 336.0), (500.0, 362.0), (491.0, 421.0), (321.0, 395.0)),
}


def word(text: str, box: Box) -> BoxedWord:
    return BoxedWord(box=box, start=0, end=9, confidence=0.9, text=text, alternatives=())


@pytest.fixture(scope="module")
def pdf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pdf")
    image = np.full((900, 600, 3), 250, np.uint8)
    image[110:150, 100:300] = (30, 60, 200)
    Image.fromarray(image).save(folder / "scan.png")
    words = [word(text, box) for text, box in WORDS.items()]
    lines = [
        ReadLine(
            text=" ".join(word.text for word in line),
            confidence=0.8,
            box=line[0].box,
            block=0,
            letters=(),
            words=tuple(line),
            columns=9,
        )
        for line in (words[:2], words[2:])
    ]
    page = Page(text="", width=600, height=900, lines=tuple(lines))
    document = SearchablePdf()
    for _ in range(2):
        document.add(folder / "scan.png", page)
    document.save(folder / "scan.pdf")
    return folder / "scan.pdf"


def test_the_text_of_each_page_is_that_which_was_read(pdf: Path) -> None:
    document = pdfium.PdfDocument(pdf)
    assert len(document) == 2
    for page in document:
        assert page.get_textpage().get_text_bounded().split() == [*WORDS]


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_a_page_that_lay_otherwise_is_turned_upright_and_keeps_its_size(
    tmp_path: Path, turned: int
) -> None:
    scan = drawn_page(blank_pdf((300, 500)), 0)
    box = 100.0, 100.0
    lines = (
        ReadLine(
            text="up", confidence=1, box=(box,) * 4, block=0, letters=(), columns=9,
            words=(word("up", WORDS["Grüße"]),),
        ),
    )  # fmt: skip
    page = Page(text="up", width=scan.width, height=scan.height, turned=turned, lines=lines)
    document = SearchablePdf()
    document.add(scan, page)
    document.save(tmp_path / "scan.pdf")
    (shown,) = pdfium.PdfDocument(tmp_path / "scan.pdf")
    assert shown.get_rotation() == turned  # clockwise
    assert shown.get_size() == pytest.approx((300, 500) if turned % 180 == 0 else (500, 300))
    assert shown.get_textpage().get_text_bounded().strip() == "up"


@pytest.mark.parametrize("text", [*WORDS, "Grüße été,"])
def test_words_are_found_where_they_are_written(pdf: Path, text: str) -> None:
    page = pdfium.PdfDocument(pdf)[1]
    scale = page.get_height() / 900
    textpage = page.get_textpage()
    first, n_found = textpage.search(text).get_next()
    boxes = [textpage.get_charbox(first + index, loose=True) for index in range(n_found)]
    corners = np.array([corner for word in text.split() for corner in WORDS[word]]) * scale
    left, bottom, right, top = (
        function(side)
        for function, side in zip((min, min, max, max), zip(*boxes, strict=True), strict=True)
    )
    (low_x, low_y), (high_x, high_y) = corners.min(0), corners.max(0)
    expected = low_x, 900 * scale - high_y, high_x, 900 * scale - low_y
    assert (left, bottom, right, top) == pytest.approx(expected, abs=3)  # points


def test_the_scan_is_shown_and_its_text_is_not(pdf: Path) -> None:
    shown = (
        pdfium.PdfDocument(pdf)[0]
        .render(scale=900 / 842)
        .to_pil()
        .convert("RGB")
        .resize((600, 900))
    )
    with Image.open(pdf.with_name("scan.png")) as scan:
        differences = np.abs(np.asarray(shown, int) - np.asarray(scan, int))
    assert differences.mean() < 2

"""hOCR, ALTO and PAGE XML as their standards require."""

import re
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as Tree

import pytest
import xmlschema

from inkstream.model import pages
from inkstream.model.errors import ImageSizeError
from inkstream.model.pages import Page as Layout
from inkstream.model.pages import find_page, formats
from inkstream.model.pages.answers import read_line
from inkstream.model.pages.transcription import Page, json_of, transcription
from inkstream.model.recognizer import load
from tools.pages import encoded, page

DATA: Final = Path(__file__).parents[2] / "data"
XHTML: Final = "{http://www.w3.org/1999/xhtml}"
ALTO: Final = f"{{{formats.ALTO}}}"
PAGE: Final = f"{{{formats.PAGE}}}"
NUMBERS: Final = r"\d+ \d+ \d+ \d+"
# Classes and their properties as hOCR 1.2 has them, by the pattern of `title`.
TITLES: Final = {
    "ocr_page": rf'(image "[^"]*"; )?bbox {NUMBERS}; ppageno \d+',
    "ocr_carea": f"bbox {NUMBERS}",
    "ocr_par": f"bbox {NUMBERS}",
    "ocr_line": rf"bbox {NUMBERS}; baseline -?\d+\.\d+ -?\d+\.\d+; x_wconf \d+",
    "ocrx_word": rf"bbox {NUMBERS}; x_wconf \d+",
    "ocrx_cinfo": rf"x_bboxes {NUMBERS}; x_conf \d+",
}
ORDER: Final = tuple(TITLES)


@pytest.fixture(scope="module")
def read() -> Page:
    return load("lines").read_page(page(n_blocks=2, n_lines=4).image)


@pytest.fixture(scope="module")
def schema() -> xmlschema.XMLSchema:
    locations = [("http://www.w3.org/1999/xlink", str(DATA / "xlink.xsd"))]
    return xmlschema.XMLSchema(str(DATA / "alto-4-2.xsd"), locations=locations, allow="local")


def test_json_that_is_made_line_by_line_is_that_of_the_whole_page(read: Page) -> None:
    assert len(read.lines) > 1
    page = Layout(read.width, read.height, [])
    for lines in read.lines, ():
        whole = read.model_copy(update={"lines": lines, "text": read.text if lines else ""})
        assert json_of(page, iter(lines)) == whole.model_dump_json()


def test_hocr_is_well_formed_and_has_the_classes_of_the_standard(read: Page) -> None:
    root = Tree.fromstring(read.to_hocr("a page.png"))
    assert root.tag == f"{XHTML}html"
    metas = {each.get("name"): each.get("content", "") for each in root.iter(f"{XHTML}meta")}
    assert metas["ocr-system"].startswith("inkstream ")
    marked = [each for each in root.iter() if each.get("class")]
    assert {each.get("class") for each in marked} == set(TITLES)
    assert set(TITLES) <= set(metas["ocr-capabilities"].split())
    for each in marked:
        assert re.fullmatch(TITLES[each.get("class", "")], each.get("title", "")), each.attrib
    names = [each.get("id") for each in marked if each.get("id")]
    assert len(names) == len(set(names))
    body = root.find(f"{XHTML}body")
    assert body is not None
    assert " ".join("".join(body.itertext()).split()) == " ".join(read.text.split())


def test_each_element_of_hocr_lies_in_the_one_around_it(read: Page) -> None:
    def check(element: Tree.Element, depth: int, around: list[int] | None) -> None:
        bounds = around
        if element.get("class"):
            assert ORDER.index(element.get("class", "")) == depth
            title = element.get("title", "")
            match = re.search(rf"bbox(?:es)? ({NUMBERS})", title)
            assert match is not None
            bounds = [int(number) for number in match.group(1).split()]
            assert bounds[0] < bounds[2]
            assert bounds[1] < bounds[3]
            if around is not None:
                assert around[0] - 1 <= bounds[0] <= bounds[2] <= around[2] + 1
            depth += 1
        for child in element:
            check(child, depth, bounds)

    body = Tree.fromstring(read.to_hocr()).find(f"{XHTML}body")
    assert body is not None
    check(body, 0, None)


@pytest.fixture(scope="module")
def page_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(DATA / "page-2019-07-15.xsd"), allow="local")


def test_alto_is_valid_by_its_schema(read: Page, schema: xmlschema.XMLSchema) -> None:
    empty = Page(text="", width=10, height=20, lines=())
    for text in (read.to_alto("a <page>.png"), empty.to_alto()):
        schema.validate(text)


def test_the_schema_refuses_invalid_alto(read: Page, schema: xmlschema.XMLSchema) -> None:
    text = read.to_alto()
    for wrong in (
        text.replace(" PHYSICAL_IMG_NR=", " PHYSICAL="),
        re.sub(r'GC="[^"]*"', 'GC="7"', text, count=1),
        text.replace("<TextLine", "<Line").replace("</TextLine", "</Line"),
    ):
        assert not schema.is_valid(wrong)


def test_alto_holds_every_line_word_and_letter(read: Page) -> None:
    root = Tree.fromstring(read.to_alto("page.png"))
    lines = list(root.iter(f"{ALTO}TextLine"))
    assert len(lines) == len(read.lines) == 8
    assert len(list(root.iter(f"{ALTO}TextBlock"))) == 2
    for element, line in zip(lines, read.lines, strict=True):
        words = element.findall(f"{ALTO}String")
        assert " ".join(word.get("CONTENT", "") for word in words) == line.text
        assert len(element.findall(f"{ALTO}SP")) == len(words) - 1
        for string, word in zip(words, line.words, strict=True):
            glyphs = [glyph.get("CONTENT") for glyph in string.findall(f"{ALTO}Glyph")]
            assert "".join(filter(None, glyphs)) == word.text
            assert float(string.get("WC", "")) == pytest.approx(word.confidence, abs=1e-4)
    names = [each.text for each in root.iter(f"{ALTO}fileName")]
    assert names == ["page.png"]


def test_page_xml_is_valid_by_its_schema(read: Page, page_schema: xmlschema.XMLSchema) -> None:
    empty = Page(text="", width=10, height=20, lines=())
    left_of_the_image = tuple((x - 999.0, y) for x, y in read.lines[0].box)
    line = read.lines[0].model_copy(update={"box": left_of_the_image})
    cut = read.model_copy(update={"lines": (line, *read.lines[1:])})
    for text in (read.to_page_xml("a <page>.png"), empty.to_page_xml(), cut.to_page_xml()):
        page_schema.validate(text)
    for wrong in (
        text.replace(" imageFilename=", " image="),
        re.sub(r'conf="[^"]*"', 'conf="7"', text, count=1),
        text.replace("<Word", "<Term").replace("</Word", "</Term"),
    ):
        assert not page_schema.is_valid(wrong)


def test_page_xml_holds_every_line_word_and_letter_in_reading_order(read: Page) -> None:
    def texts(element: Tree.Element) -> list[str]:
        path = f"{PAGE}TextEquiv/{PAGE}Unicode"
        return [each.text or "" for each in element.findall(path)]

    root = Tree.fromstring(read.to_page_xml("page.png"))
    regions = list(root.iter(f"{PAGE}TextRegion"))
    assert "\n\n".join(texts(region)[0] for region in regions) == read.text
    order = [each.get("regionRef") for each in root.iter(f"{PAGE}RegionRefIndexed")]
    assert order == [region.get("id") for region in regions]
    elements = list(root.iter(f"{PAGE}TextLine"))
    for element, line in zip(elements, read.lines, strict=True):
        (coords,) = element.findall(f"{PAGE}Coords")
        points = [tuple(map(int, point.split(","))) for point in coords.get("points", "").split()]
        assert points == [(round(x), round(y)) for x, y in line.box]
        assert texts(element) == [line.text]
        words = element.findall(f"{PAGE}Word")
        for word_element, word in zip(words, line.words, strict=True):
            assert texts(word_element) == [word.text, *(other.text for other in word.alternatives)]
            glyphs = word_element.findall(f"{PAGE}Glyph")
            assert "".join(texts(glyph)[0] for glyph in glyphs) == word.text
    (image,) = root.iter(f"{PAGE}Page")
    assert image.get("imageFilename") == "page.png"


def test_recognised_text_cannot_become_markup() -> None:
    name = '"><script>alert(1)</script>'
    nothing = Page(text="", width=1, height=1, lines=())
    for text in (nothing.to_hocr(name), nothing.to_alto(name), nothing.to_page_xml(name)):
        assert "<script" not in text
        Tree.fromstring(text)


def test_lines_on_which_nothing_was_read_are_left_out() -> None:
    page_with_text = page(n_lines=3)
    found = find_page(page_with_text.image, 32)
    unread = transcription(found, [read_line(line, "", ()) for line in found.lines])
    for text in (unread.to_alto(), unread.to_page_xml()):
        assert "TextLine" not in text
    assert 'ocr_line"' not in unread.to_hocr()
    assert unread.text == "\n\n"


def test_a_page_with_too_many_lines_or_columns_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_page(encoded(page(n_blocks=2, n_lines=4).image, "PNG"), 16)
    assert pages.bounded(found) is found
    for name, text in (
        ("MAX_LINES", "the page has 8 lines, allowed: up to 7"),
        ("MAX_COLUMNS", "columns in all lines, allowed: up to 7"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(pages, name, 7)
            with pytest.raises(ImageSizeError, match=text):
                pages.bounded(found)

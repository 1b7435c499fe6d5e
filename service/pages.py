"""Answers: letters and words, and pages with boxes, in JSON, hOCR 1.2 and ALTO 4.2, and drawn.

A box is four corners and not x, y, width and height: a page may be askew by up to 15 degrees, and
upright boxes around its lines would cover their neighbours. hOCR and ALTO have upright boxes; ALTO
has the corners of lines, words and letters besides.
hOCR: https://kba.github.io/hocr-spec/1.2/; ALTO: https://www.loc.gov/standards/alto/.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, zip_longest
from operator import itemgetter
from pathlib import Path
from typing import Final, Literal
from xml.etree import ElementTree as Tree

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from pydantic import Base64Bytes

from inkstream.model.errors import ImageError
from inkstream.model.pages import Page as Layout
from inkstream.model.pages import PageLine
from inkstream.model.preprocess.image import MAX_PIXELS, upright_size
from inkstream.service import installed_version
from inkstream.service.protocol import server_messages as events
from inkstream.service.protocol.client_messages import Message
from inkstream.service.protocol.errors import OverLimitError
from inkstream.service.protocol.server_messages import Character, Spelling

Corner = tuple[float, float]
Box = tuple[Corner, Corner, Corner, Corner]

MAX_LINES: Final = 256  # of a page: A4 holds 40, or two columns of as many
MAX_COLUMNS: Final = 3 << 14  # of all lines together: 50 of A4 in very small writing
DECIMALS: Final = 6  # of probabilities, as in the stream
PIXEL_DECIMALS: Final = 1


class Reading(Message):
    """A letter or a word on columns."""

    start: int
    """The first column."""
    end: int
    """The column after the last one."""
    confidence: float
    """The probability that it is right."""


class Letter(Reading):
    """A letter, a digit or a mark."""

    char: str
    mark: bool
    """Whether it is a mark: neither letter nor digit."""
    alternatives: tuple[Character, ...]
    """Other readings, the most probable first."""


class Word(Reading):
    """A word, with the marks that touch it."""

    text: str
    alternatives: tuple[Spelling, ...]
    """Other readings, the most probable first."""


class Boxed(Message):
    """Something on a page."""

    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""


class BoxedLetter(Boxed, Letter):
    """A letter, a digit or a mark, and where it is."""


class BoxedWord(Boxed, Word):
    """A word and where it is."""


class ReadLine(Message):
    """One line of a page."""

    text: str
    """Its text; "" if nothing was read."""
    confidence: float
    """The product of its words' confidences; 0 if there are none."""
    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""
    block: int
    """The number of its block of text, from 0."""
    letters: tuple[BoxedLetter, ...]
    """Its letters and marks."""
    words: tuple[BoxedWord, ...]
    """Its words."""
    columns: int
    """How many columns were read."""


class Page(Message):
    """The text of a page."""

    type: Literal["page"] = "page"
    text: str
    """Its lines, one below the other, with a blank line between blocks of text."""
    width: int
    """Pixels of the image, upright."""
    height: int
    """Pixels of the image, upright."""
    lines: tuple[ReadLine, ...]
    """In the order in which they are read."""


class LineColumns(Message):
    """One line of a page, before it is read."""

    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""
    block: int
    """The number of its block of text, from 0."""
    columns: Base64Bytes
    """Its columns in base64: once decoded, a binary message of a stream."""


class PageColumns(Message):
    """The lines of a page, before they are read."""

    width: int
    """Pixels of the image, upright."""
    height: int
    """Pixels of the image, upright."""
    column_height: int
    """Bytes of one column."""
    lines: tuple[LineColumns, ...]
    """In the order in which they are read."""


def bounded(page: Layout) -> Layout:
    """Return a page that does not take too long to read; raise `OverLimitError` for another one."""
    n_columns = sum(len(line.columns) for line in page.lines)
    for found, most, what in (
        (len(page.lines), MAX_LINES, "lines"),
        (n_columns, MAX_COLUMNS, "columns in all lines"),
    ):
        if found > most:
            raise OverLimitError(f"the page has {found} {what}, allowed: up to {most}")
    return page


def answer_of(event: events.Event) -> Letter | Word:
    """Return a letter or a word of a stream as answers have it."""
    if isinstance(event, events.Word):
        return Word(**dict(event))
    return Letter(**dict(event))


def read_line(line: PageLine, text: str, readings: Iterable[Letter | Word]) -> ReadLine:
    """Return one line of a page with its text, letters and words."""
    letters, words = [], []
    for each in readings:
        fields = dict(each) | {"box": corners(line.box_of(each.start, each.end))}
        if isinstance(each, Word):
            words.append(BoxedWord(**fields))
        else:
            letters.append(BoxedLetter(**fields))
    return ReadLine(
        text=text,
        confidence=round(math.prod(word.confidence for word in words), DECIMALS) if words else 0.0,
        box=corners(line.box),
        block=line.block,
        letters=tuple(letters),
        words=tuple(words),
        columns=len(line.columns),
    )


def transcription(page: Layout, lines: Sequence[ReadLine]) -> Page:
    """Return a page whose lines were read."""
    return Page(
        text=_text([(line.block, line.text) for line in lines]),
        width=page.width,
        height=page.height,
        lines=tuple(lines),
    )


def _text(lines: Iterable[tuple[int, str]]) -> str:
    """Return the text of a page of the blocks and texts of its lines."""
    blocks = groupby(lines, key=itemgetter(0))
    return "\n\n".join("\n".join(text for _, text in block) for _, block in blocks)


def json_of(page: Layout, lines: Iterable[ReadLine]) -> str:
    """Return what `transcription` does, as JSON; each line is needed only until the next comes."""
    texts, parts = [], []
    for line in lines:
        texts.append((line.block, line.text))
        parts.append(line.model_dump_json())
    empty = Page(text=_text(texts), width=page.width, height=page.height, lines=())
    return empty.model_dump_json().removesuffix("]}") + ",".join(parts) + "]}"


def columns_of(page: Layout, column_height: int) -> PageColumns:
    """Return the lines of a page as columns."""
    lines = tuple(
        LineColumns.model_construct(
            box=corners(line.box), block=line.block, columns=line.columns.tobytes()
        )
        for line in page.lines
    )
    return PageColumns(
        width=page.width, height=page.height, column_height=column_height, lines=lines
    )


def corners(box: NDArray[np.float64]) -> Box:
    """Return four corners [4, 2] as JSON has them."""
    one, two, three, four = (
        (round(x, PIXEL_DECIMALS), round(y, PIXEL_DECIMALS)) for x, y in box.tolist()
    )
    return one, two, three, four


# hOCR and ALTO: here too each line is needed only until the next comes

XHTML: Final = "http://www.w3.org/1999/xhtml"
ALTO: Final = "http://www.loc.gov/standards/alto/ns-v4#"
CAPABILITIES: Final = "ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrx_cinfo ocrp_wconf"
LINES_PLACEHOLDER: Final = "\0"  # in a block of ALTO, until its text is made; no file name has it
HOCR_TYPE: Final = "text/vnd.hocr+html; charset=utf-8"
ALTO_TYPE: Final = "application/xml; charset=utf-8"


def hocr(page: Layout | Page, lines: Iterable[ReadLine], name: str = "") -> str:
    """Return a page and its lines as hOCR, which is XHTML; `name` is that of the image."""
    root = Tree.Element("html", {"xmlns": XHTML, "lang": "und"})
    head = Tree.SubElement(root, "head")
    Tree.SubElement(head, "title").text = name or "page"
    Tree.SubElement(head, "meta", {"charset": "utf-8"})
    about = {"ocr-system": f"inkstream {installed_version()}", "ocr-capabilities": CAPABILITIES}
    for key, content in about.items():
        Tree.SubElement(head, "meta", {"name": key, "content": content})
    quoted = name.replace('"', "'").replace(";", ",")
    image = f'image "{quoted}"; ' if name else ""
    title = f"{image}bbox 0 0 {page.width} {page.height}; ppageno 0"
    whole = _hocr(Tree.SubElement(root, "body"), "div", "ocr_page", title, "page_1")
    for number, own in _blocks(lines):
        area = _hocr(whole, "div", "ocr_carea", "", f"block_1_{number}")
        paragraph = _hocr(area, "p", "ocr_par", "", f"par_1_{number}")
        boxes = []
        for place, line in own:
            _hocr_line(paragraph, line, place)
            boxes.append(line.box)
        for element in area, paragraph:
            element.set("title", f"bbox {_bbox(*boxes)}")
    return "<!DOCTYPE html>\n" + Tree.tostring(root, encoding="unicode") + "\n"


def _hocr_line(parent: Tree.Element, line: ReadLine, place: int) -> None:
    (right, right_low), (left, left_low) = line.box[2:]  # the writing's lower edge
    slope = (right_low - left_low) / (right - left) if right > left else 0.0
    x, _, _, bottom = _bounds(line.box)
    baseline = f"baseline {slope:.4f} {left_low - slope * (left - x) - bottom:.1f}"
    title = f"bbox {_bbox(line.box)}; {baseline}; x_wconf {line.confidence * 100:.0f}"
    own = _hocr(parent, "span", "ocr_line", title, f"line_1_{place}")
    for number, word in enumerate(line.words, 1):
        title = f"bbox {_bbox(word.box)}; x_wconf {word.confidence * 100:.0f}"
        marked = _hocr(own, "span", "ocrx_word", title, f"word_1_{place}_{number}")
        for letter in _letters(line, word):
            title = f"x_bboxes {_bbox(letter.box)}; x_conf {letter.confidence * 100:.0f}"
            _hocr(marked, "span", "ocrx_cinfo", title).text = letter.char
        marked.tail = " " if number < len(line.words) else None
    own.tail = "\n"


def _hocr(
    parent: Tree.Element, tag: str, kind: str, title: str, name: str | None = None
) -> Tree.Element:
    """Add an element of one of hOCR's classes, whose properties stand in its title."""
    own = {} if name is None else {"id": name}
    return Tree.SubElement(parent, tag, {"class": kind, **own, "title": title})


def alto(page: Layout | Page, lines: Iterable[ReadLine], name: str = "") -> str:
    """Return a page and its lines as ALTO; `name` is that of the image."""
    about = {
        "xmlns": ALTO,
        "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
        "xsi:schemaLocation": f"{ALTO} http://www.loc.gov/standards/alto/v4/alto-4-2.xsd",
        "SCHEMAVERSION": "4.2",
    }
    root = Tree.Element("alto", about)
    description = Tree.SubElement(root, "Description")
    Tree.SubElement(description, "MeasurementUnit").text = "pixel"
    if name:
        source = Tree.SubElement(description, "sourceImageInformation")
        Tree.SubElement(source, "fileName").text = name
    step = Tree.SubElement(description, "Processing", {"ID": "reading"})
    software = Tree.SubElement(step, "processingSoftware")
    Tree.SubElement(software, "softwareName").text = "inkstream"
    Tree.SubElement(software, "softwareVersion").text = installed_version()
    size = {"WIDTH": str(page.width), "HEIGHT": str(page.height)}
    sheet = Tree.SubElement(
        Tree.SubElement(root, "Layout"), "Page", {"ID": "page_1", "PHYSICAL_IMG_NR": "1", **size}
    )
    space = Tree.SubElement(sheet, "PrintSpace", {"HPOS": "0", "VPOS": "0", **size})
    blocks = []
    for number, own in _blocks(lines):
        block = Tree.SubElement(space, "TextBlock", {"ID": f"block_{number}"})
        block.text = LINES_PLACEHOLDER
        boxes, texts = [], []
        for place, line in own:
            texts.append(Tree.tostring(_alto_line(line, place), encoding="unicode"))
            boxes.append(line.box)
        block.attrib.update(_upright(*boxes))
        blocks.append("".join(texts))
    around = Tree.tostring(root, encoding="unicode").split(LINES_PLACEHOLDER)
    parts = chain.from_iterable(zip_longest(around, blocks, fillvalue=""))
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + "".join(parts) + "\n"


def _alto_line(line: ReadLine, place: int) -> Tree.Element:
    """Return a line; its elements take ten times the memory of their text."""
    low = f"{_point(line.box[3])} {_point(line.box[2])}"
    attributes = {"ID": f"line_{place}", "BASELINE": low}
    own = _alto(Tree.Element("lines"), "TextLine", line.box, attributes)
    for number, word in enumerate(line.words, 1):
        if number > 1:
            Tree.SubElement(own, "SP")
        content = {"CONTENT": word.text, "WC": f"{word.confidence:.4f}"}
        string = _alto(own, "String", word.box, {"ID": f"word_{place}_{number}", **content})
        for spelling in word.alternatives:
            Tree.SubElement(string, "ALTERNATIVE").text = spelling.text
        for letter in _letters(line, word):
            content = {"CONTENT": letter.char, "GC": f"{letter.confidence:.4f}"}
            glyph = _alto(string, "Glyph", letter.box, content)
            for other in letter.alternatives:
                Tree.SubElement(glyph, "Variant", {"CONTENT": other.char, "VC": f"{other.p:.4f}"})
    return own


def _alto(parent: Tree.Element, tag: str, box: Box, attributes: dict[str, str]) -> Tree.Element:
    """Add an element with its upright box as attributes and its corners as a shape."""
    own = Tree.SubElement(parent, tag, attributes | _upright(box))
    points = " ".join(map(_point, box))
    Tree.SubElement(Tree.SubElement(own, "Shape"), "Polygon", {"POINTS": points})
    return own


def _blocks(lines: Iterable[ReadLine]) -> Iterator[tuple[int, Iterator[tuple[int, ReadLine]]]]:
    """Yield blocks of the lines on which something was read, all numbered from 1."""
    read = ((place, line) for place, line in enumerate(lines, 1) if line.words)
    grouped = groupby(read, key=lambda numbered: numbered[1].block)
    for number, (_, own) in enumerate(grouped, 1):
        yield number, own


def _letters(line: ReadLine, word: BoxedWord) -> Iterator[BoxedLetter]:
    """Yield the letters and marks of a word."""
    return (each for each in line.letters if word.start <= each.start and each.end <= word.end)


def _point(corner: Corner) -> str:
    return f"{corner[0]:.1f},{corner[1]:.1f}"


def _upright(*boxes: Box) -> dict[str, str]:
    """Return the attributes of the upright box around boxes."""
    left, top, right, bottom = _bounds(*boxes)
    sides = {"HPOS": left, "VPOS": top, "WIDTH": right - left, "HEIGHT": bottom - top}
    return {name: str(pixels) for name, pixels in sides.items()}


def _bbox(*boxes: Box) -> str:
    """Return the upright box around boxes as hOCR has it."""
    return " ".join(map(str, _bounds(*boxes)))


def _bounds(*boxes: Box) -> list[int]:
    """Return left, top, right and bottom of the upright box around boxes, in whole pixels."""
    x, y = zip(*(corner for box in boxes for corner in box), strict=True)
    sides = math.floor(min(x)), math.floor(min(y)), math.ceil(max(x)), math.ceil(max(y))
    return [max(0, side) for side in sides]


# Drawing

LINE_COLOUR: Final = (37, 99, 235)
SURE_COLOUR: Final = (5, 150, 105)  # of a word that is probably right
UNSURE_COLOUR: Final = (220, 38, 38)
MIN_SURE_CONFIDENCE: Final = 0.5  # of a word's confidence
TEXT_SHARE: Final = 0.4  # of a line's height
MIN_TEXT_PIXELS: Final = 9


def draw(source: Path, page: Page, path: Path) -> None:
    """Draw boxes around the lines and words of a page, with their text, and write it to `path`.

    Raises `ImageError` if the image cannot be read, or `path` names no format of images.
    """
    width, height = upright_size(source)
    if width * height > MAX_PIXELS:
        raise ImageError(f"image is {width} x {height} pixels, {MAX_PIXELS} at most can be drawn")
    with Image.open(source) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    pen = ImageDraw.Draw(image)
    for line in page.lines:
        pen.polygon(line.box, outline=LINE_COLOUR)
        line_height = abs(line.box[3][1] - line.box[0][1])
        size = max(MIN_TEXT_PIXELS, round(TEXT_SHARE * line_height))
        font = ImageFont.load_default(size)
        for word in line.words:
            colour = SURE_COLOUR if word.confidence >= MIN_SURE_CONFIDENCE else UNSURE_COLOUR
            pen.polygon(word.box, outline=colour)
            pen.text(word.box[0], word.text, fill=colour, font=font, anchor="ls")
    try:
        image.save(path)
    except (ValueError, KeyError) as error:  # Pillow's for an ending that it does not know
        raise ImageError(f"{path} names no format of images: {error}") from error

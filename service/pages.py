"""Pages as answers: the text of lines with boxes, in JSON, hOCR 1.2 and ALTO 4.2, and drawn.

A box is four corners and not x, y, width and height: a page may be askew by up to 15 degrees, and
upright boxes around its lines would cover their neighbours. hOCR and ALTO have upright boxes; ALTO
has the corners of lines, words and letters besides.
hOCR: https://kba.github.io/hocr-spec/1.2/; ALTO: https://www.loc.gov/standards/alto/.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as Tree

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from pydantic import Base64Bytes

from inkstream.model.errors import ImageError
from inkstream.model.pages.page import Page, PageLine
from inkstream.model.preprocess.image import MAX_PIXELS, upright_size
from inkstream.service import installed_version
from inkstream.service.protocol.client_messages import Message
from inkstream.service.protocol.events import Event, Letter, Punctuation, Word

Corner = tuple[float, float]
Box = tuple[Corner, Corner, Corner, Corner]

DECIMALS: Final = 6  # of probabilities, as in the stream
PIXEL_DECIMALS: Final = 1


class BoxedLetter(Letter):
    """A letter and where it is."""

    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""


class BoxedMark(Punctuation):
    """A mark and where it is."""

    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""


class BoxedWord(Word):
    """A word and where it is."""

    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""


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
    letters: tuple[BoxedLetter | BoxedMark, ...]
    """Its letters and marks."""
    words: tuple[BoxedWord, ...]
    """Its words."""
    columns: int
    """How many columns were read."""


class PageTranscription(Message):
    """The text of a page."""

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


def read_line(line: PageLine, text: str, events: Sequence[Event]) -> ReadLine:
    """Return one line of a page with its text and events."""
    words = [event for event in events if isinstance(event, Word)]
    letters = [event for event in events if not isinstance(event, Word)]
    return ReadLine(
        text=text,
        confidence=round(math.prod(word.confidence for word in words), DECIMALS) if words else 0.0,
        box=corners(line.box),
        block=line.block,
        letters=tuple(_boxed_letter(line, letter) for letter in letters),
        words=tuple(BoxedWord(**_fields(word), box=_box(line, word)) for word in words),
        columns=len(line.columns),
    )


def transcription(page: Page, lines: Sequence[ReadLine]) -> PageTranscription:
    """Return a page whose lines were read."""
    text = ""
    for place, line in enumerate(lines):
        if place:
            text += "\n" if line.block == lines[place - 1].block else "\n\n"
        text += line.text
    return PageTranscription(text=text, width=page.width, height=page.height, lines=tuple(lines))


def columns_of(page: Page, column_height: int) -> PageColumns:
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


def _boxed_letter(line: PageLine, letter: Letter | Punctuation) -> BoxedLetter | BoxedMark:
    kind = BoxedMark if isinstance(letter, Punctuation) else BoxedLetter
    return kind(**_fields(letter), box=_box(line, letter))


def _box(line: PageLine, event: Event) -> Box:
    return corners(line.box_of(event.start, event.end))


def _fields(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in type(event).model_fields}


# hOCR and ALTO

XHTML: Final = "http://www.w3.org/1999/xhtml"
ALTO: Final = "http://www.loc.gov/standards/alto/ns-v4#"
XLINK: Final = "http://www.w3.org/1999/xlink"
ALTO_VERSION: Final = "4.2"
SCHEMA_PLACE: Final = f"{ALTO} http://www.loc.gov/standards/alto/v4/alto-4-2.xsd"
INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"
CAPABILITIES: Final = "ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrx_cinfo ocrp_wconf"
HOCR_TYPE: Final = "text/vnd.hocr+html; charset=utf-8"
ALTO_TYPE: Final = "application/xml; charset=utf-8"
DOCTYPE: Final = "<!DOCTYPE html>\n"
DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
LONGEST_VARIANT: Final = 3  # characters, by ALTO's schema


def hocr(page: PageTranscription, name: str = "") -> str:
    """Return a page as hOCR, which is XHTML; `name` is that of the image."""
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
    whole = _marked(Tree.SubElement(root, "body"), "div", "ocr_page", "page_1", title)
    for number, lines in _blocks(page):
        bounds = f"bbox {_spelt(_bounds(*(line.box for _, line in lines)))}"
        area = _marked(whole, "div", "ocr_carea", f"block_1_{number}", bounds)
        paragraph = _marked(area, "p", "ocr_par", f"par_1_{number}", bounds)
        for place, line in lines:
            _hocr_line(paragraph, line, place)
    return DOCTYPE + Tree.tostring(root, encoding="unicode") + "\n"


def _hocr_line(parent: Tree.Element, line: ReadLine, place: int) -> None:
    slope = _slope(line.box)
    left, _, _, bottom = _bounds(line.box)
    (_, low) = line.box[3]  # the writing's lower left
    baseline = f"baseline {slope:.4f} {low - slope * (line.box[3][0] - left) - bottom:.1f}"
    title = f"bbox {_spelt(_bounds(line.box))}; {baseline}; x_wconf {_percent(line.confidence)}"
    own = _marked(parent, "span", "ocr_line", f"line_1_{place}", title)
    for number, word in enumerate(line.words, 1):
        title = f"bbox {_spelt(_bounds(word.box))}; x_wconf {_percent(word.confidence)}"
        marked = _marked(own, "span", "ocrx_word", f"word_1_{place}_{number}", title)
        for letter in _letters(line, word):
            title = f"x_bboxes {_spelt(_bounds(letter.box))}; x_conf {_percent(letter.confidence)}"
            Tree.SubElement(
                marked, "span", {"class": "ocrx_cinfo", "title": title}
            ).text = letter.char
        marked.tail = " " if number < len(line.words) else None
    own.tail = "\n"


def alto(page: PageTranscription, name: str = "") -> str:
    """Return a page as ALTO; `name` is that of the image."""
    root = Tree.Element(
        "alto",
        {
            "xmlns": ALTO,
            "xmlns:xsi": INSTANCE,
            "xsi:schemaLocation": SCHEMA_PLACE,
            "SCHEMAVERSION": ALTO_VERSION,
        },
    )
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
    for number, lines in _blocks(page):
        boxes = [line.box for _, line in lines]
        block = Tree.SubElement(space, "TextBlock", {"ID": f"block_{number}", **_place(*boxes)})
        for place, line in lines:
            _alto_line(block, line, place)
    return DECLARATION + Tree.tostring(root, encoding="unicode") + "\n"


def _alto_line(parent: Tree.Element, line: ReadLine, place: int) -> None:
    low = f"{_point(line.box[3])} {_point(line.box[2])}"
    own = Tree.SubElement(
        parent, "TextLine", {"ID": f"line_{place}", "BASELINE": low, **_place(line.box)}
    )
    _shape(own, line.box)
    for number, word in enumerate(line.words, 1):
        if number > 1:
            Tree.SubElement(own, "SP")
        string = Tree.SubElement(
            own,
            "String",
            {
                "ID": f"word_{place}_{number}",
                "CONTENT": word.text,
                "WC": f"{word.confidence:.4f}",
                **_place(word.box),
            },
        )
        _shape(string, word.box)
        for other in word.alternatives:
            Tree.SubElement(string, "ALTERNATIVE").text = other.text
        for letter in _letters(line, word):
            _glyph(string, letter)


def _glyph(parent: Tree.Element, letter: BoxedLetter | BoxedMark) -> None:
    content = {"CONTENT": letter.char, "GC": f"{letter.confidence:.4f}"}
    glyph = Tree.SubElement(parent, "Glyph", content | _place(letter.box))
    _shape(glyph, letter.box)
    for other in letter.alternatives:
        Tree.SubElement(glyph, "Variant", {"CONTENT": other.char, "VC": f"{other.p:.4f}"})


def _blocks(page: PageTranscription) -> Iterator[tuple[int, list[tuple[int, ReadLine]]]]:
    """Yield blocks of the lines on which something was read, all numbered from 1."""
    read = [(place, line) for place, line in enumerate(page.lines, 1) if line.words]
    grouped = groupby(read, key=lambda numbered: numbered[1].block)
    for number, (_, lines) in enumerate(grouped, 1):
        yield number, list(lines)


def _letters(line: ReadLine, word: BoxedWord) -> Iterator[BoxedLetter | BoxedMark]:
    """Yield the letters and marks of a word."""
    return (each for each in line.letters if word.start <= each.start and each.end <= word.end)


def _marked(parent: Tree.Element, tag: str, kind: str, name: str, title: str) -> Tree.Element:
    return Tree.SubElement(parent, tag, {"class": kind, "id": name, "title": title})


def _shape(parent: Tree.Element, box: Box) -> None:
    points = " ".join(map(_point, box))
    Tree.SubElement(Tree.SubElement(parent, "Shape"), "Polygon", {"POINTS": points})


def _point(corner: tuple[float, float]) -> str:
    return f"{corner[0]:.1f},{corner[1]:.1f}"


def _place(*boxes: Box) -> dict[str, str]:
    """Return the attributes of the upright box around boxes."""
    left, top, right, bottom = _bounds(*boxes)
    return {
        "HPOS": str(left),
        "VPOS": str(top),
        "WIDTH": str(right - left),
        "HEIGHT": str(bottom - top),
    }


def _bounds(*boxes: Box) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the upright box around boxes, in whole pixels."""
    x, y = zip(*(corner for box in boxes for corner in box), strict=True)
    return (
        max(0, math.floor(min(x))),
        max(0, math.floor(min(y))),
        max(0, math.ceil(max(x))),
        max(0, math.ceil(max(y))),
    )


def _spelt(numbers: tuple[int, ...]) -> str:
    return " ".join(map(str, numbers))


def _percent(share: float) -> int:
    return round(100 * share)


def _slope(box: Box) -> float:
    """Return how far a line descends for each pixel to the right."""
    (left, high), (right, low) = box[3], box[2]
    return (low - high) / (right - left) if right > left else 0.0


# Drawing

LINE_COLOUR: Final = (37, 99, 235)
SURE_COLOUR: Final = (5, 150, 105)  # of a word that is probably right
UNSURE_COLOUR: Final = (220, 38, 38)
SURE_FROM: Final = 0.5  # of a word's confidence
TEXT_SHARE: Final = 0.4  # of a line's height
LEAST_TEXT: Final = 9  # pixels


def draw(source: Path, page: PageTranscription, path: Path) -> None:
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
        size = max(LEAST_TEXT, round(TEXT_SHARE * line_height))
        font = ImageFont.load_default(size)
        for word in line.words:
            colour = SURE_COLOUR if word.confidence >= SURE_FROM else UNSURE_COLOUR
            pen.polygon(word.box, outline=colour)
            pen.text(word.box[0], word.text, fill=colour, font=font, anchor="ls")
    try:
        image.save(path)
    except (ValueError, KeyError) as error:  # Pillow's for an ending that it does not know
        raise ImageError(f"{path} names no format of images: {error}") from error

"""Answers: letters and words, and pages with boxes, in JSON, hOCR 1.2 and ALTO 4.2, and drawn.

A box is four corners and not x, y, width and height: a page may be askew by up to 15 degrees, and
upright boxes around its lines would cover their neighbours. hOCR and ALTO have upright boxes; ALTO
has the corners of lines, words and letters besides.
hOCR: https://kba.github.io/hocr-spec/1.2/; ALTO: https://www.loc.gov/standards/alto/.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, Literal
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont, ImageOps
from pydantic import Base64Bytes

from inkstream.model.errors import ImageError
from inkstream.model.pages import Page as Layout
from inkstream.model.pages import PageLine
from inkstream.model.preprocess.image import DECODING_ERRORS, ImageSource, opened
from inkstream.model.preprocess.metadata import ORIENTATION
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


class LineColumns(Boxed):
    """One line of a page, before it is read."""

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
    n_lines, n_columns = len(page.lines), sum(len(line.columns) for line in page.lines)
    if n_lines > MAX_LINES:
        raise OverLimitError(f"the page has {n_lines} lines, allowed: up to {MAX_LINES}")
    if n_columns > MAX_COLUMNS:
        text = f"{n_columns} columns in all lines, allowed: up to {MAX_COLUMNS}"
        raise OverLimitError(f"the page has {text}")
    return page


def answer_of(event: events.Event) -> Letter | Word:
    """Return a letter or a word of a stream as answers have it."""
    if isinstance(event, events.Word):
        return Word(**dict(event))
    return Letter(**dict(event))


def read_line(line: PageLine, text: str, readings: Iterable[Letter | Word]) -> ReadLine:
    """Return one line of a page with its text, letters and words."""
    letters, words = [], []
    for reading in readings:
        fields = dict(reading) | {"box": corners(line.box_of(reading.start, reading.end))}
        if isinstance(reading, Word):
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
    text = _text((line.block, line.text) for line in lines)
    return Page(text=text, width=page.width, height=page.height, lines=tuple(lines))


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
    one, two, three, four = ((round(x, 1), round(y, 1)) for x, y in box.tolist())
    return one, two, three, four


# hOCR and ALTO: a line's objects take ten times the memory of their XML, so each line becomes XML
# before the next comes

IN_ATTRIBUTES: Final = {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#09;"}  # escaped too
ALTO: Final = "http://www.loc.gov/standards/alto/ns-v4#"


def _element(tag: str, /, *content: str, **attributes: str) -> str:
    """Return an element as XML; `content` is the XML inside it."""
    values = {name: escape(value, IN_ATTRIBUTES) for name, value in attributes.items()}
    start = f"<{tag}" + "".join(f' {name}="{value}"' for name, value in values.items())
    inside = "".join(content)
    return f"{start}>{inside}</{tag}>" if inside else f"{start} />"


def _blocks(
    lines: Iterable[ReadLine], xml_of: Callable[[ReadLine, int], str]
) -> Iterator[tuple[int, list[Box], str]]:
    """Yield the blocks of the lines on which something was read: number, boxes and XML of lines.

    Blocks and lines are numbered from 1; `xml_of` gets each line with its number.
    """
    numbered_lines = ((number, line) for number, line in enumerate(lines, 1) if line.words)
    blocks = groupby(numbered_lines, key=lambda numbered: numbered[1].block)
    for block_number, (_, block_lines) in enumerate(blocks, 1):
        boxes, texts = [], []
        for line_number, line in block_lines:
            boxes.append(line.box)
            texts.append(xml_of(line, line_number))
        yield block_number, boxes, "".join(texts)


def _letters(line: ReadLine, word: BoxedWord) -> Iterator[BoxedLetter]:
    """Yield the letters and marks of a word."""
    return (
        letter for letter in line.letters if word.start <= letter.start and letter.end <= word.end
    )


def _bounds(*boxes: Box) -> list[int]:
    """Return left, top, right and bottom of the upright box around boxes, in whole pixels."""
    x, y = zip(*(corner for box in boxes for corner in box), strict=True)
    sides = math.floor(min(x)), math.floor(min(y)), math.ceil(max(x)), math.ceil(max(y))
    return [max(0, side) for side in sides]


def hocr(page: Layout | Page, lines: Iterable[ReadLine], name: str = "") -> str:
    """Return a page and its lines as hOCR, which is XHTML; `name` is that of the image."""
    about = {
        "ocr-system": f"inkstream {installed_version()}",
        "ocr-capabilities": "ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrx_cinfo ocrp_wconf",
    }
    metas = [_element("meta", name=key, content=content) for key, content in about.items()]
    title = _element("title", escape(name or "page"))
    head = _element("head", title, _element("meta", charset="utf-8"), *metas)
    areas = []
    for number, boxes, xml in _blocks(lines, _hocr_line):
        bbox = f"bbox {_bbox(*boxes)}"
        paragraph = _hocr("p", "ocr_par", bbox, xml, id=f"par_1_{number}")
        areas.append(_hocr("div", "ocr_carea", bbox, paragraph, id=f"block_1_{number}"))
    quoted = name.replace('"', "'").replace(";", ",")
    image = f'image "{quoted}"; ' if name else ""
    properties = f"{image}bbox 0 0 {page.width} {page.height}; ppageno 0"
    body = _element("body", _hocr("div", "ocr_page", properties, *areas, id="page_1"))
    root = _element("html", head, body, xmlns="http://www.w3.org/1999/xhtml", lang="und")
    return f"<!DOCTYPE html>\n{root}\n"


def _hocr_line(line: ReadLine, line_number: int) -> str:
    words = []
    for number, word in enumerate(line.words, 1):
        letters = []
        for letter in _letters(line, word):
            properties = f"x_bboxes {_bbox(letter.box)}; x_conf {letter.confidence * 100:.0f}"
            letters.append(_hocr("span", "ocrx_cinfo", properties, escape(letter.char)))
        properties = f"bbox {_bbox(word.box)}; x_wconf {word.confidence * 100:.0f}"
        name = f"word_1_{line_number}_{number}"
        words.append(_hocr("span", "ocrx_word", properties, *letters, id=name))
    (right, right_low), (left, left_low) = line.box[2:]  # the writing's lower edge
    slope = (right_low - left_low) / (right - left) if right > left else 0.0
    x, _, _, bottom = _bounds(line.box)
    baseline = f"baseline {slope:.4f} {left_low - slope * (left - x) - bottom:.1f}"
    properties = f"bbox {_bbox(line.box)}; {baseline}; x_wconf {line.confidence * 100:.0f}"
    return _hocr("span", "ocr_line", properties, " ".join(words), id=f"line_1_{line_number}") + "\n"


def _hocr(tag: str, kind: str, properties: str, *content: str, **attributes: str) -> str:
    """Return an element of one of hOCR's classes, whose properties stand in its title."""
    return _element(tag, *content, **{"class": kind}, **attributes, title=properties)


def _bbox(*boxes: Box) -> str:
    """Return the upright box around boxes as hOCR has it."""
    return " ".join(map(str, _bounds(*boxes)))


def alto(page: Layout | Page, lines: Iterable[ReadLine], name: str = "") -> str:
    """Return a page and its lines as ALTO; `name` is that of the image."""
    unit = _element("MeasurementUnit", "pixel")
    image = _element("sourceImageInformation", _element("fileName", escape(name))) if name else ""
    program = _element("softwareName", "inkstream")
    version = _element("softwareVersion", installed_version())
    software = _element("processingSoftware", program, version)
    step = _element("Processing", software, ID="reading")
    xml = "".join(
        _element("TextBlock", block_xml, ID=f"block_{number}", **_upright(*boxes))
        for number, boxes, block_xml in _blocks(lines, _alto_line)
    )
    size = {"WIDTH": str(page.width), "HEIGHT": str(page.height)}
    xml = _element("PrintSpace", xml, HPOS="0", VPOS="0", **size)
    xml = _element("Page", xml, ID="page_1", PHYSICAL_IMG_NR="1", **size)
    xml = _element("Layout", xml)
    about = {
        "xmlns": ALTO,
        "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
        "xsi:schemaLocation": f"{ALTO} http://www.loc.gov/standards/alto/v4/alto-4-2.xsd",
        "SCHEMAVERSION": "4.2",
    }
    xml = _element("alto", _element("Description", unit, image, step), xml, **about)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}\n'


def _alto_line(line: ReadLine, line_number: int) -> str:
    strings = []
    for number, word in enumerate(line.words, 1):
        parts = [_element("ALTERNATIVE", escape(other.text)) for other in word.alternatives]
        for letter in _letters(line, word):
            others = [
                _element("Variant", CONTENT=other.char, VC=f"{other.p:.4f}")
                for other in letter.alternatives
            ]
            content = {"CONTENT": letter.char, "GC": f"{letter.confidence:.4f}"}
            parts.append(_alto("Glyph", letter.box, *others, **content))
        content = {"CONTENT": word.text, "WC": f"{word.confidence:.4f}"}
        name = f"word_{line_number}_{number}"
        strings.append(_alto("String", word.box, *parts, ID=name, **content))
    content = {"ID": f"line_{line_number}"}
    content["BASELINE"] = f"{_point(line.box[3])} {_point(line.box[2])}"
    return _alto("TextLine", line.box, _element("SP").join(strings), **content)


def _alto(tag: str, box: Box, *content: str, **attributes: str) -> str:
    """Return an element with its upright box as attributes and its corners as a shape."""
    polygon = _element("Polygon", POINTS=" ".join(map(_point, box)))
    return _element(tag, _element("Shape", polygon), *content, **attributes, **_upright(box))


def _point(corner: Corner) -> str:
    return f"{corner[0]:.1f},{corner[1]:.1f}"


def _upright(*boxes: Box) -> dict[str, str]:
    """Return the attributes of the upright box around boxes."""
    left, top, right, bottom = _bounds(*boxes)
    sides = {"HPOS": left, "VPOS": top, "WIDTH": right - left, "HEIGHT": bottom - top}
    return {name: str(pixels) for name, pixels in sides.items()}


def draw(source: ImageSource, page: Page, path: Path) -> None:
    """Draw boxes around the lines and words of a page, with their text, and write it to `path`.

    Raises `ImageError` if the image cannot be read, or `path` names no format of images.
    """
    opened_image, orientation = opened(source)
    opened_image.getexif()[ORIENTATION] = orientation  # which was taken out of the file
    try:
        image = ImageOps.exif_transpose(opened_image).convert("RGB")
    except DECODING_ERRORS as error:
        raise ImageError(f"image is damaged: {error}") from error
    blue, green, red = (37, 99, 235), (5, 150, 105), (220, 38, 38)
    pen = ImageDraw.Draw(image)
    for line in page.lines:
        pen.polygon(line.box, outline=blue)
        font = ImageFont.load_default(max(9, round(0.4 * abs(line.box[3][1] - line.box[0][1]))))
        for word in line.words:
            colour = green if word.confidence >= 0.5 else red  # whether it is probably right
            pen.polygon(word.box, outline=colour)
            pen.text(word.box[0], word.text, fill=colour, font=font, anchor="ls")
    try:
        image.save(path)
    except (ValueError, KeyError) as error:  # Pillow's for an ending that it does not know
        raise ImageError(f"{path} names no format of images: {error}") from error

"""Pages as hOCR 1.2, ALTO 4.2 and PAGE XML of 2019-07-15.

hOCR has upright boxes, PAGE XML the corners of lines, words and letters, ALTO both. hOCR:
https://kba.github.io/hocr-spec/1.2/; ALTO: https://www.loc.gov/standards/alto/; PAGE XML:
https://github.com/PRImA-Research-Lab/PAGE-XML.

A line's objects take ten times the memory of their XML, so each line becomes XML before the next
comes.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from inkstream.model import installed_version
from inkstream.model.pages.answers import Box, BoxedLetter, BoxedWord, Corner, ReadLine

if TYPE_CHECKING:
    from inkstream.model.pages import Page as Layout
    from inkstream.model.pages.transcription import Page

IN_ATTRIBUTES: Final = {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#09;"}  # escaped too
ALTO: Final = "http://www.loc.gov/standards/alto/ns-v4#"
PAGE: Final = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
SCHEMA_INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"


def _element(tag: str, /, *content: str, **attributes: str) -> str:
    """Return an element as XML; `content` is the XML inside it."""
    values = {name: escape(value, IN_ATTRIBUTES) for name, value in attributes.items()}
    start = f"<{tag}" + "".join(f' {name}="{value}"' for name, value in values.items())
    inside = "".join(content)
    return f"{start}>{inside}</{tag}>" if inside else f"{start} />"


def _blocks(
    lines: Iterable[ReadLine], xml_of: Callable[[ReadLine, int], str]
) -> Iterator[tuple[int, list[Box], str, str]]:
    """Yield the blocks of lines with writing: number, boxes of lines, their text and their XML.

    Blocks and lines are numbered from 1; `xml_of` gets each line with its number.
    """
    numbered_lines = ((number, line) for number, line in enumerate(lines, 1) if line.words)
    blocks = groupby(numbered_lines, key=lambda numbered: numbered[1].block)
    for block_number, (_, block_lines) in enumerate(blocks, 1):
        boxes, texts, xml = [], [], []
        for line_number, line in block_lines:
            boxes.append(line.box)
            texts.append(line.text)
            xml.append(xml_of(line, line_number))
        yield block_number, boxes, "\n".join(texts), "".join(xml)


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


def hocr(page: "Layout | Page", lines: Iterable[ReadLine], name: str = "") -> str:
    """Return a page and its lines as hOCR, which is XHTML; `name` is that of the image."""
    about = {
        "ocr-system": f"inkstream {installed_version()}",
        "ocr-capabilities": "ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrx_cinfo ocrp_wconf",
    }
    metas = [_element("meta", name=key, content=content) for key, content in about.items()]
    title = _element("title", escape(name or "page"))
    head = _element("head", title, _element("meta", charset="utf-8"), *metas)
    areas = []
    for number, boxes, _, xml in _blocks(lines, _hocr_line):
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


def alto(page: "Layout | Page", lines: Iterable[ReadLine], name: str = "") -> str:
    """Return a page and its lines as ALTO; `name` is that of the image."""
    unit = _element("MeasurementUnit", "pixel")
    image = _element("sourceImageInformation", _element("fileName", escape(name))) if name else ""
    program = _element("softwareName", "inkstream")
    version = _element("softwareVersion", installed_version())
    software = _element("processingSoftware", program, version)
    step = _element("Processing", software, ID="reading")
    xml = "".join(
        _element("TextBlock", block_xml, ID=f"block_{number}", **_upright(*boxes))
        for number, boxes, _, block_xml in _blocks(lines, _alto_line)
    )
    size = {"WIDTH": str(page.width), "HEIGHT": str(page.height)}
    xml = _element("PrintSpace", xml, HPOS="0", VPOS="0", **size)
    xml = _element("Page", xml, ID="page_1", PHYSICAL_IMG_NR="1", **size)
    xml = _element("Layout", xml)
    about = {
        "xmlns": ALTO,
        "xmlns:xsi": SCHEMA_INSTANCE,
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


def page_xml(page: "Layout | Page", lines: Iterable[ReadLine], name: str = "") -> str:
    """Return a page and its lines as PAGE XML; `name` is that of the image."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    times = _element("Created", now), _element("LastChange", now)
    metadata = _element("Metadata", _element("Creator", f"inkstream {installed_version()}"), *times)
    order, regions = [], []
    for number, boxes, text, xml in _blocks(lines, _page_line):
        left, top, right, bottom = _bounds(*boxes)
        corners = (left, top), (right, top), (right, bottom), (left, bottom)
        name_of_region = f"block_{number}"
        order.append(_element("RegionRefIndexed", index=str(number - 1), regionRef=name_of_region))
        equivalent = _element("TextEquiv", _element("Unicode", escape(text)))
        regions.append(_page_part("TextRegion", corners, xml, equivalent, id=name_of_region))
    if order:
        group = _element("OrderedGroup", *order, id="order")
        regions.insert(0, _element("ReadingOrder", group))
    size = {"imageWidth": str(page.width), "imageHeight": str(page.height)}
    xml = _element("Page", *regions, imageFilename=name, **size)
    about = {
        "xmlns": PAGE,
        "xmlns:xsi": SCHEMA_INSTANCE,
        "xsi:schemaLocation": f"{PAGE} {PAGE}/pagecontent.xsd",
    }
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_element("PcGts", metadata, xml, **about)}\n'


def _page_line(line: ReadLine, line_number: int) -> str:
    words = []
    for number, word in enumerate(line.words, 1):
        name, letters = f"{line_number}_{number}", []
        for letter_number, letter in enumerate(_letters(line, word), 1):
            others = [(other.char, other.p) for other in letter.alternatives]
            texts = _equivalents((letter.char, letter.confidence), *others)
            letters.append(
                _page_part("Glyph", letter.box, texts, id=f"letter_{name}_{letter_number}")
            )
        spellings = [(other.text, other.p) for other in word.alternatives]
        texts = _equivalents((word.text, word.confidence), *spellings)
        words.append(_page_part("Word", word.box, *letters, texts, id=f"word_{name}"))
    baseline = _element("Baseline", points=_whole_points(line.box[3], line.box[2]))
    texts = _equivalents((line.text, line.confidence))
    return _page_part("TextLine", line.box, baseline, *words, texts, id=f"line_{line_number}")


def _page_part(tag: str, box: Box, *content: str, **attributes: str) -> str:
    """Return an element of PAGE XML with its corners."""
    return _element(tag, _element("Coords", points=_whole_points(*box)), *content, **attributes)


def _whole_points(*points: Corner) -> str:
    """Return points as PAGE XML has them: in whole pixels, none of which is negative."""
    return " ".join(f"{max(0, round(x))},{max(0, round(y))}" for x, y in points)


def _equivalents(*readings: tuple[str, float]) -> str:
    """Return texts with their probabilities; the first one is the text that was read."""
    return "".join(
        _element("TextEquiv", _element("Unicode", escape(text)), index=str(index), conf=f"{p:.4f}")
        for index, (text, p) in enumerate(readings)
    )

"""What was read on a page, in the forms that archives keep: hOCR 1.2 and ALTO 4.2.

Both have upright boxes; ALTO has the corners of lines, words and letters besides.
hOCR: https://kba.github.io/hocr-spec/1.2/; ALTO: https://www.loc.gov/standards/alto/.
"""

import math
from collections.abc import Iterator
from itertools import groupby
from typing import Final
from xml.etree import ElementTree as Tree

from inkstream.service import installed_version
from inkstream.service.pages.messages import (
    Box,
    BoxedLetter,
    BoxedMark,
    BoxedWord,
    PageTranscription,
    ReadLine,
)

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
    """The page as hOCR, which is XHTML; `name` is that of the image."""
    root = Tree.Element("html", {"xmlns": XHTML, "lang": "und"})
    head = Tree.SubElement(root, "head")
    Tree.SubElement(head, "title").text = name or "page"
    Tree.SubElement(head, "meta", {"charset": "utf-8"})
    said = {"ocr-system": f"inkstream {installed_version()}", "ocr-capabilities": CAPABILITIES}
    for key, content in said.items():
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
    """The page as ALTO; `name` is that of the image."""
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
    said = {"CONTENT": letter.char, "GC": f"{letter.confidence:.4f}"}
    glyph = Tree.SubElement(parent, "Glyph", said | _place(letter.box))
    _shape(glyph, letter.box)
    for other in letter.alternatives:
        Tree.SubElement(glyph, "Variant", {"CONTENT": other.char, "VC": f"{other.p:.4f}"})


def _blocks(page: PageTranscription) -> Iterator[tuple[int, list[tuple[int, ReadLine]]]]:
    """Blocks of the lines on which something was read, all numbered from 1."""
    read = [(place, line) for place, line in enumerate(page.lines, 1) if line.words]
    grouped = groupby(read, key=lambda numbered: numbered[1].block)
    for number, (_, lines) in enumerate(grouped, 1):
        yield number, list(lines)


def _letters(line: ReadLine, word: BoxedWord) -> Iterator[BoxedLetter | BoxedMark]:
    """The letters and marks of a word."""
    return (each for each in line.letters if word.start <= each.start and each.end <= word.end)


def _marked(parent: Tree.Element, tag: str, kind: str, name: str, title: str) -> Tree.Element:
    return Tree.SubElement(parent, tag, {"class": kind, "id": name, "title": title})


def _shape(parent: Tree.Element, box: Box) -> None:
    points = " ".join(map(_point, box))
    Tree.SubElement(Tree.SubElement(parent, "Shape"), "Polygon", {"POINTS": points})


def _point(corner: tuple[float, float]) -> str:
    return f"{corner[0]:.1f},{corner[1]:.1f}"


def _place(*boxes: Box) -> dict[str, str]:
    """The attributes of the upright box around boxes."""
    left, top, right, bottom = _bounds(*boxes)
    return {
        "HPOS": str(left),
        "VPOS": str(top),
        "WIDTH": str(right - left),
        "HEIGHT": str(bottom - top),
    }


def _bounds(*boxes: Box) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the upright box around boxes, in whole pixels."""
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
    """How far a line falls on its way, for each pixel to the right."""
    (left, high), (right, low) = box[3], box[2]
    return (low - high) / (right - left) if right > left else 0.0

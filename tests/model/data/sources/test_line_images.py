"""Images of lines and pages with their text: as kraken, Tesseract, ALTO and PAGE have them."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkstream import load
from inkstream.model.data.line_data import is_own, load_labelled, load_own
from inkstream.model.data.sources.line_images import matched, read
from inkstream.model.errors import DataError
from inkstream.model.metrics import errors
from tests.helpers.command_line import EXAMPLES
from tests.service.cli.test_examples import WILL
from tools.pages import page

SHEET = page()
TEXTS = [line.label for line in SHEET.lines]


def write_image(path: Path, image: np.ndarray = SHEET.image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def points(corners: np.ndarray, form: str = "{:.0f},{:.0f}") -> str:
    return " ".join(form.format(*corner) for corner in corners)


def alto(lines: Sequence[str], name: str = "scan.png", scale: float = 1.0) -> str:
    height, width = (scale * length for length in SHEET.image.shape[:2])
    return (
        '<?xml version="1.0"?><alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description>'
        f"<sourceImageInformation><fileName>{name}</fileName></sourceImageInformation>"
        f'</Description><Layout><Page WIDTH="{width}" HEIGHT="{height}"><PrintSpace><TextBlock>'
        f"{''.join(lines)}</TextBlock></PrintSpace></Page></Layout></alto>"
    )


def alto_line(number: int, scale: float = 1.0, form: str = "{:.1f} {:.1f}") -> str:
    """Return a line with a polygon; its box, and that of its word, are of no use."""
    polygon = points(scale * SHEET.lines[number].box, form)
    first, *others = TEXTS[number].split()
    words = f'<String CONTENT="{first}" HPOS="0" VPOS="0" WIDTH="9" HEIGHT="9"><Shape>'
    words += '<Polygon POINTS="0,0 9,0 9,9"/></Shape></String>'
    words += "".join(f'<SP/><String CONTENT="{word}"/>' for word in others)
    shape = f'<Shape><Polygon POINTS="{polygon}"/></Shape>'
    return f'<TextLine HPOS="0" VPOS="0" WIDTH="9" HEIGHT="9">{shape}{words}</TextLine>'


def alto_box(number: int) -> str:
    (left, top), (right, bottom) = (SHEET.lines[number].box[corner] for corner in (0, 2))
    box = f'HPOS="{left}" VPOS="{top}" WIDTH="{right - left}" HEIGHT="{bottom - top}"'
    return f'<TextLine {box}><String CONTENT="{TEXTS[number]}"/></TextLine>'


def page_xml(lines: Sequence[str], name: str = "scan.png") -> str:
    height, width = SHEET.image.shape[:2]
    return (
        '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">'
        f'<Page imageFilename="{name}" imageWidth="{width}" imageHeight="{height}"><TextRegion>'
        f'<Coords points="0,0 9,0 9,9"/>{"".join(lines)}</TextRegion></Page></PcGts>'
    )


def page_line(number: int, shape: str = "polygon") -> str:
    box, text = SHEET.lines[number].box, TEXTS[number]
    foot = points(box[[3, 2]] - (0, 0.2 * (box[3, 1] - box[0, 1])))
    outlines = {
        "polygon": f'<Coords points="{points(box)}"/><Baseline points="{foot}"/>',
        "baseline": f'<Coords points=""/><Baseline points="{foot}"/>',
        "old": "".join(f'<Point x="{x:.0f}" y="{y:.0f}"/>' for x, y in box).join(
            ("<Coords>", "</Coords>")
        ),
    }
    equivalents = "".join(
        f'<TextEquiv index="{index}"><Unicode>{words}</Unicode></TextEquiv>'
        for index, words in ((1, "worse"), (0, text))
    )
    return f"<TextLine>{outlines[shape]}{equivalents}</TextLine>"


NUMBERS = range(len(TEXTS))
DOCUMENTS: dict[str, Callable[[], str]] = {
    "ALTO with polygons": lambda: alto(list(map(alto_line, NUMBERS))),
    "ALTO with commas": lambda: alto([alto_line(n, form="{:.0f},{:.0f}") for n in NUMBERS]),
    "ALTO in tenths of millimetres": lambda: alto(
        [alto_line(n, 0.847) for n in NUMBERS], "", 0.847
    ),
    "ALTO with boxes": lambda: alto(list(map(alto_box, NUMBERS)), r"C:\scans\scan.png"),
    "PAGE with polygons": lambda: page_xml(list(map(page_line, NUMBERS))),
    "PAGE with baselines": lambda: page_xml([page_line(n, "baseline") for n in NUMBERS]),
    "PAGE of 2010": lambda: page_xml([page_line(n, "old") for n in NUMBERS]),
}


def cer_of(folder: Path) -> float:
    """Return the CER of the shipped net on all lines of a folder."""
    (lines,), _ = read(folder, 0.2)
    net = load("lines")
    columns = [lines.columns(at, net.column_height) for at in range(len(lines.texts))]
    cer: float = errors([line.text for line in net.read_all(columns)], lines.texts)["cer"]
    return cer


@pytest.mark.parametrize("name", DOCUMENTS)
def test_lines_are_cut_out_of_their_page_where_the_document_says(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "page" if name.startswith("PAGE") else tmp_path  # as Transkribus has it
    write_image(tmp_path / "scan.png")
    folder.mkdir(exist_ok=True)
    (folder / "scan.xml").write_text(DOCUMENTS[name]())
    (lines,), left_out = read(folder, 0.2)
    assert lines.texts == TEXTS
    assert not +left_out
    assert cer_of(folder) < 0.1


def test_a_page_with_its_text_gives_its_lines_in_order(tmp_path: Path) -> None:
    write_image(tmp_path / "scan.png")
    (tmp_path / "scan.gt.txt").write_text("\n\n".join(TEXTS))
    (lines,), left_out = read(tmp_path / "scan.gt.txt", 0.2)
    assert (lines.texts, lines.source.key) == (TEXTS, "lines of pages")
    assert not +left_out
    assert cer_of(tmp_path) < 0.1


@pytest.mark.parametrize(("first", "last"), [(1, 11), (0, 9), (3, 7)])
def test_lines_without_a_text_are_left_out_by_what_is_read(
    tmp_path: Path, first: int, last: int
) -> None:
    shutil.copy(EXAMPLES / "will.jpg", tmp_path)
    texts = WILL.splitlines()[first:last]
    (tmp_path / "will.gt.txt").write_text("\n".join([*texts, "a line on no page"]))
    (lines,), left_out = read(tmp_path, 0.2)
    assert lines.texts == [text.replace("’", "'") for text in texts]
    assert left_out == {"lines of text that match no line of their page for sure": 1}
    assert cer_of(tmp_path) < 0.15


WRITTEN = ["one line", "another of them", "the third", "and the last"]


@pytest.mark.parametrize(
    ("read_texts", "pairs"),
    [
        (WRITTEN, [(0, 0), (1, 1), (2, 2), (3, 3)]),
        (["xxxxx", "yyyyyyy", "zz", "w"], [(0, 0), (1, 1), (2, 2), (3, 3)]),  # another alphabet
        (["xxxxx", "yyyyyyy", "zz"], []),  # each of the three may be the line that is missing
        (WRITTEN[:2] + WRITTEN[3:], [(0, 0), (1, 1), (2, 3)]),
        (["one", "line", *WRITTEN[1:]], [(2, 1), (3, 2), (4, 3)]),  # found in two parts
        ([*WRITTEN[1:], "a stain"], [(0, 1), (1, 2), (2, 3)]),  # as many, but others
        (["on line", "anther of thm", "a stain", "nd the last"], [(0, 0), (1, 1), (3, 3)]),
        ([], []),
    ],
)
def test_lines_are_matched_in_order_and_those_in_doubt_left_out(
    read_texts: list[str], pairs: list[tuple[int, int]]
) -> None:
    assert matched(read_texts, WRITTEN) == pairs


def test_images_of_lines_have_their_text_beside_them(tmp_path: Path) -> None:
    for name in ("a.png", "b.bin.png", "c.d.tif", "blank.png", "e.png"):
        shutil.copy(EXAMPLES / "hello.png", tmp_path / name)
    write_image(tmp_path / "blank.png", np.full((40, 200), 255, np.uint8))
    for name in ("a", "b", "c.d", "blank"):
        (tmp_path / f"{name}.gt.txt").write_text("\ufeff hello,  “world” ")
    (tmp_path / "e.gt.txt").write_text(" \n")
    (tmp_path / "mets.xml").write_text("<mets/>")
    (lines,), left_out = read(tmp_path, 0.2)
    assert lines.texts == ['hello, "world"'] * 3
    assert lines.source.key == "images of lines"
    assert +left_out == {
        "images without writing": 1,
        "lines without text": 1,
        "files of XML that are neither ALTO nor PAGE": 1,
    }


def write_lines(folder: Path, n_lines: int) -> Path:
    folder.mkdir()
    for number in range(n_lines):
        shutil.copy(EXAMPLES / "hello.png", folder / f"{number}.png")
        (folder / f"{number}.gt.txt").write_text("hello, world!")
    return folder


@pytest.mark.parametrize(("n_lines", "n_held_out"), [(2, 1), (25, 5)])
def test_a_share_of_the_lines_is_held_out_wherever_the_folder_lies(
    tmp_path: Path, n_lines: int, n_held_out: int
) -> None:
    data = [load_own(write_lines(tmp_path / name, n_lines), 0.2) for name in ("one", "other")]
    parts = [data_set.paper[0].part("validation").tolist() for data_set in data]
    assert parts[0] == parts[1]
    assert len(parts[0]) == n_held_out
    assert data[0].characters == tuple(sorted(set("hello, world!")))
    assert data[0].paper[0].digest == data[1].paper[0].digest


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("scan.gt.txt", b"hello", r"scan.gt.txt has no image beside it, expected scan.png"),
        ("photo.gt.txt", b"hello", r"photo.png: not an image that is read"),
        ("photo.gt.txt", b"hello\nworld", r"photo.png: not an image that is read"),
        ("photo.gt.txt", b"\xff\xfe", r"photo.gt.txt is not UTF-8 at byte 0"),
        ("a.xml", b"<alto><Page/></alto", r"a.xml, line 1: "),
        ("a.xml", b"<!DOCTYPE a><alto/>", r"a.xml, line 1: document types are not read"),
        ("a.xml", b"<alto><Page/></alto>", r"a.xml has no image beside it, expected a.png"),
        ("a.xml", page_xml([], "b.jpg").encode(), r"a.xml has no image .*, expected b.jpg"),
        ("mets.xml", b"<mets/>", r"0 labelled lines, expected 2 or more; left out: 1 files of XML"),
        ("line.gt.txt", b"hello", r"1 labelled lines, expected 2 or more"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "photo.png").write_text("no image")
    shutil.copy(EXAMPLES / "hello.png", tmp_path / "line.png")
    assert is_own(tmp_path)
    with pytest.raises(DataError, match=complaint):
        load_labelled(tmp_path, 0.2)


def test_lines_without_text_outline_or_ink_are_counted(tmp_path: Path) -> None:
    write_image(tmp_path / "scan.png")
    empty = '<TextLine HPOS="1" VPOS="1" WIDTH="9" HEIGHT="9"><String CONTENT="{}"/></TextLine>'
    lines = [alto_line(0), empty.format(""), empty.format("corner"), "<TextLine/>"]
    lines.append('<TextLine><String CONTENT="nowhere"/></TextLine>')
    (tmp_path / "scan.xml").write_text(alto(lines))
    (only,), left_out = read(tmp_path, 0.2)
    assert only.texts == TEXTS[:1]
    assert left_out == {
        "lines without text": 2,
        "lines without an outline": 1,
        "lines without ink": 1,
    }

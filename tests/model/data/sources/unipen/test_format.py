"""The special cases of UNIPEN's format, in small files like those of the release."""

import pytest

from inkstream.model.data.sources.unipen.format import Page, read_labels, read_page
from inkstream.model.errors import DataError


def page(text: bytes) -> Page:
    return read_page(["page"], lambda _: text)


def ink(page: Page, delineation: str) -> list[list[list[int]]]:
    return [page.points[start:stop].tolist() for start, stop in page.strokes(delineation)]


LINES = b"\n.PEN_DOWN\n0 0\n1 10\n2 20\n.PEN_UP\n3 30\n.PEN_DOWN\n4 40\n5 50\n"


# Components


COMPONENTS = {
    "blocks without points": (
        b".PEN_DOWN\n1 1\n.PEN_UP\n.PEN_DOWN\n\n.PEN_UP\n.DT 9\n.PEN_DOWN\n2 2\n", "1", [[[2, 2]]],
    ),
    "indented, and lines of other systems": (
        b"  .PEN_DOWN\r\n\t1 1\r\n\t2 2\r\n \t.PEN_UP\r\n.PEN_DOWN\r\n3 3\r\n",
        "0-1", [[[1, 1], [2, 2]], [[3, 3]]],
    ),
    "prose with keywords": (
        b".PAD the words .PEN_DOWN\n.PEN_DOWN and .PEN_UP.\n  are in 8 ms steps\n" + LINES,
        "0", [[[0, 0], [1, 10], [2, 20]]],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "delineation", "expected"), COMPONENTS.values(), ids=COMPONENTS)
def test_components_are_counted_by_their_points(
    text: bytes, delineation: str, expected: list[list[list[int]]]
) -> None:
    assert ink(page(text), delineation) == expected


def test_incomplete_lines_are_counted_and_fractions_are_rounded() -> None:
    parsed = page(b".PEN_DOWN\n1 1\n3\n\n4.6 5.4\n")
    assert ink(parsed, "0") == [[[1, 1], [5, 5]]]
    assert parsed.n_incomplete_lines == 1


@pytest.mark.parametrize(
    ("coordinates", "points"),
    [
        (b"X Y T", b"1 2 900\n3 4 910\n"),
        (b"T P X Y", b"0 1 1 2\n9 1 3 4\n"),
        (b"Y X", b"2 1\n4 3\n"),
    ],
)
def test_coord_gives_the_order_of_x_and_y(coordinates: bytes, points: bytes) -> None:
    parsed = page(b".COORD " + coordinates + b"\n.PEN_DOWN\n" + points)
    assert ink(parsed, "0") == [[[1, 2], [3, 4]]]


# Delineations


@pytest.mark.parametrize(
    ("delineation", "expected"),
    [
        ("0:1-0:2", [[[1, 10], [2, 20]]]),
        ("0-0:1", [[[0, 0], [1, 10]]]),
        ("0:2", [[[2, 20]]]),
        ("0:2-2:0", [[[2, 20]], [[4, 40]]]),
        ("0:1-2", [[[1, 10], [2, 20]], [[4, 40], [5, 50]]]),
        ("0:0-0:1,2", [[[0, 0], [1, 10]], [[4, 40], [5, 50]]]),
        ("2,0:0", [[[0, 0]], [[4, 40], [5, 50]]]),
        ("0", [[[0, 0], [1, 10], [2, 20]]]),
        ("1", []),  # its pen is up
        ("2", [[[4, 40], [5, 50]]]),
        ("0-2", [[[0, 0], [1, 10], [2, 20]], [[4, 40], [5, 50]]]),
        ("2-0", []),  # backwards
    ],
)
def test_a_delineation_names_components_points_and_lists_of_them(
    delineation: str, expected: list[list[list[int]]]
) -> None:
    assert ink(page(LINES), delineation) == expected


@pytest.mark.parametrize("delineation", ["?", "0-", "-1", "0;2"])
def test_an_unreadable_delineation_is_refused(delineation: str) -> None:
    with pytest.raises(DataError, match="not readable"):
        page(LINES).strokes(delineation)


@pytest.mark.parametrize("delineation", ["3", "0-3"])
def test_a_delineation_of_missing_ink_is_refused(delineation: str) -> None:
    with pytest.raises(DataError, match="ink that is not there"):
        page(LINES).strokes(delineation)


# Includes and headers


def test_nested_includes_keep_coordinates_and_writer() -> None:
    ann = b".COMMENT .WRITER_ID bob\n .. see .COORD\n.INCLUDE all.doc\n.PEN_DOWN\n7 1 2\n"
    files = {
        "ann.dat": ann,
        "all.doc": b".COORD T X Y\n.WRITER_ID ann\n",
        "b.dat": b".PEN_DOWN\n8 2 2\n",
    }
    paths, _ = read_labels(b".INCLUDE ann.dat\n.INCLUDE b.dat\n", "7", "abc")
    parsed = read_page(paths, files.__getitem__)
    assert ink(parsed, "0-1") == [[[1, 2]], [[2, 2]]]
    assert [parsed.header(point).writer for point in (0, 1)] == ["ann", "ann"]


def test_each_component_has_the_header_before_it() -> None:
    parsed = page(
        b".WRITER_ID ann\n.STYLE CURSIVE\n.H_LINE 100 160\n.PEN_DOWN\n1 1\n"
        b".STYLE PRINTED\n.PEN_DOWN\n2 2\n3 3\n.H_LINE 40\n.WRITER_ID\n.PEN_DOWN\n4 4\n"
    )
    assert [parsed.header(point).style for point in (0, 1, 2, 3)] == ["CURSIVE"] + 3 * ["PRINTED"]
    assert [parsed.header(point).h_lines for point in (0, 3)] == [(100, 160), (40,)]
    assert parsed.header(3).writer == "ann"


# Segments


def test_segments_are_read_unchanged() -> None:
    _, segments = read_labels(
        b'.VERSION 1.0\n.SEGMENT WORD 0-3 OK  "well"  \r\n\t.SEGMENT TEXT 4:1-5 ? "say \\"a\\" "\n'
        b'.COMMENT .SEGMENT WORD 0 OK "not this"\n',
        "8",
        "abc",
    )
    assert [(segment.delineation, segment.quality, segment.label) for segment in segments] == [
        ("0-3", "OK", '"well"'),
        ("4:1-5", "?", r'"say \"a\" "'),
    ]

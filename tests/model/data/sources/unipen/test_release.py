"""Reading a release of UNIPEN: its pieces with their ink, letters, lines and guides."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from inkstream.model.data.ink_set import CATEGORIES, InkSet, Piece
from inkstream.model.data.sources import unipen
from inkstream.model.data.statistics import Statistics

HEADER: Final = ".WRITER_ID ann\n.STYLE MIXED\n"

Stroke = list[tuple[int, int]]


def write(root: Path, name: str, text: str) -> None:
    path = root / "unipen" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def blocks(*strokes: Stroke) -> str:
    """Return components with the pen down, y upwards, and without points with the pen up."""
    return "".join(
        ".PEN_DOWN\n" + "".join(f"{x} {y}\n" for x, y in stroke) + ".PEN_UP\n" for stroke in strokes
    )


def box(left: int, bottom: int, width: int = 10, height: int = 10) -> Stroke:
    """Return a stroke around a box."""
    right, top = left + width, bottom + height
    return [(left, bottom), (left, top), (right, top), (right, bottom), (left, bottom)]


def read(
    root: Path, ink: str, labels: Mapping[str, list[str]], donor: str = "abc"
) -> tuple[InkSet, Statistics]:
    """Read a release of one page, with segments for each category."""
    write(root, f"include/{donor}/page.dat", HEADER + ink)
    for category, segments in labels.items():
        lines = [f".INCLUDE {donor}/page.dat", *(f".SEGMENT {segment}" for segment in segments)]
        write(root, f"data/{category}/{donor}/page.dat", "\n".join(lines) + "\n")
    return unipen.read(root)


def only(ink: InkSet) -> Piece:
    assert len(ink) == 1
    return ink.piece(0)


def by_label(ink: InkSet) -> dict[str, Piece]:
    return {label: ink.piece(index) for index, label in enumerate(ink.labels)}


# Pieces


def test_a_word_has_y_downwards_and_its_own_origin(tmp_path: Path) -> None:
    page = blocks([(5, 10), (7, 40)], [(6, 50)])
    ink, _ = read(tmp_path, page, {"7": ['WORD 0-1 OK "i"', 'WORD 0 ? "l"']})
    word = ink.piece(0)
    assert [stroke.tolist() for stroke in word.strokes] == [[[0, 40], [2, 10]], [[1, 0]]]
    assert (word.label, word.category, word.writer, word.style) == ("i", "7", "abc/ann", "mixed")


def test_categories_that_repeat_others_are_not_read(tmp_path: Path) -> None:
    labels = {category: ['CHARACTER 0 ? "a"'] for category in ("1c", "2", "3")}
    ink, _ = read(tmp_path, blocks(box(0, 0), box(20, 0)), labels | {"7": ['WORD 0-1 ? "an"']})
    assert sorted(ink.labels) == ["a", "a", "an"]
    assert ink.categories.tolist() == [CATEGORIES.index(category) for category in ("1c", "3", "7")]
    assert ink.writer_names == ("abc/ann",)


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        ('WORD 0 BAD "word"', "quality BAD"),
        ('WORD 1 OK "word"', "no ink with the pen down"),
        ('WORD 7 OK "word"', "names ink that is not there"),
        ('WORD ? OK "word"', "delineation not readable"),
        ('WORD 0 OK ""', "label not readable"),
    ],
)
def test_skipped_segments_are_counted_by_reason(tmp_path: Path, segment: str, reason: str) -> None:
    page = blocks(box(0, 0)) + ".PEN_UP\n3 3\n"
    ink, statistics = read(tmp_path, page, {"7": [segment]})
    assert len(ink) == 0
    assert statistics.skipped == {reason: 1}


def test_a_missing_include_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    write(tmp_path, "data/7/abc/lost.dat", '.INCLUDE abc/lost.dat\n.SEGMENT WORD 0 OK "a"\n')
    ink, statistics = read(tmp_path, blocks(box(0, 0)), {"7": ['WORD 0 OK "on"']})
    assert ink.labels == ("on",)
    assert statistics.skipped == {"an included file is missing": 1}


CHANGES: Final = {
    "points that repeat": (
        blocks([(1, 1), (1, 1), (2, 1), (2, 1)]), 'WORD 0 OK "-"', [[[0, 0], [1, 0]]], None,
    ),
    "marks": (
        blocks([(0, 9), (9, 0)]), 'TEXT 0 OK "so ."', [[[0, 0], [9, 9]]], "marks closed up",
    ),
    "unreadable points": (
        ".PEN_DOWN\n0 0\n5\n9 9\n", 'WORD 0 OK "l"', [[[0, 9], [9, 0]]],
        "unreadable points left out",
    ),
    "a dot far from the word": (
        blocks([(0, 0), (40, 10)], [(50, 0), (60, 10)], [(90, 60), (91, 60)]),
        'WORD 0-2 OK "in"', [[[0, 10], [40, 0]], [[50, 10], [60, 0]]], "stray strokes left out",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("page", "segment", "strokes", "rule"), CHANGES.values(), ids=CHANGES)
def test_what_is_changed_is_counted_by_rule(
    tmp_path: Path, page: str, segment: str, strokes: list[list[list[int]]], rule: str | None
) -> None:
    ink, statistics = read(tmp_path, page, {"7": [segment]}, donor="sta")
    assert [stroke.tolist() for stroke in only(ink).strokes] == strokes
    assert statistics.changed == ({} if rule is None else {rule: 1})


@pytest.mark.parametrize("mark", [(45, 14), (90, 0), (5, 30), (-30, 2)])
def test_dots_marks_and_accents_near_the_word_are_kept(
    tmp_path: Path, mark: tuple[int, int]
) -> None:
    page = blocks(box(0, 0, 40), box(50, 0), [mark])
    ink, _ = read(tmp_path, page, {"7": ['WORD 0-2 OK "in"']})
    assert len(only(ink).strokes) == 3


def test_a_label_much_longer_than_its_ink_is_skipped(tmp_path: Path) -> None:
    words = [[(0, 0), (50 * n, 10), (100 * n, 0)] for n in (4, 5, 6, 7)]
    segments = [f'WORD {n} OK "{"x" * (n + 4)}"' for n in range(4)] + ['WORD 4 OK "houston"']
    ink, statistics = read(tmp_path, blocks(*words, [(0, 0), (50, 0)]), {"7": segments})
    assert ink.labels == ("xxxx", "xxxxx", "xxxxxx", "xxxxxxx")
    assert statistics.skipped == {"label longer than its ink": 1}


# Letters


def characters(**delineations: str) -> list[str]:
    """Return segments of characters."""
    return [f'CHARACTER {where} ? "{char}"' for char, where in delineations.items()]


IN_ONE = [(0, 0), (5, 5), (10, 0), (15, 5), (20, 0), (25, 5)]
THREE = [box(0, 0), box(20, 0), box(40, 0)]


LETTERS: Final = {
    "whole": ([box(0, 0)], {"1c": ['CHARACTER 0 ? "o"']}, "o", [[0] * 5]),
    "within a word": (
        [IN_ONE, [(12, 20)]],
        {"7": ['WORD 0-1 ? "aim"'], "3": characters(a="0-0:1", i="0:2-0:3,1", m="0:4-0:5")},
        "aim", [[0, 0, 1, 1, 2, 2], [1]],
    ),
    "with spaces": (
        [box(0, 0), box(30, 0), box(45, 0)],
        {"8": ['TEXT 0-2 ? "A be"'], "1b": characters(A="0"), "1c": characters(b="1", e="2")},
        "A be", [[0] * 5, [2] * 5, [3] * 5],
    ),
    "later": (
        [box(0, 0), box(40, 0), box(20, 0)],
        {"7": ['WORD 0-2 ? "bad"'], "3": characters(b="0", d="1", a="2")},
        "bad", [[0] * 5, [2] * 5, [1] * 5],
    ),
    "not covered": (
        THREE, {"7": ['WORD 0-2 ? "sea"'], "3": characters(s="0", a="2")},
        "sea", [[0] * 5, [-1] * 5, [2] * 5],
    ),
    "marks in a text": (
        [box(0, 0, 40), box(50, 0, 3), box(70, 0, 40), box(120, 0, 3)],
        {"8": ['TEXT 0-3 ? "yes. no."'],
         "7": ['WORD 0 ? "yes"', 'WORD 1 ? "."', 'WORD 2 ? "no"', 'WORD 3 ? "."']},
        "yes. no.", [[-1] * 5, [3] * 5, [-1] * 5, [7] * 5],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("strokes", "labels", "label", "letters"), LETTERS.values(), ids=LETTERS)
def test_characters_and_words_within_a_piece_give_its_letters(
    tmp_path: Path,
    strokes: list[Stroke],
    labels: dict[str, list[str]],
    label: str,
    letters: list[list[int]],
) -> None:
    ink, _ = read(tmp_path, blocks(*strokes), labels)
    assert [of_stroke.tolist() for of_stroke in by_label(ink)[label].letters] == letters


def test_letters_that_do_not_fit_the_label_are_left_out(tmp_path: Path) -> None:
    labels = {"7": ['WORD 0-2 ? "sea"'], "3": characters(q="0", r="2")}
    ink, statistics = read(tmp_path, blocks(*THREE), labels)
    assert [letters[0] for letters in by_label(ink)["sea"].letters] == [-1, -1, -1]
    assert statistics.changed == {"letters in doubt left out": 1}


def test_a_text_that_differs_from_its_words_is_skipped(tmp_path: Path) -> None:
    labels = {"8": ['TEXT 0-1 ? "Word!"'], "7": ['WORD 0 ? "works"', 'WORD 1 ? "what"']}
    ink, statistics = read(tmp_path, blocks(box(0, 0), box(20, 0)), labels)
    assert sorted(ink.labels) == ["what", "works"]
    assert statistics.skipped == {"label differs from those within it": 1}


# Lines


LIST: Final = blocks(box(0, 100, 40), box(50, 100, 30), box(0, 70, 40), box(30, 40, 40))
WORDS: Final = ['WORD 0 ? "one"', 'WORD 1 ? "a"', 'WORD 2 ? "two"', 'WORD 3 ? "six"']


def test_a_text_of_several_lines_is_split_if_its_words_are_known(tmp_path: Path) -> None:
    ink, statistics = read(tmp_path, LIST, {"8": ['TEXT 0-3 ? "one a two six"'], "7": WORDS})
    lines = [ink.piece(n) for n in range(len(ink)) if ink.piece(n).category == "8"]
    assert [line.label for line in lines] == ["one a", "two", "six"]
    assert lines[1].strokes[0].min(0).tolist() == [0, 0]
    assert [letters[0] for letters in lines[0].letters] == [-1, 4]
    assert statistics.changed == {"lines taken apart": 1}


def test_a_text_of_several_lines_is_skipped_if_its_words_are_unknown(tmp_path: Path) -> None:
    ink, statistics = read(tmp_path, LIST, {"8": ['TEXT 0-3 ? "one a two six"']})
    assert len(ink) == 0
    assert statistics.skipped == {"several lines of ink, words not known": 1}


@pytest.mark.parametrize("fall", [-3, 0, 3])
def test_a_sloping_line_is_one_line(tmp_path: Path, fall: int) -> None:
    page = blocks(*(box(50 * n, 100 + fall * n, 40) for n in range(8)), [(20, 115)], [(370, 95)])
    ink, _ = read(tmp_path, page, {"8": ['TEXT 0-9 ? "in an ox at it is on us"']})
    assert only(ink).label == "in an ox at it is on us"


# Guides


def test_the_letters_of_a_line_give_its_x_height_and_baseline(tmp_path: Path) -> None:
    page = blocks(box(0, 50, 10, 20), box(20, 50), box(40, 40, 10, 20), box(60, 50), box(80, 50))
    letters = [f'CHARACTER {n} ? "{letter}"' for n, letter in enumerate("hapax")]
    ink, _ = read(tmp_path, page, {"8": ['TEXT 0-4 ? "hapax"'], "3": letters})
    guides = {label: piece.guides.tolist() for label, piece in by_label(ink).items()}
    assert (guides["hapax"], guides["p"], guides["h"]) == ([10, 20], [0, 10], [10, 20])


def test_a_ruled_line_that_the_writing_follows_is_its_baseline(tmp_path: Path) -> None:
    boxes = *(box(20 * n, 52) for n in range(5)), box(200, 60, 2, 2)
    page = ".H_LINE 500 50 -500\n" + blocks(*boxes)
    marks = ['WORD 5 OK "\'"', *(f'WORD {n} OK "ox"' for n in range(5))]
    ink, _ = read(tmp_path, page, {"7": marks})
    assert [by_label(ink)[label].guides[1] for label in ("ox", "'")] == [10, 10]
    assert np.isnan(ink.guides[:, 0]).all()


def test_ruled_lines_that_the_writing_does_not_follow_are_no_guides(tmp_path: Path) -> None:
    page = ".H_LINE 50\n" + blocks(*(box(20 * n, 30 * n) for n in range(5)))
    ink, _ = read(tmp_path, page, {"7": [f'WORD {n} OK "ox"' for n in range(5)]})
    assert np.isnan(ink.guides).all()


def test_the_second_ruled_line_of_pap_is_the_x_height(tmp_path: Path) -> None:
    page = ".H_LINE 50 56\n" + blocks(*(box(20 * n, 50) for n in range(5)))
    ink, _ = read(tmp_path, page, {"7": ['WORD 0-4 OK "ox"']}, donor="pap")
    assert only(ink).guides.tolist() == [4, 10]

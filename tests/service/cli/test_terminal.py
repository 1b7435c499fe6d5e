"""The drawing in a terminal, as text."""

import re

import numpy as np
import pytest

from inkstream.service.cli.terminal import (
    BAR_CELLS,
    Drawing,
    LineDrawing,
    bar,
    event_line,
    plain_line,
    summary,
    sure_since,
)
from inkstream.service.protocol.events import Character, Letter, Punctuation, Word

COLUMNS = np.array([[0, 255, 0], [255, 0, 0]], np.uint8)  # two columns of three pixels


def plain(picture: str) -> list[str]:
    """The lines of a picture without colours and cursor movements."""
    return [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*[A-Za-z]|\r", "", picture).splitlines()]


def test_the_ink_grows_column_by_column_and_the_ribbon_with_it() -> None:
    drawing = Drawing(COLUMNS, "ab")
    first = plain(drawing.update(0, {"a": 0.75, "b": 0.25}))
    second = plain(drawing.update(1, {"a": 0.0, "b": 1.0}))
    assert first[1].startswith("  ▀   ")
    assert second[1].startswith("  ▀▀  ")
    assert (first[3], second[3]) == ("  a", "  ab")


def test_two_rows_of_pixels_share_a_line_in_their_greys() -> None:
    picture = Drawing(COLUMNS, "ab").update(0, {"a": 1.0, "b": 0.0})
    upper, lower = picture.splitlines()[1:3]
    assert "\x1b[38;5;233;48;5;255m▀" in upper  # paper above ink
    assert "\x1b[38;5;233;48;5;233m▀" in lower  # paper above the rim


def test_every_label_has_its_bar_and_the_leader_its_colour() -> None:
    columns = np.zeros((1, 28), np.uint8)
    probabilities = {"x": 0.0625, "y": 0.9375}
    picture = Drawing(columns, "xy").update(0, probabilities)
    assert [line.split()[-1] for line in plain(picture) if "%" in line] == ["6.25%", "93.75%"]
    assert "\x1b[1;33my" in picture
    assert "\x1b[2mx" in picture


def test_with_more_labels_than_lines_the_best_are_shown() -> None:
    labels = "abcdefgh"
    probabilities = {label: 1 / 2 ** (n + 1) for n, label in enumerate(labels)}
    picture = Drawing(np.zeros((1, 4), np.uint8), labels).update(0, probabilities)
    assert [line.split()[1] for line in plain(picture) if "%" in line] == ["a", "b"]


def test_a_merged_result_stands_for_the_columns_that_it_covers() -> None:
    drawing = Drawing(np.zeros((5, 2), np.uint8), "ab")
    drawing.update(0, {"a": 1.0, "b": 0.0})
    assert plain(drawing.update(4, {"a": 0.0, "b": 1.0}))[2] == "  abbbb"


def test_the_next_picture_covers_the_one_before() -> None:
    drawing = Drawing(COLUMNS, "ab")
    first = drawing.update(0, {"a": 1.0, "b": 0.0})
    assert "A\r" not in first
    assert drawing.update(1, {"a": 1.0, "b": 0.0}).startswith(f"\x1b[{first.count(chr(10))}A")


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(0.0, ""), (1.0, "█" * BAR_CELLS), (0.5, "█" * 12), (1 / 192, "▏"), (0.499, "█" * 12)],
)
def test_bars_are_exact_to_an_eighth_of_a_cell(probability: float, shown: str) -> None:
    assert bar(probability).rstrip() == shown
    assert len(bar(probability)) == BAR_CELLS


def test_a_plain_line_names_the_best_three() -> None:
    line = plain_line(7, {"0": 0.1, "1": 0.5, "2": 0.25, "3": 0.15})
    assert line == "column   7  1  50.00%  2  25.00%  3  15.00%"


def test_the_summary_says_since_when_the_answer_stood() -> None:
    leaders = [("7", 0.96), ("1", 0.5), ("7", 0.97), ("7", 0.99)]
    assert sure_since(leaders) == 2
    assert summary(leaders) == "  7  99.00% after 4 columns, sure since column 3"
    assert sure_since([("7", 0.5)]) is None
    assert summary([("7", 0.5)]) == "  7  50.00% after 1 columns"


# Lines


def letter(char: str, start: int, end: int, confidence: float = 0.99, number: int = 0) -> Letter:
    others = (Character(char="o", p=0.0125),)
    return Letter(
        id=number,
        char=char,
        start=start,
        end=end,
        column=end,
        confidence=confidence,
        alternatives=others,
    )


WORD = Word(id=0, text="ab", start=0, end=9, column=9, confidence=0.5, alternatives=())


def test_a_line_grows_with_its_letters_below_and_its_text() -> None:
    drawing = LineDrawing(np.full((9, 2), 255, np.uint8), 80)
    first = plain(drawing.update(4, "a", [letter("a", 0, 3)]))
    second = plain(drawing.update(9, "ab", [letter("b", 4, 8), WORD]))
    assert (first[1], first[2], first[4]) == ("  ▀▀▀▀", "   a", "  a")
    assert (second[1], second[2], second[4]) == ("  ▀▀▀▀▀▀▀▀▀", "   a   b", "  ab")


def test_letters_that_are_withdrawn_are_no_longer_drawn() -> None:
    drawing = LineDrawing(np.full((9, 2), 255, np.uint8), 80)
    drawing.update(9, "ab", [letter("a", 0, 3), letter("b", 4, 8, number=1)])
    drawing.withdraw(1)
    again = plain(drawing.update(9, "ac", [letter("c", 5, 9, number=1)]))
    assert again[2] == "   a    c"


def test_of_a_line_longer_than_the_screen_the_end_is_shown() -> None:
    drawing = LineDrawing(np.full((100, 2), 255, np.uint8), 14)
    drawing.update(40, "x" * 30, [letter("a", 0, 3)])
    picture = plain(drawing.update(60, "abcdefghijklmno", [letter("b", 58, 60)]))
    assert picture[1] == "  " + "▀" * 10
    assert picture[2] == "          b"
    assert picture[4] == "  fghijklmno"


def test_letters_of_one_place_stand_side_by_side() -> None:
    drawing = LineDrawing(np.zeros((9, 2), np.uint8), 80)
    picture = plain(drawing.update(9, "ab", [letter("a", 2, 5), letter("b", 3, 5)]))
    assert picture[2] == "     ab"


def test_letters_are_coloured_by_their_confidence() -> None:
    drawing = LineDrawing(np.zeros((9, 2), np.uint8), 80)
    picture = drawing.update(9, "ab", [letter("a", 0, 3, 0.96), letter("b", 4, 8, 0.6)])
    assert "\x1b[1;32ma" in picture
    assert "\x1b[1;33mb" in picture


def test_an_event_is_one_line_of_text() -> None:
    assert event_line(letter("a", 3, 9)) == "letter       a  99.00%  columns 3..8  (o 1.25%)"
    assert event_line(WORD) == "word         ab  50.00%  columns 0..8"
    mark = Punctuation(id=1, char=",", start=9, end=10, column=12, confidence=0.5, alternatives=())
    assert event_line(mark) == "punctuation  ,  50.00%  columns 9..9"

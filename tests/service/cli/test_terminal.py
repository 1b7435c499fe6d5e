"""The drawing in a terminal, and the few bytes that it needs."""

import numpy as np
import pytest

from inkstream.model.messages import Character, Spelling
from inkstream.service.cli.terminal import (
    BAR_CELLS,
    DigitView,
    LineView,
    Screen,
    bar,
    event_line,
    sure_since,
)
from inkstream.service.client.conversation import Result
from inkstream.service.protocol.server_messages import Letter, Word
from tests.helpers.command_line import screen

COLUMNS = np.array([[0, 255, 0], [255, 0, 0]], np.uint8)  # two columns of three pixels
SIZE = (80, 24)


def result(column: int, **probabilities: float) -> Result:
    return Result(column=column, probabilities=probabilities)


def picture(view: DigitView | LineView) -> list[str]:
    return screen(Screen().draw(view.rows()))


def test_the_ink_grows_column_by_column_with_the_best_labels_below_it() -> None:
    view = DigitView(COLUMNS, "ab", SIZE)
    view.add(result(0, a=0.75, b=0.25))
    first = picture(view)
    view.add(result(1, a=0.0, b=1.0))
    second = picture(view)
    assert first[1].startswith("  ▀   ")
    assert second[1].startswith("  ▀▀  ")
    assert (first[3], second[3]) == ("  a", "  ab")


def test_two_rows_of_pixels_share_a_line_of_the_terminal() -> None:
    view = DigitView(COLUMNS, "ab", SIZE)
    view.add(result(0, a=1.0, b=0.0))
    upper, lower = Screen().draw(view.rows()).splitlines()[1:3]
    assert "38;5;233;48;5;255m▀" in upper  # paper above ink
    assert "38;5;233;48;5;233m▀" in lower  # paper above the edge


def test_every_label_has_a_bar_and_the_best_one_a_colour() -> None:
    view = DigitView(np.zeros((1, 28), np.uint8), "xy", SIZE)
    view.add(result(0, x=0.0625, y=0.9375))
    assert [line.split()[-1] for line in picture(view) if "%" in line] == ["6.25%", "93.75%"]
    output = Screen().draw(view.rows())
    assert "\x1b[0;1;33my" in output
    assert "\x1b[0;2mx" in output


def test_with_more_labels_than_lines_the_best_are_shown() -> None:
    probabilities = {label: 1 / 2 ** (n + 1) for n, label in enumerate("abcdefgh")}
    view = DigitView(np.zeros((1, 4), np.uint8), "abcdefgh", SIZE)
    view.add(result(0, **probabilities))
    assert [line.split()[1] for line in picture(view) if "%" in line] == ["a", "b"]


def test_a_merged_result_covers_its_columns() -> None:
    view = DigitView(np.zeros((5, 2), np.uint8), "ab", SIZE)
    view.add(result(0, a=1.0, b=0.0))
    view.add(result(4, a=0.0, b=1.0))
    assert picture(view)[2] == "  abbbb"


def test_only_cells_that_changed_are_written_again() -> None:
    drawing = Screen()
    first = drawing.draw([[("", "a"), ("2", "b")], [("", "c")]])
    assert first == "a\x1b[0;2mb\x1b[0m\nc\n"
    assert drawing.draw([[("", "a"), ("", "b")], [("", "c")]]) == "\x1b[2A\r\x1b[2Gb\n\n"
    assert drawing.draw([[], [("", "c"), ("", "d")]]) == "\x1b[2A\r  \n\x1b[2Gd\n"
    assert drawing.draw([[], []]) == "\x1b[2A\r\n  \n"


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(0.0, ""), (1.0, "█" * BAR_CELLS), (0.5, "█" * 12), (1 / 192, "▏"), (0.499, "█" * 12)],
)
def test_bars_are_exact_to_an_eighth_of_a_cell(probability: float, shown: str) -> None:
    assert bar(probability).rstrip() == shown
    assert len(bar(probability)) == BAR_CELLS


def test_a_result_of_a_digit_is_a_line_with_the_best_three() -> None:
    view = DigitView(COLUMNS, "0123", SIZE)
    (line,) = view.add(result(7, **{"0": 0.1, "1": 0.5, "2": 0.25, "3": 0.15}))
    assert line == "column   7  1  50.00%  2  25.00%  3  15.00%"


def test_the_summary_names_the_column_since_which_the_answer_was_sure() -> None:
    leaders = [("7", 0.96), ("1", 0.5), ("7", 0.97), ("7", 0.99)]
    view = DigitView(COLUMNS, "17", SIZE)
    for column, (label, p) in enumerate(leaders):
        view.add(result(column, **{label: p, "17".replace(label, ""): 1 - p}))
    assert sure_since(leaders) == 2
    assert view.summary() == "  7  99.00% after 4 columns, sure since column 3"
    assert sure_since([("7", 0.5)]) is None


# Lines


def letter(char: str, start: int, end: int, confidence: float = 0.99, number: int = 0) -> Letter:
    alternatives = (Character(char="o", p=0.0125),)
    return Letter(
        id=number,
        char=char,
        mark=char == ",",
        start=start,
        end=end,
        column=end,
        confidence=confidence,
        alternatives=alternatives,
    )


OB = Spelling(text="ob", p=0.2)
WORD = Word(id=0, text="ab", start=0, end=9, column=9, confidence=0.5, alternatives=(OB,))


def line_view(n_columns: int = 9, size: tuple[int, int] = SIZE) -> LineView:
    return LineView(np.full((n_columns, 2), 255, np.uint8), size)


def test_a_line_grows_with_its_letters_below_and_its_text() -> None:
    view = line_view()
    view.update(4, "a", [letter("a", 0, 3)])
    first = picture(view)
    view.update(9, "ab", [letter("b", 4, 8), WORD])
    second = picture(view)
    assert (first[1], first[2], first[4]) == ("  ▀▀▀▀", "   a", "  a")
    assert (second[1], second[2], second[4]) == ("  ▀▀▀▀▀▀▀▀▀", "   a   b", "  ab")


def test_letters_that_are_withdrawn_are_no_longer_drawn() -> None:
    view = line_view()
    view.update(9, "ab", [letter("a", 0, 3), letter("b", 4, 8, number=1)])
    view.withdraw(1)
    view.update(9, "ac", [letter("c", 5, 9, number=1)])
    assert picture(view)[2] == "   a    c"


def test_a_line_wider_than_the_screen_is_drawn_smaller_and_its_text_in_rows() -> None:
    view = line_view(28, (14, 24))
    view.update(28, "abcdefghijklmno", [letter("a", 0, 3), letter("o", 25, 28)])
    assert picture(view)[1:] == ["  " + "▀" * 10, "  a       o", "", "  abcdefghij", "  klmno", ""]


def test_a_still_wider_line_shows_its_end_and_all_of_its_text() -> None:
    view = line_view(60, (14, 24))
    view.update(60, "x" * 30, [letter("a", 0, 3), letter("b", 58, 60)])
    rows = picture(view)
    assert rows[1:3] == ["  " + "▀" * 10, "           b"]
    assert rows[4:7] == ["  " + "x" * 10] * 3


@pytest.mark.parametrize(
    ("kind", "size", "fits"),
    [
        ("digit", (80, 24), True),
        ("digit", (40, 24), False),
        ("digit", (80, 7), False),
        ("line", (80, 7), True),
        ("line", (80, 6), False),  # no row for the text
    ],
)
def test_a_picture_needs_enough_space(kind: str, size: tuple[int, int], fits: bool) -> None:
    is_digit, digit = kind == "digit", np.zeros((28, 8), np.uint8)
    assert (DigitView(digit, "ab", size) if is_digit else line_view(size=size)).fits == fits


def test_letters_at_the_same_column_are_drawn_side_by_side() -> None:
    view = line_view()
    view.update(9, "ab", [letter("a", 2, 5), letter("b", 3, 5)])
    assert picture(view)[2] == "     ab"


def test_letters_are_coloured_by_their_confidence() -> None:
    view = line_view()
    view.update(9, "abc", [letter("a", 0, 3, 0.96), letter("b", 4, 7, 0.6), letter("c", 8, 9, 0.4)])
    output = Screen().draw(view.rows())
    assert "\x1b[0;1;32ma" in output
    assert "\x1b[0;1;33mb" in output
    assert "\x1b[0;2mc" in output


def test_an_event_is_a_line_and_a_word_shows_no_probability() -> None:
    assert event_line(letter("a", 3, 9)) == "letter   a  99.00%  columns 3..8  (o 1.25%)"
    assert event_line(WORD) == "word     ab  columns 0..8  (ob)"
    assert event_line(letter(",", 9, 10)) == "mark     ,  99.00%  columns 9..9  (o 1.25%)"

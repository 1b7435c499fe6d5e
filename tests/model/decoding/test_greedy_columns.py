"""The columns of a letter: from its first ink to the highest score of a letter end."""

import pytest

from inkstream.model.config import END_DELAY
from inkstream.model.decoding.base import Event
from tests.helpers.scores import decoder, ink, line, read, texts


def test_a_letter_ends_at_the_highest_end_score() -> None:
    scores = line("------a----b--", ends={5: 0.9, 10: 0.8})
    first, second = read(decoder(), scores)
    assert first.end == 2 * (5 - END_DELAY + 1)
    assert second.end == 2 * (10 - END_DELAY + 1)


def test_without_an_end_score_a_letter_ends_where_its_symbol_begins() -> None:
    (letter,) = read(decoder(), line("------a--"))
    assert letter.end == 12


def test_a_letter_starts_with_the_first_ink_after_the_one_before() -> None:
    scores = line("------a----b--", ends={5: 0.9, 10: 0.8})
    columns = ink(28, blank="   xxxx      xx")
    first, second = read(decoder(), scores, columns)
    assert (first.start, first.end) == (3, 8)
    assert (second.start, second.end) == (13, 18)


def test_without_a_gap_a_letter_starts_where_the_one_before_ends() -> None:
    first, second = read(decoder(), line("------a----b--", ends={5: 0.9, 10: 0.8}))
    assert second.start == first.end == 8


@pytest.mark.parametrize(("short_ink", "start"), [("xxx", 15), ("xxxxxxx", 8)])
def test_short_ink_before_a_gap_belongs_to_the_letter_before_and_long_ink_to_the_next(
    short_ink: str, start: int
) -> None:
    scores = line("------a-----b--", ends={5: 0.9, 11: 0.8})
    columns = ink(30, blank=("xxxxxxxx" + short_ink).ljust(15) + "xxxxx")
    first, second = read(decoder(), scores, columns)
    assert (first.end, second.start) == (8, start)


def test_a_word_starts_after_the_gap_even_if_the_letter_before_ended_later() -> None:
    scores = line("------a-- -----b--", ends={5: 0.9, 14: 0.8})
    columns = ink(36, blank="xxxxxxxx" + "xxxxxxx" + "      " + "xxxxxxxx")
    events = read(decoder(), scores, columns)
    assert texts(events) == ["a", "a", "b"]
    assert events[2].start == 21


def test_ink_in_the_first_column_is_the_first_letters() -> None:
    (letter,) = read(decoder(), line("------a---"), ink(20, blank="xx    xxxx"))
    assert letter.start == 0


def test_a_letter_starts_at_its_ink_after_a_long_gap_in_any_portions() -> None:
    gap = 400
    scores = line("--a" + "-" * gap + "b-")
    columns = ink(len(scores), "xxxx" + " " * (2 * gap - 8))
    at_once = read(decoder(), scores, columns)
    reader = decoder()
    portions: list[Event] = []
    for i in range(len(scores)):
        portions += read(reader, scores[i : i + 1], columns[i : i + 1])
    assert portions == at_once
    assert at_once[1].start == 2 * gap - 4

"""Scores of a line become letters, marks and words: as soon as they are certain, and for good."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.config import END_DELAY
from model.errors import InputError
from model.events import Event, Letter, Word
from model.transcript import SURE, TranscriptDecoder

LABELS = " abcd.5"
PATIENCE = 4  # blank columns of a flush
H = 3  # rows of a column

Scores = NDArray[np.float32]
Columns = NDArray[np.uint8]


def line(steps: str, unsure: str = "", ends: dict[int, float] | None = None) -> Scores:
    """Scores [2n, S] of a net that says one character a step, `-` for the blank.

    Args:
        steps: the most probable symbol of each step.
        unsure: where not a space, the label that is half as probable; neither is certain then.
        ends: steps at which the score of a letter's end is this probability.
    """
    scores = np.full((len(steps), 2 + len(LABELS)), 1e-6)
    symbols = "-" + LABELS
    for step, symbol in enumerate(steps):
        other = unsure[step] if step < len(unsure) else " "
        scores[step, symbols.index(symbol)] = 0.99 if other == " " else 0.48
        if other != " ":
            scores[step, symbols.index(other)] = 0.24
            scores[step, 0] = 0.28
        scores[step, -1] = (ends or {}).get(step, 0.01)
    scores[:, :-1] /= scores[:, :-1].sum(1, keepdims=True)
    shown = np.concatenate([np.full((1, scores.shape[1]), 1e-9), scores])
    shown[0, 0] = 1
    repeated: Scores = np.log(shown[(np.arange(2 * len(steps)) + 1) // 2]).astype(np.float32)
    return repeated


def ink(n_columns: int, blank: str = "") -> Columns:
    """Columns [n, H] with ink everywhere, but where `blank` has a space."""
    columns = np.full((n_columns, H), 255, np.uint8)
    for column, mark in enumerate(blank):
        columns[column] *= mark != " "
    return columns


def read(decoder: TranscriptDecoder, scores: Scores, columns: Columns | None = None) -> list[Event]:
    """What follows from all scores at once."""
    return decoder.step(scores, ink(len(scores)) if columns is None else columns).events


def flushed(decoder: TranscriptDecoder, scores: Scores | None = None) -> list[Event]:
    """What a flush decides, the net's scores of its blank columns being these."""
    beyond = line("-" * (PATIENCE // 2))[1:] if scores is None else scores
    return decoder.step_beyond(beyond) + decoder.flush()


def decoder(characters: str | None = None) -> TranscriptDecoder:
    made = TranscriptDecoder(LABELS, PATIENCE)
    made.allow(characters)
    return made


def texts(events: list[Event]) -> list[str]:
    return [event.char if isinstance(event, Letter) else event.text for event in events]


# Letters


def test_a_run_of_one_symbol_is_one_letter_and_blanks_tell_letters_apart() -> None:
    reader = decoder()
    assert texts(read(reader, line("-aab-bb-"))) == ["a", "b", "b"]
    assert reader.text == "abb"
    assert reader.letters == 3


def test_a_certain_letter_is_given_at_its_first_step_an_uncertain_one_when_its_run_is_over() -> (
    None
):
    certain, uncertain = read(decoder(), line("-a--bb-", "    cc "))
    assert (certain.column, uncertain.column) == (3, 13)
    assert np.exp(SURE) < certain.confidence < 1
    assert uncertain.confidence == pytest.approx(2 / 3, abs=0.01)


def test_what_is_not_decided_is_in_the_text_alone() -> None:
    reader = decoder()
    heard = reader.step(line("-a-bb", "   cc"), ink(10))
    assert texts(heard.events) == ["a"]
    assert heard.texts == ["", "", "", "a", "a", "a", "a", "ab", "ab", "ab"]
    assert reader.letters == 1


def test_letters_name_the_characters_that_were_nearly_as_probable() -> None:
    (letter,) = read(decoder(), line("-a-", " c "))
    assert isinstance(letter, Letter)
    ((other, probability),) = letter.alternatives
    assert other == "c"
    assert probability == pytest.approx(1 / 3, abs=0.01)
    assert letter.confidence + probability <= 1


def test_marks_are_neither_letters_nor_digits_and_share_their_numbers() -> None:
    said = read(decoder(), line("-a-.-5-"))
    assert [(letter.id, letter.is_mark) for letter in said if isinstance(letter, Letter)] == [
        (0, False),
        (1, True),
        (2, False),
    ]


# Columns


def test_a_letter_ends_where_the_score_of_ends_says_so() -> None:
    scores = line("------a----b--", ends={5: 0.9, 10: 0.8})
    first, second = read(decoder(), scores)
    assert first.end == 2 * (5 - END_DELAY + 1)
    assert second.end == 2 * (10 - END_DELAY + 1)


def test_without_such_a_score_a_letter_ends_where_its_symbol_begins() -> None:
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


@pytest.mark.parametrize(("tail", "start"), [("xxx", 15), ("xxxxxxx", 8)])
def test_the_rest_of_a_letter_before_a_gap_is_not_the_next_ones_but_long_ink_is(
    tail: str, start: int
) -> None:
    scores = line("------a-----b--", ends={5: 0.9, 11: 0.8})
    columns = ink(30, blank=("xxxxxxxx" + tail).ljust(15) + "xxxxx")
    first, second = read(decoder(), scores, columns)
    assert (first.end, second.start) == (8, start)


def test_a_word_starts_behind_the_gap_even_if_the_letter_before_ended_later() -> None:
    scores = line("------a-- -----b--", ends={5: 0.9, 14: 0.8})
    columns = ink(36, blank="xxxxxxxx" + "xxxxxxx" + "      " + "xxxxxxxx")
    said = read(decoder(), scores, columns)
    assert texts(said) == ["a", "a", "b"]
    assert said[2].start == 21


def test_ink_in_the_first_column_is_the_first_letters() -> None:
    (letter,) = read(decoder(), line("------a---"), ink(20, blank="xx    xxxx"))
    assert letter.start == 0


def test_ink_is_found_again_after_a_long_gap_whatever_the_pieces() -> None:
    gap = 400
    scores = line("--a" + "-" * gap + "b-")
    columns = ink(len(scores), "xxxx" + " " * (2 * gap - 8))
    whole = read(decoder(), scores, columns)
    reader = decoder()
    pieces: list[Event] = []
    for i in range(len(scores)):
        pieces += read(reader, scores[i : i + 1], columns[i : i + 1])
    assert pieces == whole
    assert whole[1].start == 2 * gap - 4


# Words


def test_a_space_ends_a_word() -> None:
    reader = decoder()
    said = read(reader, line("-ab- -c-"))
    assert texts(said) == ["a", "b", "ab", "c"]
    word = said[2]
    assert isinstance(word, Word)
    assert (word.id, word.start, word.end, word.column) == (0, said[0].start, said[1].end, 9)
    assert word.confidence == pytest.approx(said[0].confidence * said[1].confidence)
    assert (reader.text, reader.words) == ("ab c", 1)


def test_a_mark_belongs_to_the_word_it_touches_and_one_alone_is_a_word() -> None:
    assert texts(read(decoder(), line("a.b . c "))) == ["a", ".", "b", "a.b", ".", ".", "c", "c"]


def test_spaces_before_the_first_letter_and_behind_another_space_add_nothing() -> None:
    reader = decoder()
    assert texts(read(reader, line(" -a- - -b"))) == ["a", "a", "b"]
    assert reader.text == "a b"


def test_the_alternatives_of_a_word_are_made_of_those_of_its_letters() -> None:
    *_, word = read(decoder(), line("-a-b- ", " c d  "))
    assert isinstance(word, Word)
    assert word.text == "ab"
    assert [text for text, _ in word.alternatives] in (["cb", "ad", "cd"], ["ad", "cb", "cd"])
    for _, probability in word.alternatives:
        assert probability < word.confidence
    assert word.confidence == pytest.approx(4 / 9, abs=0.01)


# Flush


def test_a_flush_decides_the_last_letter_and_the_word() -> None:
    reader = decoder()
    said = read(reader, line("-a-b", "   c"))
    assert texts(said) == ["a"]
    said = flushed(reader)
    assert texts(said) == ["b", "ab"]
    assert {event.column for event in said} == {7}
    assert reader.settled


def test_what_the_net_holds_back_comes_with_the_blank_columns_of_a_flush() -> None:
    reader = decoder()
    read(reader, line("-a-"))
    letter, word = flushed(reader, line("-b-")[1:5])
    assert isinstance(letter, Letter)
    assert (letter.char, letter.column, letter.end <= 6) == ("b", 5, True)
    assert isinstance(word, Word)
    assert word.text == reader.text == "ab"


def test_after_a_flush_a_new_word_begins_and_no_space_is_added() -> None:
    reader = decoder()
    read(reader, line("-a-"))
    flushed(reader)
    said = read(reader, line("-b- "), ink(8, "  xx"))
    assert texts(said) == ["b", "b"]
    assert said[0].start == 8
    assert (reader.text, reader.words) == ("ab ", 2)


def test_a_symbol_that_goes_on_over_a_flush_is_two_letters() -> None:
    reader = decoder()
    read(reader, line("-a"))
    assert texts(flushed(reader, line("aaa")[1:5])) == ["a"]
    assert texts(read(reader, line("a"))) == ["a"]


def test_a_line_is_settled_before_any_column_and_after_a_flush() -> None:
    reader = decoder()
    assert reader.settled
    read(reader, line("a"))
    assert not reader.settled
    flushed(reader)
    assert reader.settled
    reader.reset()
    assert (reader.settled, reader.text, reader.letters) == (True, "", 0)


# Characters


def test_letters_that_are_not_allowed_leave_their_probability_to_those_that_are() -> None:
    reader = decoder("bc ")
    (letter,) = read(reader, line("-a-", " c "))
    assert isinstance(letter, Letter)
    assert (letter.char, letter.alternatives) == ("c", ())
    assert letter.confidence > 0.99
    shares = reader.shares(line("-a", " c"))
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
    assert (shares[:, [LABELS.index(c) for c in "ad.5"]] == 0).all()


def test_without_the_space_no_words_are_told_apart_and_gaps_are_no_letters() -> None:
    reader = decoder("abcd.5")
    said = read(reader, line("-a- -b-"))
    assert texts(said + flushed(reader)) == ["a", "b", "ab"]
    assert reader.text == "ab"


def test_with_the_space_alone_nothing_is_read() -> None:
    reader = decoder(" ")
    assert read(reader, line("-a- -b-")) + flushed(reader) == []
    assert reader.text == ""


def test_what_is_open_obeys_the_characters_of_its_decision() -> None:
    reader = decoder()
    read(reader, line("-a", " c"))
    assert reader.text == "a"
    reader.allow("c ")
    assert reader.text == "c"
    assert texts(read(reader, line("-"))) == ["c"]


def test_what_is_decided_stays_whatever_is_allowed_afterwards() -> None:
    reader = decoder()
    read(reader, line("-a-"))
    reader.allow("c")
    assert reader.text == "a"


def test_characters_that_no_label_has_are_refused_and_change_nothing() -> None:
    reader = decoder("c")
    with pytest.raises(InputError, match="characters holds 'z'"):
        reader.allow("az")
    assert texts(read(reader, line("-a-", " c "))) == ["c"]


# However it comes


@st.composite
def noises(draw: st.DrawFn) -> tuple[Scores, Columns]:
    """Scores of a net that has learnt nothing, some of it often blank, and random columns."""
    n_steps, seed = draw(st.integers(1, 40)), draw(st.integers(0, 2**20))
    random = np.random.default_rng(seed)
    raw = random.normal(0, draw(st.sampled_from([1, 4])), (n_steps, 1 + len(LABELS)))
    raw[:, 0] += draw(st.sampled_from([0, 3]))
    symbols = raw - np.log(np.exp(raw).sum(1, keepdims=True))
    ends = np.log(random.random((n_steps, 1)) ** 3)
    lasting = np.arange(n_steps) // draw(st.sampled_from([1, 1, 3, 30]))  # long runs, too
    steps = np.concatenate([line("-")[:1], np.concatenate([symbols[lasting], ends], 1)])
    columns = ink(2 * n_steps) * (random.random((2 * n_steps, 1)) < 0.6).astype(np.uint8)
    shown = steps[(np.arange(2 * n_steps) + 1) // 2].astype(np.float32)
    n_columns = draw(st.integers(1, 2 * n_steps))
    return shown[:n_columns], columns[:n_columns]


CHARACTERS = st.sampled_from([None, "ab ", "abcd", " ", "5"])


@given(noise=noises(), cuts=st.lists(st.integers(1, 80)), characters=CHARACTERS)
def test_pieces_of_any_length_say_what_the_whole_says(
    noise: tuple[Scores, Columns], cuts: list[int], characters: str | None
) -> None:
    scores, columns = noise
    whole, pieces = decoder(characters), decoder(characters)
    expected = whole.step(scores, columns)
    events: list[Event] = []
    said: list[str] = []
    places = sorted({cut for cut in cuts if cut < len(scores)})
    parts = zip(np.split(scores, places), np.split(columns, places), strict=True)
    for part, part_columns in parts:
        heard = pieces.step(part, part_columns)
        events += heard.events
        said += heard.texts
    assert events == expected.events
    assert said == expected.texts
    assert pieces.text == whole.text == said[-1]
    assert flushed(pieces) == flushed(whole)


def test_a_symbol_that_lasts_for_long_is_the_same_letter_whatever_the_pieces() -> None:
    scores = line("-" + "a" * 30 + "-", " " + "c" * 30, ends={3: 0.9, 25: 0.5})
    columns = ink(len(scores))
    (whole,) = read(decoder(), scores, columns)
    reader, pieces = decoder(), list[Event]()
    for i in range(len(scores)):
        pieces += read(reader, scores[i : i + 1], columns[i : i + 1])
    assert pieces == [whole]


@given(noise=noises(), characters=CHARACTERS, late=noises())
def test_events_lie_in_their_line_one_after_the_other(
    noise: tuple[Scores, Columns], characters: str | None, late: tuple[Scores, Columns]
) -> None:
    scores, columns = noise
    reader = decoder(characters)
    said = [*read(reader, scores, columns), *flushed(reader, late[0][:PATIENCE])]
    letters = [event for event in said if isinstance(event, Letter)]
    words = [event for event in said if isinstance(event, Word)]
    assert [letter.id for letter in letters] == list(range(reader.letters))
    assert [word.id for word in words] == list(range(reader.words))
    assert [word.text for word in words] == reader.text.split()
    assert "".join(letter.char for letter in letters) == reader.text.replace(" ", "")
    for event in said:
        assert 0 <= event.start < event.end <= event.column + 1 <= len(scores)
        assert 0 <= event.confidence <= 1.0001
    for before, after in pairwise(letters):
        assert before.end <= after.end
        assert before.column <= after.column
    if characters is not None:
        assert set(reader.text) <= {*characters, " "}


@given(noise=noises(), at=st.integers(0, 79))
def test_a_copy_goes_its_own_way(noise: tuple[Scores, Columns], at: int) -> None:
    scores, columns = noise
    at = min(at, len(scores) - 1)
    reader, alone = decoder(), decoder()
    read(reader, scores[:at], columns[:at])
    fork = reader.copy()
    read(fork, scores[::-1], columns)
    flushed(fork)
    read(alone, scores[:at], columns[:at])
    assert read(reader, scores[at:], columns[at:]) == read(alone, scores[at:], columns[at:])
    assert (reader.text, reader.letters) == (alone.text, alone.letters)


def test_a_long_line_costs_no_more_at_its_end_than_at_its_start() -> None:
    reader = decoder()
    scores = line("-ab- -c---" * 100)
    columns = ink(len(scores))
    for _ in range(20):
        read(reader, scores, columns)
    kept = {name: value for name, value in vars(reader).items() if isinstance(value, list)}
    assert all(len(value) <= 64 for value in kept.values())

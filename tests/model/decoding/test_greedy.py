"""Greedy decoding: letters, marks and words are emitted once, as soon as they are certain."""

from typing import Any

import numpy as np
import pytest
from msgspec import msgpack

from inkstream.model.decoding.base import Letter, Word, allowed_labels
from inkstream.model.decoding.greedy import SURE, GreedyDecoder
from inkstream.model.errors import InputError
from tests.helpers.scores import (
    LABELS,
    Scores,
    decoder,
    flush,
    ink,
    line,
    read,
    texts,
)

# Letters


def test_a_run_of_one_symbol_is_one_letter_and_blanks_separate_letters() -> None:
    reader = decoder()
    assert texts(read(reader, line("-aab-bb-"))) == ["a", "b", "b"]
    assert reader.text == "abb"
    assert reader.letters == 3


def test_a_certain_letter_is_emitted_at_its_first_step_and_an_uncertain_one_after_its_run() -> None:
    certain, uncertain = read(decoder(), line("-a--bb-", "    cc "))
    assert (certain.column, uncertain.column) == (3, 13)
    assert np.exp(SURE) < certain.confidence < 1
    assert uncertain.confidence == pytest.approx(2 / 3, abs=0.01)


def test_an_undecided_letter_is_in_the_text_and_is_no_event() -> None:
    reader = decoder()
    decoded = reader.step(line("-a-bb", "   cc"), ink(10))
    assert texts(decoded.events) == ["a"]
    assert decoded.texts == ["", "", "", "a", "a", "a", "a", "ab", "ab", "ab"]
    assert reader.letters == 1


def faint_line(steps: str, labels: dict[int, str], probability: float = 0.3) -> Scores:
    """Return scores in which a label has this probability at some steps, and the blank the rest."""
    scores = line(steps)
    for step, label in labels.items():
        of_step = scores[2 * step + 1 : 2 * step + 3]
        of_step[:, :-1] = np.log(1e-6)
        of_step[:, 0], of_step[:, 1 + LABELS.index(label)] = (
            np.log(1 - probability),
            np.log(probability),
        )
    return scores


def test_a_symbol_whose_summed_odds_against_the_blank_are_enough_is_a_letter() -> None:
    assert read(decoder(), faint_line("---" * 3, {1: "b", 5: "a"})) == []
    reader = decoder()
    events = read(reader, faint_line("-" * 8, {1: "b", 2: "b", 5: "a", 6: "a"}))
    assert texts(events) == ["b", "a"]
    assert [event.column for event in events] == [7, 15]
    assert all(event.confidence > 0.99 for event in events)


def test_summed_odds_are_reset_by_a_new_symbol() -> None:
    assert texts(read(decoder(), faint_line("--c--", {1: "b", 3: "b"}))) == ["c"]
    reader = decoder()
    read(reader, faint_line("--", {1: "b"}))
    flush(reader)
    assert read(reader, faint_line("---", {1: "b"})[1:]) == []


def test_odds_of_the_newest_symbol_are_not_summed() -> None:
    labels = {1: "a", 2: "a", 3: "a", 5: "a"}
    assert texts(read(decoder(), faint_line("a-----", labels, 0.45))) == ["a"]


def test_alternatives_of_a_letter_are_the_next_most_probable_characters() -> None:
    (letter,) = read(decoder(), line("-a-", " c "))
    assert isinstance(letter, Letter)
    ((character, probability),) = letter.alternatives
    assert character == "c"
    assert probability == pytest.approx(1 / 3, abs=0.01)
    assert letter.confidence + probability <= 1


def test_marks_are_neither_letters_nor_digits_and_are_counted_with_letters() -> None:
    events = read(decoder(), line("-a-.-5-"))
    assert [(letter.id, letter.is_mark) for letter in events if isinstance(letter, Letter)] == [
        (0, False),
        (1, True),
        (2, False),
    ]


# Words


def test_a_space_ends_a_word() -> None:
    reader = decoder()
    events = read(reader, line("-ab- -c-"))
    assert texts(events) == ["a", "b", "ab", "c"]
    word = events[2]
    assert isinstance(word, Word)
    assert (word.id, word.start, word.end, word.column) == (0, events[0].start, events[1].end, 9)
    assert word.confidence == pytest.approx(events[0].confidence * events[1].confidence)
    assert (reader.text, reader.words) == ("ab c", 1)


def test_a_mark_belongs_to_the_word_it_touches_and_one_alone_is_a_word() -> None:
    assert texts(read(decoder(), line("a.b . c "))) == ["a", ".", "b", "a.b", ".", ".", "c", "c"]


def test_spaces_before_the_first_letter_and_after_another_space_add_nothing() -> None:
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
    events = read(reader, line("-a-b", "   c"))
    assert texts(events) == ["a"]
    events = flush(reader)
    assert texts(events) == ["b", "ab"]
    assert {event.column for event in events} == {7}
    assert reader.settled


def test_letters_that_appear_in_the_blank_columns_of_a_flush_belong_to_the_line() -> None:
    reader = decoder()
    read(reader, line("-a-"))
    letter, word = flush(reader, line("-b-")[1:5])
    assert isinstance(letter, Letter)
    assert (letter.char, letter.column, letter.end <= 6) == ("b", 5, True)
    assert isinstance(word, Word)
    assert word.text == reader.text == "ab"


def test_after_a_flush_a_new_word_begins_and_no_space_is_added() -> None:
    reader = decoder()
    read(reader, line("-a-"))
    flush(reader)
    events = read(reader, line("-b- "), ink(8, "  xx"))
    assert texts(events) == ["b", "b"]
    assert events[0].start == 8
    assert (reader.text, reader.words) == ("ab ", 2)


def test_a_symbol_that_continues_after_a_flush_is_two_letters() -> None:
    reader = decoder()
    read(reader, line("-a"))
    assert texts(flush(reader, line("aaa")[1:5])) == ["a"]
    assert texts(read(reader, line("a"))) == ["a"]


def test_a_line_is_settled_before_any_column_and_after_a_flush() -> None:
    reader = decoder()
    assert reader.settled
    read(reader, line("a"))
    assert not reader.settled
    flush(reader)
    assert reader.settled


# Characters


def test_the_probability_of_disallowed_letters_goes_to_allowed_ones() -> None:
    reader = decoder("bc ")
    (letter,) = read(reader, line("-a-", " c "))
    assert isinstance(letter, Letter)
    assert (letter.char, letter.alternatives) == ("c", ())
    assert letter.confidence > 0.99
    probabilities = reader.probabilities(line("-a", " c"))
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert (probabilities[:, [LABELS.index(c) for c in "ad.5"]] == 0).all()


def test_without_the_space_a_line_is_one_word() -> None:
    reader = decoder("abcd.5")
    events = read(reader, line("-a- -b-"))
    assert texts(events + flush(reader)) == ["a", "b", "ab"]
    assert reader.text == "ab"


def test_with_the_space_alone_nothing_is_read() -> None:
    reader = decoder(" ")
    assert read(reader, line("-a- -b-")) + flush(reader) == []
    assert reader.text == ""


def test_an_undecided_letter_follows_a_change_of_the_allowed_characters() -> None:
    reader = decoder()
    read(reader, line("-a", " c"))
    assert reader.text == "a"
    reader.allowed = allowed_labels(LABELS, "c ")
    assert reader.text == "c"
    assert texts(read(reader, line("-"))) == ["c"]


def test_decided_letters_do_not_change_with_the_allowed_characters() -> None:
    reader = decoder()
    read(reader, line("-a-"))
    reader.allowed = allowed_labels(LABELS, "c")
    assert reader.text == "a"


def test_characters_that_no_label_has_are_refused_and_change_nothing() -> None:
    reader = decoder("c")
    with pytest.raises(InputError, match="characters holds 'z'"):
        reader.allowed = allowed_labels(LABELS, "az")
    assert texts(read(reader, line("-a-", " c "))) == ["c"]


# The space after a flush, whose blank columns look like a gap to the net


def read_around_a_flush(before: str, blank: str, characters: str | None = None) -> GreedyDecoder:
    """Read a letter and paper, flush, and read paper and two letters after a space."""
    reader = decoder(characters)
    read(reader, line("-a" + "-" * (len(before) // 2)), ink(4 + len(before), "xxxx" + before))
    flush(reader)
    read(reader, line(" " + "-" * (len(blank) // 2) + "-b-c-"), ink(12 + len(blank), "  " + blank))
    return reader


@pytest.mark.parametrize(
    ("before", "blank", "text"),
    [("", "", "abc"), ("  ", "  ", "abc"), ("    ", "", "abc"), ("", "    ", "abc"),
     ("    ", "  ", "a bc"), ("", "      ", "a bc"), (" " * 80, "", "a bc")],
)  # fmt: skip
def test_a_space_after_a_flush_needs_blank_columns_of_the_line_itself(
    before: str, blank: str, text: str
) -> None:
    """Two more columns are blank: those of the step of the space."""
    reader = read_around_a_flush(before, blank)
    assert reader.text == text
    flush(reader)
    assert reader.text == text


def test_no_space_follows_a_flush_if_the_space_is_not_allowed() -> None:
    assert read_around_a_flush(" " * 20, "", "abc").text == "abc"


def test_blank_columns_of_a_flush_make_no_space() -> None:
    reader = decoder()
    read(reader, line("-a-"))
    events = flush(reader, line("- --b-"))
    assert reader.text == "ab"
    assert texts(events) == ["b", "ab"]  # it does not end the word either


def test_the_space_after_a_flush_is_in_the_text_before_its_letter_is_decided() -> None:
    reader = decoder()
    read(reader, line("-a-----"), ink(14, "xxxx" + " " * 10))
    flush(reader)
    decoded = reader.step(line("--b", "  c"), ink(6))
    assert decoded.texts[-1] == "a b"
    assert decoded.events == []


# Saved state


def test_the_state_can_be_saved_at_any_column() -> None:
    steps, unsure = "-aab-bb-- cc-a", "    cc  a  "
    uninterrupted, restored = decoder(), decoder()
    scores = line(steps, unsure)
    expected = [uninterrupted.step(scores[i : i + 1], ink(1)) for i in range(len(scores))]
    for i, decoded in enumerate(expected):
        next_decoder = decoder()
        next_decoder.restore(msgpack.decode(msgpack.encode(restored.to_dict())))
        restored = next_decoder
        assert restored.step(scores[i : i + 1], ink(1)) == decoded
    assert flush(restored) == flush(uninterrupted)


def test_an_invalid_state_is_refused_and_changes_nothing() -> None:
    reader = decoder()
    read(reader, line("-a-b"))
    before = reader.to_dict()
    invalid: list[Any] = [[], "text", 5, None]
    for state in invalid:
        with pytest.raises(InputError, match="cannot go on from this"):
            reader.restore(state)
    incomplete = {name: value for name, value in before.items() if name != "letters"}
    for state in (
        incomplete,
        *(before | change for change in ({"_run": [1]}, {"_word": [0, 1, ["abc"]]})),
    ):
        with pytest.raises(InputError, match="cannot go on from this"):
            reader.restore(state)
        assert reader.to_dict() == before
    with pytest.raises(InputError, match=r"with hints: it holds \['beam'\] too"):
        reader.restore(before | {"beam": {}})

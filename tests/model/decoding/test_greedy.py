"""Greedy decoding: letters, marks and words are emitted once, as soon as they are certain."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack

from inkstream.model.decoding.base import Event, Letter, Word, allowed_labels
from inkstream.model.decoding.greedy import SURE
from inkstream.model.errors import InputError
from tests.model.decoding.scores import (
    LABELS,
    PATIENCE,
    Columns,
    Scores,
    decoder,
    flush,
    ink,
    line,
    read,
    texts,
)

# Letters and words


@pytest.mark.parametrize(
    ("steps", "unsure", "characters", "expected", "text"),
    [
        ("-aab-bb-", "", None, ["a", "b", "b"], "abb"),  # a run is a letter, blanks separate
        ("-a-bb", "   cc", None, ["a"], "ab"),  # `b` may still change
        ("-ab- -c-", "", None, ["a", "b", "ab", "c"], "ab c"),
        ("a.b . c ", "", None, ["a", ".", "b", "a.b", ".", ".", "c", "c"], "a.b . c "),
        (" -a- - -b", "", None, ["a", "a", "b"], "a b"),  # none before a line, and one for two
        ("-a- -b-", "", "abcd.5", ["a", "b"], "ab"),  # the space is a label like others
        ("-a- -b-", "", " ", [], ""),
        ("-a-", " c ", "bc ", ["c"], "c"),
    ],
)
def test_letters_and_words_are_decided_once_they_are_certain(
    steps: str, unsure: str, characters: str | None, expected: list[str], text: str
) -> None:
    reader = decoder(characters)
    events = read(reader, line(steps, unsure))
    assert (texts(events), reader.text) == (expected, text)
    assert reader.letters == sum(isinstance(event, Letter) for event in events)
    assert reader.words == sum(isinstance(event, Word) for event in events)


def test_a_certain_letter_is_emitted_at_its_first_step_and_an_uncertain_one_after_its_run() -> None:
    certain, uncertain = read(decoder(), line("-a--bb-", "    cc "))
    assert (certain.column, uncertain.column) == (3, 13)
    assert np.exp(SURE) < certain.confidence < 1
    assert uncertain.confidence == pytest.approx(2 / 3, abs=0.01)


def test_the_text_shows_a_letter_from_its_first_step_on() -> None:
    decoded = decoder().step(line("-a-bb", "   cc"), ink(10))
    assert decoded.texts == ["", "", "", "a", "a", "a", "a", "ab", "ab", "ab"]


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


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (faint_line("-" * 9, {1: "b", 5: "a"}), []),
        (faint_line("-" * 8, {1: "b", 2: "b", 5: "a", 6: "a"}), [("b", 7), ("a", 15)]),
        (faint_line("--c--", {1: "b", 3: "b"}), [("c", 5)]),  # a new symbol resets the sums
        (faint_line("a-----", dict.fromkeys((1, 2, 3, 5), "a"), 0.45), [("a", 1)]),  # the newest
    ],
)
def test_a_symbol_whose_summed_odds_against_the_blank_are_enough_is_a_letter(
    scores: Scores, expected: list[tuple[str, int]]
) -> None:
    events = read(decoder(), scores)
    assert [*zip(texts(events), [event.column for event in events], strict=True)] == expected
    assert all(event.confidence > 0.9 for event in events)


def test_a_flush_resets_the_summed_odds() -> None:
    reader = decoder()
    read(reader, faint_line("--", {1: "b"}))
    flush(reader)
    assert read(reader, faint_line("---", {1: "b"})[1:]) == []


def test_the_alternatives_of_a_word_are_made_of_those_of_its_letters() -> None:
    letter, other, word = read(decoder(), line("-a-b- ", " c d  "))
    assert isinstance(letter, Letter)
    assert isinstance(word, Word)
    assert dict(letter.alternatives) == {"c": pytest.approx(1 / 3, abs=0.01)}
    assert [text for text, _ in word.alternatives] in (["cb", "ad", "cd"], ["ad", "cb", "cd"])
    assert all(probability < word.confidence for _, probability in word.alternatives)
    assert word.confidence == pytest.approx(letter.confidence * other.confidence)
    assert word.confidence == pytest.approx(4 / 9, abs=0.01)
    assert (word.id, word.start, word.end, word.column) == (0, letter.start, other.end, 11)


# Flush


def test_a_flush_decides_the_last_letter_and_the_word() -> None:
    reader = decoder()
    assert reader.settled
    read(reader, line("-a-b", "   c"))
    assert not reader.settled
    events = flush(reader)
    assert [*zip(texts(events), [event.column for event in events], strict=True)] == [
        ("b", 7),
        ("ab", 7),
    ]
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


# Characters


def test_the_probability_of_disallowed_letters_goes_to_allowed_ones() -> None:
    reader = decoder("bc ")
    (letter,) = read(reader, line("-a-", " c "))
    assert isinstance(letter, Letter)
    assert letter.alternatives == ()
    assert letter.confidence > 0.99
    probabilities = reader.probabilities(line("-a", " c"))
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert (probabilities[:, [LABELS.index(c) for c in "ad.5"]] == 0).all()


def test_an_undecided_letter_follows_a_change_of_the_allowed_characters() -> None:
    reader = decoder()
    read(reader, line("-a", " c"))
    assert reader.text == "a"
    reader.allowed = allowed_labels(LABELS, "c ")
    assert reader.text == "c"
    assert texts(read(reader, line("-"))) == ["c"]
    reader.allowed = allowed_labels(LABELS, "a")
    assert reader.text == "c"  # it is decided


# The space after a flush, whose blank columns look like a gap to the net


@pytest.mark.parametrize(
    ("before", "blank", "characters", "text"),
    [("", "", None, "abc"), ("  ", "  ", None, "abc"), ("    ", "", None, "abc"),
     ("", "    ", None, "abc"), ("    ", "  ", None, "a bc"), ("", "      ", None, "a bc"),
     (" " * 10 + "xx", "", None, "a bc"), ("  xx", "", None, "abc"),
     (" " * 80, "", None, "a bc"), (" " * 20, "", "abc", "abc")],
)  # fmt: skip
def test_a_space_after_a_flush_needs_blank_columns_of_the_line_itself(
    before: str, blank: str, characters: str | None, text: str
) -> None:
    """Two more columns are blank: those of the step of the space."""
    reader = decoder(characters)
    read(reader, line("-a" + "-" * (len(before) // 2)), ink(4 + len(before), "xxxx" + before))
    flush(reader)
    read(reader, line(" " + "-" * (len(blank) // 2) + "-b-c-"), ink(12 + len(blank), "  " + blank))
    assert reader.text == text
    flush(reader)
    assert reader.text == text


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
    incomplete = {name: value for name, value in before.items() if name != "letters"}
    changed = [before | {"_run": [1]}, before | {"_word": [0, 1, ["abc"]]}]
    invalid: list[Any] = [[], "text", 5, None, incomplete, *changed]
    for state in invalid:
        with pytest.raises(InputError, match="cannot go on from this"):
            reader.restore(state)
        assert reader.to_dict() == before
    with pytest.raises(InputError, match=r"with hints: it holds \['beam'\] too"):
        reader.restore(before | {"beam": {}})


# The columns of letters: from the first ink to the highest score of a letter's end


@pytest.mark.parametrize(
    ("steps", "ends", "drawn", "spans"),
    [
        # Without an end score a letter ends where its symbol begins.
        ("------a--", {}, "", [(0, 12)]),
        # Without a gap a letter starts where the one before ends.
        ("------a----b--", {5: 0.9, 10: 0.8}, "", [(0, 8), (8, 18)]),
        ("------a----b--", {5: 0.9, 10: 0.8}, "   xxxx      xx", [(3, 8), (13, 18)]),
        # Short ink before a gap belongs to the letter before, long ink to the next.
        ("------a-----b--", {5: 0.9, 11: 0.8}, "xxxxxxxxxxx    xxxxx", [(0, 8), (15, 20)]),
        ("------a-----b--", {5: 0.9, 11: 0.8}, "xxxxxxxxxxxxxxxxxxxx", [(0, 8), (8, 20)]),
        # A word starts after the gap, even if the letter before ended later.
        ("------a-- -----b--", {5: 0.9, 14: 0.8}, "x" * 15 + " " * 6 + "x" * 8, [(0, 8), (21, 26)]),
        # Ink in the first column is the first letter's.
        ("------a---", {}, "xx    xxxx", [(0, 12)]),
    ],
)
def test_a_letter_goes_from_its_first_ink_to_its_highest_end_score(
    steps: str, ends: dict[int, float], drawn: str, spans: list[tuple[int, int]]
) -> None:
    scores = line(steps, ends=ends)
    events = read(decoder(), scores, ink(len(scores), drawn))
    assert [(event.start, event.end) for event in events if isinstance(event, Letter)] == spans


def test_a_letter_that_a_flush_decides_ends_at_its_highest_end_score() -> None:
    for steps, unsure in (("a--", "b"), ("aaa", "bbb")):
        reader, scores = decoder(), line("-" * 12 + steps, " " * 12 + unsure, ends={12: 0.9})
        assert read(reader, scores[:-PATIENCE]) == []
        letter, word = flush(reader, scores[-PATIENCE:])
        assert letter.end == word.end == 22


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


# Random scores


@st.composite
def noisy_scores(draw: st.DrawFn) -> tuple[Scores, Columns]:
    """Draw random scores, some with frequent blanks and long runs, and random columns."""
    n_steps, seed = draw(st.integers(1, 40)), draw(st.integers(0, 2**20))
    random = np.random.default_rng(seed)
    raw = random.normal(0, draw(st.sampled_from([1, 4])), (n_steps, 1 + len(LABELS)))
    raw[:, 0] += draw(st.sampled_from([0, 3]))
    symbols = raw - np.log(np.exp(raw).sum(1, keepdims=True))
    ends = np.log(random.random((n_steps, 1)) ** 3)
    run_of_step = np.arange(n_steps) // draw(st.sampled_from([1, 1, 3, 30]))  # long runs, too
    steps = np.concatenate([line("-")[:1], np.concatenate([symbols[run_of_step], ends], 1)])
    columns = ink(2 * n_steps) * (random.random((2 * n_steps, 1)) < 0.6).astype(np.uint8)
    repeated = steps[(np.arange(2 * n_steps) + 1) // 2].astype(np.float32)
    n_columns = draw(st.integers(1, 2 * n_steps))
    return repeated[:n_columns], columns[:n_columns]


CHARACTERS = st.sampled_from([None, "ab ", "abcd", " ", "5"])


@given(scores_and_columns=noisy_scores(), cuts=st.lists(st.integers(1, 80)), characters=CHARACTERS)
def test_portions_of_any_length_give_the_same_events_as_the_whole_line(
    scores_and_columns: tuple[Scores, Columns], cuts: list[int], characters: str | None
) -> None:
    scores, columns = scores_and_columns
    at_once, portions = decoder(characters), decoder(characters)
    expected = at_once.step(scores, columns)
    events: list[Event] = []
    texts: list[str] = []
    bounds = sorted({cut for cut in cuts if cut < len(scores)})
    split = zip(np.split(scores, bounds), np.split(columns, bounds), strict=True)
    for part, part_columns in split:
        decoded = portions.step(part, part_columns)
        events += decoded.events
        texts += decoded.texts
    assert events == expected.events
    assert texts == expected.texts
    assert portions.text == at_once.text == texts[-1]
    assert flush(portions) == flush(at_once)


@given(scores_and_columns=noisy_scores(), characters=CHARACTERS, flush_scores=noisy_scores())
def test_spans_of_events_are_within_the_line_and_in_order(
    scores_and_columns: tuple[Scores, Columns],
    characters: str | None,
    flush_scores: tuple[Scores, Columns],
) -> None:
    scores, columns = scores_and_columns
    reader = decoder(characters)
    events = [*read(reader, scores, columns), *flush(reader, flush_scores[0][:PATIENCE])]
    letters = [event for event in events if isinstance(event, Letter)]
    words = [event for event in events if isinstance(event, Word)]
    assert [letter.id for letter in letters] == list(range(reader.letters))
    assert [word.id for word in words] == list(range(reader.words))
    assert [word.text for word in words] == reader.text.split()
    assert "".join(letter.char for letter in letters) == reader.text.replace(" ", "")
    for event in events:
        assert 0 <= event.start < event.end <= event.column + 1 <= len(scores)
        assert 0 <= event.confidence <= 1.0001
    for before, after in pairwise(letters):
        assert before.end <= after.end
        assert before.column <= after.column
    if characters is not None:
        assert set(reader.text) <= {*characters, " "}


@given(scores_and_columns=noisy_scores(), at=st.integers(0, 79))
def test_a_copy_is_independent(scores_and_columns: tuple[Scores, Columns], at: int) -> None:
    scores, columns = scores_and_columns
    at = min(at, len(scores) - 1)
    reader, uncopied = decoder(), decoder()
    read(reader, scores[:at], columns[:at])
    copied = reader.copy()
    read(copied, scores[::-1], columns)
    flush(copied)
    read(uncopied, scores[:at], columns[:at])
    assert read(reader, scores[at:], columns[at:]) == read(uncopied, scores[at:], columns[at:])
    assert (reader.text, reader.letters) == (uncopied.text, uncopied.letters)


def test_the_decoder_of_a_long_line_keeps_a_limited_state() -> None:
    reader = decoder()
    scores = line("-ab- -c---" * 100)
    columns = ink(len(scores))
    for _ in range(20):
        read(reader, scores, columns)
    lists = {name: value for name, value in vars(reader).items() if isinstance(value, list)}
    assert all(len(value) <= 64 for value in lists.values())

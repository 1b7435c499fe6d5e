"""Greedy decoding of random scores: portions of any length, spans, copies, memory."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model.decoding.base import Event, Letter, Word
from tests.helpers.scores import (
    LABELS,
    PATIENCE,
    Columns,
    Scores,
    decoder,
    flush,
    ink,
    line,
    read,
)


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


def test_a_long_run_is_the_same_letter_in_any_portions() -> None:
    scores = line("-" + "a" * 30 + "-", " " + "c" * 30, ends={3: 0.9, 25: 0.5})
    columns = ink(len(scores))
    (at_once,) = read(decoder(), scores, columns)
    reader, portions = decoder(), list[Event]()
    for i in range(len(scores)):
        portions += read(reader, scores[i : i + 1], columns[i : i + 1])
    assert portions == [at_once]


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

"""Scores in pieces of any length say what the whole says, whatever the net has learnt."""

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
    flushed,
    ink,
    line,
    read,
)


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
def test_portions_of_any_length_give_the_same_events_as_the_whole_line(
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
        decoded = pieces.step(part, part_columns)
        events += decoded.events
        said += decoded.texts
    assert events == expected.events
    assert said == expected.texts
    assert pieces.text == whole.text == said[-1]
    assert flushed(pieces) == flushed(whole)


def test_a_long_run_is_the_same_letter_in_any_portions() -> None:
    scores = line("-" + "a" * 30 + "-", " " + "c" * 30, ends={3: 0.9, 25: 0.5})
    columns = ink(len(scores))
    (whole,) = read(decoder(), scores, columns)
    reader, pieces = decoder(), list[Event]()
    for i in range(len(scores)):
        pieces += read(reader, scores[i : i + 1], columns[i : i + 1])
    assert pieces == [whole]


@given(noise=noises(), characters=CHARACTERS, late=noises())
def test_spans_of_events_lie_in_the_line_one_after_another(
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
def test_a_copy_is_independent(noise: tuple[Scores, Columns], at: int) -> None:
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

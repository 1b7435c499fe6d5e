"""A session of a transcriber: results with text, events that are final, flushes, many lines."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import (
    Configured,
    Done,
    Event,
    Flushed,
    LineEnd,
    Ready,
    ResetDone,
    Result,
    Word,
)
from inkstream.service.session import Close
from tests.helpers.single_session import (
    LINE_BLANK,
    LINE_INK,
    SessionClient,
    error_in,
    events_in,
    letters_in,
    line,
    message,
    only,
    read_by_decoder,
    results,
    text_of,
    texts,
    types_of,
    words_in,
)


def test_ready_names_the_kind_of_model(line_net: Runtime) -> None:
    ready = only(SessionClient(line_net).new_messages())
    assert isinstance(ready, Ready)
    assert (ready.model.kind, ready.column_height) == ("transcriber", 16)
    assert ready.labels == tuple(" abc.")


# Results and events


def test_every_column_gets_a_result_with_the_text_so_far(line_net: Runtime) -> None:
    messages = SessionClient(line_net).ask(line(60))
    assert texts(messages) == read_by_decoder(line_net, line(60))[0]
    assert [each.column for each in results(messages)] == list(range(60))
    for result in results(messages):
        assert result.letter_end is not None
        assert 0 <= result.letter_end <= 1
        probabilities = [p for _, p in result.probabilities]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert probabilities == sorted(probabilities, reverse=True)


def test_events_come_before_the_result_of_the_column_that_decided_them(line_net: Runtime) -> None:
    messages = SessionClient(line_net).ask(line(200))
    assert len(letters_in(messages)) > 20
    assert len(words_in(messages)) > 5
    column = -1
    for each in messages:
        if isinstance(each, Result):
            column = each.column
        elif isinstance(each, Event):
            assert each.column == column + 1


def test_the_events_spell_the_text(line_net: Runtime) -> None:
    messages = SessionClient(line_net).ask(line(200), message("flush"))
    letters, words = letters_in(messages), words_in(messages)
    assert "".join(each.char for each in letters) == text_of(messages).replace(" ", "")
    assert [each.text for each in words] == text_of(messages).split()
    assert [each.id for each in letters] == list(range(len(letters)))
    assert [each.id for each in words] == list(range(len(words)))
    assert {each.char for each in letters if each.mark} == {"."}


@given(cuts=st.lists(st.integers(1, 149)), run=st.integers(1, 64))
def test_messages_do_not_depend_on_how_columns_are_split(
    exact_net: Runtime, cuts: list[int], run: int
) -> None:
    whole = SessionClient(exact_net).ask(line(150), message("flush"))
    client = SessionClient(exact_net)
    client.new_messages()
    for start, end in pairwise([16 * cut for cut in sorted({0, 150, *cuts})]):
        client.send(line(150)[start:end])
        client.step(run)
    client.send(message("flush"))
    while client.step(run):
        pass
    assert client.new_messages() == whole


def test_columns_of_next_to_no_ink_are_paper_for_letters_too(line_net: Runtime) -> None:
    pixels = np.frombuffer(line(200), np.uint8)
    faint = np.where(pixels > 99, pixels, 0).reshape(-1, 16)
    marked = faint.copy()
    marked[~faint.any(1)] = 7
    readings = []
    for columns in (faint, marked):
        decoder = GreedyDecoder(line_net.config.labels, line_net.config.flush_columns)
        scores, _ = line_net.run(faint[:, None], line_net.initial_state(1))
        events = decoder.step(scores[:, 0], columns).events
        readings.append(([(event.start, event.end) for event in events], decoder.text))
    assert readings[0] == readings[1]
    assert len(readings[0][0]) > 5


# Configure


def test_a_transcriber_names_five_labels_by_default(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    assert only(client.ask(message("configure"))) == Configured(top_k=5, seq=1)
    client.ask(message("configure", top_k=2))
    assert len(results(client.ask(LINE_INK))[0].probabilities) == 2
    client.ask(message("configure", top_k=None))
    assert [*dict(results(client.ask(LINE_INK))[0].probabilities)] == list(" abc.")


def test_characters_bind_results_events_and_text(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    error = error_in(client.ask(message("configure", characters="a?")))
    assert error.code == "bad_value"
    assert "'?'" in error.message
    client.ask(message("configure", characters="ac"))
    messages = client.ask(line(150), message("flush"))
    assert {each.char for each in letters_in(messages)} == {"a", "c"}
    assert only(list(words_in(messages))).text == text_of(messages)  # type: ignore[union-attr]
    assert {*"".join(texts(messages))} == {"a", "c"}
    for result in results(messages):
        probabilities = dict(result.probabilities)
        assert probabilities.keys() == {"a", "c"}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)


# Flush, reset, line ends, end


def test_a_flush_decides_everything_at_the_newest_column_and_is_no_part_of_the_line(
    line_net: Runtime,
) -> None:
    client = SessionClient(line_net)
    expected = read_by_decoder(line_net, line(41))[1]
    messages = client.ask(line(41))
    *late, flushed = client.ask(message("flush", id="f"))
    seq = len(messages + late) + 1
    assert flushed == Flushed(id="f", columns=41, text=expected, seq=seq)
    assert {each.column for each in events_in(late)} == {40}
    assert all(each.end <= 41 for each in events_in(late))
    assert isinstance(late[-1], Word)
    again = client.ask(message("flush"), line(3), message("flush"))
    assert again[0] == Flushed(columns=41, text=expected, seq=seq + 1)
    assert [each.column for each in results(again)] == [41, 42, 43]
    assert text_of(again).startswith(expected)  # a new word has begun, and no space is added
    assert all(each.start >= 41 for each in events_in(again))


def test_a_flush_without_columns_is_answered_with_no_text(line_net: Runtime) -> None:
    flushed = only(SessionClient(line_net).ask(message("flush")))
    assert flushed == Flushed(columns=0, text="", seq=1)


def test_a_line_that_ends_by_itself_is_flushed_before_the_next_begins(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.ask(message("configure", line_end_columns=3))
    columns = LINE_INK * 21 + LINE_BLANK * 3
    messages = client.ask(columns + line(20, seed=1))
    index = types_of(messages).index("line_end")
    text = read_by_decoder(line_net, columns)[1]
    seq = index + 2  # after `configured`
    assert messages[index] == LineEnd(columns=24, text=text, messages=2, rest_columns=20, seq=seq)
    assert text.split() == [each.text for each in words_in(messages[:index])]
    assert texts(messages[index:]) == read_by_decoder(line_net, line(20, seed=1))[0]


def test_a_reset_drops_undecided_letters(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    messages = client.ask(line(30), message("reset", id="r"), line(30))
    index = types_of(messages).index("reset_done")
    assert messages[index] == ResetDone(id="r", seq=index + 1)
    assert messages[index + 1 :] == messages[:index]


def test_done_counts_the_last_line_without_withdrawn_events(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.ask(line(60), message("flush"), message("reset"))
    before = client.ask(line(60, seed=1), line(20), message("rewind", column=60))
    *last, done = client.ask(message("end"))
    standing = [each for each in events_in(before) if each.column < 60] + events_in(last)
    assert isinstance(done, Done)
    assert (done.letters, done.words) == (len(letters_in([*standing])), len(words_in([*standing])))
    text = read_by_decoder(line_net, line(60, seed=1))[1]
    assert (done.text, done.columns, types_of(last).count("flushed")) == (text, 60, 0)
    assert client.close == Close(1000, "end")

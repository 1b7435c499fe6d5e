"""A session of a transcriber: results with text, events that are final, and many lines."""

from itertools import pairwise
from typing import Any

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
    Punctuation,
    Ready,
    ResetDone,
    Result,
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
    types_of,
    words_in,
)

# Results and events


def test_ready_names_the_kind_of_model(line_net: Runtime) -> None:
    ready = only(SessionClient(line_net).new_messages())
    assert isinstance(ready, Ready)
    assert (ready.model.kind, ready.column_height) == ("transcriber", 16)
    assert ready.labels == tuple(" abc.")


def test_every_column_gets_a_result_with_the_text_so_far(line_net: Runtime) -> None:
    columns = line(60)
    messages = SessionClient(line_net).ask(columns)
    texts, _ = read_by_decoder(line_net, columns)
    assert [(each.column, each.text) for each in results(messages)] == list(enumerate(texts))
    for result in results(messages):
        assert result.letter_end is not None
        assert 0 <= result.letter_end <= 1
        assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert list(result.probabilities.values()) == sorted(
            result.probabilities.values(), reverse=True
        )


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
    flushed = messages[-1]
    assert isinstance(flushed, Flushed)
    assert flushed.text is not None
    assert "".join(each.char for each in letters_in(messages)) == flushed.text.replace(" ", "")
    assert [each.text for each in words_in(messages)] == flushed.text.split()
    assert [each.id for each in letters_in(messages)] == list(range(len(letters_in(messages))))
    assert [each.id for each in words_in(messages)] == list(range(len(words_in(messages))))
    marks = [each for each in messages if isinstance(each, Punctuation)]
    assert {each.char for each in marks} == {"."}


@given(cuts=st.lists(st.integers(1, 149)), run=st.integers(1, 64))
@pytest.mark.slow
def test_messages_do_not_depend_on_how_columns_are_split(
    line_net: Runtime, cuts: list[int], run: int
) -> None:
    columns = line(150)
    whole = SessionClient(line_net).ask(columns, message("flush"))
    client = SessionClient(line_net)
    client.new_messages()
    bounds = [16 * cut for cut in sorted({0, 150, *cuts})]
    for start, end in pairwise(bounds):
        client.send(columns[start:end])
        client.step(run)
    client.send(message("flush"))
    while client.step(run):
        pass
    messages = client.new_messages()
    assert types_of(messages) == types_of(whole)
    for received, expected in zip(messages, whole, strict=True):
        if isinstance(received, Result) and isinstance(expected, Result):
            assert (received.column, received.text) == (expected.column, expected.text)
        else:
            assert _rounded(received) == _rounded(expected)


def _rounded(message: Any) -> dict[str, Any]:
    """Return a message's fields, with the confidence rounded and without the alternatives."""
    values: dict[str, Any] = message.model_dump()
    values.pop("alternatives", None)
    values["confidence"] = round(values.get("confidence", 0), 3)
    return values


# Configure


def test_a_transcriber_names_five_labels_by_default(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    assert only(client.ask(message("configure"))) == Configured(top_k=5)
    client.ask(message("configure", top_k=2))
    assert len(results(client.ask(LINE_INK))[0].probabilities) == 2
    client.ask(message("configure", top_k=None))
    assert list(results(client.ask(LINE_INK))[0].probabilities) == list(" abc.")


def test_characters_bind_results_events_and_text(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.ask(message("configure", characters="ac"))
    messages = client.ask(line(150), message("flush"))
    assert {each.char for each in letters_in(messages)} == {"a", "c"}
    assert only(list(words_in(messages))).text == messages[-1].text  # type: ignore[union-attr]
    for result in results(messages):
        assert result.probabilities.keys() == {"a", "c"}
        assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert set(result.text or "") <= {"a", "c"}


def test_characters_outside_of_the_labels_are_refused(line_net: Runtime) -> None:
    error = error_in(SessionClient(line_net).ask(message("configure", characters="a?")))
    assert error.code == "bad_value"
    assert "'?'" in error.message


def test_one_result_a_message_and_every_event(line_net: Runtime) -> None:
    each_column = SessionClient(line_net).ask(line(90))
    client = SessionClient(line_net)
    client.ask(message("configure", every="message"))
    messages = client.ask(line(90)[: 50 * 16], line(90)[50 * 16 :])
    assert [result.column for result in results(messages)] == [49, 89]
    assert events_in(messages) == events_in(each_column)


# Lines


def test_a_line_that_ends_by_itself_is_flushed_before_the_next_begins(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.ask(message("configure", line_end_columns=3))
    columns = LINE_INK * 21 + LINE_BLANK * 3
    messages = client.ask(columns + line(20, seed=1))
    index = types_of(messages).index("flushed")
    assert messages[index] == Flushed(
        epoch=0, columns=24, text=read_by_decoder(line_net, columns)[1]
    )
    following = results(messages[index:])
    assert [(each.epoch, each.column) for each in following] == [(1, n) for n in range(20)]
    assert [each.text for each in following] == read_by_decoder(line_net, line(20, seed=1))[0]


def test_a_reset_drops_undecided_letters(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    messages = client.ask(line(30), message("reset", id="r"), line(30))
    index = types_of(messages).index("reset_done")
    assert messages[index] == ResetDone(id="r", epoch=1)
    assert events_in(messages[index:]) == events_in(messages[:index])


def test_done_counts_all_lines_without_withdrawn_events(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    messages = client.ask(line(60), message("flush"), message("reset"), line(60, seed=1))
    counted = len(letters_in(messages)), len(words_in(messages))
    client.ask(line(20), message("rewind", column=60))
    last = client.ask(message("end"))
    flushed, done = last[-2:]
    assert isinstance(flushed, Flushed)
    assert isinstance(done, Done)
    assert done.letters == counted[0] + len(letters_in(last))
    assert done.words == counted[1] + len(words_in(last))
    assert (done.text, done.columns) == (flushed.text, 140)
    assert client.close == Close(1000, "end")


def test_columns_of_next_to_no_ink_are_paper_for_letters_too(line_net: Runtime) -> None:
    pixels = np.frombuffer(line(200), np.uint8)
    faint = np.where(pixels > 99, pixels, 0).reshape(-1, 16)
    marked = faint.copy()
    marked[~faint.any(1)] = 7
    spans, texts = [], []
    for columns in (faint, marked):
        decoder = GreedyDecoder(line_net.config.labels, line_net.config.flush_columns)
        scores, _ = line_net.run(faint[:, None], line_net.initial_state(1))
        events = decoder.step(scores[:, 0], columns).events
        spans.append([(event.start, event.end) for event in events])
        texts.append(decoder.text)
    assert spans[0] == spans[1]
    assert texts[0] == texts[1]
    assert len(spans[0]) > 5

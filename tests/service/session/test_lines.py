"""A session of a transcriber: results with text, events that are final, flushes, many lines."""

import numpy as np
import pytest

from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import (
    Configured,
    Flushed,
    Word,
)
from tests.helpers.single_session import (
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
    words_in,
)

# Results and events


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

"""Flushes and rewinds of a transcriber's session: which events are decided or withdrawn."""

import numpy as np
import pytest

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import (
    Done,
    Flushed,
    Result,
    Rewound,
    ServerMessage,
    Word,
)
from tests.helpers.single_session import (
    SessionClient,
    all_probabilities,
    events_in,
    letters_in,
    line,
    message,
    only,
    read_by_decoder,
    results,
    words_in,
)


def index_after_results(messages: list[ServerMessage]) -> int:
    return max(i for i, each in enumerate(messages) if isinstance(each, Result)) + 1


# Flush


def test_a_flush_decides_everything_at_the_newest_column(line_net: Runtime) -> None:
    columns = line(41)
    messages = SessionClient(line_net).ask(columns, message("flush", id="f"))
    *late, flushed = messages[index_after_results(messages) :]
    assert flushed == Flushed(
        id="f", epoch=0, columns=41, text=read_by_decoder(line_net, columns)[1]
    )
    assert {each.column for each in events_in(late)} == {40}
    assert all(each.end <= 41 for each in events_in(late))
    assert isinstance(late[-1], Word)


def test_blank_columns_of_a_flush_are_not_counted_and_have_no_results(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    messages = client.ask(line(20), message("flush"), line(3), message("end"))
    assert [each.column for each in results(messages)] == list(range(23))
    done = messages[-1]
    assert isinstance(done, Done)
    assert done.columns == 23


def test_a_flush_right_after_a_flush_adds_nothing(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    first = client.ask(line(20), message("flush", id=1))[-1]
    again = only(client.ask(message("flush", id=2)))
    assert isinstance(first, Flushed)
    assert again == Flushed(id=2, epoch=0, columns=20, text=first.text)


def test_a_flush_without_columns_is_answered_with_no_text(line_net: Runtime) -> None:
    assert only(SessionClient(line_net).ask(message("flush"))) == Flushed(
        epoch=0, columns=0, text=""
    )


def test_after_a_flush_a_new_word_begins_and_no_space_is_added(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    before = client.ask(line(30), message("flush"))[-1]
    messages = client.ask(line(30, seed=1), message("flush"))
    assert isinstance(before, Flushed)
    assert isinstance(messages[-1], Flushed)
    assert before.text is not None
    assert messages[-1].text is not None
    assert messages[-1].text.startswith(before.text)
    rest = messages[-1].text.removeprefix(before.text)
    assert [each.text for each in words_in(messages)] == rest.split()
    assert all(each.start >= 30 for each in events_in(messages))


def test_a_flush_in_several_runs_sends_the_same_messages(line_net: Runtime) -> None:
    whole = SessionClient(line_net).ask(line(31), message("flush"))
    client = SessionClient(line_net)
    client.ask(line(31))
    client.send(message("flush"))
    while client.step(max_columns=1):
        pass
    assert client.new_messages() == whole[index_after_results(whole) :]


# Rewind


def test_rewound_counts_the_remaining_events_and_ids_continue(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    messages = client.ask(line(100))
    rewound = only(client.ask(message("rewind", column=70, id="r")))
    remaining = [each for each in events_in(messages) if each.column < 70]
    assert rewound == Rewound(
        id="r",
        epoch=1,
        column=70,
        text=results(messages)[69].text,
        letters=len(letters_in(list(remaining))),
        words=len(words_in(list(remaining))),
    )
    again = client.ask(line(100)[70 * 16 :])
    assert events_in(again) == [each for each in events_in(messages) if each.column >= 70]
    assert [each.text for each in results(again)] == [each.text for each in results(messages)[70:]]


@pytest.mark.parametrize("column", [0, 1, 31, 32, 33, 40, 41, 42, 64, 80])
def test_a_rewind_goes_to_any_column_past_or_to_a_flush(line_net: Runtime, column: int) -> None:
    columns, other = line(80), line(30, seed=1)
    client = SessionClient(line_net)
    client.ask(columns[: 41 * 16], message("flush"), columns[41 * 16 :])
    messages = client.ask(message("rewind", column=column), other, message("flush"))
    straight = SessionClient(line_net)
    flush = [message("flush")] if column >= 41 else []
    columns_kept = columns[: column * 16]
    frames: list[str | bytes] = [columns_kept[: 41 * 16], *flush, columns_kept[41 * 16 :]]
    straight.ask(*[part for part in frames if part])
    expected = straight.ask(other, message("flush"))
    assert events_in(messages) == events_in(expected)
    assert [each.text for each in results(messages)] == [each.text for each in results(expected)]
    np.testing.assert_allclose(all_probabilities(messages), all_probabilities(expected), atol=1e-5)


def test_a_rewind_to_the_newest_column_keeps_a_flush(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    flushed = client.ask(line(20), message("flush"))[-1]
    rewound, again = client.ask(message("rewind", column=20), message("flush"))
    assert isinstance(flushed, Flushed)
    assert isinstance(rewound, Rewound)
    assert isinstance(again, Flushed)
    assert rewound.text == again.text == flushed.text


def test_a_replay_allows_the_characters_that_were_allowed_at_each_column(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    messages = client.ask(line(40), message("configure", characters="ab "), line(60, seed=1))
    rewound = only(client.ask(message("rewind", column=40)))
    assert isinstance(rewound, Rewound)
    assert rewound.letters == len([e for e in letters_in(messages) if e.column < 40])
    again = client.ask(line(60, seed=1))
    assert events_in(again) == [each for each in events_in(messages) if each.column >= 40]

"""Flushes and rewinds of a transcriber's session: what is decided, and what is taken back."""

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
    Lone,
    curve,
    events_in,
    letters_in,
    line,
    message,
    only,
    read_by_decoder,
    results,
    words_in,
)


def after_results(said: list[ServerMessage]) -> int:
    return max(i for i, each in enumerate(said) if isinstance(each, Result)) + 1


# Flush


def test_a_flush_decides_everything_at_the_newest_column(line_net: Runtime) -> None:
    columns = line(41)
    said = Lone(line_net).ask(columns, message("flush", id="f"))
    *late, flushed = said[after_results(said) :]
    assert flushed == Flushed(
        id="f", epoch=0, columns=41, text=read_by_decoder(line_net, columns)[1]
    )
    assert {each.column for each in events_in(late)} == {40}
    assert all(each.end <= 41 for each in events_in(late))
    assert isinstance(late[-1], Word)


def test_blank_columns_of_a_flush_are_not_counted_and_have_no_results(line_net: Runtime) -> None:
    lone = Lone(line_net)
    said = lone.ask(line(20), message("flush"), line(3), message("end"))
    assert [each.column for each in results(said)] == list(range(23))
    done = said[-1]
    assert isinstance(done, Done)
    assert done.columns == 23


def test_a_flush_right_after_a_flush_adds_nothing(line_net: Runtime) -> None:
    lone = Lone(line_net)
    first = lone.ask(line(20), message("flush", id=1))[-1]
    again = only(lone.ask(message("flush", id=2)))
    assert isinstance(first, Flushed)
    assert again == Flushed(id=2, epoch=0, columns=20, text=first.text)


def test_a_flush_without_columns_is_answered_with_no_text(line_net: Runtime) -> None:
    assert only(Lone(line_net).ask(message("flush"))) == Flushed(epoch=0, columns=0, text="")


def test_after_a_flush_a_new_word_begins_and_no_space_is_added(line_net: Runtime) -> None:
    lone = Lone(line_net)
    before = lone.ask(line(30), message("flush"))[-1]
    said = lone.ask(line(30, seed=1), message("flush"))
    assert isinstance(before, Flushed)
    assert isinstance(said[-1], Flushed)
    assert before.text is not None
    assert said[-1].text is not None
    assert said[-1].text.startswith(before.text)
    rest = said[-1].text.removeprefix(before.text)
    assert [each.text for each in words_in(said)] == rest.split()
    assert all(each.start >= 30 for each in events_in(said))


def test_a_flush_that_runs_in_pieces_says_the_same(line_net: Runtime) -> None:
    whole = Lone(line_net).ask(line(31), message("flush"))
    lone = Lone(line_net)
    lone.ask(line(31))
    lone.send(message("flush"))
    while lone.step(max_columns=1):
        pass
    assert lone.heard() == whole[after_results(whole) :]


# Rewind


def test_a_rewind_tells_what_stands_and_numbers_go_on_from_there(line_net: Runtime) -> None:
    lone = Lone(line_net)
    said = lone.ask(line(100))
    rewound = only(lone.ask(message("rewind", column=70, id="r")))
    stands = [each for each in events_in(said) if each.column < 70]
    assert rewound == Rewound(
        id="r",
        epoch=1,
        column=70,
        text=results(said)[69].text,
        letters=len(letters_in(list(stands))),
        words=len(words_in(list(stands))),
    )
    again = lone.ask(line(100)[70 * 16 :])
    assert events_in(again) == [each for each in events_in(said) if each.column >= 70]
    assert [each.text for each in results(again)] == [each.text for each in results(said)[70:]]


@pytest.mark.parametrize("column", [0, 1, 31, 32, 33, 40, 41, 42, 64, 80])
def test_a_rewind_goes_to_any_column_past_or_to_a_flush(line_net: Runtime, column: int) -> None:
    columns, other = line(80), line(30, seed=1)
    lone = Lone(line_net)
    lone.ask(columns[: 41 * 16], message("flush"), columns[41 * 16 :])
    said = lone.ask(message("rewind", column=column), other, message("flush"))
    straight = Lone(line_net)
    flush = [message("flush")] if column >= 41 else []
    kept = columns[: column * 16]
    parts: list[str | bytes] = [kept[: 41 * 16], *flush, kept[41 * 16 :]]
    straight.ask(*[part for part in parts if part])
    due = straight.ask(other, message("flush"))
    assert events_in(said) == events_in(due)
    assert [each.text for each in results(said)] == [each.text for each in results(due)]
    np.testing.assert_allclose(curve(said), curve(due), atol=1e-5)


def test_a_rewind_to_the_newest_column_leaves_a_flush_as_it_is(line_net: Runtime) -> None:
    lone = Lone(line_net)
    flushed = lone.ask(line(20), message("flush"))[-1]
    rewound, again = lone.ask(message("rewind", column=20), message("flush"))
    assert isinstance(flushed, Flushed)
    assert isinstance(rewound, Rewound)
    assert isinstance(again, Flushed)
    assert rewound.text == again.text == flushed.text


def test_what_is_read_again_is_read_with_the_characters_of_then(line_net: Runtime) -> None:
    lone = Lone(line_net)
    said = lone.ask(line(40), message("configure", characters="ab "), line(60, seed=1))
    rewound = only(lone.ask(message("rewind", column=40)))
    assert isinstance(rewound, Rewound)
    assert rewound.letters == len([e for e in letters_in(said) if e.column < 40])
    again = lone.ask(line(60, seed=1))
    assert events_in(again) == [each for each in events_in(said) if each.column >= 40]

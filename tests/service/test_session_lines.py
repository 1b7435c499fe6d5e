"""A session of a transcriber: results with text, events that are final, flushes and rewinds."""

import dataclasses
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.checkpoint import Checkpoint
from model.runtime import Runtime
from model.transcript import TranscriptDecoder
from service import events
from service.history import SNAPSHOT_SPACING
from service.messages import (
    Configured,
    Done,
    Flushed,
    Ready,
    ResetDone,
    Result,
    Rewound,
    ServerMessage,
)
from service.session import Close
from tests import builders
from tests.service.lone import (
    LIMITS,
    LINE_BLANK,
    LINE_INK,
    Lone,
    curve,
    error_in,
    kinds,
    message,
    only,
    results,
)

Said = list[ServerMessage]


@pytest.fixture(scope="module")
def net(tiny_lines: Checkpoint) -> Runtime:
    return Runtime(tiny_lines)


def line(n_columns: int, seed: int = 0) -> bytes:
    return builders.columns(n_columns, seed, 16).tobytes()


def events_in(said: Said) -> list[events.Event]:
    return [each for each in said if isinstance(each, events.Event)]


def letters_in(said: Said) -> list[events.Letter | events.Punctuation]:
    return [each for each in said if isinstance(each, events.Letter | events.Punctuation)]


def words_in(said: Said) -> list[events.Word]:
    return [each for each in said if isinstance(each, events.Word)]


def read_by_decoder(net: Runtime, columns: bytes) -> tuple[list[str], str]:
    """Texts after each column, and after a flush: net and decoder without a session."""
    decoder = TranscriptDecoder(net.config.labels, net.config.flush_columns)
    pixels = np.frombuffer(columns, np.uint8).reshape(-1, 16)
    scores, state = net.run(pixels[:, None], net.initial_state(1))
    heard = decoder.step(scores[:, 0], pixels)
    blank = np.zeros((net.config.flush_columns, 1, 16), np.uint8)
    decoder.step_beyond(net.run(blank, state)[0][:, 0])
    decoder.flush()
    return heard.texts, decoder.text


# Results and events


def test_the_first_message_tells_the_kind(net: Runtime) -> None:
    ready = only(Lone(net).heard())
    assert isinstance(ready, Ready)
    assert (ready.model.kind, ready.column_height) == ("transcriber", 16)
    assert ready.labels == tuple(" abc.")


def test_every_column_gets_a_result_with_the_text_so_far(net: Runtime) -> None:
    columns = line(60)
    said = Lone(net).ask(columns)
    texts, _ = read_by_decoder(net, columns)
    assert [(each.column, each.text) for each in results(said)] == list(enumerate(texts))
    for result in results(said):
        assert result.letter_end is not None
        assert 0 <= result.letter_end <= 1
        assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert list(result.probabilities.values()) == sorted(
            result.probabilities.values(), reverse=True
        )


def test_events_come_before_the_result_of_the_column_that_decided_them(net: Runtime) -> None:
    said = Lone(net).ask(line(200))
    assert len(letters_in(said)) > 20
    assert len(words_in(said)) > 5
    column = -1
    for each in said:
        if isinstance(each, Result):
            column = each.column
        elif isinstance(each, events.Event):
            assert each.column == column + 1


def test_the_text_is_what_the_events_spell(net: Runtime) -> None:
    said = Lone(net).ask(line(200), message("flush"))
    flushed = said[-1]
    assert isinstance(flushed, Flushed)
    assert flushed.text is not None
    assert "".join(each.char for each in letters_in(said)) == flushed.text.replace(" ", "")
    assert [each.text for each in words_in(said)] == flushed.text.split()
    assert [each.id for each in letters_in(said)] == list(range(len(letters_in(said))))
    assert [each.id for each in words_in(said)] == list(range(len(words_in(said))))
    marks = [each for each in said if isinstance(each, events.Punctuation)]
    assert {each.char for each in marks} == {"."}


@given(cuts=st.lists(st.integers(1, 149)), run=st.integers(1, 64))
def test_pieces_of_any_length_say_what_the_whole_says(
    net: Runtime, cuts: list[int], run: int
) -> None:
    columns = line(150)
    whole = Lone(net).ask(columns, message("flush"))
    lone = Lone(net)
    lone.heard()
    places = [16 * cut for cut in sorted({0, 150, *cuts})]
    for start, end in pairwise(places):
        lone.send(columns[start:end])
        lone.step(run)
    lone.send(message("flush"))
    while lone.step(run):
        pass
    said = lone.heard()
    assert kinds(said) == kinds(whole)
    for heard, due in zip(said, whole, strict=True):
        if isinstance(heard, Result) and isinstance(due, Result):
            assert (heard.column, heard.text) == (due.column, due.text)
        else:
            assert _rounded(heard) == _rounded(due)


def _rounded(message: Any) -> dict[str, Any]:
    """A message without the probabilities, which differ in the last place."""
    values: dict[str, Any] = message.model_dump()
    values.pop("alternatives", None)
    values["confidence"] = round(values.get("confidence", 0), 3)
    return values


# Flush


def test_a_flush_decides_everything_at_the_newest_column(net: Runtime) -> None:
    columns = line(41)
    said = Lone(net).ask(columns, message("flush", id="f"))
    *late, flushed = said[_after_results(said) :]
    assert flushed == Flushed(id="f", epoch=0, columns=41, text=read_by_decoder(net, columns)[1])
    assert {each.column for each in events_in(late)} == {40}
    assert all(each.end <= 41 for each in events_in(late))
    assert isinstance(late[-1], events.Word)


def _after_results(said: Said) -> int:
    return max(i for i, each in enumerate(said) if isinstance(each, Result)) + 1


def test_blank_columns_of_a_flush_are_not_counted_and_have_no_results(net: Runtime) -> None:
    lone = Lone(net)
    said = lone.ask(line(20), message("flush"), line(3), message("end"))
    assert [each.column for each in results(said)] == list(range(23))
    done = said[-1]
    assert isinstance(done, Done)
    assert done.columns == 23


def test_a_flush_right_after_a_flush_adds_nothing(net: Runtime) -> None:
    lone = Lone(net)
    first = lone.ask(line(20), message("flush", id=1))[-1]
    again = only(lone.ask(message("flush", id=2)))
    assert isinstance(first, Flushed)
    assert again == Flushed(id=2, epoch=0, columns=20, text=first.text)


def test_a_flush_without_columns_is_answered_with_no_text(net: Runtime) -> None:
    assert only(Lone(net).ask(message("flush"))) == Flushed(epoch=0, columns=0, text="")


def test_after_a_flush_a_new_word_begins_and_no_space_is_added(net: Runtime) -> None:
    lone = Lone(net)
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


def test_a_flush_that_runs_in_pieces_says_the_same(net: Runtime) -> None:
    whole = Lone(net).ask(line(31), message("flush"))
    lone = Lone(net)
    lone.ask(line(31))
    lone.send(message("flush"))
    while lone.step(max_columns=1):
        pass
    assert lone.heard() == whole[_after_results(whole) :]


# Rewind


def test_a_rewind_tells_what_stands_and_numbers_go_on_from_there(net: Runtime) -> None:
    lone = Lone(net)
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
def test_a_rewind_goes_to_any_column_past_or_to_a_flush(net: Runtime, column: int) -> None:
    columns, other = line(80), line(30, seed=1)
    lone = Lone(net)
    lone.ask(columns[: 41 * 16], message("flush"), columns[41 * 16 :])
    said = lone.ask(message("rewind", column=column), other, message("flush"))
    straight = Lone(net)
    flush = [message("flush")] if column >= 41 else []
    kept = columns[: column * 16]
    parts: list[str | bytes] = [kept[: 41 * 16], *flush, kept[41 * 16 :]]
    straight.ask(*[part for part in parts if part])
    due = straight.ask(other, message("flush"))
    assert events_in(said) == events_in(due)
    assert [each.text for each in results(said)] == [each.text for each in results(due)]
    np.testing.assert_allclose(curve(said), curve(due), atol=1e-5)


def test_a_rewind_to_the_newest_column_leaves_a_flush_as_it_is(net: Runtime) -> None:
    lone = Lone(net)
    flushed = lone.ask(line(20), message("flush"))[-1]
    rewound, again = lone.ask(message("rewind", column=20), message("flush"))
    assert isinstance(flushed, Flushed)
    assert isinstance(rewound, Rewound)
    assert isinstance(again, Flushed)
    assert rewound.text == again.text == flushed.text


def test_what_is_read_again_is_read_with_the_characters_of_then(net: Runtime) -> None:
    lone = Lone(net)
    said = lone.ask(line(40), message("configure", characters="ab "), line(60, seed=1))
    rewound = only(lone.ask(message("rewind", column=40)))
    assert isinstance(rewound, Rewound)
    assert rewound.letters == len([e for e in letters_in(said) if e.column < 40])
    again = lone.ask(line(60, seed=1))
    assert events_in(again) == [each for each in events_in(said) if each.column >= 40]


# Configure


def test_a_transcriber_names_five_labels_unless_told_otherwise(net: Runtime) -> None:
    lone = Lone(net)
    assert only(lone.ask(message("configure"))) == Configured(top_k=5)
    lone.ask(message("configure", top_k=2))
    assert len(results(lone.ask(LINE_INK))[0].probabilities) == 2
    lone.ask(message("configure", top_k=None))
    assert list(results(lone.ask(LINE_INK))[0].probabilities) == list(" abc.")


def test_characters_bind_results_events_and_text(net: Runtime) -> None:
    lone = Lone(net)
    lone.ask(message("configure", characters="ac"))
    said = lone.ask(line(150), message("flush"))
    assert {each.char for each in letters_in(said)} == {"a", "c"}
    assert only(list(words_in(said))).text == said[-1].text  # type: ignore[union-attr]
    for result in results(said):
        assert result.probabilities.keys() == {"a", "c"}
        assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert set(result.text or "") <= {"a", "c"}


def test_characters_outside_of_the_labels_are_refused(net: Runtime) -> None:
    error = error_in(Lone(net).ask(message("configure", characters="a?")))
    assert error.code == "bad_value"
    assert "'?'" in error.message


def test_one_result_a_message_and_every_event(net: Runtime) -> None:
    each_column = Lone(net).ask(line(90))
    lone = Lone(net)
    lone.ask(message("configure", every="message"))
    said = lone.ask(line(90)[: 50 * 16], line(90)[50 * 16 :])
    assert [result.column for result in results(said)] == [49, 89]
    assert events_in(said) == events_in(each_column)


# Lines


def test_a_line_that_ends_by_itself_is_flushed_before_the_next_begins(net: Runtime) -> None:
    lone = Lone(net)
    lone.ask(message("configure", line_end_columns=3))
    columns = LINE_INK * 21 + LINE_BLANK * 3
    said = lone.ask(columns + line(20, seed=1))
    place = kinds(said).index("flushed")
    assert said[place] == Flushed(epoch=0, columns=24, text=read_by_decoder(net, columns)[1])
    following = results(said[place:])
    assert [(each.epoch, each.column) for each in following] == [(1, n) for n in range(20)]
    assert [each.text for each in following] == read_by_decoder(net, line(20, seed=1))[0]


def test_a_reset_drops_what_is_not_decided(net: Runtime) -> None:
    lone = Lone(net)
    said = lone.ask(line(30), message("reset", id="r"), line(30))
    place = kinds(said).index("reset_done")
    assert said[place] == ResetDone(id="r", epoch=1)
    assert events_in(said[place:]) == events_in(said[:place])


def test_the_summary_counts_all_lines_and_what_was_withdrawn_is_left_out(net: Runtime) -> None:
    lone = Lone(net)
    said = lone.ask(line(60), message("flush"), message("reset"), line(60, seed=1))
    counted = len(letters_in(said)), len(words_in(said))
    lone.ask(line(20), message("rewind", column=60))
    last = lone.ask(message("end"))
    flushed, done = last[-2:]
    assert isinstance(flushed, Flushed)
    assert isinstance(done, Done)
    assert done.letters == counted[0] + len(letters_in(last))
    assert done.words == counted[1] + len(words_in(last))
    assert (done.text, done.columns) == (flushed.text, 140)
    assert lone.close == Close(1000, "end")


def test_an_open_stream_of_many_lines_does_not_grow(net: Runtime) -> None:
    lone = Lone(net)
    lone.ask(message("configure", line_end_columns=3, every="message"))
    columns = line(57) + LINE_INK + LINE_BLANK * 3
    sizes = []
    for _ in range(6):
        for _ in range(20):
            lone.ask(columns)
        sizes.append(_size(lone.session))
    assert sizes[-1] <= sizes[0]


def test_one_very_long_line_keeps_no_more_than_its_text(net: Runtime) -> None:
    limits = dataclasses.replace(LIMITS, max_line_columns=100_000)
    lone = Lone(net, limits)
    lone.ask(message("configure", every="message"))
    sizes = []
    for _ in range(4):
        for seed in range(10):
            said = lone.ask(line(200, seed))
        text = results(said)[-1].text
        assert text is not None
        n_texts = limits.max_rewind_columns // SNAPSHOT_SPACING + 4
        sizes.append(_size(lone.session) - n_texts * len(text))
    assert sizes[-1] <= sizes[0]


def _size(thing: Any, seen: set[int] | None = None) -> int:
    """Bytes of an object and all that it refers to."""
    seen = set() if seen is None else seen
    if id(thing) in seen or callable(thing) or isinstance(thing, type):
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return int(thing.nbytes)
    inside = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    inside += [getattr(thing, name, None) for name in getattr(type(thing), "__slots__", ())]
    if isinstance(thing, dict):
        inside += [*thing.keys(), *thing.values()]
    elif not isinstance(thing, str | bytes | bytearray) and hasattr(thing, "__iter__"):
        inside += list(thing)
    return sys.getsizeof(thing) + sum(_size(each, seen) for each in inside)

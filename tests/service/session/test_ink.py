"""Strokes of a pen in a session: they become columns, and late ones are read by going back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkstream.model.preprocess.ink import flatten, rasterise
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Error, Flushed, Rewound, ServerMessage
from inkstream.service.session import Close
from tests.helpers.single_session import (
    LIMITS,
    LINE_INK,
    Lone,
    curve,
    error_in,
    kinds,
    line,
    message,
    only,
    results,
)

Stroke = list[tuple[float, float]]
H = 16
HEIGHT = 160.0  # of the frame: ten units a pixel

DOWN: Stroke = [(60, 20), (62, 80), (65, 140)]
WAVE: Stroke = [(100, 80), (160, 30), (220, 120), (300, 60), (420, 90)]
DOT: Stroke = [(150, 10)]
FAR: Stroke = [(500, 30), (560, 120)]


def ink(*strokes: Stroke, height: float = HEIGHT, **fields: Any) -> str:
    """A message with whole strokes, which have no names."""
    spelt = [{"points": stroke} for stroke in strokes]
    return message("ink", strokes=spelt, height=height, **fields)


def drawn(*strokes: Stroke) -> NDArray[np.uint8]:
    """Columns [T, H] that the pen touches, drawn all at once."""
    points, starts = flatten(strokes)
    return rasterise(points * (H / HEIGHT), starts, H)


def text_of(said: list[ServerMessage]) -> str | None:
    flushed = said[-1]
    assert isinstance(flushed, Flushed)
    return flushed.text


# As columns


def test_ink_says_what_its_columns_say(line_net: Runtime) -> None:
    columns = drawn(DOWN, WAVE, FAR).tobytes()
    expected = Lone(line_net).ask(columns, message("flush"))
    said = Lone(line_net).ask(ink(DOWN), ink(WAVE, FAR), message("flush"))
    assert [(each.column, each.text) for each in results(said)] == [
        (each.column, each.text) for each in results(expected)
    ]
    np.testing.assert_allclose(curve(said), curve(expected), atol=1e-5)
    assert kinds(said) == kinds(expected)
    assert said[-1] == expected[-1]


def test_columns_that_the_pen_still_touches_wait_until_it_has_left_them(line_net: Runtime) -> None:
    lone = Lone(line_net)
    said = lone.ask(ink(DOWN))
    assert [result.column for result in results(said)] == list(range(5))
    said = lone.ask(ink(WAVE))
    assert [result.column for result in results(said)] == list(range(5, 41))
    flushed = lone.ask(message("flush"))[-1]
    assert isinstance(flushed, Flushed)
    assert flushed.columns == len(drawn(DOWN, WAVE)) == 43


def test_the_end_reads_what_the_pen_still_touches(line_net: Runtime) -> None:
    said = Lone(line_net).ask(ink(DOWN), message("end"))
    assert kinds(said)[-2:] == ["flushed", "done"]
    assert [result.column for result in results(said)] == list(range(len(drawn(DOWN))))


def test_one_point_is_a_dot_and_no_points_are_nothing(line_net: Runtime) -> None:
    lone = Lone(line_net)
    assert lone.ask(ink(), ink([]), ink([], [])) == []
    said = lone.ask(ink(DOT), message("flush"))
    assert [result.column for result in results(said)] == list(range(len(drawn(DOT))))


def test_whether_low_or_high_is_ink_is_not_asked_of_strokes(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(message("configure", polarity="ink-low", line_end_columns=2))
    said = lone.ask(ink(DOWN, FAR), message("flush"))
    assert said == Lone(line_net).ask(ink(DOWN, FAR), message("flush"))


def test_one_result_a_message_stands_for_the_columns_of_its_ink(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(message("configure", every="message"))
    said = lone.ask(ink(DOWN), ink(WAVE), message("flush"))
    assert [result.column for result in results(said)] == [4, 40, 42]


# Late strokes


def test_a_late_stroke_takes_the_session_back_to_the_first_column_that_it_changes(
    line_net: Runtime,
) -> None:
    lone = Lone(line_net)
    before = lone.ask(ink(WAVE))
    said = lone.ask(ink(DOT))
    rewound = said[0]
    assert isinstance(rewound, Rewound)
    first = int(np.flatnonzero((drawn(WAVE) != _padded(drawn(WAVE, DOT))).any(1))[0])
    assert (rewound.id, rewound.epoch, rewound.column) == (None, 1, first)
    assert rewound.text == results(before)[first - 1].text
    assert [(each.epoch, each.column) for each in results(said)] == [
        (1, column) for column in range(first, 41)
    ]
    whole = Lone(line_net).ask(drawn(WAVE, DOT).tobytes(), message("flush"))
    assert text_of(lone.ask(message("flush"))) == text_of(whole)


def _padded(columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return columns[: len(drawn(WAVE))]


def test_a_late_stroke_after_a_flush_takes_the_session_back_past_it(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(WAVE), message("flush"))
    said = lone.ask(ink(DOT), message("flush"))
    assert kinds(said).count("rewound") == 1
    assert text_of(said) == text_of(
        Lone(line_net).ask(drawn(WAVE, DOT).tobytes(), message("flush"))
    )


def test_ink_upon_ink_changes_nothing(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(WAVE))
    assert lone.ask(ink(WAVE[:3])) == []


def test_ink_too_far_back_is_refused_and_changes_nothing(line_net: Runtime) -> None:
    lone = Lone(line_net, LIMITS.model_copy(update={"max_rewind_columns": 20}))
    lone.ask(ink(WAVE))
    error = error_in(lone.ask(ink(DOT, id="late")))
    assert (error.code, error.fatal, error.ref) == ("bad_ink", False, "late")
    assert error.message == "ink reaches back to column 14, allowed: from 21 on"
    whole = Lone(line_net).ask(drawn(WAVE).tobytes(), message("flush"))
    assert text_of(lone.ask(message("flush"))) == text_of(whole)


STROKES = st.lists(
    st.tuples(st.floats(0, 900, width=32), st.floats(-20, 180, width=32)), min_size=1, max_size=5
)


@given(
    strokes=st.lists(STROKES, min_size=1, max_size=6),
    wipes=st.dictionaries(st.integers(0, 4), st.floats(0, 1)),
    run=st.integers(1, 64),
    steps=st.integers(0, 6),
)
@pytest.mark.slow
def test_strokes_in_any_order_and_at_any_pace_are_read_as_if_written_at_once(
    line_net: Runtime, strokes: list[Stroke], wipes: dict[int, float], run: int, steps: int
) -> None:
    lone, expected = Lone(line_net), np.zeros((0, H), np.uint8)
    for number, stroke in enumerate(strokes):
        lone.send(ink(stroke))
        for _ in range(steps):
            lone.step(run)
        columns = drawn(stroke)
        longer = np.zeros((max(len(expected), len(columns)), H), np.uint8)
        longer[: len(expected)] = expected
        np.maximum(longer[: len(columns)], columns, out=longer[: len(columns)])
        expected = longer
        if number in wipes:
            lone.drain()
            read = lone.session.line.column
            column = read - int(wipes[number] * min(read, 50))
            lone.send(message("rewind", column=column))
            expected = expected[:column]
    said = lone.ask(message("flush"))
    flushed = said[-1]
    assert isinstance(flushed, Flushed)
    assert flushed.columns == len(expected)
    assert lone.session.waiting_columns == 0
    if len(expected):
        assert flushed.text == text_of(Lone(line_net).ask(expected.tobytes(), message("flush")))


# Rewind and reset


def test_a_rewind_wipes_the_ink_from_its_column_on(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(DOWN, WAVE))
    rewound = only(lone.ask(message("rewind", column=12, id=1)))
    assert isinstance(rewound, Rewound)
    said = lone.ask(ink(FAR), message("flush"))
    columns = drawn(FAR)
    columns[:12] = drawn(DOWN, WAVE)[:12]
    assert text_of(said) == text_of(Lone(line_net).ask(columns.tobytes(), message("flush")))
    assert results(said)[0].column == 12


def test_a_reset_begins_an_empty_line(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(DOWN, WAVE), message("reset"))
    said = lone.ask(ink(FAR, height=320.0), message("flush"))
    assert {result.epoch for result in results(said)} == {1}
    assert results(said)[0].column == 0


# What is refused


@pytest.mark.parametrize(
    ("strokes", "words"),
    [
        ([[(-1, 5)]], "x is from -0.1 to -0.1, allowed: 0 to"),
        ([[(1e300, 5)]], "x is from 1e+299 to 1e+299, allowed: 0 to"),
        ([[(5, 1e300)]], "y is from 1e+299 to 1e+299, allowed: "),
        ([[(5, 5), (20_000, 5)]], "ink reaches column 2000, allowed: 0..999"),
        ([[(0, 0), (9_000, 0)]], "ink brings 896 new columns, allowed: up to 300"),
        ([[(5, 5)] * 1001], "1001 points in one message, allowed: up to 1000"),
        ([[(5, 5), (6, 6)] * 501], "1002 points in one message, allowed: up to 1000"),
        ([[(0, 0), (2_000, 0)] * 400], "the pen goes 159800 pixels, allowed in one message: 65536"),
        ([[(0, 0), (1e300, 5)]], "the pen goes 1e+299 pixels, allowed in one message: 65536"),
    ],
)
def test_ink_that_cannot_be_drawn_is_refused_and_changes_nothing(
    line_net: Runtime, strokes: list[Stroke], words: str
) -> None:
    lone = Lone(line_net)
    lone.ask(ink(DOWN))
    error = error_in(lone.ask(ink(*strokes, id=4)))
    assert (error.code, error.fatal, error.index, error.ref) == ("bad_ink", False, 1, 4)
    assert error.message.startswith(words)
    whole = Lone(line_net).ask(drawn(DOWN, FAR).tobytes(), message("flush"))
    assert text_of(lone.ask(ink(FAR), message("flush"))) == text_of(whole)


def test_the_frame_of_a_line_cannot_change(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(DOWN))
    error = error_in(lone.ask(ink(WAVE, height=100)))
    assert error.message == "height is 100, expected 160 as before in this line"


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (ink(DOWN), LINE_INK, "columns in a line of ink, allowed: after a reset"),
        (LINE_INK, ink(DOWN), "ink in a line of columns, allowed: after a reset"),
        (
            ink(DOWN),
            message("columns", columns=[[0] * H], id=3),
            "columns in a line of ink, allowed: after a reset",
        ),
    ],
)
def test_ink_and_columns_do_not_mix_within_a_line(
    line_net: Runtime, first: str | bytes, second: str | bytes, words: str
) -> None:
    lone = Lone(line_net)
    lone.ask(first)
    error = error_in(lone.ask(second))
    assert (error.message, error.fatal) == (words, False)
    said = lone.ask(message("reset"), second, message("flush"))
    assert not any(isinstance(each, Error) for each in said)


@pytest.mark.parametrize("first", [ink([(-5, 3)]), message("ink"), ink(), message("ink", undo=1)])
def test_ink_that_writes_nothing_leaves_the_line_to_columns(line_net: Runtime, first: str) -> None:
    lone = Lone(line_net)
    lone.ask(first)
    said = lone.ask(LINE_INK, LINE_INK)
    assert [result.column for result in results(said)] == [0, 1]
    assert error_in(lone.ask(ink(DOWN))).message == (
        "ink in a line of columns, allowed: after a reset"
    )


def test_ink_that_writes_nothing_leaves_the_frame_to_others(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(height=32.0))
    assert lone.ask(ink(DOWN)) == Lone(line_net).ask(ink(DOWN))


@pytest.mark.parametrize("steps", [0, 1, 9])
def test_what_a_line_is_written_in_is_decided_in_the_order_of_the_messages(
    line_net: Runtime, steps: int
) -> None:
    lone = Lone(line_net)
    said = []
    for sent in (
        *(line(40), message("reset"), ink([(-5, 3)], id=1), LINE_INK, ink(DOWN, id=2)),
        *(message("reset"), ink(DOWN), LINE_INK, message("columns", columns=[[0] * H], id=3)),
    ):
        lone.send(sent)
        for _ in range(steps):
            lone.step(8)
    lone.drain()
    said = [each for each in lone.heard() if isinstance(each, Error)]
    assert [(each.code, each.index, each.ref) for each in said] == [
        *(("bad_ink", 2, 1), ("bad_ink", 4, 2), ("bad_columns", 7, None), ("bad_columns", 8, 3)),
    ]
    assert lone.session.waiting_columns == 0


def test_columns_behind_ink_are_no_messages_that_come_too_fast(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink([(-5, 3)]))
    lone.send(*[LINE_INK] * 400, pace_s=0.0)
    lone.drain()
    assert len(results(lone.heard())) == 400


@pytest.mark.parametrize("height", [1e-5, 1e-300, 1e-320])
def test_a_frame_of_next_to_no_height_is_refused_in_words(line_net: Runtime, height: float) -> None:
    error = error_in(Lone(line_net).ask(ink([(0, 0), (1e300, 2)], height=height)))
    assert (error.code, error.fatal) == ("bad_ink", False)


def test_a_row_of_bad_ink_closes(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(*[ink([(-1, 5)])] * 3)
    assert lone.close == Close(4400, "bad_ink")


def test_strokes_count_as_waiting_until_they_are_drawn(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.send(ink(WAVE), ink(FAR * 100))
    assert lone.session.waiting_columns > 200
    lone.drain()
    assert lone.session.waiting_columns == 0

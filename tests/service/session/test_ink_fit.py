"""`fit`: ink that is small in its frame, or goes beyond it, is read in a frame of its own."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inkstream.model.preprocess.columns import LINE_SHARE
from inkstream.model.preprocess.ink import PEN_WIDTH, flatten, rasterise
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Flushed, Frame, Revised, ServerMessage
from tests.helpers.single_session import (
    LIMITS,
    SessionClient,
    message,
    results,
    text_of,
    types_of,
)
from tests.service.session.strokes import HEIGHT, H, Stroke

FIT = message("ink", pause=True, fit=True)

SMALL: Stroke = [(20, 100), (40, 60), (60, 100), (80, 60), (100, 100), (120, 70)]  # 4 rows high
LATER: Stroke = [(150, 90), (170, 62), (190, 95)]
TALL: Stroke = [(210, 10), (212, 150)]
BEYOND: Stroke = [(210, -30), (212, 150)]


def ink(*strokes: Stroke, **fields: object) -> str:
    """Return a message with whole strokes; their ids are their numbers."""
    listed = [{"id": number, "points": stroke} for number, stroke in enumerate(strokes)]
    return message("ink", strokes=listed, height=HEIGHT, **fields)


def part_of_stroke(stroke_id: int, points: Stroke, *, last: bool = True, **fields: object) -> str:
    """Return a message with points of one stroke; more follow if they are not its `last`."""
    return message(
        "ink", strokes=[{"id": stroke_id, "points": points, "last": last}], height=HEIGHT, **fields
    )


def frame_of(*strokes: Stroke) -> Frame:
    """Return the frame in which strokes are as high as a line should be."""
    y = np.concatenate(strokes)[:, 1]
    height = (y.max() - y.min()) * H / (LINE_SHARE * H - PEN_WIDTH)
    return Frame(top=(y.max() + y.min() - height) / 2, height=height)


def read_at_once(runtime: Runtime, frame: Frame, *strokes: Stroke) -> list[ServerMessage]:
    """Return the messages that answer the columns of strokes in a frame, drawn at once."""
    points, starts = flatten(strokes)
    columns = rasterise((points - (0, frame.top)) * (H / frame.height), starts, H)
    return SessionClient(runtime).ask(columns.tobytes(), message("flush"))


def revised_in(messages: list[ServerMessage]) -> Revised:
    (revised,) = (each for each in messages if isinstance(each, Revised))
    return revised


def near(frame: Frame | None, expected: Frame) -> bool:
    assert frame is not None
    return (frame.top, frame.height) == pytest.approx((expected.top, expected.height), abs=1e-4)


FLUSH, FITTED, NAMED = message("flush"), frame_of(SMALL), Frame(top=0, height=HEIGHT)
LATER_IN_PARTS = part_of_stroke(7, LATER[:2], last=False), part_of_stroke(7, LATER[2:])
READINGS: dict[str, tuple[list[str], Frame, list[Stroke]]] = {
    "small ink": ([ink(SMALL), FIT], FITTED, [SMALL]),
    "the first message": ([ink(SMALL, fit=True)], FITTED, [SMALL]),
    "a line that was flushed": ([ink(SMALL), FLUSH, FIT], FITTED, [SMALL]),
    "later strokes": ([ink(SMALL), FIT, *LATER_IN_PARTS, FIT], FITTED, [SMALL, LATER]),
    "a stroke that goes on": (
        [part_of_stroke(1, SMALL, last=False), FIT, part_of_stroke(1, LATER)],
        FITTED,
        [SMALL + LATER],
    ),
    "a stroke undone": (
        [ink(SMALL), FIT, *LATER_IN_PARTS, message("ink", undo=7)],
        FITTED,
        [SMALL],
    ),
    "beyond, in the client's frame": (
        [ink(SMALL), FIT, part_of_stroke(5, TALL, pause=True, fit=True)],
        NAMED,
        [SMALL, TALL],
    ),
    "beyond that one too": (
        [ink(SMALL), FIT, part_of_stroke(5, BEYOND, pause=True, fit=True)],
        frame_of(SMALL, BEYOND),
        [SMALL, BEYOND],
    ),
    "all taken back": (
        [ink(SMALL), FIT, message("ink", undo=0, fit=True), part_of_stroke(1, TALL)],
        NAMED,
        [TALL],
    ),
    "a new line": ([ink(SMALL), FIT, message("reset"), ink(TALL, SMALL)], NAMED, [TALL, SMALL]),
}


@pytest.mark.parametrize(("frames", "frame", "strokes"), READINGS.values(), ids=READINGS)
def test_ink_is_read_as_if_drawn_at_once_in_the_frame_that_suits_it(
    line_net: Runtime, frames: list[str], frame: Frame, strokes: list[Stroke]
) -> None:
    client = SessionClient(line_net)
    messages = client.ask(*frames)
    types = types_of(messages)
    last_line = messages[types.index("reset_done") :] if "reset_done" in types else messages
    frames_in_force = [each.frame for each in last_line if isinstance(each, Revised)]
    assert near(frames_in_force[-1], frame) if frames_in_force else frame == NAMED
    messages += client.ask(FLUSH)
    expected = read_at_once(line_net, frame, *strokes)
    assert text_of(messages) == text_of(expected)
    newest = {each.column: dict(each.probabilities) for each in results(messages)}
    for each in results(expected):
        assert newest[each.column] == pytest.approx(dict(each.probabilities), abs=1e-4)


def test_a_fit_sends_the_results_of_all_columns_again_even_after_a_late_dot(
    line_net: Runtime,
) -> None:
    client = SessionClient(line_net)
    client.ask(ink(SMALL, LATER, pause=True))
    messages = client.ask(part_of_stroke(5, [(22, 58)]), message("ink", fit=True))
    newest = max(i for i, each in enumerate(messages) if isinstance(each, Revised))
    client.ask(message("flush"))
    assert [each.column for each in results(messages[newest:])] == list(range(client.column))


def test_a_rewind_that_cuts_nothing_leaves_the_ink_to_be_fitted(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    n_columns = len(results(client.ask(ink(SMALL, pause=True))))
    client.ask(message("rewind", column=n_columns))
    assert near(revised_in(client.ask(FIT)).frame, frame_of(SMALL))
    client.ask(message("rewind", column=0))
    assert near(revised_in(client.ask(part_of_stroke(3, LATER, fit=True))).frame, frame_of(LATER))


@pytest.mark.parametrize("limit", ["max_message_columns", "max_line_columns"])
def test_ink_that_would_be_too_long_in_its_own_frame_is_not_fitted(
    line_net: Runtime, limit: str
) -> None:
    client = SessionClient(line_net, LIMITS.model_copy(update={limit: 25}))
    messages = client.ask(ink(SMALL, pause=True, fit=True))
    assert "error" not in types_of(messages)
    assert text_of(client.ask(message("flush"))) == text_of(
        read_at_once(line_net, Frame(top=0, height=HEIGHT), SMALL)
    )


@pytest.mark.parametrize("height", [1e-306, 1e-50, 1e30, 1e40, 1e300])
def test_units_may_be_of_any_size(line_net: Runtime, height: float) -> None:
    points = [(x / HEIGHT * height, y / HEIGHT * height) for x, y in SMALL]
    frame_text = message("ink", strokes=[{"points": points}], height=height, pause=True, fit=True)
    messages = SessionClient(line_net).ask(frame_text, message("flush"))
    frame = revised_in(messages).frame
    assert frame is not None
    expected = frame_of(SMALL)
    assert (frame.top / height, frame.height / height) == pytest.approx(
        (expected.top / HEIGHT, expected.height / HEIGHT), abs=1e-4
    )
    assert text_of(messages) == text_of(read_at_once(line_net, expected, SMALL))


@pytest.mark.parametrize(
    ("strokes", "height"),
    [
        ([[(0, 0), (1e308, 1e308), (0, 1.7e308)]], 1e308),
        ([[(0, 0), (1e38, 1e37)]], HEIGHT),
        ([[(-5, 0), (900, 9), (0, 4)]], HEIGHT),
        ([[(0, 0), (5e-324, 5e-324), (0, 0)]], 5e-324),
        ([[(0, 0), (1e300, 1e300)]], 1e300),
    ],
)
def test_ink_that_cannot_be_drawn_is_refused_with_and_without_fit(
    line_net: Runtime, strokes: list[Stroke], height: float
) -> None:
    plain = message("ink", strokes=[{"points": each} for each in strokes], height=height)
    with_fit = plain[:-1] + ', "fit": true}'
    assert SessionClient(line_net).ask(with_fit) == SessionClient(line_net).ask(plain)


STROKES = st.lists(
    st.tuples(st.floats(0, 300, width=32), st.floats(-40, 200, width=32)), max_size=6
)


@given(strokes=st.lists(STROKES, min_size=1, max_size=5), fitted=st.sets(st.integers(0, 4)))
@example([[(0, 0), (35, 35)]], {0})  # as wide as high, to the last bit
@example([[(0, -8), (0, 120)]], {0})  # as far beyond the rows as may be
@pytest.mark.slow
def test_the_fitted_frame_does_not_depend_on_when_a_fit_was_asked_for(
    line_net: Runtime, strokes: list[Stroke], fitted: set[int]
) -> None:
    limits = LIMITS.model_copy(
        update={"max_rewind_columns": 1000}
    )  # every column can be read again
    client, at_once = SessionClient(line_net, limits), SessionClient(line_net, limits)
    for number, stroke in enumerate(strokes):
        client.ask(part_of_stroke(number, stroke, fit=number in fitted))
    flushed = client.ask(FIT, message("flush"))[-1]
    flushed_at_once = at_once.ask(ink(*strokes, pause=True, fit=True), message("flush"))[-1]
    assert isinstance(flushed, Flushed)
    assert isinstance(flushed_at_once, Flushed)
    assert (flushed.columns, flushed.text) == (flushed_at_once.columns, flushed_at_once.text)


@pytest.mark.parametrize(
    "strokes",
    [
        pytest.param([], id="nothing"),
        pytest.param([[(50, 80)]], id="a dot"),
        pytest.param([[(50, 80), (54, 84), (51, 87)]], id="a blot"),
        pytest.param([[(50, 80), (150, 90)]], id="a dash"),
        pytest.param([[(50, 80), (52, 120), (60, 90)]], id="a narrow letter"),
        pytest.param([SMALL, TALL], id="what fills the frame"),
        pytest.param([[(20, 120), (50, 40), (80, 125), (200, 60)]], id="what nearly does"),
    ],
)
def test_ink_that_fills_its_frame_or_is_too_small_to_judge_is_not_fitted(
    line_net: Runtime, strokes: list[Stroke]
) -> None:
    client, plain = SessionClient(line_net), SessionClient(line_net)
    for each in (client, plain):
        each.ask(ink(*strokes))
    assert client.ask(FIT) == plain.ask(message("ink", pause=True))


def test_a_narrow_character_of_a_classifier_is_fitted(net: Runtime) -> None:
    client = SessionClient(net)
    revised = revised_in(client.ask(ink([(80, 60), (78, 80), (79, 100)], fit=True)))
    assert revised.frame is not None
    assert revised.frame.height < HEIGHT / 2


def test_ink_that_a_rewind_has_cut_or_that_is_too_far_back_is_not_fitted(line_net: Runtime) -> None:
    cut = SessionClient(line_net)
    cut.ask(ink(SMALL), message("rewind", column=5))
    assert "revised" not in types_of(cut.ask(FIT))
    far = SessionClient(line_net, LIMITS.model_copy(update={"max_rewind_columns": 10}))
    far.ask(ink(SMALL, pause=True))
    assert "revised" not in types_of(far.ask(FIT))

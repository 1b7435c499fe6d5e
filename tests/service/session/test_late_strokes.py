"""What strokes change in a session: which events stand, and what the pen wrote of them."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Rewound, ServerMessage
from tests.helpers.single_session import (
    LIMITS,
    Lone,
    error_in,
    events_in,
    letters_in,
    message,
    results,
)
from tests.helpers.strokes import (
    BAR,
    DOT,
    FAR,
    HEIGHT,
    WAVE,
    H,
    Stroke,
    drawn,
    flushed,
    ink,
    piece,
    standing,
)

# What a late stroke withdraws


def withdrawn(lone: Lone, *frames: str) -> tuple[Rewound, list[ServerMessage]]:
    """What is said of columns that ink changes: the way back, and events in the place of others."""
    rewound, *said = lone.ask(*frames)
    assert isinstance(rewound, Rewound)
    return rewound, said


def test_only_changed_results_are_sent_for_columns_that_are_read_again(line_net: Runtime) -> None:
    lone = Lone(line_net)
    first = lone.ask(ink(piece("w", WAVE), piece("f", FAR)))
    rewound, said = withdrawn(lone, ink(piece("d", DOT)))
    whole = Lone(line_net)
    expected = standing(whole.ask(ink(piece("w", WAVE), piece("d", DOT), piece("f", FAR))))
    assert [shown(each) for each in standing([*first, rewound, *said])] == [
        shown(each) for each in expected
    ]
    before, after = letters_of(standing(first)), letters_of(expected)
    assert rewound.letters == min(len(before), len(after))
    told = {event.id for event in letters_in(said)}
    kept = set(range(rewound.letters)) - told
    assert max(kept) > min(told)  # it stands, though one before it does not
    assert all(before[i]["column"] >= rewound.column for i in kept if i > min(told))


def letters_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] != "word"]


def shown(event: dict[str, Any]) -> list[Any]:
    """What an event says and where; not how sure it is, whose last digits are the batches'."""
    return [event.get(name) for name in ("type", "id", "char", "text", "start", "end", "column")]


def test_an_unchanged_event_is_sent_again_if_more_of_it_was_written(line_net: Runtime) -> None:
    lone = Lone(line_net)
    known = standing(lone.ask(ink(piece("w", WAVE))))
    upon = [(x, y) for x, y in WAVE if x < 400]
    assert lone.ask(ink(piece("u", upon))) == []  # no column changed
    rewound, said = withdrawn(lone, ink(piece("d", DOT)))
    again = [event for event in letters_in(said) if event.id < rewound.letters]
    assert again
    assert any(event.char == known[event.id]["char"] for event in again)
    told = [{span.id for span in event.strokes or ()} for event in again]
    assert {"w", "u"} in told


def test_no_revision_is_sent_before_all_changed_columns_are_read(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(piece("w", WAVE), piece("f", FAR)))
    lone.send(ink(piece("d", DOT)))
    n_steps = 0
    while not lone.said:
        assert lone.step(4)
        n_steps += 1
    assert n_steps > 5
    assert lone.said[0].type == "rewound"
    assert not lone.session.ready_columns


# Strokes and rewinds


def test_a_rewind_completes_strokes_and_wipes_what_is_taken_back_later(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(piece(1, WAVE, last=False), piece(2, BAR)), message("rewind", column=18))
    error = error_in(lone.ask(ink(piece(1, FAR))))
    assert error.message == "stroke 1 is complete, allowed: a new id"
    lone.ask(ink(piece(3, FAR)), message("ink", undo=2))
    columns = drawn(FAR)
    columns[:18] = drawn(WAVE)[:18]
    other = Lone(line_net)
    other.ask(columns.tobytes())
    assert flushed(lone).text == flushed(other).text


# A pause, and a margin


def test_in_a_pause_columns_are_read_that_the_pen_still_touches(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(piece(1, WAVE, last=False)))
    said = lone.ask(message("ink", pause=True))
    assert [result.column for result in results(said)] == [41, 42]
    lone.ask(ink(piece(1, FAR)))
    whole = Lone(line_net)
    whole.ask(ink(piece(1, WAVE + FAR)))
    assert flushed(lone).text == flushed(whole).text


def test_a_margin_keeps_columns_back_for_longer(line_net: Runtime) -> None:
    lone = Lone(line_net, LIMITS.model_copy(update={"ink_margin_columns": 5}))
    said = lone.ask(ink(piece(1, WAVE)))
    assert [result.column for result in results(said)] == list(range(41 - 5))
    assert flushed(lone).columns == len(drawn(WAVE))


# What events tell of strokes


def test_events_name_the_points_on_their_columns(line_net: Runtime) -> None:
    lone = Lone(line_net)
    strokes: dict[int | str, Stroke] = {"w": WAVE, 5: FAR, 6: BAR}
    pieces = [piece(name, stroke) for name, stroke in strokes.items()]
    said = lone.ask(ink(*pieces, piece(None, DOT)))
    said += lone.ask(message("flush"))
    events = events_in(said)
    assert {event.type for event in events} == {"letter", "punctuation", "word"}
    for event in events:
        named = [(span.id, i) for span in event.strokes or () for i in range(span.start, span.end)]
        expected = [
            (name, i)
            for name, stroke in strokes.items()
            for i, (x, _) in enumerate(stroke)
            if event.start <= int(x * H / HEIGHT) < event.end
        ]
        assert named == expected


def test_ink_that_goes_back_and_forth_is_revised_once(line_net: Runtime) -> None:
    lone = Lone(line_net)
    scribble = [(100 + 300.0 * (i % 2), 1.6 * i) for i in range(100)]
    said = lone.ask(ink(piece(1, scribble)), message("flush"))
    for event in events_in(said):
        assert len(event.strokes or ()) <= 16


def test_events_of_columns_tell_of_no_strokes(line_net: Runtime) -> None:
    said = Lone(line_net).ask(drawn(WAVE, FAR).tobytes(), message("flush"))
    assert {event.strokes for event in events_in(said)} == {None}


# Limits


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"max_ink_strokes": 2}, "3 strokes may still change, allowed: up to 2"),
        ({"max_ink_points": 7}, "8 points of strokes may still change, allowed: up to 7"),
    ],
)
def test_what_may_still_change_is_bounded(
    line_net: Runtime, limit: dict[str, int], words: str
) -> None:
    lone = Lone(line_net, LIMITS.model_copy(update=limit))
    lone.ask(ink(piece(1, WAVE), piece(2, DOT)))
    error = error_in(lone.ask(ink(piece(3, BAR))))
    assert (error.code, error.message) == ("bad_ink", words)
    lone.ask(message("ink", undo=2))
    assert flushed(lone).columns == len(drawn(WAVE))


def test_strokes_out_of_a_rewinds_reach_are_forgotten(line_net: Runtime) -> None:
    lone = Lone(
        line_net, LIMITS.model_copy(update={"max_ink_strokes": 5, "max_rewind_columns": 20})
    )
    for number in range(40):
        x = 200.0 * number
        assert not [
            each
            for each in lone.ask(ink(piece(number, [(x, 40), (x + 90, 90)])))
            if each.type == "error"
        ]


# Any order and any cutting

POINTS = st.tuples(st.floats(0, 900, width=32), st.floats(-20, 180, width=32))
STROKES = st.lists(st.lists(POINTS, min_size=1, max_size=6), min_size=1, max_size=5)


@given(strokes=STROKES, extra=STROKES, data=st.data())
@pytest.mark.slow
def test_strokes_in_any_order_and_any_pieces_end_in_the_same_columns_text_and_events(
    line_net: Runtime, strokes: list[Stroke], extra: list[Stroke], data: st.DataObject
) -> None:
    pieces = []
    for name, stroke in enumerate(strokes + extra):
        cuts = data.draw(st.sets(st.integers(1, len(stroke))))
        bounds = list(pairwise(sorted({0, len(stroke), *cuts})))
        pieces.append([piece(name, stroke[a:b], b == len(stroke)) for a, b in bounds])
    undone = [*range(len(strokes), len(pieces))]  # what was extra is taken back
    limits = LIMITS.model_copy(update={"ink_margin_columns": data.draw(st.integers(0, 9))})
    lone = Lone(line_net, limits)
    while any(pieces) or undone:
        waiting = [name for name, rest in enumerate(pieces) if rest]
        ready = [name for name in undone if not pieces[name]]
        name = data.draw(st.sampled_from(waiting + ready))
        if pieces[name]:
            lone.send(ink(pieces[name].pop(0), pause=data.draw(st.booleans())))
        else:
            undone.remove(name)
            lone.send(message("ink", undo=name))
        for _ in range(data.draw(st.integers(0, 3))):
            lone.step(data.draw(st.integers(1, 64)))
    lone.drain()
    said = lone.heard() + lone.ask(message("flush"))
    whole = Lone(line_net)
    order = data.draw(st.permutations(range(len(strokes))))
    expected = whole.ask(ink(*[piece(name, strokes[name]) for name in order]), message("flush"))
    assert lone.session.line.column == whole.session.line.column
    assert said[-1].text == expected[-1].text  # type: ignore[union-attr]
    ours, theirs = standing(said), standing(expected)
    for event in ours + theirs:
        del event["strokes"]  # those that there were when it was decided
        del event["confidence"], event["alternatives"]  # their last digits are the batches'
    assert ours == theirs

"""Strokes by name in a session: they come in pieces, are taken back, and events tell of them."""

import dataclasses
import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.ink import flatten, rasterise
from model.runtime import Runtime
from service.events import Event, Word
from service.messages import Flushed, Rewound, ServerMessage
from tests.service.lone import LIMITS, Lone, error_in, events_in, letters_in, message, results

Stroke = list[tuple[float, float]]
H = 16
HEIGHT = 160.0  # of the frame: ten units a pixel

WAVE: Stroke = [(100, 80), (160, 30), (220, 120), (300, 60), (420, 90)]
BAR: Stroke = [(140, 50), (250, 50)]
DOT: Stroke = [(150, 10)]
FAR: Stroke = [(500, 30), (560, 120)]


def piece(name: int | str | None, points: Stroke, last: bool = True) -> dict[str, Any]:
    return {"id": name, "points": points, "last": last}


def ink(*pieces: dict[str, Any], **fields: Any) -> str:
    return message("ink", strokes=pieces, height=HEIGHT, **fields)


def drawn(*strokes: Stroke) -> NDArray[np.uint8]:
    """Columns [T, H] that the pen touches, drawn all at once."""
    points, starts = flatten(strokes)
    return rasterise(points * (H / HEIGHT), starts, H)


def flushed(lone: Lone) -> Flushed:
    answer = lone.ask(message("flush"))[-1]
    assert isinstance(answer, Flushed)
    return answer


def standing(said: list[ServerMessage]) -> list[dict[str, Any]]:
    """The events that a client knows in the end: each in the place of its id."""
    letters, words = dict[int, Event](), dict[int, Event]()
    for each in said:
        if isinstance(each, Event):
            (words if isinstance(each, Word) else letters)[each.id] = each
        elif isinstance(each, Rewound):
            letters = {i: event for i, event in letters.items() if i < each.letters}
            words = {i: event for i, event in words.items() if i < each.words}
    return [event.model_dump() for row in (letters, words) for _, event in sorted(row.items())]


# Pieces


def test_a_stroke_in_pieces_is_the_stroke(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(piece(7, WAVE[:2], last=False)), ink(piece("b", FAR[:1], last=False)))
    lone.ask(ink(piece(7, WAVE[2:], last=True), piece("b", FAR[1:])))
    whole = Lone(line_net)
    whole.ask(ink(piece(7, WAVE), piece("b", FAR)))
    assert flushed(lone).text == flushed(whole).text


def test_pieces_of_a_stroke_may_come_in_one_message_and_may_be_empty(line_net: Runtime) -> None:
    lone = Lone(line_net)
    cut = [piece(1, WAVE[:3], False), piece(1, [], False), piece(1, WAVE[3:], False), piece(1, [])]
    assert lone.ask(ink(*cut), message("flush")) == Lone(line_net).ask(
        ink(piece(1, WAVE)), message("flush")
    )


def test_one_and_the_text_one_are_two_names(line_net: Runtime) -> None:
    lone = Lone(line_net)
    said = lone.ask(ink(piece(1, WAVE)), ink(piece("1", FAR)), message("flush"))
    assert {span["id"] for event in standing(said) for span in event["strokes"]} == {1, "1"}


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([piece(1, FAR)], "stroke 1 is complete, allowed: a new id"),
        ([piece("w", FAR), piece("w", FAR)], 'stroke "w" is complete, allowed: a new id'),
        ([piece(None, FAR, last=False)], "stroke 1 has no id, and is not complete"),
    ],
)
def test_a_stroke_that_cannot_go_on_is_refused_and_changes_nothing(
    line_net: Runtime, pieces: list[dict[str, Any]], words: str
) -> None:
    lone = Lone(line_net)
    lone.ask(ink(piece(1, WAVE)))
    error = error_in(lone.ask(ink(piece(2, DOT), *pieces, id="x")))
    assert (error.code, error.message, error.ref) == ("bad_ink", words, "x")
    assert flushed(lone).columns == len(drawn(WAVE))
    assert lone.ask(ink(piece(2, FAR))) != []  # of the refused message nothing was kept


def test_the_way_to_a_piece_counts_like_any_other(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.send(ink(piece(1, [(0, 0)], last=False)))
    for number in range(6):  # each goes nearly as far as one message may
        y = 600_000.0 * (number % 2 == 0)
        lone.send(ink(piece(1, [(0, y)], last=False)), pace_s=0.0)
    assert lone.close is not None
    assert lone.close.reason == "too_many_messages"


# Taking back


def test_a_stroke_that_is_taken_back_was_never_there(line_net: Runtime) -> None:
    lone = Lone(line_net)
    before = lone.ask(ink(piece("w", WAVE), piece("b", BAR), piece("f", FAR)))
    said = lone.ask(message("ink", undo="b", id=3))
    rewound = said[0]
    assert isinstance(rewound, Rewound)
    changed = (drawn(WAVE, FAR) != drawn(WAVE, BAR, FAR)).any(1)
    assert rewound.column == int(np.flatnonzero(changed)[0])
    assert rewound.text == results(before)[rewound.column - 1].text
    whole = Lone(line_net)
    expected = whole.ask(ink(piece("w", WAVE), piece("f", FAR)))
    ours, theirs = standing(before + said), standing(expected)
    assert [event["id"] for event in ours] == [event["id"] for event in theirs]
    for own, other in zip(ours, theirs, strict=True):
        assert own["confidence"] == pytest.approx(other["confidence"], abs=0.01)
        for event in (own, other):
            del event["confidence"], event["alternatives"]
    assert ours == theirs
    assert flushed(lone).text == flushed(whole).text


def test_the_last_stroke_taken_back_makes_the_line_shorter(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(piece(1, WAVE), piece(2, FAR)), message("flush"), message("ink", undo=2))
    assert flushed(lone).columns == len(drawn(WAVE))
    lone.ask(message("ink", undo=1))
    assert flushed(lone) == Flushed(epoch=2, columns=0, text="")


def test_the_last_stroke_behind_a_long_line_is_taken_back(line_net: Runtime) -> None:
    lone = Lone(line_net, dataclasses.replace(LIMITS, max_rewind_columns=20))
    for name in range(8):
        x = 300.0 * name
        lone.ask(ink(piece(name, [(x, 40), (x + 90, 90)]), pause=True))
    lone.ask(message("ink", undo=7), ink(piece(8, [(2150, 20), (2200, 99)])))
    strokes = [[(300.0 * name, 40.0), (300.0 * name + 90, 90.0)] for name in range(7)]
    whole = Lone(line_net)
    whole.ask(drawn(*strokes, [(2150, 20), (2200, 99)]).tobytes())
    assert flushed(lone).text == flushed(whole).text
    assert lone.session._line.column == whole.session._line.column


def test_a_stroke_is_replaced_in_one_message(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(piece(1, WAVE), piece(2, BAR)))
    lone.ask(ink(piece(2, DOT), undo=2))
    whole = Lone(line_net)
    whole.ask(ink(piece(1, WAVE), piece(2, DOT)))
    assert flushed(lone).text == flushed(whole).text


def test_what_is_not_there_cannot_be_taken_back(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(ink(piece(1, WAVE)), message("ink", undo=1))
    for name in (1, "1", 2):
        error = error_in(lone.ask(message("ink", undo=name, id="u")))
        allowed = "allowed: the id of a stroke that may still change"
        assert (error.code, error.ref) == ("bad_ink", "u")
        assert error.message == f"undo is {json.dumps(name)}, {allowed}"
        lone.ask(message("ping"))


def test_a_stroke_too_far_back_stays(line_net: Runtime) -> None:
    lone = Lone(line_net, dataclasses.replace(LIMITS, max_rewind_columns=20))
    lone.ask(ink(piece(1, WAVE)), ink(piece(2, FAR)))
    error = error_in(lone.ask(message("ink", undo=1)))
    assert error.message.startswith("ink reaches back to column 9, allowed: from ")
    far = [(x + 300, y) for x, y in FAR]
    lone.ask(ink(piece(3, far)), ink())
    error = error_in(lone.ask(message("ink", undo=1)))
    assert error.message == "undo is 1, allowed: the id of a stroke that may still change"
    assert flushed(lone).columns == len(drawn(far))


def test_taking_back_counts_as_some_messages(line_net: Runtime) -> None:
    lone = Lone(line_net)  # 50 messages at once
    for number in range(6):
        lone.send(ink(piece(number, DOT)), message("ink", undo=number), pace_s=0.0)
        lone.drain()
    assert lone.close is not None
    assert lone.close.reason == "too_many_messages"


# What a late stroke withdraws


def withdrawn(lone: Lone, *frames: str) -> tuple[Rewound, list[ServerMessage]]:
    """What is said of columns that ink changes: the way back, and events in the place of others."""
    rewound, *said = lone.ask(*frames)
    assert isinstance(rewound, Rewound)
    return rewound, said


def test_what_reads_the_same_stands(line_net: Runtime) -> None:
    lone = Lone(line_net)
    known = standing(lone.ask(ink(piece("w", WAVE), piece("f", FAR))))
    rewound, said = withdrawn(lone, ink(piece("d", DOT)))
    whole = Lone(line_net)
    expected = standing(whole.ask(ink(piece("w", WAVE), piece("d", DOT), piece("f", FAR))))
    letters = [event for event in known if event["type"] != "word"]
    n_same = rewound.letters
    assert n_same > sum(event["column"] < rewound.column for event in letters)
    assert [event["char"] for event in letters[:n_same]] == [
        event["char"] for event in expected[:n_same]
    ]
    assert letters[n_same : n_same + 1] != expected[n_same : n_same + 1]
    assert [event.id for event in letters_in(said) if event.id >= n_same] == list(
        range(n_same, sum(event["type"] != "word" for event in expected))
    )


def test_an_event_that_stands_is_told_again_if_the_pen_wrote_more_of_it(line_net: Runtime) -> None:
    lone = Lone(line_net)
    known = standing(lone.ask(ink(piece("w", WAVE))))
    upon = [(x, y) for x, y in WAVE if x < 400]
    assert lone.ask(ink(piece("u", upon))) == []  # no column changed
    rewound, said = withdrawn(lone, ink(piece("d", DOT)))
    again = [event for event in letters_in(said) if event.id < rewound.letters]
    assert again
    for event in again:
        before = known[event.id]
        assert (event.type, event.char) == (before["type"], before["char"])
    told = [{span.id for span in event.strokes or ()} for event in again]
    assert {"w", "u"} in told


def test_nothing_is_said_of_changed_columns_before_all_are_read(line_net: Runtime) -> None:
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
    lone = Lone(line_net, dataclasses.replace(LIMITS, ink_margin_columns=5))
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


def test_who_goes_to_and_fro_is_told_of_once(line_net: Runtime) -> None:
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
    lone = Lone(line_net, dataclasses.replace(LIMITS, **limit))
    lone.ask(ink(piece(1, WAVE), piece(2, DOT)))
    error = error_in(lone.ask(ink(piece(3, BAR))))
    assert (error.code, error.message) == ("bad_ink", words)
    lone.ask(message("ink", undo=2))
    assert flushed(lone).columns == len(drawn(WAVE))


def test_strokes_out_of_a_rewinds_reach_are_forgotten(line_net: Runtime) -> None:
    lone = Lone(line_net, dataclasses.replace(LIMITS, max_ink_strokes=5, max_rewind_columns=20))
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
def test_strokes_in_any_order_and_any_pieces_end_in_the_same_columns_text_and_events(
    line_net: Runtime, strokes: list[Stroke], extra: list[Stroke], data: st.DataObject
) -> None:
    pieces = []
    for name, stroke in enumerate(strokes + extra):
        cuts = data.draw(st.sets(st.integers(1, len(stroke))))
        bounds = list(pairwise(sorted({0, len(stroke), *cuts})))
        pieces.append([piece(name, stroke[a:b], b == len(stroke)) for a, b in bounds])
    undone = [*range(len(strokes), len(pieces))]  # what was extra is taken back
    limits = dataclasses.replace(LIMITS, ink_margin_columns=data.draw(st.integers(0, 9)))
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
    assert lone.session._line.column == whole.session._line.column
    assert said[-1].text == expected[-1].text  # type: ignore[union-attr]
    ours, theirs = standing(said), standing(expected)
    for event in ours + theirs:
        del event["strokes"]  # those that there were when it was decided
        del event["confidence"], event["alternatives"]  # their last digits are the batches'
    assert ours == theirs

"""Strokes by name in a session: they come in pieces and are taken back."""

import json
from typing import Any

import numpy as np
import pytest

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Flushed, Rewound
from tests.helpers.single_session import LIMITS, Lone, error_in, message, results
from tests.helpers.strokes import BAR, DOT, FAR, WAVE, drawn, flushed, ink, piece, standing

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
    lone = Lone(line_net, LIMITS.model_copy(update={"max_rewind_columns": 20}))
    for name in range(8):
        x = 300.0 * name
        lone.ask(ink(piece(name, [(x, 40), (x + 90, 90)]), pause=True))
    lone.ask(message("ink", undo=7), ink(piece(8, [(2150, 20), (2200, 99)])))
    strokes = [[(300.0 * name, 40.0), (300.0 * name + 90, 90.0)] for name in range(7)]
    whole = Lone(line_net)
    whole.ask(drawn(*strokes, [(2150, 20), (2200, 99)]).tobytes())
    assert flushed(lone).text == flushed(whole).text
    assert lone.session.line.column == whole.session.line.column


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
    lone = Lone(line_net, LIMITS.model_copy(update={"max_rewind_columns": 20}))
    lone.ask(ink(piece(1, WAVE)), ink(piece(2, FAR)))
    error = error_in(lone.ask(message("ink", undo=1)))
    assert error.message.startswith("ink reaches back to column 9, allowed: from ")
    far = [(x + 300, y) for x, y in FAR]
    lone.ask(ink(piece(3, far)), ink())
    error = error_in(lone.ask(message("ink", undo=1)))
    assert error.message == "undo is 1, allowed: the id of a stroke that may still change"
    assert flushed(lone).columns == len(drawn(far))


def test_undo_counts_the_points_that_are_drawn_again(line_net: Runtime) -> None:
    scribble = [(100.0, 160_000.0 * (i % 2)) for i in range(5)]  # 64,000 pixels
    lone = Lone(line_net)  # 50 messages at once
    for number in range(6):
        lone.send(ink(piece(number, DOT)), message("ink", undo=number), pace_s=0.0)
        lone.drain()
    assert lone.close is None
    lone.send(ink(piece("s", scribble)), pace_s=9.0)
    for number in range(6, 9):
        lone.send(ink(piece(number, DOT)), message("ink", undo=number), pace_s=0.0)
        lone.drain()
    assert lone.close is not None
    assert lone.close.reason == "too_many_messages"


def test_scribbles_that_would_take_long_to_draw_again_are_refused(line_net: Runtime) -> None:
    scribble = [(100.0, 160_000.0 * (i % 2)) for i in range(5)]  # 64,000 pixels
    lone = Lone(line_net)
    for number in range(24):
        lone.send(ink(piece(number, scribble)), pace_s=9.0)
        lone.drain()
    assert all(each.type != "error" for each in lone.heard())
    error = error_in(lone.ask(ink(piece(24, scribble))))
    assert error.message.endswith("pixels of strokes may still change, allowed: up to 1572864")

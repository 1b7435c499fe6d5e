"""Late strokes in a session: which events are withdrawn, and which strokes an event names."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Revised, ServerMessage
from tests.helpers.single_session import (
    LIMITS,
    SessionClient,
    error_in,
    events_in,
    letters_in,
    message,
    results,
    text_of,
)
from tests.service.session.strokes import (
    BAR,
    DOT,
    FAR,
    HEIGHT,
    WAVE,
    H,
    Stroke,
    final_events,
    flush,
    ink,
    piece,
    rasterised,
)

# Events that a late stroke withdraws


def withdrawn(client: SessionClient, *frames: str) -> tuple[Revised, list[ServerMessage]]:
    """Return the `revised` message that ink causes, and the messages after it."""
    revised, *messages = client.ask(*frames)
    assert isinstance(revised, Revised)
    return revised, messages


def test_only_changed_results_are_sent_for_columns_that_are_read_again(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    first = client.ask(ink(piece("w", WAVE), piece("f", FAR)))
    revised, messages = withdrawn(client, ink(piece("d", DOT)))
    at_once = SessionClient(line_net)
    expected = final_events(at_once.ask(ink(piece("w", WAVE), piece("d", DOT), piece("f", FAR))))
    assert [without_confidence(each) for each in final_events([*first, revised, *messages])] == [
        without_confidence(each) for each in expected
    ]
    before, after = letters_of(final_events(first)), letters_of(expected)
    assert revised.letters == min(len(before), len(after))
    sent_again = {event.id for event in letters_in(messages)}
    not_sent = set(range(revised.letters)) - sent_again
    assert max(not_sent) > min(sent_again)  # it holds, though one before it does not
    assert all(before[i]["column"] >= revised.column for i in not_sent if i > min(sent_again))


def letters_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] != "word"]


def without_confidence(event: dict[str, Any]) -> list[Any]:
    """Return an event without its confidence, whose last digits depend on the batch."""
    return [event.get(name) for name in ("type", "id", "char", "text", "start", "end", "column")]


def test_an_unchanged_event_is_sent_again_if_it_has_new_strokes(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    earlier = final_events(client.ask(ink(piece("w", WAVE))))
    above = [(x, y) for x, y in WAVE if x < 400]
    assert client.ask(ink(piece("u", above))) == []  # no column changed
    revised, messages = withdrawn(client, ink(piece("d", DOT)))
    again = [event for event in letters_in(messages) if event.id < revised.letters]
    assert again
    assert any(event.char == earlier[event.id]["char"] for event in again)
    stroke_ids = [{span.id for span in event.strokes or ()} for event in again]
    assert {"w", "u"} in stroke_ids


def test_no_revision_is_sent_before_all_changed_columns_are_read(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.ask(ink(piece("w", WAVE), piece("f", FAR)))
    client.send(ink(piece("d", DOT)))
    n_steps = 0
    while not client.received:
        assert client.step(4)
        n_steps += 1
    assert n_steps > 5
    assert client.received[0].type == "revised"
    assert not client.session.ready_columns()


# A pause, and a margin


def test_an_ink_margin_delays_columns(line_net: Runtime) -> None:
    client = SessionClient(line_net, LIMITS.model_copy(update={"ink_margin_columns": 5}))
    messages = client.ask(ink(piece(1, WAVE)))
    assert [result.column for result in results(messages)] == list(range(41 - 5))
    assert flush(client).columns == len(rasterised(WAVE))


# Strokes of events


def test_events_name_the_points_on_their_columns(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    strokes: dict[int | str, Stroke] = {"w": WAVE, 6: BAR, 5: FAR}  # by their first columns
    pieces = [piece(name, stroke) for name, stroke in strokes.items()]
    messages = client.ask(ink(*pieces, piece(None, DOT)))
    messages += client.ask(message("flush"))
    events = events_in(messages)
    assert {(event.type, getattr(event, "mark", None)) for event in events} == {
        *(("letter", False), ("letter", True), ("word", None)),
    }
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
    client = SessionClient(line_net)
    scribble = [(100 + 300.0 * (i % 2), 1.6 * i) for i in range(100)]
    messages = client.ask(ink(piece(1, scribble)), message("flush"))
    for event in events_in(messages):
        assert len(event.strokes or ()) <= 16


def test_events_of_columns_name_no_strokes(line_net: Runtime) -> None:
    messages = SessionClient(line_net).ask(rasterised(WAVE, FAR).tobytes(), message("flush"))
    assert {event.strokes for event in events_in(messages)} == {None}


# Limits


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ({"max_ink_strokes": 2}, "3 strokes may still change, allowed: up to 2"),
        ({"max_ink_points": 7}, "8 points of strokes may still change, allowed: up to 7"),
    ],
)
def test_strokes_and_points_that_may_still_change_are_limited(
    line_net: Runtime, limit: dict[str, int], text: str
) -> None:
    client = SessionClient(line_net, LIMITS.model_copy(update=limit))
    client.ask(ink(piece(1, WAVE), piece(2, DOT)))
    error = error_in(client.ask(ink(piece(3, BAR))))
    assert (error.code, error.message) == ("bad_ink", text)
    client.ask(message("ink", undo=2))
    assert flush(client).columns == len(rasterised(WAVE))


def test_strokes_out_of_a_rewinds_reach_are_forgotten(line_net: Runtime) -> None:
    client = SessionClient(
        line_net, LIMITS.model_copy(update={"max_ink_strokes": 5, "max_rewind_columns": 20})
    )
    for number in range(40):
        x = 200.0 * number
        assert not [
            each
            for each in client.ask(ink(piece(number, [(x, 40), (x + 90, 90)])))
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
    undone = [*range(len(strokes), len(pieces))]  # the extra strokes are undone
    limits = LIMITS.model_copy(update={"ink_margin_columns": data.draw(st.integers(0, 9))})
    client = SessionClient(line_net, limits)
    while any(pieces) or undone:
        waiting = [name for name, rest in enumerate(pieces) if rest]
        ready = [name for name in undone if not pieces[name]]
        name = data.draw(st.sampled_from(waiting + ready))
        if pieces[name]:
            client.send(ink(pieces[name].pop(0), pause=data.draw(st.booleans())))
        else:
            undone.remove(name)
            client.send(message("ink", undo=name))
        for _ in range(data.draw(st.integers(0, 3))):
            client.step(data.draw(st.integers(1, 64)))
    client.drain()
    messages = client.new_messages() + client.ask(message("flush"))
    at_once = SessionClient(line_net)
    order = data.draw(st.permutations(range(len(strokes))))
    expected = at_once.ask(ink(*[piece(name, strokes[name]) for name in order]), message("flush"))
    assert client.column == at_once.column
    assert text_of(messages) == text_of(expected)
    ours, theirs = final_events(messages), final_events(expected)
    assert len(ours) == len(theirs)
    for own, due in zip(ours, theirs, strict=True):
        assert own["confidence"] == pytest.approx(due["confidence"], abs=0.01)
        for event in (own, due):
            del event["strokes"]  # those that existed when it was decided
            del event["confidence"], event["alternatives"]
    assert ours == theirs


# Portions


def test_ink_is_the_same_in_whatever_portions_it_is_drawn(
    line_net: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    strokes = np.random.default_rng(0).uniform((0, 0), (300, 100), (40, 9, 2)).tolist()
    texts = []
    for portion in (16_384, 40):
        monkeypatch.setattr("inkstream.service.session.ink.PORTION_PATH", portion)
        client = SessionClient(line_net)
        client.ask(*(ink(piece(number, points)) for number, points in enumerate(strokes)))
        client.ask(message("rewind", column=20), ink(piece("more", strokes[0])))
        client.ask(message("ink", undo=7), message("ink", undo=30))
        columns = client.session._ink._canvas._columns.tobytes()
        texts.append((flush(client).text, columns))
    assert texts[0] == texts[1]


def test_an_event_names_no_more_strokes_than_allowed(line_net: Runtime) -> None:
    limits = LIMITS.model_copy(update={"max_ink_strokes": 600})
    client = SessionClient(line_net, limits)
    client.send(ink(*(piece(number, WAVE) for number in range(200))), interval_s=99.0)
    client.drain()
    events = events_in([*client.new_messages(), *client.ask(message("flush"))])
    assert max(len({span.id for span in event.strokes or ()}) for event in events) == 128

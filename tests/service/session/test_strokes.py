"""Strokes with ids in a session: they come in parts and can be undone."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inkstream.model.preprocess.ink import flatten, rasterise
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Revised
from tests.helpers.single_session import (
    LIMITS,
    SessionClient,
    error_in,
    message,
    results,
    text_of,
    texts,
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

PRICED = LIMITS.model_copy(update={"max_control_per_s": 20})

# What is read in the end

FLUSH, UNDO_2 = message("flush"), message("ink", undo=2)
BOTH = ink(piece(1, WAVE), piece(2, BAR))
READINGS: dict[str, tuple[list[str], list[Stroke]]] = {
    "parts": (
        [
            ink(piece(7, WAVE[:2], False), piece("b", FAR[:1], False)),
            ink(piece(7, WAVE[2:]), piece("b", FAR[1:])),
        ],
        [WAVE, FAR],
    ),
    "parts in one message, some of them empty": (
        [ink(*(piece(1, points, False) for points in (WAVE[:3], [], WAVE[3:])), piece(1, []))],
        [WAVE],
    ),
    "a pause within a stroke": (
        [ink(piece(1, WAVE, False), pause=True), ink(piece(1, FAR))],
        [WAVE + FAR],
    ),
    "points with pressure and time, some without": (
        [ink(piece(1, [(*WAVE[0], 0.5, 17), *((*point, None) for point in WAVE[1:4]), WAVE[4]]))],
        [WAVE],
    ),
    "one point": ([ink(piece(1, DOT))], [DOT]),
    "a late dot": ([ink(piece(1, WAVE)), ink(piece(2, DOT))], [WAVE, DOT]),
    "a late dot after a flush": ([ink(piece(1, WAVE)), FLUSH, ink(piece(2, DOT))], [WAVE, DOT]),
    "undone": ([BOTH, ink(piece(3, FAR)), UNDO_2], [WAVE, FAR]),
    "undone at the end, after a flush": (
        [ink(piece(1, WAVE), piece(2, FAR)), FLUSH, UNDO_2],
        [WAVE],
    ),
    "all undone": ([BOTH, UNDO_2, message("ink", undo=1)], []),
    "replaced": ([BOTH, ink(piece(2, DOT), undo=2)], [WAVE, DOT]),
    "an id that is free again": ([BOTH, UNDO_2, ink(piece(2, FAR))], [WAVE, FAR]),
    "cut by a rewind": (
        [ink(piece(1, WAVE, False)), message("rewind", column=18), ink(piece(3, FAR))],
        [WAVE, FAR],
    ),
    "undone after a rewind": (
        [BOTH, message("rewind", column=18), ink(piece(3, FAR)), UNDO_2],
        [WAVE, FAR],
    ),
}


def drawn_at_once(net: Runtime, *strokes: Stroke) -> NDArray[np.uint8]:
    points, starts = flatten(strokes)
    return rasterise(points * (H / HEIGHT), starts, H, directions=net.config.directions)


@pytest.mark.parametrize("kind", ["exact_net", "directed_net"])
@pytest.mark.parametrize("name", READINGS)
def test_ink_is_read_like_the_columns_that_it_makes(
    name: str, kind: str, request: pytest.FixtureRequest
) -> None:
    net: Runtime = request.getfixturevalue(kind)
    frames, strokes = READINGS[name]
    columns = drawn_at_once(net, *strokes)
    if "rewind" in name:
        columns = drawn_at_once(net, FAR)
        columns[:18] = drawn_at_once(net, WAVE)[:18]
    client = SessionClient(net)
    messages = client.ask(*frames, FLUSH)
    at_once = SessionClient(net, column_size=columns.shape[1])
    expected = at_once.ask(*[columns.tobytes()][: len(columns)], FLUSH)
    assert (text_of(messages), client.column) == (text_of(expected), len(columns))
    newest = {each.column: dict(each.probabilities) for each in results(messages)}
    for each in results(expected):
        assert newest[each.column] == pytest.approx(dict(each.probabilities), abs=1e-4)


@pytest.mark.parametrize(
    ("change", "strokes"),
    [(ink(piece(3, DOT)), [WAVE, BAR, DOT]), (message("ink", undo=2, id=3), [WAVE])],
    ids=["a late dot", "undo"],
)
def test_what_changes_read_columns_revises_from_the_first_of_them(
    line_net: Runtime, change: str, strokes: list[Stroke]
) -> None:
    client = SessionClient(line_net)
    before = client.ask(BOTH)
    revised, *messages = client.ask(change)
    assert isinstance(revised, Revised)
    changed = (rasterised(WAVE, BAR) != rasterised(*strokes)).any(1)
    assert (revised.column, revised.frame) == (int(np.flatnonzero(changed)[0]), None)
    assert revised.text == texts(before)[revised.column - 1]
    n_before = len(results(before))
    assert [each.column for each in results(messages)] == list(range(revised.column, n_before))


# Parts, and ids


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([piece(1, FAR)], "stroke 1 is complete, allowed: a new id"),
        ([piece("w", FAR), piece("w", FAR)], 'stroke "w" is complete, allowed: a new id'),
        ([piece(None, FAR, last=False)], "stroke 1 has no id, and is not complete"),
    ],
)
def test_a_stroke_that_cannot_go_on_is_refused_and_changes_nothing(
    line_net: Runtime, pieces: list[dict[str, Any]], text: str
) -> None:
    client = SessionClient(line_net)
    client.ask(ink(piece(1, WAVE)))
    error = error_in(client.ask(ink(piece(2, DOT), *pieces, id="x")))
    assert (error.code, error.message, error.ref) == ("bad_ink", text, "x")
    assert flush(client).columns == len(rasterised(WAVE))
    assert client.ask(ink(piece(2, FAR))) != []  # of the refused message nothing was kept


def test_the_id_of_a_stroke_that_can_no_longer_change_is_free(line_net: Runtime) -> None:
    client = SessionClient(line_net, LIMITS.model_copy(update={"max_rewind_columns": 20}))
    client.ask(ink(piece(1, DOT), piece(2, WAVE)))
    assert client.ask(ink(piece(1, [(x + 300, y) for x, y in FAR]))) != []
    error = error_in(client.ask(ink(piece(1, FAR))))
    assert error.message == "stroke 1 is complete, allowed: a new id"
    at_once = SessionClient(line_net)
    at_once.ask(ink(piece(1, DOT), piece(2, WAVE), piece(3, [(x + 300, y) for x, y in FAR])))
    assert flush(client).text == flush(at_once).text


def test_the_distance_to_a_part_of_a_stroke_counts_towards_the_rate_limit(
    line_net: Runtime,
) -> None:
    client = SessionClient(line_net, PRICED)
    client.send(ink(piece(1, [(0, 0)], last=False)))
    for number in range(6):  # each goes nearly as far as one message may
        y = 600_000.0 * (number % 2 == 0)
        client.send(ink(piece(1, [(0, y)], last=False)), interval_s=0.0)
    assert client.paused_s > 0


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_the_order_of_strokes_in_an_event_is_that_of_their_columns_and_ids(
    line_net: Runtime, order: tuple[int, ...]
) -> None:
    pieces = [piece(9, WAVE), piece("a", WAVE), piece("b", WAVE), piece(1, BAR)]
    client = SessionClient(line_net)
    messages = client.ask(*[ink(pieces[number]) for number in order], message("flush"))
    listed = [[span["id"] for span in event["strokes"]] for event in final_events(messages)]
    once = [list(dict.fromkeys(ids)) for ids in listed]
    assert all(ids == [name for name in (9, "a", "b", 1) if name in ids] for ids in once)
    assert [9, "a", "b", 1] in once


# Undo


def test_the_last_stroke_of_a_long_line_can_be_undone(line_net: Runtime) -> None:
    client = SessionClient(line_net, LIMITS.model_copy(update={"max_rewind_columns": 20}))
    for name in range(8):
        x = 300.0 * name
        client.ask(ink(piece(name, [(x, 40), (x + 90, 90)]), pause=True))
    client.ask(message("ink", undo=7), ink(piece(8, [(2150, 20), (2200, 99)])))
    strokes = [[(300.0 * name, 40.0), (300.0 * name + 90, 90.0)] for name in range(7)]
    at_once = SessionClient(line_net)
    at_once.ask(rasterised(*strokes, [(2150, 20), (2200, 99)]).tobytes())
    assert flush(client).text == flush(at_once).text
    assert client.column == at_once.column


def test_an_undo_of_an_unknown_stroke_is_refused(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.ask(ink(piece(1, WAVE)), message("ink", undo=1))
    for name in (1, "1", 2):
        error = error_in(client.ask(message("ink", undo=name, id="u")))
        allowed = "allowed: the id of a stroke that may still change"
        assert (error.code, error.ref) == ("bad_ink", "u")
        assert error.message == f"undo is {json.dumps(name)}, {allowed}"
        client.ask(message("ping"))


def test_a_stroke_too_far_back_cannot_be_undone(line_net: Runtime) -> None:
    client = SessionClient(line_net, LIMITS.model_copy(update={"max_rewind_columns": 20}))
    client.ask(ink(piece(1, WAVE)), ink(piece(2, FAR)))
    error = error_in(client.ask(message("ink", undo=1)))
    assert error.message.startswith("ink reaches back to column 9, allowed: from ")
    far = [(x + 300, y) for x, y in FAR]
    client.ask(ink(piece(3, far)), ink())
    error = error_in(client.ask(message("ink", undo=1)))
    assert error.message == "undo is 1, allowed: the id of a stroke that may still change"
    assert flush(client).columns == len(rasterised(far))


def test_undo_counts_the_points_that_are_drawn_again(line_net: Runtime) -> None:
    scribble = [(100.0, 160_000.0 * (i % 2)) for i in range(5)]  # 64,000 pixels
    client = SessionClient(line_net, PRICED)  # 100 messages at once
    for number in range(6):
        client.send(ink(piece(number, DOT)), message("ink", undo=number), interval_s=0.0)
        client.drain()
    assert client.paused_s == 0
    client.send(ink(piece("s", scribble)), interval_s=9.0)
    for number in range(6, 9):
        client.send(ink(piece(number, DOT)), message("ink", undo=number), interval_s=0.0)
        client.drain()
    assert client.paused_s > 0


def test_scribbles_that_would_take_long_to_draw_again_are_refused(line_net: Runtime) -> None:
    scribble = [(100.0, 160_000.0 * (i % 2)) for i in range(5)]  # 64,000 pixels
    client = SessionClient(line_net)
    for number in range(24):
        client.send(ink(piece(number, scribble)), interval_s=9.0)
        client.drain()
    assert all(each.type != "error" for each in client.new_messages())
    error = error_in(client.ask(ink(piece(24, scribble))))
    assert error.message.endswith("pixels of strokes may still change, allowed: up to 1572864")

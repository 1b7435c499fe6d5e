"""A session's WebSocket: refusals, the order of answers, back pressure, deadlines, goodbyes."""

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from inkstream.model.checkpoint import Checkpoint
from inkstream.service.websocket.stream import MERGE_FROM, PAUSE_FROM
from tests.helpers import builders
from tests.helpers.asgi_websocket import Wire, serving
from tests.helpers.engine_sessions import Tally
from tests.helpers.single_session import INK, alone, message

# A session


async def test_a_stream_begins_with_ready_answers_every_column_and_ends_when_asked(
    tiny: Checkpoint,
) -> None:
    columns = builders.columns(9, seed=1)
    async with serving(tiny) as (service, net):
        wire = Wire(service)
        wire.put(*(column.tobytes() for column in columns), message("end"))
        assert await wire.ended() == 1000
    ready, *results, flushed, done = wire.said
    assert ready["type"] == "ready"
    assert ready["limits"]["max_sessions"] == service.limits.max_sessions
    got = np.array([list(result["probabilities"].values()) for result in results])
    assert np.abs(got - alone(net, columns.tobytes())).max() < 1e-5
    assert (flushed["columns"], done["columns"]) == (9, 9)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [([], None), (["inkstream.v1"], "inkstream.v1"), (["other", "inkstream.v1"], "inkstream.v1")],
)
async def test_the_subprotocol_is_chosen_whenever_it_is_offered(
    tiny: Checkpoint, offered: list[str], chosen: str | None
) -> None:
    async with serving(tiny) as (service, _):
        wire = Wire(service, subprotocols=offered)
        await wire.hear(0)
        wire.vanish()
        await wire.ended()
    assert wire.events[0] == {"type": "websocket.accept", "subprotocol": chosen}


async def test_an_empty_text_is_a_bad_message_like_any_other(tiny: Checkpoint) -> None:
    async with serving(tiny) as (service, _):
        wire = Wire(service)
        wire.put("", INK)
        error, result = await wire.hear(2)
        wire.vanish()
        await wire.ended()
    assert (error["code"], error["fatal"]) == ("bad_json", False)
    assert result["type"] == "result"


async def test_a_fault_of_ours_ends_this_session_alone(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tiny) as (service, _):
        healthy, broken = Wire(service), Wire(service)
        await broken.hear(0)
        with monkeypatch.context() as patch:
            patch.setattr("inkstream.service.session.session.parse_client", None)
            broken.put(message("ping"))
            assert await broken.ended() == 1011
        healthy.put(message("ping"))
        await healthy.hear(1)
        healthy.vanish()
        await healthy.ended()
    assert broken.said[-1]["code"] == "internal"
    assert healthy.said[-1]["type"] == "pong"


# Refusals: by HTTP, or by a message for clients that offer our subprotocol


REFUSALS = [
    ("unknown_model", 404, 4404, {"query": "model=klingon"}, {}),
    ("unknown_session", 404, 4404, {"query": "session=abc&epoch=0"}, {}),
    ("forbidden_origin", 403, 4403, {"headers": [("origin", "https://evil.example")]}, {}),
    ("unauthorized", 401, 4401, {}, {"api_keys": "good"}),
    ("too_many_sessions", 429, 4429, {}, {"max_sessions_per_client": 1}),
    ("server_full", 503, 1013, {}, {"max_sessions": 1}),
]


@pytest.mark.parametrize(("code", "status", "closing", "visit", "settings"), REFUSALS)
async def test_a_refused_client_gets_the_reason_by_http_and_inside(
    tiny: Checkpoint,
    code: str,
    status: int,
    closing: int,
    visit: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    tally = Tally()
    async with serving(tiny, tally, **settings) as (service, _):
        inside = Wire(service, headers=[("authorization", "Bearer good")])
        await inside.hear(0)
        outside, browser = (
            Wire(service, **visit),
            Wire(service, **visit, subprotocols=["inkstream.v1"]),
        )
        await outside.ended()
        await browser.ended()
        inside.vanish()
        await inside.ended()
    start, body = outside.events
    headers = dict(start["headers"])
    assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
    assert (b"retry-after" in headers) == (status in (429, 503))
    assert json.loads(body["body"])["error"]["code"] == code
    assert json.loads(body["body"])["error"]["request_id"] == headers[b"x-request-id"].decode()
    accept, _, close = browser.events
    assert accept["subprotocol"] == "inkstream.v1"
    assert browser.said[0]["code"] == code
    assert browser.said[0]["fatal"] is True
    assert close["code"] == closing
    assert tally.refusals == [code, code]
    assert tally.connected == [1, 0]


async def test_a_stopping_server_refuses_clients(tiny: Checkpoint) -> None:
    async with serving(tiny) as (service, _):
        await service.sessions.drain(0.01)
        wire = Wire(service)
        await wire.ended()
    assert wire.events[0]["status"] == 503


@pytest.mark.parametrize(
    "visit",
    [
        {"headers": [("authorization", "Bearer two")]},
        {"headers": [("authorization", "bearer two")]},
        {"subprotocols": ["inkstream.v1", "key.two"]},
        {"subprotocols": ["key.two"]},
        {"headers": [("origin", "https://a.example"), ("authorization", "Bearer one")]},
        {
            "headers": [
                ("origin", "http://ink.local:8000"),
                ("host", "ink.local:8000"),
                ("authorization", "Bearer one"),
            ]
        },
    ],
)
async def test_a_key_from_an_allowed_origin_is_accepted(
    tiny: Checkpoint, visit: dict[str, Any]
) -> None:
    async with serving(tiny, api_keys="one,two", origins="https://a.example") as (service, _):
        wire = Wire(service, **visit)
        await wire.hear(0)
        wire.vanish()
        await wire.ended()
    assert wire.said[0]["type"] == "ready"


@pytest.mark.parametrize(
    "visit",
    [
        {"headers": [("authorization", "Bearer three")]},
        {"headers": [("authorization", "Bearer")]},
        {"headers": [("authorization", "Basic one")]},
        {"headers": [("authorization", "one")]},
        {"query": "key=one"},
        {"query": "model=tiny&api_key=one"},
        {"subprotocols": ["inkstream.v1", "key.three"]},
        {"subprotocols": ["inkstream.v1", "one"]},
        {"subprotocols": ["inkstream.v1", "key."]},
    ],
)
async def test_a_wrong_key_or_one_in_a_wrong_place_is_refused(
    tiny: Checkpoint, visit: dict[str, Any]
) -> None:
    async with serving(tiny, api_keys="one,two") as (service, _):
        wire = Wire(service, **visit)
        code = await wire.ended()
    assert code == 4401 or wire.events[0]["status"] == 401


async def test_sessions_are_counted_for_each_client(tiny: Checkpoint) -> None:
    async with serving(tiny, max_sessions_per_client=1) as (service, _):
        wires = [Wire(service, client=f"192.0.2.{number}") for number in range(3)]
        for wire in wires:
            await wire.hear(0)
        assert len(service.sessions) == 3
        for wire in wires:
            wire.vanish()
            await wire.ended()
        assert len(service.sessions) == 0


# Back pressure


async def test_a_client_that_is_far_ahead_is_paused_and_loses_nothing(tiny: Checkpoint) -> None:
    columns = builders.columns(40, seed=2)
    async with serving(tiny, max_waiting_columns=8, max_message_columns=8) as (service, net):
        net.may_run.clear()
        wire = Wire(service)
        wire.put(*(column.tobytes() for column in columns))
        await net.hold()
        assert wire.asked < 20  # connect, what is being run, and the 8 that may wait
        net.may_run.set()
        said = await wire.hear(40)
        wire.vanish()
        await wire.ended()
    got = np.array([list(result["probabilities"].values()) for result in said])
    assert np.abs(got - alone(net, columns.tobytes())).max() < 1e-5


async def test_results_for_a_slow_reader_are_merged_but_answers_are_not(tiny: Checkpoint) -> None:
    n_columns = 3 * MERGE_FROM
    columns = builders.columns(n_columns, seed=3).tobytes()
    tally = Tally()
    async with serving(tiny, tally) as (service, _):
        wire = Wire(service)
        await wire.hear(0)
        wire.may_send.clear()
        wire.put(columns, message("ping", id="a"), INK, message("flush", id="b"))
        await tally.until(n_columns + 1)
        wire.may_send.set()
        await wire.until(lambda wire: wire.said[-1]["type"] == "flushed")
        wire.vanish()
        await wire.ended()
    said = wire.said[1:]
    results = [each["column"] for each in said if each["type"] == "result"]
    answers = [each.get("id") for each in said if each["type"] != "result"]
    assert answers == ["a", "b"]
    assert results == sorted(results)
    assert len(results) < MERGE_FROM + 3
    assert results[-2:] == [n_columns - 1, n_columns]
    assert said[-1]["columns"] == n_columns + 1


async def test_a_client_that_reads_nothing_is_paused_too(tiny: Checkpoint) -> None:
    async with serving(tiny, max_control_per_s=10_000) as (service, _):
        wire = Wire(service)
        await wire.hear(0)
        wire.may_send.clear()
        pings = [message("ping", id=number) for number in range(2 * PAUSE_FROM)]
        wire.put(*pings)
        await wire.until(lambda wire: wire.asked > PAUSE_FROM)
        other = Wire(service)  # served while the first is held
        other.put(INK)
        await other.hear(1)
        assert wire.asked <= PAUSE_FROM + 3
        wire.may_send.set()
        said = await wire.hear(len(pings))
        for each in (wire, other):
            each.vanish()
            await each.ended()
    assert [pong["id"] for pong in said] == list(range(2 * PAUSE_FROM))


async def test_a_paused_client_whose_connection_is_lost_is_removed(tiny: Checkpoint) -> None:
    tally = Tally()
    async with serving(tiny, tally, max_control_per_s=10_000) as (service, _):
        wire = Wire(service)
        await wire.hear(0)
        wire.may_send.clear()
        wire.put(*(message("ping") for _ in range(2 * PAUSE_FROM)))
        await wire.until(lambda wire: wire.asked > PAUSE_FROM)
        wire.vanish()
        await wire.ended()
    assert tally.connected == [1, 0]


# Deadlines


async def test_a_silent_client_is_closed(tiny: Checkpoint) -> None:
    async with serving(tiny, idle_timeout_s=0.02) as (service, _):
        wire = Wire(service)
        assert await wire.ended() == 4408
    assert (wire.said[-1]["code"], wire.said[-1]["fatal"]) == ("idle", True)


async def test_the_longest_session_ends_even_of_a_busy_client(tiny: Checkpoint) -> None:
    async with serving(tiny, max_session_s=0.1, idle_timeout_s=60) as (service, _):
        wire = Wire(service)
        wire.put(INK)
        assert await wire.ended() == 4440
    assert [each["type"] for each in wire.said] == ["ready", "result", "error"]
    assert wire.said[-1]["code"] == "session_expired"


# Leaving


@pytest.mark.parametrize("before", [(), (INK,), (b"x" * 27,)])
async def test_a_lost_connection_leaves_nothing_behind(
    tiny: Checkpoint, before: tuple[bytes, ...]
) -> None:
    tally = Tally()
    async with serving(tiny, tally) as (service, _):
        wire = Wire(service)
        await wire.hear(0)
        wire.put(*before)
        wire.vanish()
        await wire.ended()
        assert len(service.sessions) == 0
    assert tally.connected == [1, 0]


async def test_a_connection_lost_before_it_is_accepted_leaves_nothing_behind(
    tiny: Checkpoint,
) -> None:
    tally = Tally()
    async with serving(tiny, tally) as (service, _):
        wire = Wire(service)
        wire.vanish()
        with pytest.raises(ConnectionResetError):
            await wire.ended()
    assert tally.connected == [1, 0]


async def test_a_stopping_server_says_goaway_waits_and_then_closes(tiny: Checkpoint) -> None:
    async with serving(tiny) as (service, _):
        leaving, staying = Wire(service), Wire(service)
        for wire in (leaving, staying):
            await wire.hear(0)
        draining = asyncio.create_task(service.sessions.drain(0.2))
        (goaway,) = await leaving.hear(1)
        leaving.put(INK, message("end"))
        assert await leaving.ended() == 1000
        assert await staying.ended() == 1001
        await draining
    assert goaway["time_left_ms"] == 200
    assert leaving.said[-1]["type"] == "done"
    assert staying.said[-1]["code"] == "stopping"


async def test_a_server_whose_sessions_have_left_stops_at_once(tiny: Checkpoint) -> None:
    async with serving(tiny) as (service, _):
        wire = Wire(service)
        await wire.hear(0)
        draining = asyncio.create_task(service.sessions.drain(3600))
        await wire.hear(1)
        wire.put(message("end"))
        await wire.ended()
        async with asyncio.timeout(10):
            await draining

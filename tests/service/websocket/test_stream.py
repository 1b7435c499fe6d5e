"""A session's WebSocket: refusals, the order of answers, back pressure, deadlines, the end."""

import asyncio
import io
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.runtime import Runtime
from inkstream.service.observe import logs
from inkstream.service.session import Effect, Session
from inkstream.service.websocket import AT_ONCE, DIRECT, PAUSE_FROM
from tests.helpers import builders
from tests.helpers.engine_sessions import DEADLINE_S, POISON, RecordingMetrics
from tests.helpers.single_session import INK, LANGUAGES, message, uninterrupted
from tests.service.websocket.asgi_websocket import AsgiClient, serving

# A session


async def test_a_stream_begins_with_ready_answers_every_column_and_ends_after_end(
    tiny: Checkpoint,
) -> None:
    columns = builders.columns(9, seed=1)
    async with serving(tiny) as (service, _):
        client = AsgiClient(service)
        client.send(*(column.tobytes() for column in columns), message("end"))
        assert await client.wait_for_end() == 1000
    ready, *results, done = client.received
    assert ready["type"] == "ready"
    assert ready["limits"]["max_sessions"] == service.limits.max_sessions
    probabilities = np.array([[p for _, p in result["probabilities"]] for result in results])
    assert np.abs(probabilities - uninterrupted(Runtime(tiny), columns.tobytes())).max() < 1e-5
    assert (done["columns"], done["seq"]) == (9, 10)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [([], None), (["inkstream.v1"], "inkstream.v1"), (["other", "inkstream.v1"], "inkstream.v1")],
)
async def test_the_subprotocol_is_chosen_whenever_it_is_offered(
    tiny: Checkpoint, offered: list[str], chosen: str | None
) -> None:
    async with serving(tiny) as (service, _):
        client = AsgiClient(service, subprotocols=offered)
        await client.wait_for(0)
        client.vanish()
        await client.wait_for_end()
    assert client.events[0] == {"type": "websocket.accept", "subprotocol": chosen}


async def test_an_internal_error_ends_only_its_session(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tiny) as (service, _):
        healthy, broken = AsgiClient(service), AsgiClient(service)
        await broken.wait_for(0)
        with monkeypatch.context() as patch:
            patch.setattr("inkstream.service.session.session.parse_client", None)
            broken.send(message("ping"))
            assert await broken.wait_for_end() == 1011
        healthy.send(message("ping"))
        await healthy.wait_for(1)
        healthy.vanish()
        await healthy.wait_for_end()
    assert broken.received[-1]["code"] == "internal"
    assert healthy.received[-1]["type"] == "pong"


async def test_a_session_that_fails_when_the_server_stops_keeps_no_other_from_its_goaway(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    goaway = Session.goaway

    def failing(session: Session, time_left_s: float) -> list[Effect]:
        if session.session_id == broken.received[0]["session"]:
            raise RuntimeError("made to fail")
        return goaway(session, time_left_s)

    monkeypatch.setattr(Session, "goaway", failing)
    async with serving(tiny) as (service, _):
        broken, healthy = AsgiClient(service), AsgiClient(service)
        await broken.wait_for(0)
        await healthy.wait_for(0)
        await service.sessions.drain(0.01)
        assert [await each.wait_for_end() for each in (broken, healthy)] == [1011, 1001]
    assert [each["type"] for each in healthy.received[1:]] == ["goaway", "error"]


# The query


async def test_the_query_chooses_a_language_and_other_parameters_are_ignored(
    tiny_lines: Checkpoint,
) -> None:
    async with serving(tiny_lines, languages=LANGUAGES) as (service, _):
        client = AsgiClient(service, "language=little&top_k=no&session=x&utm_source=y")
        client.send(message("configure"))
        (configured,) = await client.wait_for(1)
        client.vanish()
        await client.wait_for_end()
    assert (configured["language"], configured["top_k"]) == ("little", 5)


# Traces


TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "visit",
    [
        {"headers": [("traceparent", PARENT)]},
        {"query": f"traceparent={PARENT}"},
        {"headers": [("traceparent", PARENT)], "query": "traceparent=" + "1" * 55},
    ],
)
async def test_all_log_lines_of_a_session_name_its_trace(
    tiny: Checkpoint, visit: dict[str, Any], log: io.StringIO
) -> None:
    logs.configure("json", stream=log)
    async with serving(tiny) as (service, _):
        traced, other, refused = (
            AsgiClient(service, **visit),
            AsgiClient(service),
            AsgiClient(service, **visit, client="not admitted", subprotocols=["key.x"]),
        )
        for client in (traced, other):
            client.send(INK, POISON)
            assert await client.wait_for_end() == 1011
        refused.vanish()
        await refused.wait_for_end()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    session, other_session = (each.received[0]["session"] for each in (traced, other))
    of_traced = [line for line in lines if line.get("session") == session]
    assert [each["event"] for each in of_traced] == [
        *("session opened", "session failed", "session closed"),
    ]
    for line in of_traced:
        assert (line["trace_id"], line["span_id"]) == (TRACE, "b7ad6b7169203331")
    for line in lines:
        assert "trace_id" not in line or line.get("session") != other_session
        assert line["event"] != "run failed" or "trace_id" not in line


# Refusals: by HTTP, or by a message for clients that offer our subprotocol


REFUSALS = [
    ("unknown_model", 404, 4404, {"query": "model=klingon"}, {}),
    ("bad_value", 422, 4400, {"query": "language=klingon"}, {}),
    ("bad_value", 422, 4400, {"query": "language=little&language=little"}, {}),
    ("forbidden_host", 421, 4421, {"headers": [("host", "evil.example")]}, {}),
    ("forbidden_origin", 403, 4403, {"headers": [("origin", "https://evil.example")]}, {}),
    ("unauthorized", 401, 4401, {"query": "key=good&api_key=good"}, {"api_keys": "good"}),
    ("too_many_sessions", 429, 4429, {}, {"max_sessions_per_client": 1}),
    ("server_full", 503, 1013, {}, {"max_sessions": 1}),
]


@pytest.mark.parametrize(("code", "status", "closing", "visit", "settings"), REFUSALS)
async def test_a_refused_client_gets_the_reason_by_http_and_by_websocket(
    tiny: Checkpoint,
    code: str,
    status: int,
    closing: int,
    visit: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    metrics = RecordingMetrics()
    async with serving(tiny, metrics, **settings) as (service, _):
        inside = AsgiClient(service, headers=[("authorization", "Bearer good")])
        await inside.wait_for(0)
        outside, browser = (
            AsgiClient(service, **visit),
            AsgiClient(service, **visit, subprotocols=["inkstream.v1"]),
        )
        await outside.wait_for_end()
        await browser.wait_for_end()
        inside.vanish()
        await inside.wait_for_end()
    start, body = outside.events
    headers = dict(start["headers"])
    assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
    assert (b"retry-after" in headers) == (status in (429, 503))
    assert json.loads(body["body"])["error"]["code"] == code
    assert json.loads(body["body"])["error"]["request_id"] == headers[b"x-request-id"].decode()
    accept, _, close = browser.events
    assert accept["subprotocol"] == "inkstream.v1"
    assert browser.received[0]["code"] == code
    assert browser.received[0]["fatal"] is True
    assert close["code"] == closing
    assert metrics.refusals == [code, code]
    assert metrics.connected == [1, 0]


@pytest.mark.parametrize(
    "visit",
    [
        {"headers": [("authorization", "bearer two")]},
        {"subprotocols": ["inkstream.v1", "key.two"]},
        {"subprotocols": ["key.two"]},
    ],
)
async def test_a_key_comes_in_a_header_or_a_subprotocol(
    tiny: Checkpoint, visit: dict[str, Any]
) -> None:
    async with serving(tiny, api_keys="one,two") as (service, _):
        client = AsgiClient(service, **visit)
        await client.wait_for(0)
        client.vanish()
        await client.wait_for_end()
    assert client.received[0]["type"] == "ready"


# A direct connection


class RecordingConnection:
    """A `DirectConnection` that keeps what is sent: a list of texts for each write."""

    def __init__(self) -> None:
        self.transport = asyncio.Transport()
        self.listener: Any = None  # see `DirectConnection`
        self.writes: list[list[bytes]] = []
        self.may_write = False
        self.reads = False

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def send_now(self, texts: Iterable[bytes]) -> bool:
        if self.may_write:
            self.writes.append(list(texts))
        return self.may_write


async def test_all_that_one_run_has_for_a_client_is_one_write(tiny: Checkpoint) -> None:
    connection, metrics = RecordingConnection(), RecordingMetrics()
    async with serving(tiny, metrics) as (service, _):
        client = AsgiClient(service, state={DIRECT: lambda: connection})
        await client.wait_for(0)
        connection.may_write = True
        connection.listener(INK * 3)
        await metrics.wait_until(3)
        connection.may_write = False
        connection.listener(INK * 2)
        messages = await client.wait_for(2)
        client.vanish()
        await client.wait_for_end()
    (texts,) = connection.writes
    assert [json.loads(text)["column"] for text in texts] == [0, 1, 2]
    assert [each["column"] for each in messages] == [3, 4]
    assert connection.reads
    assert connection.listener is None


async def test_many_messages_that_waited_for_the_client_are_one_write(tiny: Checkpoint) -> None:
    connection, metrics = RecordingConnection(), RecordingMetrics()
    async with serving(tiny, metrics) as (service, _):
        client = AsgiClient(service, state={DIRECT: lambda: connection})
        await client.wait_for(0)
        client.may_send.clear()
        connection.listener(INK * (AT_ONCE + 10))
        await metrics.wait_until(AT_ONCE + 10)
        connection.may_write = True
        client.may_send.set()
        (message,) = await client.wait_for(1)
        client.vanish()
        await client.wait_for_end()
    assert message["column"] == 0
    assert [len(texts) for texts in connection.writes] == [AT_ONCE, 9]
    sent = [json.loads(text)["column"] for texts in connection.writes for text in texts]
    assert sent == [*range(1, AT_ONCE + 10)]


# Back pressure


@pytest.mark.parametrize(
    ("limits", "waiting"),
    [({"max_waiting_columns": 8, "max_message_columns": 8}, 8), ({}, PAUSE_FROM)],
    ids=["columns", "messages"],
)
async def test_a_client_that_is_far_ahead_is_paused_and_loses_nothing(
    tiny: Checkpoint, limits: dict[str, Any], waiting: int
) -> None:
    columns = builders.columns(3 * waiting, seed=2)
    async with serving(tiny, **limits) as (service, engine):
        engine.pause()
        client = AsgiClient(service)
        client.send(*(column.tobytes() for column in columns))
        assert await asyncio.to_thread(engine.has_work.wait, DEADLINE_S)
        await asyncio.sleep(0)  # reads all that may be read
        assert client.n_receives <= waiting + 3  # connect, and those that may wait
        engine.resume()
        messages = await client.wait_for(len(columns))
        client.vanish()
        await client.wait_for_end()
    probabilities = np.array([[p for _, p in result["probabilities"]] for result in messages])
    assert np.abs(probabilities - uninterrupted(Runtime(tiny), columns.tobytes())).max() < 1e-5


async def test_a_client_that_sends_too_many_messages_is_read_later_and_gets_all_answers(
    tiny: Checkpoint,
) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tiny, max_control_per_s=20) as (service, _):
        client, other = AsgiClient(service), AsgiClient(service)
        await client.wait_for(0)
        start_s = loop.time()
        client.send(*(message("ping", id=number) for number in range(110)))
        await client.wait_for(100)
        # Connect, those of five seconds, the one that is too many, and those that were paid since.
        assert client.n_receives <= 102 + 20 * (loop.time() - start_s) + 1
        other.send(message("ping", id="other"))
        assert (await other.wait_for(1))[0]["id"] == "other"
        pongs = await client.wait_for(110)
        for each in (client, other):
            each.vanish()
            await each.wait_for_end()
        assert loop.time() - start_s > 0.4
    assert [pong["id"] for pong in pongs] == list(range(110))


async def test_a_client_that_is_paused_for_its_messages_can_be_told_that_the_server_stops(
    tiny: Checkpoint,
) -> None:
    async with serving(tiny, max_control_per_s=1) as (service, _):
        client = AsgiClient(service)
        client.send(*[message("ping")] * 6)
        await client.wait_for(6)
        await service.sessions.drain(0.01)
        assert await client.wait_for_end() == 1001


async def test_a_client_that_reads_nothing_is_paused_too(tiny: Checkpoint) -> None:
    async with serving(tiny, max_control_per_s=10_000) as (service, _):
        client = AsgiClient(service)
        await client.wait_for(0)
        client.may_send.clear()
        pings = [message("ping", id=number) for number in range(2 * PAUSE_FROM)]
        client.send(*pings)
        await client.wait_until(lambda client: client.n_receives > PAUSE_FROM)
        other = AsgiClient(service)  # served while the first is paused
        other.send(INK)
        await other.wait_for(1)
        assert client.n_receives <= PAUSE_FROM + 3
        client.may_send.set()
        messages = await client.wait_for(len(pings))
        for each in (client, other):
            each.vanish()
            await each.wait_for_end()
    assert [pong["id"] for pong in messages] == list(range(2 * PAUSE_FROM))


async def test_a_paused_client_whose_connection_is_lost_is_removed(tiny: Checkpoint) -> None:
    metrics = RecordingMetrics()
    async with serving(tiny, metrics, max_control_per_s=10_000) as (service, _):
        client = AsgiClient(service)
        await client.wait_for(0)
        client.may_send.clear()
        client.send(*(message("ping") for _ in range(2 * PAUSE_FROM)))
        await client.wait_until(lambda client: client.n_receives > PAUSE_FROM)
        client.vanish()
        await client.wait_for_end()
    assert metrics.connected == [1, 0]


# Deadlines


@pytest.mark.parametrize("idle_s", [0.02, 1e-9])  # the second is over before anything is read
async def test_a_silent_client_is_closed(tiny: Checkpoint, idle_s: float) -> None:
    async with serving(tiny, idle_timeout_s=idle_s) as (service, _):
        client = AsgiClient(service)
        assert await client.wait_for_end() == 4408
    assert (client.received[-1]["code"], client.received[-1]["fatal"]) == ("idle", True)
    assert client.received[-1]["message"] == f"no message for {idle_s:g} s, the longest allowed"


async def test_a_busy_session_ends_after_the_longest_time_allowed(tiny: Checkpoint) -> None:
    async with serving(tiny, max_session_s=0.1, idle_timeout_s=60) as (service, _):
        client = AsgiClient(service)
        client.send(INK)
        assert await client.wait_for_end() == 4440
    assert [each["type"] for each in client.received] == ["ready", "result", "error"]
    assert client.received[-1]["code"] == "session_expired"
    text = "the session is 0.1 s old, the most that is allowed"
    assert client.received[-1]["message"] == text


async def test_a_client_that_was_paused_until_its_deadline_has_time_to_go_on(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, passed_s = asyncio.get_running_loop(), 0.0
    measured = loop.time
    monkeypatch.setattr(loop, "time", lambda: measured() + passed_s)
    connection = RecordingConnection()
    limits: dict[str, Any] = {"max_waiting_columns": 8, "max_message_columns": 8}
    async with serving(tiny, idle_timeout_s=600, **limits) as (service, engine):
        client = AsgiClient(service, state={DIRECT: lambda: connection})
        await client.wait_for(0)
        engine.pause()
        connection.listener(INK * 8)
        assert not connection.reads
        passed_s = 500.0
        engine.resume()
        await client.wait_for(8)
        assert connection.reads
        passed_s = 1000.0  # more than the time allowed since the message, less since the pause
        for _ in range(2):  # the deadline is checked
            await asyncio.sleep(0)
        connection.listener(INK)
        messages = await client.wait_for(9)
        client.vanish()
        await client.wait_for_end()
    assert [each["type"] for each in messages] == ["result"] * 9


# Leaving


async def test_a_connection_lost_before_it_is_accepted_is_no_longer_counted(
    tiny: Checkpoint,
) -> None:
    metrics = RecordingMetrics()
    async with serving(tiny, metrics) as (service, _):
        client = AsgiClient(service)
        client.vanish()
        with pytest.raises(ConnectionResetError):
            await client.wait_for_end()
    assert metrics.connected == [1, 0]


async def test_a_stopping_server_sends_goaway_waits_and_then_closes(tiny: Checkpoint) -> None:
    async with serving(tiny) as (service, _):
        leaving, staying = AsgiClient(service), AsgiClient(service)
        for client in (leaving, staying):
            await client.wait_for(0)
        draining = asyncio.create_task(service.sessions.drain(0.2))
        (goaway,) = await leaving.wait_for(1)
        leaving.send(INK, message("end"))
        assert await leaving.wait_for_end() == 1000
        assert await staying.wait_for_end() == 1001
        await draining
    assert goaway["time_left_ms"] == 200
    assert leaving.received[-1]["type"] == "done"
    assert staying.received[-1]["code"] == "stopping"

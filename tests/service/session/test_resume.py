"""A session goes on elsewhere, from a snapshot or its line's beginning, as if it had stayed."""

import dataclasses
import itertools
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkstream.model import checkpoint
from inkstream.model.decoding.ngrams import load
from inkstream.model.runtime import Runtime
from inkstream.service.bench.pens import Pens
from inkstream.service.protocol.server_messages import (
    Done,
    Flushed,
    Goaway,
    Limits,
    Pong,
    Ready,
    ResetDone,
    Result,
    Resumed,
    Rewound,
    ServerMessage,
    Snapshot,
)
from inkstream.service.sealing import SnapshotSealer
from inkstream.service.session.snapshot import FORMAT
from tests.helpers.frames import FRAMES
from tests.helpers.pen_line import columns, ink
from tests.helpers.resuming import (
    PATIENT,
    SEALER,
    SEALS,
    Frame,
    Heard,
    SnapshotClient,
    after_resumed,
    check_alike,
    comparable,
    resume,
)
from tests.helpers.single_session import (
    INK,
    SessionClient,
    error_in,
    events_in,
    line,
    message,
    only,
    types_of,
)

frames = st.lists(st.sampled_from(sorted(FRAMES)), max_size=8).map(
    lambda names: [FRAMES[name] for name in names]
)


def n_of_line(messages: list[ServerMessage]) -> int:
    """Return how many messages come before the line's end: there a client forgets a snapshot."""
    ends = [
        isinstance(each, ResetDone) or (isinstance(each, Flushed) and each.id is None)
        for each in messages
    ]
    return [*ends, True].index(True)


def is_before(message: dict[str, Any], column: int) -> bool:
    """Return whether a message is an event that was decided before a column."""
    return message["type"] in ("letter", "punctuation", "word") and message["column"] < column


def check_resumed(
    net: Runtime, before: list[Frame], after: list[Frame], n_runs: int, share_heard: float
) -> None:
    """Check that a session that goes on elsewhere says what it would have said here.

    Args:
        net: of both sessions.
        before: sent before the server goes away.
        after: sent afterwards.
        n_runs: how often the net runs after each message, for a few columns.
        share_heard: of what comes behind the snapshot; then the connection breaks.
    """
    here = SnapshotClient(net)
    for frame in before:
        here.send(frame)
        for _ in range(n_runs):
            here.step(max_columns=7)
    here.apply(here.session.goaway(5.0))
    for frame in after:
        here.send(frame)
        here.drain()
    here.drain()
    messages = here.new_messages()
    places = [i for i, each in enumerate(messages) if isinstance(each, Snapshot)]
    assert here.close or places[-1] > types_of(messages).index("goaway")
    for place in places:
        snapshot, rest = messages[place], messages[place + 1 :]
        assert isinstance(snapshot, Snapshot)
        n_heard = round(share_heard * n_of_line(rest))
        heard = Heard(messages[: place + 1 + n_heard])
        elsewhere = SnapshotClient(net)
        for frame in [resume(snapshot.blob, heard), *here.sent[snapshot.messages :]]:
            elsewhere.send(frame)
            for _ in range(n_runs):
                elsewhere.step(max_columns=7)
        elsewhere.drain()
        resumed, others = after_resumed(elsewhere.new_messages())
        found, expected = comparable(others, 1), comparable(rest, snapshot.messages)
        n_unheard = len(comparable(rest[n_heard:], snapshot.messages))
        assert n_unheard <= len(found) <= len(expected)
        if any(isinstance(each, Rewound) for each in rest[:n_heard]):
            # What ink had withdrawn since comes again too, with its epoch.
            while found and is_before(found[0], resumed.column):
                found.pop(0)
        check_alike(found, expected[len(expected) - len(found) :])
        if not n_heard:
            assert (resumed.epoch, resumed.column) == (snapshot.epoch, snapshot.column)
            assert (resumed.letters, resumed.words) == (snapshot.letters, snapshot.words)
            assert len(found) == len(expected)
        assert elsewhere.close == here.close


@pytest.mark.slow
@settings(max_examples=150)
@given(before=frames, after=frames, n_runs=st.integers(0, 4), share_heard=st.floats(0, 1))
def test_a_line_that_goes_on_elsewhere_is_read_as_if_it_had_stayed(
    line_net: Runtime, before: list[Frame], after: list[Frame], n_runs: int, share_heard: float
) -> None:
    check_resumed(line_net, before, after, n_runs, share_heard)


DIGIT_FRAMES: dict[str, Frame] = {
    "column": INK,
    "columns": bytes([0, 9, 200, 255] * 7) * 40,
    "rewind": message("rewind", column=30),
    "configure": message("configure", characters="123", every="message"),
    "all": message("configure", characters=None, line_end_columns=2),
    "blank": bytes(28) * 3,
    "flush": message("flush", id=1),
}


@pytest.mark.slow
@given(
    names=st.lists(st.sampled_from(sorted(DIGIT_FRAMES)), max_size=12),
    place=st.integers(0, 12),
    share_heard=st.floats(0, 1),
)
def test_a_classifiers_line_goes_on_elsewhere_too(
    net: Runtime, names: list[str], place: int, share_heard: float
) -> None:
    sent = [DIGIT_FRAMES[name] for name in names]
    check_resumed(net, sent[:place], sent[place:], 2, share_heard)


@pytest.mark.slow
@pytest.mark.parametrize("is_ink", [False, True])
@pytest.mark.parametrize("hints", [{}, {"language_model": "english", "words": ["inkstream"]}])
def test_the_shipped_net_goes_on_to_the_bit(is_ink: bool, hints: dict[str, object]) -> None:
    runtime = Runtime(checkpoint.read(checkpoint.find("lines")))
    here, elsewhere = (
        SessionClient(runtime, Limits(), {"english": load("english")}, SEALS) for _ in range(2)
    )
    pens = Pens.read()
    frames: Iterator[Frame] = ink(pens) if is_ink else columns(pens, runtime.config)
    here.ask(message("configure", every="message", **hints))
    while here.session.line.column < 700:
        here.ask(next(frames))
    (_, snapshot) = here.session.goaway(5.0)
    assert isinstance(snapshot, Snapshot)
    elsewhere.ask(message("resume", blob=snapshot.blob, columns=snapshot.column))
    n_events = 0
    for frame in [*itertools.islice(frames, 40), message("flush"), message("end")]:
        expected = here.ask(frame)
        n_events += len(events_in(expected))
        assert comparable(elsewhere.ask(frame), 0) == comparable(expected, 0)
    assert n_events > 5


# What comes before `resumed`, and what follows


def test_columns_that_were_heard_are_read_in_silence(net: Runtime) -> None:
    client = SnapshotClient(net)
    client.ask(INK * 5)
    snapshot = client.snapshot()
    assert snapshot is not None
    assert (snapshot.column, snapshot.messages, snapshot.lifetime_s) == (5, 1, 3600.0)
    elsewhere = SnapshotClient(net)
    heard = message("resume", id="r", blob=snapshot.blob, columns=8)
    assert elsewhere.ask(heard) == []
    assert only(elsewhere.ask(message("ping", id=1))) == Pong(id=1)
    resumed, result = elsewhere.ask(INK * 4)
    assert resumed == Resumed(id="r", epoch=0, column=8, letters=0, words=0)
    assert isinstance(result, Result)
    assert result.column == 8


def test_another_message_ends_the_silence(net: Runtime) -> None:
    client = SnapshotClient(net)
    client.send(resume(None, Heard([])).replace('"columns": 0', '"columns": 8'), INK * 4)
    messages = client.ask(message("flush"), INK)
    assert types_of(messages) == ["resumed", "flushed", "result"]
    assert isinstance(messages[0], Resumed)
    assert messages[0].column == 4


def test_without_a_snapshot_all_events_of_the_line_come_again(line_net: Runtime) -> None:
    client = SnapshotClient(line_net)
    first = client.ask(line(80))
    heard = Heard(first)
    assert heard.letters > 5
    again = SnapshotClient(line_net)
    resumed, *messages = again.ask(resume(None, heard), line(80))
    assert resumed == Resumed(id="again", epoch=0, column=80, letters=0, words=0)
    check_alike(comparable(messages, 0), comparable(events_in(first), 0))


def test_events_that_were_not_heard_follow_resumed(line_net: Runtime) -> None:
    client = SnapshotClient(line_net)
    client.ask(line(40))
    snapshot = client.snapshot()
    assert snapshot is not None
    more = client.ask(line(50, seed=5))
    heard = Heard([snapshot, *more])
    assert heard.letters > snapshot.letters + 2
    heard.letters -= 2
    elsewhere = SnapshotClient(line_net)
    resumed, *messages = elsewhere.ask(resume(snapshot.blob, heard), line(50, seed=5))
    assert isinstance(resumed, Resumed)
    assert (resumed.column, resumed.letters, resumed.words) == (90, heard.letters, heard.words)
    assert [event.id for event in events_in(messages)] == [heard.letters, heard.letters + 1]


def test_a_rewind_reaches_as_far_back_as_before(line_net: Runtime) -> None:
    client = SnapshotClient(line_net)
    for seed in range(10):
        client.ask(line(40, seed=seed))
    snapshot = client.snapshot()
    assert snapshot is not None
    elsewhere = SnapshotClient(line_net)
    elsewhere.ask(resume(snapshot.blob, Heard([snapshot])))
    reach = PATIENT.max_rewind_columns
    too_far = message("rewind", column=400 - reach - 1)
    assert error_in(elsewhere.ask(too_far)).code == "bad_value"
    assert error_in(client.ask(too_far)).code == "bad_value"
    for column in (395, 380, 310, 300):
        rewind = message("rewind", column=column)
        check_alike(comparable(elsewhere.ask(rewind), 0), comparable(client.ask(rewind), 0))


# When a snapshot is due


def test_snapshots_come_after_so_many_columns_at_the_end_of_a_message(net: Runtime) -> None:
    client = SnapshotClient(net)
    messages = client.ask(message("configure", snapshot_columns=64), *[INK * 50] * 4)
    found = [each for each in messages if isinstance(each, Snapshot)]
    assert [(each.column, each.messages) for each in found] == [(100, 3), (200, 5)]
    place = messages.index(found[0])
    before = [each.column for each in messages[:place] if isinstance(each, Result)]
    assert before == [*range(100)]
    assert client.ask(message("configure", snapshot_columns=0), INK * 200)[-1].type == "result"


def test_the_time_goes_on_from_that_of_the_snapshot(net: Runtime) -> None:
    first, second = SnapshotClient(net), SnapshotClient(net)
    first.ask(INK, INK, INK)  # a second apart
    snapshot = first.snapshot()
    assert snapshot is not None
    done = second.ask(resume(snapshot.blob, Heard([])), message("end"))[-1]
    assert isinstance(done, Done)
    assert done.seconds == 2 + 1


def test_snapshots_can_be_asked_for_at_the_connection(net: Runtime) -> None:
    client = SessionClient(net, seals=SEALS, options={"snapshot_columns": "64"})
    found = [each for each in client.ask(*[INK * 50] * 4) if isinstance(each, Snapshot)]
    assert [(each.column, each.messages) for each in found] == [(100, 2), (200, 4)]


def test_no_snapshot_is_larger_than_a_message_may_be(net: Runtime) -> None:
    client = SnapshotClient(net, PATIENT.model_copy(update={"max_frame_bytes": 2048}))
    client.ask(*[bytes([0, 9, 200, 255] * 7) * 5] * 20)
    assert client.snapshot() is None


def test_a_server_without_snapshots_says_so(net: Runtime) -> None:
    client = SessionClient(net)
    ready = only(client.new_messages())
    assert isinstance(ready, Ready)
    assert ready.resume is None
    assert client.session.goaway(1.0) == [
        Goaway(reason="the server is about to stop", time_left_ms=1000)
    ]
    error = error_in(client.ask(message("resume", id=3, blob="x")))
    assert (error.code, error.fatal, error.ref) == ("not_resumable", False, 3)


# What is refused


def refusal(client: SnapshotClient, blob: str) -> str:
    """Return why a blob is refused; the session is then a new one."""
    error = error_in(client.ask(message("resume", id="r", blob=blob)))
    assert (error.code, error.fatal, error.ref) == ("not_resumable", False, "r")
    resumed, result = client.ask(message("resume", blob=None), INK)
    assert isinstance(resumed, Resumed)
    assert isinstance(result, Result)
    assert (resumed.epoch, resumed.column, result.column) == (0, 0, 0)
    return error.message


def test_a_snapshot_of_another_client_or_model_is_refused(net: Runtime) -> None:
    client = SnapshotClient(net, credential=b"mine")
    client.ask(INK * 5)
    snapshot = client.snapshot()
    assert snapshot is not None
    assert "of another client" in refusal(SnapshotClient(net, credential=b"yours"), snapshot.blob)
    other_model = SnapshotClient(net, credential=b"mine")
    other_model.session.model = dataclasses.replace(
        other_model.model, seals=SnapshotSealer(SEALER, b"another model")
    )
    assert "of another model, or version of its" in refusal(other_model, snapshot.blob)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "of another version"),
        (b"\x00", "of another version"),
        (bytes([FORMAT - 1]) + bytes(99), "of another version"),
        (bytes([FORMAT]), "of another version"),
        (bytes([FORMAT]) + b"\xc0", "of another version"),
        (bytes([FORMAT]) + bytes(99), "of another version"),
        (bytes([FORMAT]) + b"\x91" * 5000, "of another version"),
        (bytes([FORMAT]) + b"\x96\x81\xa1\xf8", "of another version"),  # not UTF-8
    ],
)
def test_sealed_content_of_another_version_is_refused(
    net: Runtime, content: bytes, reason: str
) -> None:
    assert reason in refusal(SnapshotClient(net), SEALS.seal(content, b"", 60.0))


@given(text=st.text() | st.binary().map(lambda data: urlsafe_b64encode(data).decode()))
def test_any_other_text_is_refused(net: Runtime, text: str) -> None:
    assert "the blob cannot be used: it " in refusal(SnapshotClient(net), text)


def test_resume_is_refused_after_other_messages(net: Runtime) -> None:
    late = message("resume", id="late")
    for before in (INK, message("flush"), message("resume")):
        client = SnapshotClient(net)
        client.ask(message("ping"), before)
        error = error_in(client.ask(late))
        assert (error.code, error.ref) == ("bad_value", "late")
        assert "allowed: before all but configure and ping" in error.message


def test_options_may_be_set_before_a_line_comes_from_its_beginning(line_net: Runtime) -> None:
    client = SnapshotClient(line_net)
    client.send(message("configure", top_k=1), message("ping"), message("resume", columns=2))
    client.send(line(3))
    client.drain()
    types = types_of(client.new_messages())
    assert types[:3] == ["configured", "pong", "resumed"]
    assert types.count("result") == 1  # of the third column

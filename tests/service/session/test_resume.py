"""A line goes on over another connection, with its messages again, as if it had stayed."""

import itertools
import time
import zlib
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkstream.model import checkpoint
from inkstream.model.decoding.ngrams import load
from inkstream.model.runtime import Runtime
from inkstream.service.bench.pens import column_messages, ink_messages
from inkstream.service.protocol.server_messages import (
    Limits,
    Result,
    Resumed,
    Revised,
    ServerMessage,
    Snapshot,
)
from inkstream.service.sealing import Sealer
from inkstream.service.session import Options, Session
from tests.helpers import builders
from tests.helpers.single_session import (
    INK,
    LITTLE,
    SessionClient,
    error_in,
    events_in,
    line,
    message,
    only,
    results,
    types_of,
)
from tests.service.session.frames import ENDS_TWICE, FRAMES, as_json
from tests.service.session.frames import ink as ink_piece
from tests.service.session.resuming import (
    DIGEST,
    KEY,
    PATIENT,
    SEALS,
    Frame,
    KeptLine,
    SnapshotClient,
    numbered,
)
from tests.service.session.test_numbers import conversations, paces, send_at

FLUSH = '{"type":"flush"}'
SMALL = PATIENT.model_copy(update={"max_hint_characters": 5})
LATE_INK: list[Frame] = [
    message("configure", results="message", snapshot_columns=64),
    *(ink_piece(n, 2.0 + 9 * n, pause=True) for n in range(9)),  # all of it may still change
    *(ink_piece(11, 70.0, fit=True), ink_piece(12, 33.0), message("ink", undo=5)),
    *(FRAMES["begun stroke"], FRAMES["more of it"], message("ink", pause=True), FRAMES["rewind"]),
    *(FRAMES["ink with a pause"], FRAMES["mask"], FRAMES["flush"]),
]
CHANGED_HINTS: list[Frame] = [
    *(FRAMES["hints"], FRAMES["snapshots"], line(40), FRAMES["no hints"], line(40, 1), line(20, 2)),
    *(FRAMES["rewind"], line(70, 3), FRAMES["flush"]),
]
LINE_ENDS: list[Frame] = [
    *(FRAMES["snapshots"], FRAMES["configure"], line(70), ENDS_TWICE, as_json(ENDS_TWICE)),
    *(FRAMES["mask"], ENDS_TWICE, FRAMES["hints"], as_json(ENDS_TWICE), FRAMES["configure"]),
    *(line(70), line(30), FRAMES["rewind"], FRAMES["no results"], line(40)),
    *(FRAMES["reset"], b"x", line(70), message("end")),
]


def check_resumed(
    net: Runtime, frames: list[Frame], cuts: Any, pace: Any, *, with_snapshot: bool
) -> int:
    """Check lines that go on after so many messages; return how many had a snapshot to use."""
    whole, n_with_snapshot = SnapshotClient(net), 0
    messages = whole.ask(*frames)
    for n_heard in cuts(len(messages)):
        kept = KeptLine(net.config.column_height)
        kept.send(*frames)
        kept.hear(messages[:n_heard])
        if kept.is_done:
            continue
        elsewhere = SnapshotClient(net)
        elsewhere.send(kept.resume(with_snapshot=with_snapshot))
        first = only(elsewhere.new_messages()[:1])
        assert isinstance(first, Resumed)
        has_snapshot = with_snapshot and kept.snapshot is not None
        assert first.id == "again"
        assert first.messages == (kept.snapshot.messages if has_snapshot and kept.snapshot else 0)
        send_at(elsewhere, kept.following(first.messages), pace)
        assert numbered(elsewhere.received) == numbered(messages[n_heard:])
        assert elsewhere.close == whole.close
        n_with_snapshot += has_snapshot
    return n_with_snapshot


@settings(max_examples=150)
@given(frames=conversations, share=st.floats(0, 1), pace=paces, with_snapshot=st.booleans())
def test_exactly_what_was_not_heard_is_sent_again(
    exact_net: Runtime, frames: list[Frame], share: float, pace: Any, with_snapshot: bool
) -> None:
    frames = [FRAMES["snapshots"], *frames]
    check_resumed(
        exact_net, frames, lambda n: [round(share * n)], pace, with_snapshot=with_snapshot
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "frames", "with_snapshot"),
    [
        ("directed_net", LATE_INK, True),
        ("directed_net", CHANGED_HINTS, True),
        ("exact_net", LINE_ENDS, True),
        ("exact_net", LINE_ENDS, False),
    ],
    ids=["late ink", "changed hints", "line ends", "line ends from their beginning"],
)
def test_a_line_goes_on_after_every_third_number_and_from_its_snapshots(
    kind: str, frames: list[Frame], with_snapshot: bool, request: pytest.FixtureRequest
) -> None:
    net: Runtime = request.getfixturevalue(kind)

    def every_third(n: int) -> range:
        return range(n % 3, n, 3)

    n = check_resumed(net, frames, every_third, [(0, 1)], with_snapshot=with_snapshot)
    assert (n > 10) == with_snapshot


@pytest.mark.slow
@pytest.mark.parametrize("is_ink", [False, True])
@pytest.mark.parametrize(
    "hints", [{}, {"language": "english", "words": ["inkstream"]}, {"language": "auto"}]
)
def test_the_shipped_net_goes_on_to_the_bit(is_ink: bool, hints: dict[str, object]) -> None:
    net = Runtime(checkpoint.read(checkpoint.find("lines")))
    here, elsewhere = (
        SessionClient(net, Limits(), {name: load(name) for name in ("english", "french")}, SEALS)
        for _ in range(2)
    )
    kept = KeptLine(net.config.column_height, digest="")
    pen = ink_messages(20, "transcriber") if is_ink else column_messages(20, "transcriber", 32)
    frames = itertools.takewhile(lambda frame: frame != FLUSH, (sent.data for sent in pen))
    configure = message("configure", results="message", snapshot_columns=200, **hints)
    for frame in itertools.chain([configure], frames):
        kept.send(frame)
        kept.hear(here.ask(frame))
        if here.column > 300:
            break
    assert kept.snapshot is not None
    elsewhere.ask(kept.resume(), *kept.following(kept.snapshot.messages))
    n_events = 0
    for frame in [*itertools.islice(frames, 200), FLUSH, message("end")]:
        expected = here.ask(frame)
        n_events += len(events_in(expected))
        assert numbered(elsewhere.ask(frame)) == numbered(expected)
    assert n_events > 5


def test_a_line_of_ink_that_goes_on_takes_no_columns(directed_net: Runtime) -> None:
    here, elsewhere = SnapshotClient(directed_net), SnapshotClient(directed_net)
    kept = KeptLine(directed_net.config.column_height)
    frames = iter(LATE_INK)
    while kept.snapshot is None:
        kept.send(frame := next(frames))
        kept.hear(here.ask(frame))
    assert kept.following(kept.snapshot.messages) == []
    elsewhere.ask(kept.resume())
    expected = error_in(here.ask(line(1)))
    assert expected.code == "bad_columns"
    assert error_in(elsewhere.ask(line(1))) == expected


def test_with_other_weights_all_that_was_heard_is_withdrawn_and_sent_again(
    exact_net: Runtime,
) -> None:
    frames = [FRAMES["snapshots"], line(70), line(20)]
    messages = SnapshotClient(exact_net).ask(*frames)
    kept = KeptLine(16, digest="of other weights")
    kept.send(*frames)
    kept.hear(messages)
    assert kept.snapshot is not None  # sealed for these weights, but told to be of others
    client = SnapshotClient(exact_net)
    first, revised, *following = client.ask(kept.resume(), *frames)
    assert first == Resumed(id="again", messages=0)
    assert revised == Revised(seq=0, column=0, letters=0, words=0, text="")
    assert numbered(following) == numbered(messages)
    kept.hear([revised])
    assert kept.heard == 0


@pytest.mark.parametrize("before", [INK, message("flush"), message("resume", digest=DIGEST), "{"])
def test_resume_comes_first_or_after_pings(net: Runtime, before: Frame) -> None:
    resume = message("resume", id="r", digest=DIGEST)
    assert types_of(SnapshotClient(net).ask(message("ping"), message("ping"), resume)) == [
        *("pong", "pong", "resumed"),
    ]
    client = SnapshotClient(net)
    client.ask(message("ping"), before)
    error = error_in(client.ask(resume))
    assert (error.code, error.fatal, error.index, error.ref) == ("bad_value", False, None, "r")
    assert "allowed: first, or after pings" in error.message
    assert results(client.ask(INK))  # the session goes on


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"language": "klingon"}, "language is 'klingon', allowed: little, other, several"),
        ({"top_k": 0}, "top_k is 0, allowed: "),
        ({"words": ["a" * 99]}, "words, context, pattern and characters have 99 characters"),
        ({"snapshot_columns": 3}, "snapshot_columns is 3, allowed: 0, or a whole number"),
    ],
)
def test_a_resume_whose_options_cannot_be_had_is_refused_and_may_be_repeated(
    exact_net: Runtime, options: dict[str, Any], text: str
) -> None:
    client = SnapshotClient(exact_net)
    error = error_in(client.ask(message("resume", id="r", digest=DIGEST, options=options)))
    assert (error.code, error.ref, error.seq) == ("bad_value", "r", None)
    assert error.message.startswith(text)
    assert types_of(client.ask(message("resume", digest=DIGEST))) == ["resumed"]


def test_a_line_has_the_options_that_were_in_force_at_its_beginning(exact_net: Runtime) -> None:
    client = SnapshotClient(exact_net)
    kept = KeptLine(16)
    for frame in (FRAMES["hints"], message("reset"), line(60), FRAMES["no hints"], line(60, 1)):
        kept.send(frame)
        kept.hear(client.ask(frame))
    assert kept.options["language"] == "little"
    again = SnapshotClient(exact_net)
    again.send(kept.resume(heard=0), *kept.frames)
    again.drain()
    client.ask(message("reset"), FRAMES["hints"])
    client.ask(message("reset"))
    expected = client.ask(*kept.frames)
    assert numbered(again.new_messages()) == numbered(expected)


def test_a_language_of_the_connection_stays_where_no_option_is_given(exact_net: Runtime) -> None:
    answers = []
    for first in ([], [message("resume", digest=DIGEST)]):
        client = SnapshotClient(exact_net)
        options = Options.of({"language": "little"}, client.model)
        client.session = Session("test", client.model, options=options)
        client.session.open()
        answers.append(numbered(client.ask(*first, message("configure"), line(60))))
    assert answers[0] == answers[1]
    assert b'"language":"little"' in answers[0][0]


# Snapshots


def places(messages: list[ServerMessage]) -> list[tuple[int, int]]:
    """Return the newest result's column at each snapshot, and how many messages that covers."""
    found, column = [], -1
    for each in messages:
        if isinstance(each, Result):
            column = each.column
        elif isinstance(each, Snapshot):
            found.append((column, each.messages))
    return found


def test_snapshots_come_after_so_many_columns_of_a_line_at_the_end_of_a_message(
    net: Runtime,
) -> None:
    client = SnapshotClient(net)
    spacing = message("configure", snapshot_columns=64)
    assert places(client.ask(spacing, *[INK * 50] * 4)) == [(99, 3), (199, 5)]
    assert places(client.ask(INK * 50, message("reset"), *[INK * 50] * 2)) == [(99, 2)]
    assert places(client.ask(INK * 300)) == [(399, 3)]
    assert places(client.ask(message("configure", snapshot_columns=0), INK * 200)) == []
    assert places(client.ask(message("configure", snapshot_columns=300), INK * 101)) == [(700, 7)]


def test_no_snapshot_comes_while_a_message_is_half_read(net: Runtime) -> None:
    client = SnapshotClient(net)
    client.ask(message("configure", snapshot_columns=64))
    client.send(INK * 90, INK * 300, message("columns", columns=[[*INK]] * 100), INK)
    while client.step(7):
        pass
    assert places(client.received) == [(89, 2), (389, 3), (489, 4)]


def test_no_snapshot_is_larger_than_a_message_may_be(net: Runtime) -> None:
    limits = PATIENT.model_copy(update={"max_frame_bytes": 2048})
    client = SnapshotClient(net, limits=limits)
    columns = [column.tobytes() for column in builders.columns(200)]
    assert places(client.ask(message("configure", snapshot_columns=64), *columns)) == []


def test_without_keys_there_are_no_snapshots_and_lines_are_resumed(net: Runtime) -> None:
    client, again = (SnapshotClient(net, seals=None) for _ in range(2))
    frames: list[Frame] = [message("configure", snapshot_columns=64), INK * 200]
    messages = client.ask(*frames)
    assert "snapshot" not in types_of(messages)
    resume = message("resume", digest=DIGEST, heard=150, snapshot="x")
    first, *following = again.ask(resume, *frames)
    assert first == Resumed(messages=0)
    assert numbered(following) == numbered(messages)[150:]


def sealer(**different: Any) -> Sealer:
    """Return seals of a server with the same key and model, but for what is different."""
    usual = {"keys": [KEY], "purpose": "snapshot of the model"}
    return Sealer(**usual | different)


def sealed(content: bytes) -> dict[str, str]:
    return {"snapshot": SEALS.seal(content, b"", 60.0)}


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another key": ({"seals": sealer(keys=["k" * 32])}, {}),
    "expired": ({"seals": sealer(clock=lambda: time.time() + 4000)}, {}),
    "another model": ({"seals": sealer(purpose="snapshot of another model")}, {}),
    "another credential": ({"credential": b"another client's"}, {}),
    "a language that is not served": ({"languages": {"big": LITTLE}}, {}),
    "longer hints than are allowed": ({"limits": SMALL}, {}),
    "ahead of what was heard": ({}, {"heard": 71}),
    "no text of ours": ({}, {"snapshot": "damaged"}),
    "empty": ({}, {"snapshot": ""}),
    "empty content": ({}, sealed(b"")),
    "no format": ({}, sealed(b"\x00")),
    "of another format": ({}, sealed(zlib.compress(b"\xc0"))),
    "too deep": ({}, sealed(zlib.compress(b"\x91" * 5000))),
    "not UTF-8": ({}, sealed(zlib.compress(b"\x98\x81\xa1\xf8"))),
}


def check_refused(
    net: Runtime, server: dict[str, Any], fields: dict[str, Any], kept: KeptLine
) -> None:
    """Check that a server that refuses a snapshot reads the whole line, and says what is new."""
    client = SnapshotClient(net, **server)
    first, *following = client.ask(kept.resume(**fields), *kept.frames)
    assert first == Resumed(id="again", messages=0)
    expected = numbered(SnapshotClient(net, **server).ask(*kept.frames))
    assert numbered(following) == expected[fields.get("heard", kept.heard) :]


@pytest.fixture(scope="module")
def kept(exact_net: Runtime) -> KeptLine:
    """Return what a client keeps that has a snapshot, and has heard a little more."""
    kept = KeptLine(16)
    kept.send(FRAMES["hints"], FRAMES["snapshots"], line(70), line(20))
    kept.hear(SnapshotClient(exact_net).ask(*kept.frames))
    assert kept.snapshot is not None
    return kept


@pytest.mark.parametrize(("server", "fields"), REFUSED.values(), ids=REFUSED)
def test_a_snapshot_that_cannot_be_used_is_refused_and_the_whole_line_follows(
    exact_net: Runtime, kept: KeptLine, server: dict[str, Any], fields: dict[str, Any]
) -> None:
    check_refused(exact_net, server, fields, kept)


@given(text=st.text() | st.binary().map(lambda data: b64encode(data).decode()))
def test_any_other_text_is_refused_too(exact_net: Runtime, kept: KeptLine, text: str) -> None:
    first, *_ = SnapshotClient(exact_net).ask(kept.resume(snapshot=text))
    assert first == Resumed(id="again", messages=0)

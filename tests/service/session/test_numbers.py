"""A line is a function of its messages: the same ones have the same numbered answers."""

import json
from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkstream.model.errors import InkstreamError
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Error, LineEnd, encode
from tests.helpers.single_session import (
    LINE_BLANK,
    LINE_INK,
    SessionClient,
    error_in,
    line,
    message,
    types_of,
)
from tests.service.session.frames import ENDS_TWICE, FRAMES, as_json
from tests.service.session.resuming import DIGEST, PATIENT, Frame, SnapshotClient, numbered

SHORT = PATIENT.model_copy(update={"max_line_columns": 120})  # lines become too long
conversations = st.lists(st.sampled_from(sorted(FRAMES)), max_size=12).map(
    lambda names: [FRAMES[name] for name in names]
)
paces = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40)), min_size=1, max_size=5)


def send_at(
    client: SessionClient, frames: Iterable[Frame], pace: Sequence[tuple[int, int]]
) -> None:
    """Send frames; after each the net runs so many times, for so many columns at most."""
    for number, frame in enumerate(frames):
        n_runs, max_columns = pace[number % len(pace)]
        client.send(frame)
        for _ in range(n_runs):
            client.step(max_columns)
    client.drain()


@settings(max_examples=150)
@given(frames=conversations, pace=paces, in_json=st.booleans(), is_short=st.booleans())
def test_the_same_messages_have_the_same_numbered_answers_at_any_pace(
    exact_net: Runtime,
    frames: list[Frame],
    pace: list[tuple[int, int]],
    in_json: bool,
    is_short: bool,
) -> None:
    limits = SHORT if is_short else PATIENT
    at_once, paced = (SnapshotClient(exact_net, limits=limits) for _ in range(2))
    messages = at_once.ask(*frames)
    send_at(paced, map(as_json, frames) if in_json else frames, pace)
    assert numbered(paced.received) == numbered(messages)
    assert paced.close == at_once.close
    seq = 0
    for text in numbered(messages):
        assert json.loads(text)["seq"] == seq + 1
        seq = 0 if json.loads(text)["type"] in ("line_end", "reset_done") else seq + 1


def test_what_follows_from_no_message_of_the_line_has_no_number(exact_net: Runtime) -> None:
    client = SnapshotClient(exact_net)
    client.apply(client.session.goaway(1.0))
    resume, columns = message("resume", digest=DIGEST), FRAMES["many columns"]
    client.send(resume, message("ping"), FRAMES["snapshots"], columns, resume)
    client.drain()
    client.apply(client.session.fail(InkstreamError("no luck")))
    others = [each for each in client.new_messages() if getattr(each, "seq", None) is None]
    kinds = ["goaway", "resumed", "pong", "snapshot", "error", "error"]
    assert types_of(others) == kinds
    assert not any(b'"seq"' in encode(each) for each in others)


def test_an_error_names_its_message_by_its_place_in_the_line(exact_net: Runtime) -> None:
    frames = [
        *(message("ping"), "nonsense", FRAMES["columns"], message("ping"), b"x", message("reset")),
        *(b"x", message("configure", line_end_columns=3), "{", ENDS_TWICE, message("ping"), "{"),
        *(as_json(ENDS_TWICE), b"x", message("rewind", id=7, column=99)),
    ]
    messages = SnapshotClient(exact_net).ask(*frames)
    errors = [(each.index, each.ref) for each in messages if isinstance(each, Error)]
    assert errors == [(0, None), (2, None), (0, None), (2, None), (1, None), (1, None), (2, 7)]
    ends = [(each.messages, each.rest_columns) for each in messages if isinstance(each, LineEnd)]
    assert ends == [(4, 12), (1, 4), (3, 12), (1, 4)]
    assert types_of(messages).count("line_end") == 4


@pytest.mark.parametrize("form", [bytes, as_json])
def test_an_error_within_a_message_is_about_the_line_that_it_has_begun(
    exact_net: Runtime, form: Callable[[bytes], Frame]
) -> None:
    columns = LINE_INK * 5 + LINE_BLANK * 3 + LINE_INK * (SHORT.max_line_columns + 1)
    client = SnapshotClient(exact_net, limits=SHORT)
    error = client.ask(message("configure", line_end_columns=3), form(columns))[-1]
    assert isinstance(error, Error)
    assert (error.code, error.index, error.fatal) == ("over_limit", 0, True)


@pytest.mark.parametrize(
    "frame", [message("ping", id=1.5), '{"type":"resume","digest":5}', message("resume", id="r")]
)
def test_an_error_about_a_ping_or_a_resume_has_no_number(line_net: Runtime, frame: str) -> None:
    client = SessionClient(line_net)
    client.ask(line(3))
    error = error_in(client.ask(frame))
    assert (error.seq, error.index) == (None, None)
    (flushed,) = [each for each in client.ask(message("flush")) if each.type == "flushed"]
    assert flushed.seq is not None
    bad = error_in(client.ask(message("rewind", column=9)))
    assert (bad.index, bad.seq) == (2, flushed.seq + 1)

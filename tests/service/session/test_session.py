"""A session of a classifier: frames in, messages out; `test_session_machine` has more."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import (
    Configured,
    Error,
    LineEnd,
    Ready,
    Rewound,
)
from inkstream.service.session import Close
from tests.helpers import builders
from tests.helpers.single_session import (
    BLANK,
    INK,
    LIMITS,
    SessionClient,
    all_probabilities,
    error_in,
    message,
    only,
    results,
    types_of,
    uninterrupted,
)
from tests.service.session.resuming import SnapshotClient

SHORT = LIMITS.model_copy(update={"max_line_columns": 50})


def test_ready_describes_model_and_limits(net: Runtime, line_net: Runtime) -> None:
    for runtime, kind, labels, height in (
        (net, "classifier", "0123456789", 28),
        (line_net, "transcriber", " abc.", 16),
    ):
        ready = only(SessionClient(runtime, digest="of the model").new_messages())
        assert isinstance(ready, Ready)
        assert (ready.protocol, ready.session) == ("inkstream.v1", "test")
        assert (ready.model.name, ready.model.digest) == (runtime.metadata.name, "of the model")
        assert (ready.model.kind, ready.labels) == (kind, tuple(labels))
        assert (ready.column_height, ready.limits) == (height, LIMITS)


# Columns


def test_the_engine_gets_no_more_columns_than_it_asks_for(net: Runtime) -> None:
    client = SessionClient(net)
    client.send(INK * 10)
    assert client.session.ready_columns() == client.session.inbox.waiting_columns == 10
    portion = client.session.take(4)
    assert portion is not None
    assert portion.columns.shape == (4, 28)
    assert client.session.ready_columns() == 0  # until these are answered


def test_runs_end_where_a_state_is_kept(net: Runtime) -> None:
    client = SessionClient(net)
    client.send(INK * 5, INK * 70)
    sizes = []
    while (ready := client.session.ready_columns()) and client.step(max_columns=50):
        sizes.append(ready - client.session.ready_columns())
    assert sizes == [32, 32, 11]


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        *((bytes(n), f"{n} bytes, expected 28 for each column") for n in (0, 27, 29, 10_000_000)),
        (bytes(28 * 301), "301 columns in one message, allowed: 1..300"),
        (message("columns", columns=[]), "columns is empty, expected at least one column"),
        (message("columns", columns=[[0] * 28, [0] * 27]), "column 1 has 27 pixels, expected 28"),
        (message("columns", columns=[[]]), "column 0 has 0 pixels, expected 28"),
        (
            message("columns", columns=[[0] * 28] * 301),
            "301 columns in one message, allowed: 1..300",
        ),
    ],
)
def test_nothing_of_a_faulty_message_is_taken(net: Runtime, frame: str | bytes, text: str) -> None:
    client = SessionClient(net)
    client.ask(INK)
    error = error_in(client.ask(frame))
    assert (error.code, error.message, error.fatal) == ("bad_columns", text, False)
    assert (error.seq, error.index) == (2, 1)
    assert client.session.inbox.waiting_columns == 0
    np.testing.assert_allclose(
        all_probabilities(client.ask(INK)), uninterrupted(net, INK * 2)[1:], atol=1e-5
    )


@pytest.mark.parametrize("ref", [None, 7, "c"])
def test_one_column_too_many_in_a_line_is_fatal_after_all_its_results(
    net: Runtime, ref: int | str | None
) -> None:
    client = SessionClient(net, SHORT)
    first = [message("columns", columns=[[*INK]] * 12, id=f"before {n}") for n in range(4)]
    too_many = message("columns", columns=[[*INK]] * 20, id=ref)
    *before, last = client.ask(*first, message("ping"), too_many, message("ping"), INK)
    assert [each.column for each in results(before)] == list(range(50))
    assert last == Error(
        code="over_limit",
        message="a line has 50 columns at most",
        fatal=True,
        index=4,
        ref=ref,
        seq=51,
    )
    assert client.close == Close(4413, "over_limit")


def test_columns_that_come_behind_a_full_line_are_refused_without_a_run(net: Runtime) -> None:
    client = SessionClient(net, SHORT)
    assert len(client.ask(INK * 50)) == 50
    client.send(INK)
    assert error_in(client.new_messages()).code == "over_limit"


# Rewind, reset, end


def test_a_rewind_goes_back_as_far_as_announced_and_no_further(net: Runtime) -> None:
    client = SessionClient(net)
    assert error_in(client.ask(message("rewind", column=1))).message == "column is 1, allowed: 0..0"
    columns = builders.columns(300).tobytes()
    client.ask(columns)
    error = error_in(client.ask(message("rewind", column=199, id=1)))
    assert (error.message, error.ref) == ("column is 199, allowed: 200..300", 1)
    rewound = only(client.ask(message("rewind", id="r", column=200)))
    label = str(uninterrupted(net, columns[: 200 * 28])[-1].argmax())
    assert rewound == Rewound(id="r", column=200, label=label, seq=303)


# Configure, and line ends


@given(
    steps=st.lists(
        st.integers(1, 40)  # columns
        | st.tuples(st.just("back by"), st.integers(0, 50))
        | st.tuples(st.sampled_from([None, "7", "0123"]), st.sampled_from([None, 1, 3, 10])),
        max_size=9,
    )
)
def test_results_show_the_probabilities_of_the_labels_that_were_allowed_at_their_columns(
    net: Runtime, steps: list[Any]
) -> None:
    client, pool = SnapshotClient(net), builders.columns(400)
    line, allowed = pool[:0], np.ones((0, 10))  # of each column which labels
    now, top_k = np.ones((1, 10)), 10
    for step in steps:
        match step:
            case int(n):
                messages = client.ask(pool[len(line) :][:n].tobytes())
                line = pool[: len(line) + n]
                allowed = np.concatenate([allowed, now.repeat(n, 0)])
                expected = uninterrupted(net, line.tobytes()) * allowed
                expected /= expected.sum(1, keepdims=True)
                for result, probabilities in zip(results(messages), expected[-n:], strict=True):
                    pairs = dict(result.probabilities)
                    assert len(pairs) == min(top_k, np.count_nonzero(probabilities))
                    due = np.sort(probabilities)[::-1][: len(pairs)]
                    assert np.abs(np.sort([*pairs.values()])[::-1] - due).max() < 1e-5
                    assert all(abs(probabilities[int(k)] - p) < 1e-5 for k, p in pairs.items())
            case "back by", n:
                column = max(0, len(line) - n)
                client.ask(message("rewind", column=column))
                line, allowed = line[:column], allowed[:column]
            case characters, n:
                client.ask(message("configure", characters=characters, top_k=n))
                labels = [str(k) in (characters or "0123456789") for k in range(10)]
                now, top_k = np.array([labels]) * 1.0, n or 10


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"top_k": 11}, "top_k is 11, allowed: 1..10"),
        (
            {"characters": "7x"},
            "characters holds 'x', allowed: those of the labels 0 1 2 3 4 5 6 7 8 9",
        ),
        ({"results": "week"}, 'results is "week", allowed: "column", "message" or "none"'),
        ({"snapshot_columns": 63}, "snapshot_columns is 63, allowed: 0, or a whole number from 64"),
        *(
            (hint, f"`{next(iter(hint))}` needs a model that reads lines; `tiny` reads one digit")
            for hint in ({"words": ["7"]}, {"pattern": "7"}, {"context": "7"}, {"language": "de"})
        ),
    ],
)
def test_a_refused_configure_changes_nothing(
    net: Runtime, fields: dict[str, Any], text: str
) -> None:
    client = SessionClient(net)
    error = error_in(client.ask(message("configure", id=3, line_end_columns=5, **fields)))
    assert (error.code, error.ref) == ("bad_value", 3)
    assert error.message.startswith(text)
    assert only(client.ask(message("configure"))) == Configured(seq=2)


@pytest.mark.parametrize(("pixel", "is_blank"), [(1, True), (7, True), (8, False), (255, False)])
def test_blank_columns_after_ink_end_a_line_also_if_they_have_next_to_no_ink(
    net: Runtime, pixel: int, is_blank: bool
) -> None:
    client = SnapshotClient(net)
    client.ask(message("configure", line_end_columns=3))
    messages = client.ask(BLANK * 5, INK * 2 + bytes([0] * 27 + [pixel]) * 3 + INK)
    assert types_of(messages) == ["result"] * 10 + ["line_end"] * is_blank + ["result"]
    if is_blank:
        label = str(uninterrupted(net, BLANK * 5 + INK * 2 + BLANK * 3)[-1].argmax())
        line_end = LineEnd(seq=12, columns=10, messages=3, rest_columns=1, label=label)
        assert messages[10] == line_end
        assert results(messages)[-1].column == 0
        at_message_end = client.ask(BLANK * 2, BLANK)[-1]
        assert isinstance(at_message_end, LineEnd)
        assert (at_message_end.messages, at_message_end.rest_columns) == (3, 0)
        np.testing.assert_allclose(
            all_probabilities(messages[11:]), uninterrupted(net, INK), atol=1e-5
        )

"""A session: frames in, messages out. Each test is one thing that a client may rely on."""

import numpy as np
import pytest

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import (
    Done,
    Error,
    Flushed,
    Pong,
    Ready,
    ResetDone,
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
    step_alone,
    types_of,
    uninterrupted,
)

# Ready


def test_ready_describes_model_and_limits(net: Runtime) -> None:
    ready = only(SessionClient(net).new_messages())
    assert isinstance(ready, Ready)
    assert ready.protocol == "inkstream.v1"
    assert ready.session == "test"
    assert (ready.model.name, ready.model.kind) == ("tiny", "classifier")
    assert ready.labels == tuple("0123456789")
    assert (ready.column_height, ready.next_column, ready.resume) == (28, 0, None)
    assert ready.limits == LIMITS


# Columns


def test_every_column_gets_the_result_of_an_uninterrupted_run(net: Runtime) -> None:
    columns = builders.columns(40).tobytes()
    messages = SessionClient(net).ask(columns)
    assert [(each.epoch, each.column) for each in results(messages)] == [(0, n) for n in range(40)]
    np.testing.assert_allclose(all_probabilities(messages), uninterrupted(net, columns), atol=1e-5)


def test_results_do_not_depend_on_json_or_the_size_of_messages(net: Runtime) -> None:
    columns = builders.columns(75)
    whole = all_probabilities(SessionClient(net).ask(columns.tobytes()))
    single = all_probabilities(SessionClient(net).ask(*(column.tobytes() for column in columns)))
    as_json = all_probabilities(
        SessionClient(net).ask(message("columns", columns=columns.tolist()))
    )
    np.testing.assert_allclose(single, whole, atol=1e-5)
    np.testing.assert_allclose(as_json, whole, atol=1e-5)


def test_the_engine_gets_no_more_columns_than_it_asks_for(net: Runtime) -> None:
    client = SessionClient(net)
    client.send(INK * 10)
    assert client.session.ready_columns == client.session.waiting_columns == 10
    piece = client.session.take(4)
    assert piece is not None
    assert piece.shape == (4, 28)
    assert client.session.waiting_columns == 6
    assert client.session.ready_columns == 0  # until these are answered


def test_runs_end_where_a_snapshot_is_due(net: Runtime) -> None:
    client = SessionClient(net)
    client.send(INK * 5, INK * 70)
    pieces = []
    while (ready := client.session.ready_columns) and client.step(max_columns=50):
        pieces.append(ready - client.session.ready_columns)
    assert pieces == [32, 32, 11]


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"", "0 bytes, expected 28 for each column"),
        (bytes(27), "27 bytes, expected 28 for each column"),
        (bytes(29), "29 bytes, expected 28 for each column"),
        (bytes(28 * 301), "301 columns in one message, allowed: 1..300"),
        (bytes(10_000_000), "10000000 bytes, expected 28 for each column"),
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
    assert error.index == 1
    assert client.session.waiting_columns == 0
    np.testing.assert_allclose(
        all_probabilities(client.ask(INK)), uninterrupted(net, INK * 2)[1:], atol=1e-5
    )


def test_an_error_names_the_index_and_the_id_of_the_faulty_message(net: Runtime) -> None:
    messages = SessionClient(net).ask(
        INK, message("ping"), message("columns", columns=[[1]], id="c7")
    )
    assert isinstance(messages[-1], Error)
    assert (messages[-1].index, messages[-1].ref) == (2, "c7")


def test_one_column_too_many_in_a_line_is_fatal_after_all_its_results(net: Runtime) -> None:
    client = SessionClient(net, LIMITS.model_copy(update={"max_line_columns": 50}))
    *before, last = client.ask(INK * 48, INK * 3)
    assert [each.column for each in results(before)] == list(range(50))
    assert isinstance(last, Error)
    assert (last.code, last.message, last.fatal) == (
        "over_limit",
        "a line has 50 columns at most",
        True,
    )
    assert client.close == Close(4413, "over_limit")


@pytest.mark.parametrize("ref", [None, 7, "c"])
def test_the_error_about_a_line_that_is_too_long_names_its_message(
    net: Runtime, ref: int | str | None
) -> None:
    client = SessionClient(net, LIMITS.model_copy(update={"max_line_columns": 50}))
    column = [*INK[:28]]
    first = [message("columns", columns=[column] * 10, id=f"before {n}") for n in range(4)]
    too_many = message("columns", columns=[column] * 20, id=ref)
    error = client.ask(*first, message("ping"), too_many, message("ping"), INK)[-1]
    assert isinstance(error, Error)
    assert (error.code, error.index, error.ref) == ("over_limit", 5, ref)


def test_a_reset_before_the_limit_allows_another_line(net: Runtime) -> None:
    client = SessionClient(net, LIMITS.model_copy(update={"max_line_columns": 50}))
    messages = client.ask(INK * 50, message("reset"), INK * 50)
    assert len(results(messages)) == 100
    assert client.close is None


# Order


def test_answers_come_in_the_order_of_the_messages(net: Runtime) -> None:
    messages = SessionClient(net).ask(
        INK, message("ping", id=1), INK, "nonsense", message("flush", id=2), INK, message("reset")
    )
    assert types_of(messages) == [
        "result",
        "pong",
        "result",
        "error",
        "flushed",
        "result",
        "reset_done",
    ]


def test_messages_wait_while_columns_are_being_run(net: Runtime) -> None:
    client = SessionClient(net)
    client.send(INK)
    client.new_messages()
    assert client.session.take(1) is not None
    client.send(message("ping", id="p"))
    assert client.new_messages() == []
    scores, state = net.run(np.frombuffer(INK, np.uint8).reshape(1, 1, 28), net.initial_state(1))
    client.apply(step_alone(client.session, scores[:, 0], state[0]))
    assert types_of(client.new_messages()) == ["result", "pong"]


def test_messages_that_need_no_run_are_answered_at_once(net: Runtime) -> None:
    client = SessionClient(net)
    client.new_messages()
    client.send(message("ping", id="p"))
    assert client.new_messages() == [Pong(id="p")]


# Rewind


def test_a_rewind_withdraws_columns_as_if_they_had_never_come(net: Runtime) -> None:
    columns = builders.columns(70).tobytes()
    other_columns = builders.columns(70, seed=1).tobytes()
    client = SessionClient(net)
    client.ask(columns)
    rewound = only(client.ask(message("rewind", column=41, id="r")))
    label = str(uninterrupted(net, columns[: 41 * 28])[-1].argmax())
    assert rewound == Rewound(id="r", epoch=1, column=41, label=label)
    messages = client.ask(other_columns)
    assert [(each.epoch, each.column) for each in results(messages)] == [
        (1, n) for n in range(41, 111)
    ]
    expected = uninterrupted(net, columns[: 41 * 28] + other_columns)[41:]
    np.testing.assert_allclose(all_probabilities(messages), expected, atol=1e-5)


@pytest.mark.parametrize("column", [0, 1, 31, 32, 33, 63, 64, 65, 99, 100])
def test_a_rewind_goes_to_any_column(net: Runtime, column: int) -> None:
    columns = builders.columns(100).tobytes()
    client = SessionClient(net)
    messages = client.ask(columns, message("rewind", column=column), INK)
    expected = uninterrupted(net, columns[: column * 28] + INK)[-1:]
    np.testing.assert_allclose(all_probabilities(messages[-1:]), expected, atol=1e-5)


def test_a_rewind_to_the_start_leaves_no_label(net: Runtime) -> None:
    messages = SessionClient(net).ask(INK * 5, message("rewind", column=0), message("flush"))
    assert messages[-2:] == [
        Rewound(epoch=1, column=0, label=None),
        Flushed(epoch=1, columns=0, label=None),
    ]


def test_a_rewind_to_the_newest_column_withdraws_nothing(net: Runtime) -> None:
    messages = SessionClient(net).ask(INK * 5, message("rewind", column=5), INK)
    np.testing.assert_allclose(all_probabilities(messages), uninterrupted(net, INK * 6), atol=1e-5)
    assert messages[5].type == "rewound"


def test_rewinds_may_follow_each_other(net: Runtime) -> None:
    columns = builders.columns(100).tobytes()
    rewinds = [message("rewind", column=k) for k in (90, 70, 70, 33, 12)]
    messages = SessionClient(net).ask(columns, *rewinds, columns[12 * 28 :])
    assert types_of(messages[100:105]) == ["rewound"] * 5
    np.testing.assert_allclose(
        all_probabilities(messages[105:]), uninterrupted(net, columns)[12:], atol=1e-5
    )


def test_a_rewind_goes_back_past_a_flush(net: Runtime) -> None:
    columns = builders.columns(20).tobytes()
    messages = SessionClient(net).ask(
        columns, message("flush"), columns, message("rewind", column=10), INK
    )
    expected = uninterrupted(net, columns[: 10 * 28] + INK)[-1:]
    np.testing.assert_allclose(all_probabilities(messages[-1:]), expected, atol=1e-5)


def test_a_rewind_goes_back_as_far_as_announced_and_no_further(net: Runtime) -> None:
    columns = builders.columns(300).tobytes()
    client = SessionClient(net)
    client.ask(columns)
    error = error_in(client.ask(message("rewind", column=199, id=1)))
    assert (error.message, error.ref) == ("column is 199, allowed: 200..300", 1)
    messages = client.ask(message("rewind", column=200), INK)
    expected = uninterrupted(net, columns[: 200 * 28] + INK)[-1:]
    np.testing.assert_allclose(all_probabilities(messages), expected, atol=1e-5)


def test_a_rewind_beyond_the_newest_column_is_refused(net: Runtime) -> None:
    client = SessionClient(net)
    error = error_in(client.ask(message("rewind", column=1)))
    assert error.message == "column is 1, allowed: 0..0"
    error = error_in(SessionClient(net).ask(INK * 3, message("rewind", column=4))[3:])
    assert error.message == "column is 4, allowed: 0..3"


def test_a_rewind_to_before_the_ink_leaves_a_line_that_blank_columns_do_not_end(
    net: Runtime,
) -> None:
    client = SessionClient(net)
    client.ask(message("configure", line_end_columns=3))
    messages = client.ask(BLANK * 2 + INK, message("rewind", column=2), BLANK * 10)
    assert "flushed" not in types_of(messages)


def test_a_rewind_forgets_the_blank_columns_that_it_withdraws(net: Runtime) -> None:
    client = SessionClient(net)
    client.ask(message("configure", line_end_columns=4))
    messages = client.ask(INK + BLANK * 3, message("rewind", column=2), BLANK * 2, BLANK)
    assert types_of(messages) == ["result"] * 4 + ["rewound"] + ["result"] * 3 + ["flushed"]


# Flush, reset, end


def test_flush_gives_the_line_so_far_and_columns_may_follow(net: Runtime) -> None:
    messages = SessionClient(net).ask(INK * 4, message("flush", id="f"), INK)
    label = str(uninterrupted(net, INK * 4)[-1].argmax())
    assert messages[4] == Flushed(id="f", epoch=0, columns=4, label=label)
    np.testing.assert_allclose(all_probabilities(messages), uninterrupted(net, INK * 5), atol=1e-5)


def test_flush_without_columns_is_answered_too(net: Runtime) -> None:
    assert only(SessionClient(net).ask(message("flush"))) == Flushed(epoch=0, columns=0, label=None)


def test_reset_starts_at_column_0_with_a_higher_epoch(net: Runtime) -> None:
    messages = SessionClient(net).ask(INK * 3, message("reset", id="r"), INK * 2)
    assert messages[3] == ResetDone(id="r", epoch=1)
    assert [(each.epoch, each.column) for each in results(messages[4:])] == [(1, 0), (1, 1)]
    np.testing.assert_allclose(
        all_probabilities(messages[4:]), uninterrupted(net, INK * 2), atol=1e-5
    )


def test_end_flushes_sums_up_and_closes(net: Runtime) -> None:
    client = SessionClient(net)
    messages = client.ask(INK * 3, message("reset"), INK * 2, message("end", id="e"))
    label = str(uninterrupted(net, INK * 2)[-1].argmax())
    assert messages[-2:] == [
        Flushed(id="e", epoch=1, columns=2, label=label),
        Done(id="e", columns=5, label=label, seconds=3.0),
    ]
    assert client.close == Close(1000, "end")
    assert client.session.closed


def test_messages_after_end_are_dropped(net: Runtime) -> None:
    client = SessionClient(net)
    messages = client.ask(INK, message("end"), INK, message("ping"), "nonsense")
    assert types_of(messages) == ["result", "flushed", "done"]
    assert client.session.ready_columns == client.session.waiting_columns == 0

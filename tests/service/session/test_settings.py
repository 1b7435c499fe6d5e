"""The settings that `configure` changes in a session, line ends among them."""

from typing import Any

import numpy as np
import pytest

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Configured, Flushed, Result
from tests.helpers import builders
from tests.helpers.single_session import (
    BLANK,
    INK,
    SessionClient,
    all_probabilities,
    error_in,
    message,
    only,
    results,
    types_of,
    uninterrupted,
)

# Configure


def test_configure_answers_with_all_values_in_force(net: Runtime) -> None:
    client = SessionClient(net)
    assert only(client.ask(message("configure", id="a"))) == Configured(id="a")
    assert only(client.ask(message("configure", top_k=3, every="message"))) == Configured(
        top_k=3, every="message"
    )
    assert only(client.ask(message("configure", polarity="ink-low", top_k=None))) == Configured(
        polarity="ink-low", every="message"
    )


def test_configure_holds_from_the_next_column_on(net: Runtime) -> None:
    messages = SessionClient(net).ask(INK * 2, message("configure", top_k=2), INK)
    assert [len(each.probabilities) for each in results(messages)] == [10, 10, 2]


def test_one_result_a_message_covers_its_last_column(net: Runtime) -> None:
    columns = builders.columns(90)
    frames = [columns[:1], columns[1:40], columns[40:47], columns[47:]]
    messages = SessionClient(net).ask(
        message("configure", every="message"), *(f.tobytes() for f in frames)
    )
    assert [each.column for each in results(messages)] == [0, 39, 46, 89]
    whole = uninterrupted(net, columns.tobytes())
    np.testing.assert_allclose(all_probabilities(messages), whole[[0, 39, 46, 89]], atol=1e-5)


def test_top_k_gives_the_most_probable_labels_the_best_first(net: Runtime) -> None:
    client = SessionClient(net)
    client.ask(message("configure", top_k=3))
    result = results(client.ask(INK))[0]
    probabilities = uninterrupted(net, INK)[0]
    assert list(result.probabilities) == [str(k) for k in np.argsort(-probabilities)[:3]]


def test_characters_restrict_the_answers_and_add_up_to_one(net: Runtime) -> None:
    client = SessionClient(net)
    client.ask(message("configure", characters="147"))
    messages = client.ask(INK, message("flush"))
    probabilities = results(messages)[0].probabilities
    assert list(probabilities) == ["1", "4", "7"]
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert isinstance(messages[-1], Flushed)
    assert messages[-1].label == max(probabilities, key=probabilities.__getitem__)
    client.ask(message("configure", characters=None))
    assert len(results(client.ask(INK))[0].probabilities) == 10


def test_low_ink_is_read_like_high_ink(net: Runtime) -> None:
    columns = builders.columns(20)
    client = SessionClient(net)
    client.ask(message("configure", polarity="ink-low"))
    messages = client.ask((255 - columns).tobytes())
    np.testing.assert_allclose(
        all_probabilities(messages), uninterrupted(net, columns.tobytes()), atol=1e-5
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"top_k": 11}, "top_k is 11, allowed: 1..10"),
        (
            {"characters": "7x"},
            "characters holds 'x', allowed: those of the labels 0 1 2 3 4 5 6 7 8 9",
        ),
        ({"every": "week"}, 'every is "week", allowed: "column" or "message"'),
    ],
)
def test_a_refused_configure_changes_nothing(
    net: Runtime, fields: dict[str, Any], text: str
) -> None:
    client = SessionClient(net)
    good = {"polarity": "ink-low", "line_end_columns": 5}
    error = error_in(client.ask(message("configure", id=3, **good, **fields)))
    assert (error.code, error.message, error.ref) == ("bad_value", text, 3)
    assert only(client.ask(message("configure"))) == Configured()
    np.testing.assert_allclose(
        all_probabilities(client.ask(INK)), uninterrupted(net, INK), atol=1e-5
    )


# Line ends


def test_blank_columns_after_ink_end_a_line(net: Runtime) -> None:
    client = SessionClient(net)
    client.ask(message("configure", line_end_columns=3))
    line, following = INK * 2 + BLANK * 3, INK
    messages = client.ask(BLANK * 5 + line + following)
    assert types_of(messages) == ["result"] * 10 + ["flushed"] + ["result"]
    flushed, result = messages[10], messages[11]
    label = str(uninterrupted(net, BLANK * 5 + line)[-1].argmax())
    assert flushed == Flushed(epoch=0, columns=10, label=label)
    assert isinstance(result, Result)
    assert (result.epoch, result.column) == (1, 0)
    np.testing.assert_allclose(
        all_probabilities(messages[11:]), uninterrupted(net, following), atol=1e-5
    )


@pytest.mark.parametrize(("pixel", "is_blank"), [(1, True), (7, True), (8, False), (255, False)])
@pytest.mark.parametrize("polarity", ["ink-high", "ink-low"])
def test_a_column_of_next_to_no_ink_is_blank(
    net: Runtime, pixel: int, is_blank: bool, polarity: str
) -> None:
    client = SessionClient(net)
    client.ask(message("configure", line_end_columns=3, polarity=polarity))
    faint = bytes([0] * 27 + [pixel]) * 3
    columns = INK * 2 + faint
    if polarity == "ink-low":
        columns = bytes(255 - each for each in columns)
    assert types_of(client.ask(columns)) == ["result"] * 5 + ["flushed"] * is_blank


def test_blank_columns_are_counted_over_messages_and_from_before_the_configure(
    net: Runtime,
) -> None:
    client = SessionClient(net)
    messages = client.ask(INK, BLANK * 4, message("configure", line_end_columns=3), BLANK, INK)
    assert types_of(messages) == ["result"] * 5 + ["configured", "result", "flushed", "result"]


def test_a_message_with_a_line_end_gets_a_result_for_each_line(net: Runtime) -> None:
    client = SessionClient(net)
    client.ask(message("configure", line_end_columns=2, every="message"))
    messages = client.ask(INK + BLANK * 2 + INK * 3, BLANK * 2)
    assert [(each.epoch, each.column) for each in results(messages)] == [(0, 2), (1, 2), (1, 4)]
    assert types_of(messages) == ["result", "flushed", "result", "result", "flushed"]


def test_with_low_ink_white_columns_are_blank_and_end_lines(net: Runtime) -> None:
    client = SessionClient(net)
    client.ask(message("configure", line_end_columns=2, polarity="ink-low"))
    paper = bytes([255]) * 28
    assert types_of(client.ask(BLANK, paper * 2)).count("flushed") == 1

"""Results with the end of the text alone or without it, and events without results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model import checkpoint as checkpoints
from inkstream.model.preprocess.columns import line_columns
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import (
    Flushed,
    Limits,
    ResetDone,
    Result,
    Rewound,
    ServerMessage,
    encode,
)
from tests.helpers.single_session import (
    LANGUAGES,
    LINE_INK,
    SessionClient,
    events_in,
    line,
    message,
    results,
    types_of,
)

HELLO = Path(__file__).parents[3] / "examples" / "hello.png"
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("columns"), st.integers(1, 80)),
        st.tuples(st.just("flush"), st.just(0)),
        st.tuples(st.just("rewind"), st.integers(0, 60)),
        st.tuples(st.just("reset"), st.just(0)),
    ),
    max_size=12,
)


def whole_texts(messages: Sequence[ServerMessage]) -> list[str | None]:
    """Return the texts of results, put together as a client does it."""
    texts: list[str | None] = []
    newest = ""
    for each in messages:
        if isinstance(each, Result):
            assert each.text is not None
            assert each.stable is None or each.stable <= len(newest)
            newest = newest[: each.stable or 0] + each.text
            texts.append(newest)
        elif isinstance(each, Rewound | Flushed):
            newest = each.text or ""
        elif isinstance(each, ResetDone):
            newest = ""
    return texts


def converse(
    net: Runtime, steps: Sequence[tuple[str, int]], run: int, **options: Any
) -> list[ServerMessage]:
    """Return the messages of a conversation that follows the steps."""
    client = SessionClient(net, languages=LANGUAGES)
    client.ask(message("configure", **options))
    for seed, (kind, n) in enumerate(steps):
        column = max(0, client.session.line.column - n)
        frames: dict[str, str | bytes] = {
            "columns": line(n, seed),
            "rewind": message("rewind", column=column),
        }
        client.send(frames.get(kind, message(kind)))
        while client.step(run):
            pass
    return client.new_messages()


@pytest.mark.slow
@given(
    steps=STEPS,
    run=st.integers(1, 40),
    every=st.sampled_from(["column", "message"]),
    hints=st.sampled_from([{}, {}, {"language_model": "little"}, {"words": ["cab"]}]),
)
def test_the_tail_after_what_stands_is_the_text(
    line_net: Runtime,
    steps: Sequence[tuple[str, int]],
    run: int,
    every: str,
    hints: dict[str, Any],
) -> None:
    full = converse(line_net, steps, run, every=every, **hints)
    tail = converse(line_net, steps, run, every=every, text="tail", **hints)
    assert whole_texts(tail) == [each.text for each in results(full)]
    assert types_of(tail) == types_of(full)
    assert events_in(tail) == events_in(full)


def test_what_is_stable_never_changes_again(line_net: Runtime) -> None:
    client = SessionClient(line_net, languages=LANGUAGES)
    client.ask(message("configure", text="tail", language_model="little"))
    texts, messages = [], client.ask(line(300))
    for result, text in zip(results(messages), whole_texts(messages), strict=True):
        assert text is not None
        texts.append((result.stable or 0, text))
    for stable, text in texts:
        assert texts[-1][1].startswith(text[:stable])
    assert texts[-1][0] > 10


def test_a_result_in_place_of_one_that_is_not_sent_has_what_that_one_had(
    line_net: Runtime,
) -> None:
    client = SessionClient(line_net)
    client.ask(message("configure", text="tail"))
    sent = results(client.ask(line(200)))
    fewer: list[Result] = []
    for number, result in enumerate(sent):  # eight of nine are left out
        before = fewer.pop() if number % 9 else None
        fewer.append(result if before is None else result.after(before))
    assert len(fewer) < len(sent) / 8
    expected = whole_texts(sent)
    assert whole_texts(fewer) == [expected[each.column] for each in fewer]


def test_results_may_have_no_text(line_net: Runtime) -> None:
    full = SessionClient(line_net).ask(line(100), message("flush"))
    client = SessionClient(line_net)
    client.ask(message("configure", text="none"))
    messages = client.ask(line(100), message("flush"))
    assert types_of(messages) == types_of(full)
    assert messages[-1] == full[-1]
    for with_text, without in zip(results(full), results(messages), strict=True):
        assert without.text is None
        assert without.stable is None
        assert (without.letter_end, without.probabilities) == (
            with_text.letter_end,
            with_text.probabilities,
        )
        assert '"text"' not in encode(without)


def test_events_may_come_without_results(line_net: Runtime) -> None:
    full = SessionClient(line_net).ask(line(100), message("flush"))
    client = SessionClient(line_net)
    client.ask(message("configure", results="events"))
    messages = client.ask(line(100), message("flush"))
    assert messages == [each for each in full if not isinstance(each, Result)]
    client.ask(message("configure", results="all"))
    assert types_of(client.ask(LINE_INK)) == ["result"]


def test_a_change_of_the_form_begins_with_the_whole_text(line_net: Runtime) -> None:
    client, full = SessionClient(line_net), SessionClient(line_net)
    client.ask(line(100), message("configure", text="tail"))
    full.ask(line(100))
    result, expected = results(client.ask(LINE_INK))[0], results(full.ask(LINE_INK))[0]
    assert (result.stable, result.text) == (0, expected.text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"text": "tail", "top_k": 1}, 150),
        ({"results": "events"}, 30),
    ],
)
def test_a_line_of_30000_columns_is_sent_in_few_bytes_a_column(
    options: dict[str, Any], most: int
) -> None:
    word = np.vstack([line_columns(HELLO, 32), np.zeros((12, 32), np.uint8)])
    columns = np.tile(word, (30_000 // len(word) + 1, 1))[:30_000]
    net = Runtime(checkpoints.read(checkpoints.find("lines")))
    client = SessionClient(net, Limits())
    client.ask(message("configure", **options))
    n_bytes = 0
    for start in range(0, 30_000, 500):
        messages = client.ask(columns[start : start + 500].tobytes())
        n_bytes += sum(len(encode(each).encode()) for each in messages)
    print(f"{options}: {n_bytes / 30_000:.1f} bytes a column")
    assert n_bytes / 30_000 <= most

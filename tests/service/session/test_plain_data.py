"""Between two messages a session is plain data: it can be copied, and a copy goes on alone.

Its memory is bounded: many lines need no more than one, and a long line keeps only its text.
"""

import copy
import tracemalloc
from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.runtime import Runtime
from inkstream.service.session import Session, SessionModel
from inkstream.service.session.line import KEPT_SPACING
from tests.helpers.single_session import (
    LANGUAGES,
    LIMITS,
    LINE_BLANK,
    LINE_INK,
    SessionClient,
    line,
    message,
    text_of,
)
from tests.service.session.frames import FRAMES

PLAIN = (bool, int, float, str, bytes, bytearray, type(None), range, np.ndarray, Enum)


def client_after(net: Runtime, names: list[str], n_runs: int) -> SessionClient:
    """Return a client that has sent these frames, where no message is being processed."""
    client = SessionClient(net, languages=LANGUAGES)
    for name in names:
        client.send(FRAMES[name])
        for _ in range(n_runs):
            client.step(max_columns=7)
    while client.session._work is not None:
        client.step(max_columns=7)
    return client


def answers(client: SessionClient, names: list[str]) -> list[str]:
    """Return all messages that answer further frames."""
    for name in names:
        client.send(FRAMES[name])
        client.drain()
    return [repr(each) for each in client.new_messages()] + [repr(client.close)]


conversations = st.lists(st.sampled_from(sorted(FRAMES)), max_size=9)


@pytest.mark.slow
@settings(max_examples=50)
@given(before=conversations, after=conversations, n_runs=st.integers(0, 2))
def test_a_copied_session_behaves_like_the_original(
    line_net: Runtime, before: list[str], after: list[str], n_runs: int
) -> None:
    client = client_after(line_net, before, n_runs)
    copied = copy.copy(client)
    copied.session, copied.received = copy_of(client.session), list(client.received)
    unchanged = data_of(client.session)
    assert data_of(copied.session) == unchanged
    expected = answers(copied, after)
    assert data_of(client.session) == unchanged, "the copy changed the original"
    assert answers(client, after) == expected
    assert data_of(copied.session) == data_of(client.session)


def test_a_classifiers_session_is_plain_data_too(net: Runtime) -> None:
    client = SessionClient(net)
    client.ask(bytes([0, 9, 200, 255] * 7) * 40, message("configure", characters="123"))
    copied = copy_of(client.session)
    assert data_of(copied) == data_of(client.session)


# Memory


def size_of(session: Session) -> int:
    """Return how long all that a session holds is as a text."""
    return len(repr(data_of(session)))


@pytest.mark.slow
def test_an_open_stream_of_many_lines_does_not_grow(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.ask(message("configure", line_end_columns=3, results="message"))
    columns = line(57) + LINE_INK + LINE_BLANK * 3
    sizes = []
    for _ in range(6):
        for _ in range(20):
            client.ask(columns)
        sizes.append(size_of(client.session))
    assert sizes[-1] < sizes[0] + 50  # digits of counts and times


def test_one_very_long_line_keeps_no_more_than_its_text(line_net: Runtime) -> None:
    limits = LIMITS.model_copy(update={"max_line_columns": 100_000})
    client = SessionClient(line_net, limits)
    client.ask(message("configure", results="message"))
    sizes = []
    for _ in range(4):
        for seed in range(10):
            client.ask(line(200, seed))
        text = text_of(client.ask(message("rewind", column=client.column)))
        n_texts = limits.max_rewind_columns // KEPT_SPACING + 4
        sizes.append(size_of(client.session) - n_texts * len(text))
    assert sizes[-1] < sizes[0] + 50  # digits of counts and times


def test_ink_that_waits_takes_little_memory(line_net: Runtime) -> None:
    warm, session = SessionClient(line_net).session, SessionClient(line_net).session
    points = np.random.default_rng(0).uniform(0, 16, (400, 2)).tolist()
    ink = message("ink", height=16, strokes=[{"points": points}])
    warm.receive(ink, 0.0)
    tracemalloc.start()
    try:
        session.receive(ink, 0.0)  # it waits to be drawn
        session.receive(ink, 0.0)
        n_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert session.ink_due is not None
    assert n_bytes < 64 * 2 * len(points)


# All that a session holds


def copy_of(session: Session) -> Session:
    """Return a copy of all that a session holds but its model, which sessions share."""
    return copy.deepcopy(session, {id(session.model): session.model})


def data_of(value: Any, path: str = "session") -> Any:
    """Return all that an object holds as comparable values; fail if it is no plain data.

    Of a decoder compare its `to_dict`: its language model and lexicon follow from the options.
    """
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, SessionModel):
        return id(value)
    if isinstance(value, GreedyDecoder):
        return data_of(value.to_dict() | {"allowed": value.allowed}, path)
    if isinstance(value, list | tuple | deque):
        return [data_of(each, f"{path}[{i}]") for i, each in enumerate(value)]
    if isinstance(value, Mapping):
        return [(key, data_of(item, f"{path}[{key!r}]")) for key, item in value.items()]
    if isinstance(value, BaseModel):
        return type(value).__name__, value.model_dump_json()
    assert type(value).__module__.startswith("inkstream."), f"{path} is {value!r}, no plain data"
    fields = {name: data_of(field, f"{path}.{name}") for name, field in fields_of(value)}
    return type(value).__name__, fields


def fields_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of an object, from its dictionary and its slots."""
    yield from vars(value).items() if hasattr(value, "__dict__") else ()
    for kind in type(value).__mro__:
        for name in getattr(kind, "__slots__", ()):
            if hasattr(value, name):
                yield name, getattr(value, name)

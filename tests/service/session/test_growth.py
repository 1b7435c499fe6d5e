"""The memory of a session: many lines need no more than one, a long line keeps only its text."""

import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest

from inkstream.model.runtime import Runtime
from inkstream.service.session.line import KEPT_SPACING
from tests.helpers.single_session import (
    LIMITS,
    LINE_BLANK,
    LINE_INK,
    SessionClient,
    line,
    message,
    text_of,
)


@pytest.mark.slow
def test_an_open_stream_of_many_lines_does_not_grow(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.ask(message("configure", line_end_columns=3, results="message"))
    columns = line(57) + LINE_INK + LINE_BLANK * 3
    sizes = []
    for _ in range(6):
        for _ in range(20):
            client.ask(columns)
        sizes.append(_size(client.session))
    assert sizes[-1] <= sizes[0]


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
        sizes.append(_size(client.session) - n_texts * len(text))
    assert sizes[-1] <= sizes[0]


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


def _size(value: Any, seen: set[int] | None = None) -> int:
    """Return the bytes of an object and all that it refers to."""
    seen = set() if seen is None else seen
    if id(value) in seen or callable(value) or isinstance(value, type):
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    held = list(vars(value).values()) if hasattr(value, "__dict__") else []
    held += [getattr(value, name, None) for name in getattr(type(value), "__slots__", ())]
    if isinstance(value, dict):
        held += [*value.keys(), *value.values()]
    elif not isinstance(value, str | bytes | bytearray) and hasattr(value, "__iter__"):
        held += list(value)
    return sys.getsizeof(value) + sum(_size(each, seen) for each in held)

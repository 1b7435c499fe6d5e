"""What a session keeps: no more for many lines than for one, and of a long line its text."""

import sys
from typing import Any

import numpy as np
import pytest

from inkstream.model.runtime import Runtime
from inkstream.service.session.line import SNAPSHOT_SPACING
from tests.helpers.single_session import LIMITS, LINE_BLANK, LINE_INK, Lone, line, message, results


@pytest.mark.slow
def test_an_open_stream_of_many_lines_does_not_grow(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(message("configure", line_end_columns=3, every="message"))
    columns = line(57) + LINE_INK + LINE_BLANK * 3
    sizes = []
    for _ in range(6):
        for _ in range(20):
            lone.ask(columns)
        sizes.append(_size(lone.session))
    assert sizes[-1] <= sizes[0]


def test_one_very_long_line_keeps_no_more_than_its_text(line_net: Runtime) -> None:
    limits = LIMITS.model_copy(update={"max_line_columns": 100_000})
    lone = Lone(line_net, limits)
    lone.ask(message("configure", every="message"))
    sizes = []
    for _ in range(4):
        for seed in range(10):
            said = lone.ask(line(200, seed))
        text = results(said)[-1].text
        assert text is not None
        n_texts = limits.max_rewind_columns // SNAPSHOT_SPACING + 4
        sizes.append(_size(lone.session) - n_texts * len(text))
    assert sizes[-1] <= sizes[0]


def _size(thing: Any, seen: set[int] | None = None) -> int:
    """Bytes of an object and all that it refers to."""
    seen = set() if seen is None else seen
    if id(thing) in seen or callable(thing) or isinstance(thing, type):
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return int(thing.nbytes)
    inside = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    inside += [getattr(thing, name, None) for name in getattr(type(thing), "__slots__", ())]
    if isinstance(thing, dict):
        inside += [*thing.keys(), *thing.values()]
    elif not isinstance(thing, str | bytes | bytearray) and hasattr(thing, "__iter__"):
        inside += list(thing)
    return sys.getsizeof(thing) + sum(_size(each, seen) for each in inside)

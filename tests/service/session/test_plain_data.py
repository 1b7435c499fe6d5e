"""A session is plain data beside its model: it can be copied, and a copy goes on alone."""

import copy
import json
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
from inkstream.service.session import SessionModel
from tests.helpers.single_session import LANGUAGES, LINE_BLANK, LINE_INK, Lone, line, message

pytestmark = pytest.mark.slow

PLAIN = (bool, int, float, str, bytes, bytearray, type(None), range, np.ndarray, Enum)
HINTS = {"language_model": "little", "words": ["cab"], "pattern": "[abc. ]*", "characters": "abc "}


def ink(name: int, x: float, **fields: Any) -> str:
    """A stroke across the rows, a few columns wide."""
    points = [[x + step, 3.0 + 2 * step] for step in range(5)]
    strokes = [{"id": name, "points": points}, {"points": points[:2]}]
    return message("ink", height=16, strokes=strokes, **fields)


FRAMES: dict[str, str | bytes] = {
    "columns": line(9),
    "many columns": line(90, seed=3),
    "blank columns": LINE_BLANK * 4,
    "JSON columns": message("columns", columns=[list(LINE_INK)]),
    "flush": message("flush", id="f"),
    "rewind": message("rewind", column=5),
    "far rewind": message("rewind", column=40),
    "configure": message("configure", every="message", top_k=2, line_end_columns=3),
    "hints": message("configure", **HINTS),
    "no hints": message("configure", language_model=None, words=[], pattern=None),
    "ink": ink(1, 2.0),
    "ink with a pause": ink(2, 20.0, pause=True),
    "late ink": ink(3, 4.0, fit=True),
    "undo": message("ink", undo=1),
    "reset": message("reset"),
    "ping": message("ping", id=1),
    "nonsense": "nonsense",
    "half a column": b"x",
}


def in_the_middle(net: Runtime, names: list[str], n_runs: int) -> Lone:
    """A session that was sent these frames, after so many runs; columns may be in flight."""
    lone = Lone(net, languages=LANGUAGES)
    for name in names:
        lone.send(FRAMES[name])
        for _ in range(n_runs % 3):
            lone.step(max_columns=7)
    if n_runs % 2:
        lone.session.take(5)
    return lone


def answers(lone: Lone, names: list[str]) -> list[str]:
    """All that is sent to further frames."""
    for name in names:
        lone.send(FRAMES[name])
        lone.drain()
    return [repr(each) for each in lone.heard()] + [repr(lone.close)]


conversations = st.lists(st.sampled_from(sorted(FRAMES)), max_size=9)


@settings(max_examples=50)
@given(before=conversations, after=conversations, n_runs=st.integers(0, 5))
def test_a_copy_in_the_middle_of_any_conversation_goes_on_as_the_original(
    line_net: Runtime, before: list[str], after: list[str], n_runs: int
) -> None:
    lone = in_the_middle(line_net, before, n_runs - n_runs % 2)
    twin = copy.copy(lone)
    twin.session, twin.said = copy.deepcopy(lone.session), list(lone.said)
    assert twin.session.model is lone.session.model
    known = data_of(lone.session)
    assert data_of(twin.session) == known
    said = answers(twin, after)
    assert data_of(lone.session) == known, "the copy changed the original"
    assert answers(lone, after) == said
    assert data_of(twin.session) == data_of(lone.session)


@settings(max_examples=50)
@given(before=conversations, n_runs=st.integers(0, 5))
def test_the_state_holds_numbers_texts_arrays_and_no_function(
    line_net: Runtime, before: list[str], n_runs: int
) -> None:
    session = in_the_middle(line_net, before, n_runs).session
    data_of(session)
    json.dumps(session.line.decoder.to_dict())


def test_a_classifiers_session_is_plain_data_too(net: Runtime) -> None:
    lone = Lone(net)
    lone.ask(bytes([0, 9, 200, 255] * 7) * 40, message("configure", characters="123"))
    twin = copy.deepcopy(lone.session)
    assert data_of(twin) == data_of(lone.session)


def test_a_function_in_the_state_is_found(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.session.newest_shown = lambda: None  # type: ignore[assignment]
    with pytest.raises(AssertionError, match="newest_shown"):
        data_of(lone.session)


def data_of(thing: Any, path: str = "session") -> Any:
    """All that an object holds, as values that can be compared; fails for what is no plain data.

    A decoder is what its `to_dict` says: the guide that it follows is made of the options.
    """
    if isinstance(thing, np.ndarray):
        return thing.dtype.str, thing.shape, thing.tobytes()
    if isinstance(thing, PLAIN):
        return thing
    if isinstance(thing, SessionModel):
        return id(thing)
    if isinstance(thing, GreedyDecoder):
        return data_of(thing.to_dict() | {"allowed": thing.allowed}, path)
    if isinstance(thing, list | tuple | deque):
        return [data_of(each, f"{path}[{i}]") for i, each in enumerate(thing)]
    if isinstance(thing, Mapping):
        return [(key, data_of(value, f"{path}[{key!r}]")) for key, value in thing.items()]
    if isinstance(thing, BaseModel):
        return type(thing).__name__, thing.model_dump_json()
    assert type(thing).__module__.startswith("inkstream."), f"{path} is {thing!r}, no plain data"
    values = {name: data_of(value, f"{path}.{name}") for name, value in fields_of(thing)}
    return type(thing).__name__, values


def fields_of(thing: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object, in its dictionary or in slots."""
    yield from vars(thing).items() if hasattr(thing, "__dict__") else ()
    for kind in type(thing).__mro__:
        for name in getattr(kind, "__slots__", ()):
            if hasattr(thing, name):
                yield name, getattr(thing, name)

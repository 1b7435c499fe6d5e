"""Files of ink that no one writes are refused in words as well."""

import pytest

from model.data import inkml
from model.errors import DataError

TRACE = b"<trace>5 5, 40 50</trace>"
LABEL = b'<annotation type="truth">a</annotation>'


def nested(depth: int) -> bytes:
    """A trace in so many groups, the innermost of them labelled."""
    return b"<ink>" + b"<traceGroup>" * depth + LABEL + TRACE + b"</traceGroup>" * depth + b"</ink>"


@pytest.mark.parametrize("depth", [100, 20_000])
def test_groups_too_deep_in_each_other_are_refused(depth: int) -> None:
    with pytest.raises(DataError, match=r"line 1: more than 100 elements"):
        inkml.read(nested(depth))


def test_groups_in_groups_are_read() -> None:
    (group,) = inkml.read(nested(50))
    assert (group.label, [len(stroke) for stroke in group.strokes]) == ("a", [2])

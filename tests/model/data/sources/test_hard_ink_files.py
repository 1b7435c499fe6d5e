"""Extreme files of ink are refused with an error or read correctly."""

import pytest

from inkstream.model.data.sources import inkml
from inkstream.model.errors import DataError

TRACE = b"<trace>5 5, 40 50</trace>"
LABEL = b'<annotation type="truth">a</annotation>'


def nested(depth: int) -> bytes:
    """Return a trace within `depth` groups, the innermost of them labelled."""
    return b"<ink>" + b"<traceGroup>" * depth + LABEL + TRACE + b"</traceGroup>" * depth + b"</ink>"


@pytest.mark.parametrize("depth", [100, 20_000])
def test_groups_nested_too_deep_are_refused(depth: int) -> None:
    with pytest.raises(DataError, match=r"line 1: more than 100 elements"):
        inkml.read(nested(depth))


@pytest.mark.parametrize("attribute", ["from", "to"])
def test_an_impossible_count_of_points_is_refused(attribute: str) -> None:
    view = b'<traceView traceDataRef="#a" %s="%s">' % (attribute.encode(), b"9" * 5_000)
    with pytest.raises(DataError, match="expected counts of points") as refused:
        inkml.read(b'<ink><trace id="a">1 2</trace>' + view + LABEL + b"</traceView></ink>")
    assert len(str(refused.value)) < 200


def test_groups_in_groups_are_read() -> None:
    (group,) = inkml.read(nested(50))
    assert (group.label, [len(stroke) for stroke in group.strokes]) == ("a", [2])


@pytest.mark.parametrize(
    ("body", "lengths"),
    [
        (TRACE + TRACE, [[2, 2]]),
        (b"<traceGroup>" + TRACE + b"</traceGroup>" + TRACE + b"<trace>1 2</trace>", [[2], [2, 1]]),
        (b"<traceGroup/><definitions>" + TRACE + b"</definitions>", []),
        (b"<definitions>" + TRACE + b"</definitions>", [[2]]),
        (b'<trace type="penUp">1 2</trace>', []),
        (b"<traceGroup>" + LABEL + TRACE + b"</traceGroup>" + TRACE, [[2]]),
    ],
    ids=["loose", "beside a group", "in no group", "defined", "in the air", "labelled"],
)
def test_without_labels_traces_of_the_same_group_are_one_piece(
    body: bytes, lengths: list[list[int]]
) -> None:
    groups = inkml.read(b"<ink>" + body + b"</ink>")
    assert [[len(stroke) for stroke in group.strokes] for group in groups] == lengths
    assert sum(group.label is not None for group in groups) == (LABEL in body)

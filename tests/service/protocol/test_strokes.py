"""Strokes of a JSON body: too many are refused before any of them is read."""

import pytest

from inkstream.service.protocol.errors import InkError
from inkstream.service.protocol.strokes import MAX_STROKES, json_strokes


def test_too_many_strokes_are_refused_before_they_are_read() -> None:
    dots = [[[1, 1]]] * MAX_STROKES
    assert len(json_strokes({"strokes": dots})[0]) == MAX_STROKES
    with pytest.raises(InkError, match="8193 strokes, allowed: up to 8192"):
        json_strokes({"strokes": [*dots, "not even looked at"]})

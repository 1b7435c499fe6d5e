"""Answers are equal only if every bit is equal."""

import pytest

from tools.compare_answers import compare, digest

TEXT = {"text": "ab", "confidence": 0.1}


def test_answers_with_equal_bits_are_equal() -> None:
    assert compare({"words": [TEXT, TEXT]}, {"words": [dict(TEXT), TEXT]})


@pytest.mark.parametrize("value", [0.1 + 2**-56, 0, "0.1", None, -0.1])
def test_the_first_answer_that_differs_is_shown(
    value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = TEXT | {"confidence": value}
    assert not compare({"words": [TEXT, TEXT, TEXT]}, {"words": [TEXT, changed, TEXT]})
    out = capsys.readouterr().out
    assert "DIFFERENT" in out
    assert "1 of 3 samples differ, the first is sample 1" in out


def test_zeros_of_different_signs_differ() -> None:
    assert not compare({"words": [{"confidence": 0.0}]}, {"words": [{"confidence": -0.0}]})


def test_a_missing_part_or_sample_is_a_difference() -> None:
    assert not compare({"words": [TEXT]}, {})
    assert not compare({"words": [TEXT]}, {"words": [TEXT, TEXT]})
    assert digest([TEXT]) != digest([TEXT, TEXT])

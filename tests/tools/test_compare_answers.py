"""Answers are equal only if they are so in every bit."""

import pytest

from tools.compare_answers import compare, digest

TEXT = {"text": "ab", "confidence": 0.1}


def test_answers_that_are_equal_in_every_bit_are_equal() -> None:
    assert compare({"words": [TEXT, TEXT]}, {"words": [dict(TEXT), TEXT]})


@pytest.mark.parametrize("other", [0.1 + 2**-56, 0, "0.1", None, -0.1])
def test_the_first_answer_that_differs_is_shown(
    other: object, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = TEXT | {"confidence": other}
    assert not compare({"words": [TEXT, TEXT, TEXT]}, {"words": [TEXT, changed, TEXT]})
    out = capsys.readouterr().out
    assert "DIFFERENT" in out
    assert "1 of 3 samples differ, the first is sample 1" in out


def test_a_zero_has_a_sign() -> None:
    assert not compare({"words": [{"confidence": 0.0}]}, {"words": [{"confidence": -0.0}]})


def test_a_part_or_sample_that_is_missing_is_a_difference() -> None:
    assert not compare({"words": [TEXT]}, {})
    assert not compare({"words": [TEXT]}, {"words": [TEXT, TEXT]})
    assert digest([TEXT]) != digest([TEXT, TEXT])

"""Characters of clients, and letters and marks beyond ASCII."""

import unicodedata

import numpy as np
import pytest

from inkstream.model.alphabet import WESTERN
from inkstream.model.decoding.base import Letter, allowed_labels
from inkstream.model.errors import InputError
from inkstream.model.metrics import is_mark


@pytest.mark.parametrize("char", [char for char in WESTERN if char != " "])
def test_marks_are_what_unicode_calls_punctuation_or_symbols(char: str) -> None:
    letter = Letter(0, char, 0, 1, 1, 1.0, ())
    assert letter.is_mark == is_mark(char) == (unicodedata.category(char)[0] in "PS")


def test_characters_may_be_decomposed_or_typographic() -> None:
    found = allowed_labels(WESTERN, "e\u0301\u2019\u2013")
    expected = allowed_labels(WESTERN, "é'-")
    assert found is not None
    assert expected is not None
    assert np.array_equal(found, expected)
    assert [label for label, mask in zip(WESTERN, found, strict=True) if mask == 0] == [
        "'",
        "-",
        "é",
    ]


def test_the_error_names_the_characters_that_no_label_has() -> None:
    with pytest.raises(InputError, match="characters holds 'éł', allowed: those of the labels a b"):
        allowed_labels(("a", "b"), "ae\u0301ł")

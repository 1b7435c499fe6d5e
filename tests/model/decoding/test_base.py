"""Scores become probabilities and a label; `characters` narrows what may be answered."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inkstream.model.decoding.base import ClassifierDecoder
from inkstream.model.errors import InputError

COLUMNS = np.zeros((2, 3), np.uint8)


def scores(*probabilities: list[float]) -> NDArray[np.float32]:
    return np.log(np.array(probabilities, np.float32))


def test_probabilities_are_those_of_the_scores() -> None:
    decoder = ClassifierDecoder("abc")
    given = [[0.2, 0.5, 0.3], [0.7, 0.2, 0.1]]
    np.testing.assert_allclose(decoder.shares(scores(*given)), given, atol=1e-6)


def test_the_label_is_that_of_the_newest_column() -> None:
    decoder = ClassifierDecoder("abc")
    assert decoder.label is None
    decoder.step(scores([0.2, 0.5, 0.3], [0.7, 0.2, 0.1]), COLUMNS)
    assert decoder.label == "a"
    decoder.reset()
    assert decoder.label is None


def test_only_allowed_labels_are_answered() -> None:
    decoder = ClassifierDecoder("abc")
    decoder.allow("bc")
    probabilities = decoder.shares(scores([0.6, 0.1, 0.3]))
    decoder.step(scores([0.6, 0.1, 0.3]), COLUMNS)
    np.testing.assert_allclose(probabilities, [[0, 0.25, 0.75]], atol=1e-6)
    assert decoder.label == "c"
    decoder.allow(None)
    decoder.step(scores([0.6, 0.1, 0.3]), COLUMNS)
    assert decoder.label == "a"


def test_allowed_labels_share_all_probability_even_where_they_had_almost_none() -> None:
    decoder = ClassifierDecoder("abc")
    decoder.allow("bc")
    given = np.array([[0, -200, -201]], np.float32)
    probabilities = decoder.shares(given)
    decoder.step(given, COLUMNS)
    np.testing.assert_allclose(probabilities.sum(), 1, atol=1e-6)
    assert decoder.label == "b"


def test_labels_of_several_characters_are_allowed_if_they_can_be_spelt() -> None:
    decoder = ClassifierDecoder(["cat", "act", "dog"])
    decoder.allow("cat")
    np.testing.assert_allclose(decoder.shares(scores([0.2, 0.2, 0.6])), [[0.5, 0.5, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("characters", "said"),
    [
        ("", "'', which spells no label"),
        ("xa", "characters holds 'x', allowed: those of the labels ab c"),
        ("a", "'a', which spells no label"),
    ],
)
def test_characters_that_leave_nothing_are_refused_and_change_nothing(
    characters: str, said: str
) -> None:
    decoder = ClassifierDecoder(["ab", "c"])
    decoder.allow("c")
    with pytest.raises(InputError, match=said):
        decoder.allow(characters)
    assert decoder.shares(scores([0.9, 0.1])).tolist() == [[0, 1]]


def test_a_copy_goes_its_own_way() -> None:
    decoder = ClassifierDecoder("abc")
    decoder.step(scores([0.2, 0.5, 0.3]), COLUMNS)
    fork = decoder.copy()
    fork.allow("a")
    fork.step(scores([0.2, 0.5, 0.3]), COLUMNS)
    assert (decoder.label, fork.label) == ("b", "a")
    decoder.step(scores([0.2, 0.3, 0.5]), COLUMNS)
    assert decoder.label == "c"

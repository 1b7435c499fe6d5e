"""The classifier: scores become probabilities and a label; `characters` limits the labels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inkstream.model.decoding.base import allowed_labels
from inkstream.model.decoding.classifier import ClassifierDecoder
from inkstream.model.errors import InputError

ABC = "abc"
COLUMNS = np.zeros((2, 3), np.uint8)


def scores(*probabilities: list[float]) -> NDArray[np.float32]:
    return np.log(np.array(probabilities, np.float32))


def test_probabilities_are_those_of_the_scores_and_the_label_that_of_the_newest_column() -> None:
    decoder = ClassifierDecoder(ABC)
    expected = [[0.2, 0.5, 0.3], [0.7, 0.2, 0.1]]
    np.testing.assert_allclose(decoder.probabilities(scores(*expected)), expected, atol=1e-6)
    assert decoder.label is None
    decoder.step(scores(*expected), COLUMNS)
    assert decoder.label == "a"


@pytest.mark.parametrize(
    ("given_scores", "expected", "label"),
    [
        (scores([0.6, 0.1, 0.3]), [0, 0.25, 0.75], "c"),
        # Allowed labels sum to 1 even if they were nearly impossible.
        (np.array([[0, -200, -201]], np.float32), [0, 0.7311, 0.2689], "b"),
    ],
)
def test_only_allowed_labels_are_answered(
    given_scores: NDArray[np.float32], expected: list[float], label: str
) -> None:
    decoder = ClassifierDecoder(ABC)
    decoder.allowed = allowed_labels(ABC, "bc")
    decoder.step(given_scores, COLUMNS)
    np.testing.assert_allclose(decoder.probabilities(given_scores), [expected], atol=1e-4)
    assert decoder.label == label
    decoder.allowed = allowed_labels(ABC, None)
    decoder.step(scores([0.6, 0.1, 0.3]), COLUMNS)
    assert decoder.label == "a"


def test_labels_of_several_characters_are_allowed_if_they_can_be_spelt() -> None:
    labels = ["cat", "act", "dog"]
    decoder = ClassifierDecoder(labels)
    decoder.allowed = allowed_labels(labels, "cat")
    probabilities = decoder.probabilities(scores([0.2, 0.2, 0.6]))
    np.testing.assert_allclose(probabilities, [[0.5, 0.5, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("characters", "text"),
    [
        ("", "'', which spells no label"),
        ("xa", "characters holds 'x', allowed: those of the labels ab c"),
        ("a", "'a', which spells no label"),
    ],
)
def test_characters_that_allow_no_label_are_refused(characters: str, text: str) -> None:
    with pytest.raises(InputError, match=text):
        allowed_labels(["ab", "c"], characters)


def test_a_copy_is_independent() -> None:
    decoder = ClassifierDecoder(ABC)
    decoder.step(scores([0.2, 0.5, 0.3]), COLUMNS)
    copied = decoder.copy()
    copied.allowed = allowed_labels(ABC, "a")
    copied.step(scores([0.2, 0.5, 0.3]), COLUMNS)
    assert (decoder.label, copied.label) == ("b", "a")
    decoder.step(scores([0.2, 0.3, 0.5]), COLUMNS)
    assert decoder.label == "c"

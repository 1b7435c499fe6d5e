"""What lines are made up of beside ink, and what that needs."""

import dataclasses

import pytest

from model.data import line_data
from model.errors import DataError
from model.knobs import LineKnobs
from model.line_task import LineTask
from tests import builders
from tests.model.test_line_training import SMALL, ink


@pytest.fixture(autouse=True)
def _excerpt_for_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.data.mnist.load", lambda part: builders.excerpt(100))


def task(knobs: LineKnobs, letters: str) -> LineTask:
    """Of ink whose labels are spelt with other letters than `o`, `l` and `z`."""
    labels = tuple(label.translate(str.maketrans("olz", letters)) for label in ink().labels)
    return LineTask(knobs, line_data.own("mine", dataclasses.replace(ink(), labels=labels)))


def test_numbers_need_all_digits_among_the_labels() -> None:
    knobs = dataclasses.replace(SMALL, images=1.5)
    with pytest.raises(DataError, match=r"images is 1\.5, but mine has no 3 4 5 6 7 8 9: "):
        task(knobs, "012")
    assert task(dataclasses.replace(knobs, images=0), "012").labels == (" ", "0", "1", "2")


def test_made_up_text_needs_words() -> None:
    with pytest.raises(DataError, match=r"no label has a word of a to z: .* made 0 does without"):
        task(dataclasses.replace(SMALL, made=9), "αβγ")


def test_numbers_are_drawn_by_their_share() -> None:
    knobs = dataclasses.replace(SMALL, images=1.5, characters=0, words=0, text=0)
    known = dataclasses.replace(ink(), labels=("0123456789", *ink().labels[1:]))
    batch = LineTask(knobs, line_data.own("mine", known)).part(8, 0)
    assert all(label.isdecimal() for label in batch.labels)

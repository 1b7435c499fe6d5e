"""How far errors would move with other writers, against draws that can be worked out by hand."""

import math

import pytest

from inkstream.model.evaluation.bootstrap import overall, spread, times
from inkstream.model.evaluation.material import WORDS, Material
from inkstream.model.evaluation.report import document
from inkstream.model.metrics import errors
from tests import builders
from tests.model.little_ink import ALL_KINDS, HEIGHT, ink


def test_writers_are_drawn_whole() -> None:
    texts, labels = ["ab", "ab", "xy", "a-"], ["ab", "ab", "ab", "ab"]
    found = spread(texts, labels, ["one", "one", "two", "two"])
    assert (found["wrong"], found["characters"]) == ([0, 3], [4, 4])
    # A quarter of the draws has one alone, a quarter the other: both ends lie within 95 %.
    assert found["interval"] == [0, 0.75]
    assert found["quarters"] == [0.1875, 0.375, 0.5625]


def test_writers_who_are_read_alike_leave_nothing_to_chance() -> None:
    found = spread(["ax"] * 6, ["ab"] * 6, ["one", "two", "three"] * 2)
    assert found["interval"] == [0.5, 0.5]
    assert found["quarters"] == [0.5, 0.5, 0.5]


def test_an_interval_is_as_wide_as_the_normal_law_has_it() -> None:
    n, share = 400, 0.3  # of the writers, who are read wrongly throughout
    writers = [str(place) for place in range(n)]
    texts = ["b" if place < share * n else "a" for place in range(n)]
    low, high = spread(texts, ["a"] * n, writers)["interval"]
    reach = 1.96 * math.sqrt(share * (1 - share) / n)
    assert low == pytest.approx(share - reach, abs=0.005)
    assert high == pytest.approx(share + reach, abs=0.005)


def test_a_writer_of_much_counts_for_much() -> None:
    texts, labels = ["x" * 10, "a"], ["a" * 10, "a"]
    found = spread(texts, labels, ["much", "little"])
    assert found["interval"] == [0, 1]
    assert sum(found["wrong"]) / sum(found["characters"]) == pytest.approx(10 / 11)


def test_others_are_compared_on_the_same_draws() -> None:
    ours = {"all": {"wrong": [1, 20, 3, 7], "characters": [50] * 4}}
    theirs = {"all": {"wrong": [2, 40, 6, 14], "characters": [50] * 4}}
    assert times(theirs, ours) == {"all": {"times": 2, "interval": [2, 2]}}
    other = {"all": {"wrong": [2, 20, 6, 14], "characters": [50] * 4}}
    found = times(other, ours)["all"]
    low, high = found["interval"]
    assert 1 <= low < found["times"] == 42 / 31 < high <= 2


def test_who_makes_no_mistake_in_some_draw_cannot_be_compared_with() -> None:
    ours = {"all": {"wrong": [0, 5], "characters": [9, 9]}}
    assert times({"all": {"wrong": [1, 5], "characters": [9, 9]}}, ours) == {}


def test_all_pieces_and_fresh_ones_are_told_apart_and_none_of_none() -> None:
    material = Material(ink(), "test", ALL_KINDS, HEIGHT)
    places = material.places(WORDS)
    labels, fresh = material.labels(places), material.fresh(places)
    texts = ["a" for _ in places]
    found = overall(material, places, texts)
    assert found["pieces"] == len(places)
    assert found["fresh"] == errors(
        ["a"] * sum(fresh), [label for label, own in zip(labels, fresh, strict=True) if own]
    )
    assert len(found["spread"]["all"]["wrong"]) == len(material.by_writer(places))
    for name, figures in (("all", found), ("fresh", found["fresh"])):
        own = found["spread"][name]
        assert sum(own["characters"]) == figures["characters"]
        assert sum(own["wrong"]) / sum(own["characters"]) == figures["error"]
        low, high = own["interval"]
        assert low <= figures["error"] <= high
    assert overall(material, [], [])["spread"] == {}


def test_the_document_and_the_table_say_how_far_errors_would_move() -> None:
    own = {"wrong": [1, 3], "characters": [10, 10], "interval": [0.1, 0.3], "quarters": [0.1] * 3}
    shipped = builders.shipped_report("lines")

    def text(spread: dict[str, object]) -> str:
        sides = {side: shipped[side] | {"spread": spread} for side in ("words", "text")}
        return document("lines", shipped | sides, "plots")

    rows = text({"all": own, "fresh": own})
    assert "| all words | 2 | 20.0% | 10.0 to 30.0% | 10.0% | 10.0% | 10.0% |" in rows
    assert "| fresh lines of text | 2 |" in rows
    assert "How much hangs on the writers" not in text({})

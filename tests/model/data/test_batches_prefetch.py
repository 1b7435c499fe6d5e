"""What the next step needs is made while this one goes on."""

import threading

import pytest

from inkstream.model.data.batches import Prefetch


def test_each_step_is_made_once_and_the_next_one_without_being_asked_for() -> None:
    made: list[int] = []
    third = threading.Event()

    def make(step: int) -> int:
        made.append(step)
        if step == 3:
            third.set()
        return 10 * step

    ahead = Prefetch(make)
    assert [ahead(step) for step in (0, 0, 1, 1, 2)] == [0, 0, 10, 10, 20]
    assert third.wait(10)
    assert made == [0, 1, 2, 3]


def test_a_run_may_begin_at_any_step_and_go_back() -> None:
    ahead = Prefetch(lambda step: step)
    assert [ahead(step) for step in (7, 8, 3, 4)] == [7, 8, 3, 4]


def test_what_cannot_be_made_says_so_when_it_is_asked_for() -> None:
    def make(step: int) -> int:
        if step == 1:
            raise ValueError("no ink")
        return step

    ahead = Prefetch(make)
    assert ahead(0) == 0
    with pytest.raises(ValueError, match="no ink"):
        ahead(1)

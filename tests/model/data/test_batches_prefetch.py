"""The prefetch makes the data of the next step during the current one."""

import threading

import pytest

from inkstream.model.data.batches import prefetched


def test_each_step_is_made_once_and_the_next_one_in_advance() -> None:
    steps_made: list[int] = []
    third = threading.Event()

    def make(step: int) -> int:
        steps_made.append(step)
        if step == 3:
            third.set()
        return 10 * step

    prefetch = prefetched(make)
    assert [prefetch(step) for step in (0, 0, 1, 1, 2)] == [0, 0, 10, 10, 20]
    assert third.wait(10)
    assert steps_made == [0, 1, 2, 3]


def test_steps_may_begin_anywhere_and_go_back() -> None:
    prefetch = prefetched(lambda step: step)
    assert [prefetch(step) for step in (7, 8, 3, 4)] == [7, 8, 3, 4]


def test_an_error_is_raised_at_the_step_that_failed() -> None:
    def make(step: int) -> int:
        if step == 1:
            raise ValueError("no ink")
        return step

    prefetch = prefetched(make)
    assert prefetch(0) == 0
    with pytest.raises(ValueError, match="no ink"):
        prefetch(1)

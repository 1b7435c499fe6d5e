"""Balance of connections: what the workers know of each other."""

from pathlib import Path

import pytest

from inkstream.service.server.balance import Balance


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Balance, Balance]:
    Balance.create(tmp_path)
    first, second = Balance(tmp_path, 1), Balance(tmp_path, 2)
    first.join(0)
    second.join(0)
    return first, second


def test_a_worker_is_even_unless_another_has_fewer_connections(
    pair: tuple[Balance, Balance],
) -> None:
    first, second = pair
    assert (first.is_even(), second.is_even()) == (True, True)
    first.set(1)
    assert (first.is_even(), second.is_even()) == (False, True)
    second.set(2)
    assert (first.is_even(), second.is_even()) == (True, False)


def test_a_worker_that_accepts_no_more_does_not_count(pair: tuple[Balance, Balance]) -> None:
    first, second = pair
    first.set(1)
    second.leave()
    assert first.is_even()
    second.set(0)  # one of its connections ends
    assert first.is_even()
    second.join(0)
    assert not first.is_even()


def test_a_process_alone_is_always_even() -> None:
    alone = Balance()
    alone.join(0)
    alone.set(9)
    assert alone.is_even()

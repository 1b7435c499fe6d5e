"""What is kept for rewinds: enough for every column within reach, and no more."""

import sys

import numpy as np
import pytest

from service.history import SNAPSHOT_SPACING, History, Snapshot


def read(history: History, n_columns: int, first: int = 0) -> None:
    """Add columns first, first + 1, ... of two pixels each, and the snapshots that are due."""
    for column in range(first, first + n_columns):
        so_far = column + 1
        history.append(bytes([column % 256, column // 256]), so_far)
        if not so_far % SNAPSHOT_SPACING:
            history.keep(Snapshot(so_far, np.full(3, so_far, np.float32), so_far))


@pytest.mark.parametrize("n_columns", [1, 31, 32, 33, 200, 1000])
@pytest.mark.parametrize("reach", [1, 31, 32, 33, 100])
def test_every_column_within_reach_is_found_again(n_columns: int, reach: int) -> None:
    for column in range(max(0, n_columns - reach), n_columns):
        history = History(2, reach)
        read(history, n_columns)
        assert history.oldest <= column
        snapshot, columns = history.rewind(column)
        again = [bytes([k % 256, k // 256]) for k in range(snapshot.column, column)]
        assert columns == b"".join(again)
        assert (len(again) == 0) == (column == 0)
        assert len(again) <= SNAPSHOT_SPACING
        assert snapshot.state is None or (snapshot.state == snapshot.column).all()


def test_the_oldest_column_within_reach_stays_through_rewinds() -> None:
    history = History(2, 50)
    read(history, 200)
    history.rewind(160)
    assert history.oldest == 150
    read(history, 10, first=160)
    assert history.oldest == 150
    read(history, 60, first=170)
    assert history.oldest == 180


def test_a_new_line_begins_with_nothing() -> None:
    history = History(2, 50)
    read(history, 200)
    history.clear()
    assert history.oldest == 0
    read(history, 5)
    snapshot, columns = history.rewind(3)
    assert (snapshot.column, snapshot.state, len(columns)) == (0, None, 6)


def test_memory_is_bounded_by_the_reach_and_not_by_the_line() -> None:
    history = History(2, 100)
    read(history, 20_000)
    snapshots, columns = history._snapshots, history._columns
    assert len(snapshots) <= 100 // SNAPSHOT_SPACING + 3
    assert sys.getsizeof(columns) < 2 * 1000

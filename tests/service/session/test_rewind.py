"""What is kept for rewinds: enough for every column within reach, and no more."""

import sys
from collections.abc import Iterable

import numpy as np
import pytest

from inkstream.model.decoding.base import ClassifierDecoder
from inkstream.service.protocol.server_messages import ModelInfo
from inkstream.service.session.options import Choices
from inkstream.service.session.outputs import ClassifierVoice
from inkstream.service.session.rewind import (
    SNAPSHOT_SPACING,
    Allow,
    Flush,
    History,
    Piece,
    Snapshot,
)

CHOICES = Choices(
    ModelInfo("ab", "1", "classifier", ("a", "b"), 2), lambda _: ClassifierDecoder("ab")
)
VOICE = ClassifierVoice(ClassifierDecoder("ab"), CHOICES)


def begun(reach: int) -> History:
    history = History(2, reach)
    history.begin(VOICE)
    return history


def read(history: History, n_columns: int, first: int = 0) -> None:
    """Add columns first, first + 1, ... of two pixels each, and the snapshots that are due."""
    for column in range(first, first + n_columns):
        so_far = column + 1
        history.append(bytes([column % 256, column // 256]), so_far)
        if not so_far % SNAPSHOT_SPACING:
            history.keep(Snapshot(so_far, np.full(3, so_far, np.float32), so_far, VOICE))


def pixels(start: int, end: int) -> bytes:
    """The columns that `read` adds."""
    return b"".join(bytes([column % 256, column // 256]) for column in range(start, end))


def columns_of(pieces: Iterable[Piece]) -> bytes:
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


@pytest.mark.parametrize("n_columns", [1, 31, 32, 33, 200, 1000])
@pytest.mark.parametrize("reach", [1, 31, 32, 33, 100])
def test_every_column_within_reach_is_found_again(n_columns: int, reach: int) -> None:
    for column in range(max(0, n_columns - reach), n_columns):
        history = begun(reach)
        read(history, n_columns)
        assert history.oldest <= column
        snapshot, pieces = history.rewind(column)
        assert columns_of(pieces) == pixels(snapshot.column, column)
        assert column - snapshot.column < SNAPSHOT_SPACING
        assert snapshot.state is None or (snapshot.state == snapshot.column).all()


def test_the_oldest_column_within_reach_stays_through_rewinds() -> None:
    history = begun(50)
    read(history, 200)
    history.rewind(160)
    assert history.oldest == 150
    read(history, 10, first=160)
    assert history.oldest == 150
    read(history, 60, first=170)
    assert history.oldest == 180


def test_a_new_line_begins_with_nothing() -> None:
    history = begun(50)
    read(history, 200)
    history.begin(VOICE)
    assert history.oldest == 0
    read(history, 5)
    snapshot, pieces = history.rewind(3)
    assert (snapshot.column, snapshot.state, list(pieces)) == (0, None, [pixels(0, 3)])


def test_what_happened_between_columns_is_gone_through_again_in_its_place() -> None:
    history = begun(100)
    narrow, wide = Allow(np.zeros(2, np.float32)), Allow(None)
    read(history, 40)
    history.mark(40, Flush(4))
    history.mark(40, narrow)
    read(history, 5, first=40)
    history.mark(45, Flush(4))
    history.mark(45, wide)
    read(history, 5, first=45)
    _, pieces = history.rewind(47)
    expected = [pixels(32, 40), Flush(4), narrow, pixels(40, 45), Flush(4), wide, pixels(45, 47)]
    assert list(pieces) == expected
    assert list(history.rewind(45)[1]) == expected[:-1]
    assert list(history.rewind(44)[1]) == [*expected[:3], pixels(40, 44)]
    assert list(history.rewind(39)[1]) == [pixels(32, 39)]


def test_what_happened_at_a_snapshot_comes_after_it() -> None:
    history = begun(100)
    history.mark(0, Flush(4))
    read(history, 64)
    history.mark(64, Flush(4))
    snapshot, pieces = history.rewind(64)
    assert (snapshot.column, list(pieces)) == (64, [Flush(4)])
    snapshot, pieces = history.rewind(0)
    assert (snapshot.column, list(pieces)) == (0, [Flush(4)])


def test_of_changes_in_a_row_the_last_is_kept() -> None:
    history = begun(100)
    for _ in range(1000):
        last = Allow(np.zeros(2, np.float32))
        history.mark(0, last)
    assert list(history.rewind(0)[1]) == [last]


def test_memory_is_bounded_by_the_reach_and_not_by_the_line() -> None:
    history = begun(100)
    for column in range(0, 20_000, 10):
        read(history, 10, first=column)
        history.mark(column + 10, Flush(4))
    snapshots, columns, marks = history._snapshots, history._columns, history._marks
    assert len(snapshots) <= 100 // SNAPSHOT_SPACING + 3
    assert sys.getsizeof(columns) < 2 * 1000
    assert len(marks) <= 100 // 10 + 2 * SNAPSHOT_SPACING

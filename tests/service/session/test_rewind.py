"""The column log keeps enough for a rewind to every column within reach, and no more."""

from collections.abc import Iterable

import numpy as np
import pytest

from inkstream.model.decoding.classifier import ClassifierDecoder
from inkstream.service.session.line import (
    SNAPSHOT_SPACING,
    AllowLabels,
    BlankColumns,
    ColumnLog,
    Piece,
    Snapshot,
)

DECODER = ClassifierDecoder("ab")


def begun(reach: int) -> ColumnLog:
    log = ColumnLog(2, reach)
    log.begin(DECODER)
    return log


def read(log: ColumnLog, n_columns: int, first: int = 0) -> None:
    """Add columns first, first + 1, ... of two pixels each, and the snapshots that are due."""
    for column in range(first, first + n_columns):
        so_far = column + 1
        log.append(bytes([column % 256, column // 256]), so_far)
        if not so_far % SNAPSHOT_SPACING:
            log.keep(Snapshot(so_far, np.full(3, so_far, np.float32), so_far, DECODER))


def pixels(start: int, end: int) -> bytes:
    """Return the columns that `read` adds."""
    return b"".join(bytes([column % 256, column // 256]) for column in range(start, end))


def columns_of(pieces: Iterable[Piece]) -> bytes:
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


@pytest.mark.parametrize("n_columns", [1, 31, 32, 33, 200, 1000])
@pytest.mark.parametrize("reach", [1, 31, 32, 33, 100])
def test_every_column_within_reach_is_found_again(n_columns: int, reach: int) -> None:
    for column in range(max(0, n_columns - reach), n_columns):
        log = begun(reach)
        read(log, n_columns)
        assert log.oldest <= column
        snapshot = log.rewind(column)
        assert columns_of(snapshot.pieces) == pixels(snapshot.column, column)
        assert column - snapshot.column < SNAPSHOT_SPACING
        assert snapshot.state is None or (snapshot.state == snapshot.column).all()


def test_the_oldest_column_within_reach_stays_through_rewinds() -> None:
    log = begun(50)
    read(log, 200)
    log.rewind(160)
    assert log.oldest == 150
    read(log, 10, first=160)
    assert log.oldest == 150
    read(log, 60, first=170)
    assert log.oldest == 180


def test_a_new_line_begins_with_nothing() -> None:
    log = begun(50)
    read(log, 200)
    log.begin(DECODER)
    assert log.oldest == 0
    read(log, 5)
    snapshot = log.rewind(3)
    assert (snapshot.column, snapshot.state, snapshot.pieces) == (0, None, [pixels(0, 3)])


def test_a_replay_repeats_changes_between_columns_in_order() -> None:
    log = begun(100)
    narrow, wide = AllowLabels(np.zeros(2, np.float32)), AllowLabels(None)
    read(log, 40)
    log.mark(BlankColumns(4))
    log.mark(narrow)
    read(log, 5, first=40)
    log.mark(BlankColumns(4))
    log.mark(wide)
    read(log, 5, first=45)
    snapshot = log.rewind(47)
    expected = [
        pixels(32, 40),
        BlankColumns(4),
        narrow,
        pixels(40, 45),
        BlankColumns(4),
        wide,
        pixels(45, 47),
    ]
    assert snapshot.pieces == expected
    assert log.rewind(45).pieces == expected[:-1]
    assert log.rewind(44).pieces == [*expected[:3], pixels(40, 44)]
    assert log.rewind(39).pieces == [pixels(32, 39)]


def test_changes_at_the_column_of_a_snapshot_are_replayed_after_it() -> None:
    log = begun(100)
    log.mark(BlankColumns(4))
    read(log, 64)
    log.mark(BlankColumns(4))
    snapshot = log.rewind(64)
    assert (snapshot.column, snapshot.pieces) == (64, [BlankColumns(4)])
    snapshot = log.rewind(0)
    assert (snapshot.column, snapshot.pieces) == (0, [BlankColumns(4)])


def test_of_consecutive_changes_the_last_is_kept() -> None:
    log = begun(100)
    for _ in range(1000):
        last = AllowLabels(np.zeros(2, np.float32))
        log.mark(last)
    assert log.rewind(0).pieces == [last]


def test_memory_is_bounded_by_the_reach_and_not_by_the_line() -> None:
    log = begun(100)
    for column in range(0, 20_000, 10):
        read(log, 10, first=column)
        log.mark(BlankColumns(4))
    pieces = [piece for snapshot in log._snapshots for piece in snapshot.pieces]
    assert len(log._snapshots) <= 100 // SNAPSHOT_SPACING + 3
    assert len(columns_of(pieces)) < 2 * (100 + 3 * SNAPSHOT_SPACING)
    assert sum(not isinstance(piece, bytes) for piece in pieces) <= 100 // 10 + SNAPSHOT_SPACING

"""A line keeps enough for a rewind to every column within reach, and no more."""

from collections.abc import Iterable

import numpy as np
import pytest

from inkstream.model.decoding.base import Allowed
from inkstream.model.decoding.classifier import ClassifierDecoder
from inkstream.service.session.line import (
    SNAPSHOT_SPACING,
    BlankColumns,
    Line,
    Piece,
)

BLANK_COLUMNS = 4  # of a flush
STATE = np.zeros(3, np.uint8)  # after pieces; no rewind here goes back to one
NARROW = np.array([0, -np.inf], np.float32)  # allows the first label alone


class TwoPixels:
    column_size = 2  # bytes


def begun(reach: int) -> Line:
    decoder = ClassifierDecoder("ab")
    decoder.flush_columns = BLANK_COLUMNS
    return Line(decoder, TwoPixels(), reach)


def read(line: Line, n_columns: int) -> None:
    """Read the next columns; each has its number as two pixels, and as the state after it."""
    for column in range(line.column, line.column + n_columns):
        line.read(scores(1), np.full(3, column + 1, np.float32), pixels(column, column + 1))


def scores(n_columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.zeros((n_columns, 2), np.float32)


def pixels(start: int, end: int) -> bytes:
    return b"".join(bytes([column % 256, column // 256]) for column in range(start, end))


def flush(line: Line) -> None:
    line.flush()
    line.read_piece(scores(BLANK_COLUMNS), STATE, line.take_piece(BLANK_COLUMNS))


def columns_of(pieces: Iterable[Piece]) -> bytes:
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


def run_again(line: Line, column: int) -> list[bytes | int | Allowed]:
    """Rewind; return what happens until the line is at `column`: columns, flushes, labels."""
    line.rewind(column)
    happened: list[bytes | int | Allowed] = []
    allowed = line.decoder.allowed
    while line.piece_columns:
        is_flush = isinstance(line._pieces[0], BlankColumns)
        data = line.take_piece(10**6)
        happened.append(len(data) // 2 if is_flush else data)
        line.read_piece(scores(len(data) // 2), STATE, data)
        if line.decoder.allowed is not allowed:
            allowed = line.decoder.allowed
            happened.append(allowed)
    assert line.column == column
    return happened


@pytest.mark.parametrize("n_columns", [1, 31, 32, 33, 200, 1000])
@pytest.mark.parametrize("reach", [1, 31, 32, 33, 100])
def test_every_column_within_reach_is_found_again(n_columns: int, reach: int) -> None:
    for column in range(max(0, n_columns - reach), n_columns):
        line = begun(reach)
        read(line, n_columns)
        assert line.oldest <= column
        state = line.rewind(column)
        assert columns_of(line._pieces) == pixels(line.column, column)
        assert column - line.column < SNAPSHOT_SPACING
        assert line.column == 0 if state is None else (state == line.column).all()


def test_a_line_of_ink_that_goes_back_little_is_found_again() -> None:
    for column in range(152, 197):
        line = begun(45)
        for start in range(0, 196, 7):
            line.read(scores(7), STATE, pixels(start, start + 7), goes_back_often=True)
        line.rewind(column)
        assert columns_of(line._pieces) == pixels(line.column, column)


def test_the_oldest_column_within_reach_stays_through_rewinds() -> None:
    line = begun(50)
    read(line, 200)
    run_again(line, 160)
    assert line.oldest == 150
    read(line, 10)
    assert line.oldest == 150
    read(line, 60)
    assert line.oldest == 180


def test_a_new_line_begins_with_nothing() -> None:
    line = begun(50)
    read(line, 200)
    assert line.begin(ClassifierDecoder("ab"))
    assert line.oldest == 0
    read(line, 5)
    assert line.rewind(3) is None
    assert list(line._pieces) == [pixels(0, 3)]


def test_a_replay_repeats_changes_between_columns_in_order() -> None:
    line = begun(100)
    read(line, 40)
    flush(line)
    line.allow(NARROW)
    read(line, 5)
    flush(line)
    line.allow(None)
    read(line, 5)
    expected = [pixels(32, 40), 4, NARROW, pixels(40, 45), 4, None, pixels(45, 47)]
    assert run_again(line, 47) == expected
    assert run_again(line, 45) == expected[:-1]
    assert run_again(line, 44) == [*expected[:3], pixels(40, 44)]
    assert run_again(line, 39) == [pixels(32, 39)]


def test_changes_at_the_column_of_a_snapshot_are_replayed_after_it() -> None:
    line = begun(100)
    flush(line)
    read(line, 64)
    flush(line)
    assert run_again(line, 64) == [BLANK_COLUMNS]
    assert run_again(line, 0) == [BLANK_COLUMNS]


def test_of_consecutive_changes_the_last_is_kept() -> None:
    line = begun(100)
    for n in range(1001):
        line.allow(None if n % 2 else NARROW)
    assert len(line._snapshots[0].pieces) == 1
    line.rewind(0)
    assert line.decoder.allowed is NARROW


def test_a_line_begins_at_a_snapshot_of_its_oldest_column() -> None:
    line = begun(3 * SNAPSHOT_SPACING)
    read(line, 10 * SNAPSHOT_SPACING)
    assert line._snapshots[0].column == line.oldest == 7 * SNAPSHOT_SPACING


def test_memory_is_bounded_by_the_reach_and_not_by_the_line() -> None:
    line = begun(100)
    for _ in range(0, 20_000, 10):
        read(line, 10)
        flush(line)
    pieces = [piece for snapshot in line._snapshots for piece in snapshot.pieces]
    assert len(line._snapshots) <= 100 // SNAPSHOT_SPACING + 3
    assert len(columns_of(pieces)) < 2 * (100 + 3 * SNAPSHOT_SPACING)
    assert sum(not isinstance(piece, bytes) for piece in pieces) <= 100 // 10 + SNAPSHOT_SPACING

"""A line keeps enough for a rewind to every column within reach, and no more."""

from collections.abc import Iterable

import numpy as np
import pytest

from inkstream.model.decoding.classifier import ClassifierDecoder
from inkstream.service.session.line import KEPT_SPACING, AllowLabels, BlankColumns, Line, Piece

BLANK_COLUMNS = 4  # of a flush
STATE = np.zeros(3, np.uint8)  # after pieces; no rewind here goes back to one
NARROW = np.array([0, -np.inf], np.float32)  # allows the first label alone


def begun(reach: int) -> Line:
    decoder = ClassifierDecoder("ab")
    decoder.flush_columns = BLANK_COLUMNS
    return Line(decoder, reach)


def read(line: Line, n_columns: int) -> None:
    """Read the next columns; each has its number as two pixels, and as the state after it."""
    for column in range(line.column, line.column + n_columns):
        line.read(scores(1), np.full(3, (column + 1) % 256, np.uint8), pixels(column, column + 1))


def scores(n_columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.zeros((n_columns, 2), np.float32)


def pixels(start: int, end: int) -> bytes:
    return b"".join(bytes([column % 256, column // 256]) for column in range(start, end))


def flush(line: Line) -> None:
    line.flush(scores(BLANK_COLUMNS), last=True)


def columns_of(pieces: Iterable[Piece]) -> bytes:
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


def go_back(line: Line, column: int) -> list[bytes | int | list[float] | None]:
    """Go back, and read again up to `column`; return what was read: columns, flushes, labels."""
    happened: list[bytes | int | list[float] | None] = []
    _, pieces = line.go_back(column)
    for piece in pieces:
        match piece:
            case AllowLabels():
                line.allow(piece.allowed)
                happened.append(None if piece.allowed is None else piece.allowed.tolist())
            case BlankColumns():
                flush(line)
                happened.append(piece.n_columns)
            case data:
                line.read(scores(len(data) // 2), STATE, data)
                happened.append(data)
    assert line.column == column
    return happened


@pytest.mark.parametrize("n_columns", [1, 31, 32, 33, 200, 1000])
@pytest.mark.parametrize("reach", [1, 31, 32, 33, 100])
def test_every_column_within_reach_is_found_again(n_columns: int, reach: int) -> None:
    for column in range(max(0, n_columns - reach), n_columns):
        line = begun(reach)
        read(line, n_columns)
        assert line.oldest <= column
        state, pieces = line.go_back(column)
        assert columns_of(pieces) == pixels(line.column, column)
        assert column - line.column < KEPT_SPACING
        assert line.column == 0 if state is None else (state == line.column % 256).all()


def test_a_line_of_ink_that_goes_back_little_is_found_again() -> None:
    for column in range(152, 197):
        line = begun(45)
        for start in range(0, 196, 7):
            line.read(scores(7), STATE, pixels(start, start + 7), keep=True)
        _, pieces = line.go_back(column)
        assert columns_of(pieces) == pixels(line.column, column)


def test_changes_between_columns_are_read_again_in_order() -> None:
    line = begun(100)
    read(line, 40)
    flush(line)
    line.allow(NARROW)
    read(line, 5)
    flush(line)
    line.allow(None)
    read(line, 5)
    expected = [pixels(32, 40), 4, [0, -np.inf], pixels(40, 45), 4, None, pixels(45, 47)]
    assert go_back(line, 47) == expected
    assert go_back(line, 45) == expected[:-1]
    assert go_back(line, 44) == [*expected[:3], pixels(40, 44)]
    assert go_back(line, 39) == [pixels(32, 39)]


def test_of_consecutive_changes_the_last_is_kept() -> None:
    line = begun(100)
    for n in range(1001):
        line.allow(None if n % 2 else NARROW)
    assert len(go_back(line, 0)) == 1
    assert line.decoder.allowed is not None
    assert line.decoder.allowed.tolist() == NARROW.tolist()


def test_a_line_begins_at_a_state_of_its_oldest_column() -> None:
    line = begun(3 * KEPT_SPACING)
    read(line, 10 * KEPT_SPACING)
    assert line._kept[0].column == line.oldest == 7 * KEPT_SPACING


def test_memory_is_bounded_by_the_reach_and_not_by_the_line() -> None:
    line = begun(100)
    for _ in range(0, 20_000, 10):
        read(line, 10)
        flush(line)
    pieces = [piece for kept in line._kept for piece in kept.pieces]
    assert len(line._kept) <= 100 // KEPT_SPACING + 3
    assert len(columns_of(pieces)) < 2 * (100 + 3 * KEPT_SPACING)
    assert sum(not isinstance(piece, bytes) for piece in pieces) <= 100 // 10 + KEPT_SPACING

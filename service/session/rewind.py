"""What a rewind needs: the newest columns of a line, and snapshots of the session among them.

The net's state cannot be computed backwards. So it is copied every `SNAPSHOT_SPACING` columns, with
the decoder; the columns since then are kept too, and where between them the line was flushed or the
labels that may be answered were changed. A rewind restores the nearest snapshot before its column
and runs again what came since. The memory is bounded by how far a rewind may go back, not by the
length of the line.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding.base import Allowed, Decoder

# A state of the digits net takes 4.3 kB, 150 times its column. At one in 32 columns a session whose
# rewind may go back 512 columns keeps 95 kB, and a rewind costs at most one run of 32 columns.
SNAPSHOT_SPACING: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The line after its first `column` columns."""

    column: int
    state: NDArray[np.float32] | None  # [D]; None is the start of a line
    ink_end: int  # columns up to the last one with ink, this one included; 0 before any
    decoder: Decoder  # never stepped itself: copies of it are


@dataclass(frozen=True, slots=True)
class BlankColumns:
    """Blank columns that are no part of the line: a flush runs them."""

    n_columns: int


@dataclass(frozen=True, slots=True, eq=False)
class AllowLabels:
    """From here on these labels may be answered."""

    allowed: Allowed


Mark = BlankColumns | AllowLabels
Piece = bytes | Mark  # columns, one after another, or what happened behind them


class ColumnLog:
    """The newest columns of one line, and the snapshots and marks among them."""

    def __init__(self, column_height: int, reach: int) -> None:
        """Prepare for lines whose rewinds go back at most `reach` columns from the furthest one."""
        self._column_height = column_height
        self._reach = reach

    def begin(self, decoder: Decoder) -> None:
        """Begin a new line, for which this decoder is at the start."""
        self._snapshots = [Snapshot(0, None, 0, decoder.copy())]
        self._columns = bytearray()  # those since the oldest snapshot
        self._marks: deque[tuple[int, Mark]] = deque()  # columns before each, since then
        self._furthest = 0

    @property
    def oldest(self) -> int:
        """The first column that a rewind may go back to."""
        return max(0, self._furthest - self._reach)

    def append(self, data: bytes, column: int) -> None:
        """Add columns that were run, one after another in `data`; the line now has `column`."""
        self._columns += data
        self._furthest = max(self._furthest, column)

    def mark(self, column: int, mark: Mark) -> None:
        """Note what happened after the first `column` columns; of label changes in a row the last.

        A client may change the labels any number of times between two columns.
        """
        if isinstance(mark, AllowLabels) and self._marks:
            place, before = self._marks[-1]
            if place == column and isinstance(before, AllowLabels):
                self._marks.pop()
        self._marks.append((column, mark))

    def keep(self, snapshot: Snapshot) -> None:
        """Add a snapshot of the newest column, and drop what no rewind can need any more."""
        self._snapshots.append(snapshot)
        while len(self._snapshots) > 1 and self._snapshots[1].column < self.oldest:
            first = self._snapshots.pop(0).column
            oldest = self._snapshots[0].column
            del self._columns[: (oldest - first) * self._column_height]
            while self._marks and self._marks[0][0] < oldest:
                self._marks.popleft()

    def rewind(self, column: int) -> tuple[Snapshot, deque[Piece]]:
        """Forget `column` and all after it, which must be within reach.

        Return the snapshot to restore and the pieces to run again from there. Marks right before
        `column` stay.
        """
        start, height = self._snapshots[0].column, self._column_height
        del self._columns[(column - start) * height :]
        while self._snapshots[-1].column > column:
            self._snapshots.pop()
        while self._marks and self._marks[-1][0] > column:
            self._marks.pop()
        snapshot = self._snapshots[-1]
        pieces: deque[Piece] = deque()
        done = snapshot.column
        for place, mark in self._marks:
            if place > done:
                pieces.append(
                    bytes(self._columns[(done - start) * height : (place - start) * height])
                )
                done = place
            if place == done:
                pieces.append(mark)
        if column > done:
            pieces.append(bytes(self._columns[(done - start) * height :]))
        return snapshot, pieces

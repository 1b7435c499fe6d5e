"""What a rewind needs: the newest columns of a line, and states among them.

A state cannot be computed backwards. So a copy of it is kept every `SNAPSHOT_SPACING` columns, and
one of the decoder; beside them the columns themselves, and where between them the line was flushed
or what may be answered was changed. A rewind restores the nearest copy before its column and goes
through what came since once more. Memory is bounded by a rewind's reach, not by the
length of the line.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding.base import Allowed
from inkstream.service.session.outputs import Voice

# A state of the digits net takes 4.3 kB, 150 times its column. At one in 32 columns a session whose
# rewind may go back 512 columns keeps 95 kB, and a rewind costs at most one run of 32 columns.
SNAPSHOT_SPACING: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The stream after its first `column` columns."""

    column: int
    state: NDArray[np.float32] | None  # [D]; None is the start of a stream
    ink_end: int  # columns up to the last one with ink, this one included; 0 before any
    voice: Voice  # hears nothing itself: copies of it do


@dataclass(frozen=True, slots=True)
class Flush:
    """A flush: so many blank columns that are no part of the line."""

    n_columns: int


@dataclass(frozen=True, slots=True, eq=False)
class Allow:
    """From here on this may be answered."""

    allowed: Allowed


Mark = Flush | Allow
Piece = bytes | Mark  # columns, one after another, or what happened behind them


class History:
    """The newest columns of one line, and snapshots and marks among them."""

    def __init__(self, column_height: int, reach: int) -> None:
        """Prepare for lines whose rewinds go back at most `reach` columns from the furthest one."""
        self._column_height = column_height
        self._reach = reach

    def begin(self, voice: Voice) -> None:
        """Begin a new line with a voice that stands at its start."""
        self._snapshots = [Snapshot(0, None, 0, voice.copy())]
        self._columns = bytearray()  # those since the oldest snapshot
        self._marks: deque[tuple[int, Mark]] = deque()  # columns before each, since then
        self._furthest = 0

    @property
    def oldest(self) -> int:
        """The first column that a rewind may go back to."""
        return max(0, self._furthest - self._reach)

    def append(self, data: bytes, column: int) -> None:
        """Add read columns, one after another in `data`; `column` is their line's length now."""
        self._columns += data
        self._furthest = max(self._furthest, column)

    def mark(self, column: int, mark: Mark) -> None:
        """Note what happened after the first `column` columns; of changes in a row the last."""
        if isinstance(mark, Allow) and self._marks:
            place, before = self._marks[-1]
            if place == column and isinstance(before, Allow):
                self._marks.pop()
        self._marks.append((column, mark))

    def keep(self, snapshot: Snapshot) -> None:
        """Add a snapshot of the newest column, and let go of what no rewind can need."""
        self._snapshots.append(snapshot)
        while len(self._snapshots) > 1 and self._snapshots[1].column < self.oldest:
            first = self._snapshots.pop(0).column
            oldest = self._snapshots[0].column
            del self._columns[: (oldest - first) * self._column_height]
            while self._marks and self._marks[0][0] < oldest:
                self._marks.popleft()

    def rewind(self, column: int) -> tuple[Snapshot, deque[Piece]]:
        """Forget `column` and all after it, which must lie within reach.

        Gives the snapshot to go on from, and what to go through once more from there. What happened
        right before `column` stands.
        """
        start, height = self._snapshots[0].column, self._column_height
        del self._columns[(column - start) * height :]
        while self._snapshots[-1].column > column:
            self._snapshots.pop()
        while self._marks and self._marks[-1][0] > column:
            self._marks.pop()
        before = self._snapshots[-1]
        pieces: deque[Piece] = deque()
        done = before.column
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
        return before, pieces

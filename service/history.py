"""What a rewind needs: the newest columns of a line, and states among them.

A state cannot be computed backwards. So a copy of it is kept every `SNAPSHOT_SPACING` columns, and
the columns themselves; a rewind restores the nearest copy before its column and reads the few
columns between once more. Memory is bounded by a rewind's reach, not by the length of the line.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

# A state of the digits net takes 8.4 kB, 300 times its column. At one in 32 columns a session whose
# rewind may go back 512 columns keeps 150 kB, and a rewind costs at most one run of 32 columns.
SNAPSHOT_SPACING: Final = 32


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The stream after its first `column` columns."""

    column: int
    state: NDArray[np.float32] | None  # [D]; None is the start of a stream
    ink_end: int  # columns up to the last one with ink, this one included; 0 before any


START: Final = Snapshot(0, None, 0)


class History:
    """The newest columns of one line, and snapshots among them."""

    def __init__(self, column_height: int, reach: int) -> None:
        """Begin a line; rewinds go back at most `reach` columns from the furthest one."""
        self._column_height = column_height
        self._reach = reach
        self.clear()

    def clear(self) -> None:
        """Begin a new line."""
        self._snapshots = [START]
        self._columns = bytearray()  # those since the oldest snapshot
        self._furthest = 0

    @property
    def oldest(self) -> int:
        """The first column that a rewind may go back to."""
        return max(0, self._furthest - self._reach)

    def append(self, data: bytes, column: int) -> None:
        """Add read columns, one after another in `data`; `column` is their line's length now."""
        self._columns += data
        self._furthest = max(self._furthest, column)

    def keep(self, snapshot: Snapshot) -> None:
        """Add a snapshot of the newest column, and let go of what no rewind can need."""
        self._snapshots.append(snapshot)
        while len(self._snapshots) > 1 and self._snapshots[1].column < self.oldest:
            first = self._snapshots.pop(0).column
            del self._columns[: (self._snapshots[0].column - first) * self._column_height]

    def rewind(self, column: int) -> tuple[Snapshot, bytearray]:
        """Forget `column` and all after it, which must lie within reach.

        Gives the snapshot to go on from, and the columns to read once more from there: at least
        one, so that the answer after column `column - 1` is known again, but at 0 none.
        """
        start = self._snapshots[0].column
        del self._columns[(column - start) * self._column_height :]
        while self._snapshots[-1].column > column:
            self._snapshots.pop()
        before = next(s for s in reversed(self._snapshots) if s.column < max(column, 1))
        return before, self._columns[(before.column - start) * self._column_height :]

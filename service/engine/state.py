"""The recurrent states of many sessions in one array, addressed by slot."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

INITIAL_CAPACITY = 16  # sessions; the table doubles whenever it is full


class StateTable:
    """One row of D numbers for each session; a row of zeros is the start of a line.

    `take` returns copies, so that nothing changes the numbers of a run. A slot that is not in use
    raises `KeyError`, and nothing is changed.
    """

    def __init__(self, size: int, capacity: int = INITIAL_CAPACITY) -> None:
        self._rows = np.zeros((max(capacity, 1), size), np.float32)
        self._free = list(reversed(range(len(self._rows))))
        self._used: set[int] = set()

    def __len__(self) -> int:
        """Return how many slots are in use."""
        return len(self._used)

    def add(self) -> int:
        """Return a free slot, now in use and set to the start of a line."""
        if not self._free:
            capacity = len(self._rows)
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
            self._free = list(reversed(range(capacity, 2 * capacity)))
        slot = self._free.pop()
        self._used.add(slot)
        self._rows[slot] = 0
        return slot

    def remove(self, slot: int) -> None:
        """Free a slot."""
        self._used.remove(slot)
        self._free.append(slot)

    def take(self, slots: Sequence[int]) -> NDArray[np.float32]:
        """Return the rows of these slots, [B, D], as a copy."""
        self._check(slots)
        return self._rows[slots]

    def put(self, slots: Sequence[int], rows: NDArray[np.float32]) -> None:
        """Replace the rows of these slots by `rows` [B, D]."""
        self._check(slots)
        if rows.shape != (len(slots), self._rows.shape[1]):
            expected = (len(slots), self._rows.shape[1])
            raise ValueError(f"rows have shape {rows.shape}, expected {expected}")
        self._rows[slots] = rows

    def restore(self, slot: int, row: NDArray[np.float32] | None) -> None:
        """Replace the row of one slot by `row` [D]; None is the start of a line."""
        self.put([slot], np.zeros_like(self._rows[:1]) if row is None else row[None])

    def _check(self, slots: Sequence[int]) -> None:
        for slot in slots:
            if slot not in self._used:
                raise KeyError(f"slot {slot} is not in use")

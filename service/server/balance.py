"""Spread connections over worker processes: the one with the fewest accepts first.

All workers wait on the same listening sockets. Whichever the system happened to run first would
accept whatever waits, and WebSockets stay where they are. So each worker writes how many
connections it has into memory that all share, and one that has more than another leaves it the
next connection for a moment.
"""

import mmap
from pathlib import Path
from typing import Final

MOST_WORKERS: Final = 256  # that live at the same time, those that end included
_FILE: Final = "connections"
_COUNT_BYTES: Final = 4  # an aligned integer is written at once


class Balance:
    """The number of connections of each worker; a process that serves alone has one of its own."""

    def __init__(self, folder: Path | None = None, number: int = 0) -> None:
        """Use the file in a folder that workers share, as the one of this number, or be alone."""
        if folder is None:
            self._counts = memoryview(bytearray(_COUNT_BYTES)).cast("i")
        else:
            with (folder / _FILE).open("r+b") as file:
                self._counts = memoryview(mmap.mmap(file.fileno(), 0)).cast("i")
        self._number = number

    @staticmethod
    def create(folder: Path) -> None:
        """Create the file in the folder that workers share."""
        (folder / _FILE).write_bytes(bytes(_COUNT_BYTES * MOST_WORKERS))

    def join(self, n_connections: int) -> None:
        """Note that this worker accepts connections, and how many it has."""
        self._counts[self._number] = n_connections + 1  # 0 stands for a worker that accepts none

    def leave(self) -> None:
        """Note that this worker accepts no more connections."""
        self._counts[self._number] = 0

    def set(self, n_connections: int) -> None:
        """Note how many connections this worker has, if it accepts any."""
        if self._counts[self._number]:
            self._counts[self._number] = n_connections + 1

    def is_even(self) -> bool:
        """Return whether no worker that accepts has fewer connections than this one."""
        own = self._counts[self._number]
        return all(not 0 < count < own for count in self._counts)

"""Spread connections over worker processes: the one with the fewest accepts first.

All workers wait on the same listening sockets. Whichever the system happened to run first would
accept whatever waits, and WebSockets stay where they are. So each worker writes how many
connections it has into memory that all share, and one that has more than another leaves it the
next connection for a moment.
"""

import mmap
from pathlib import Path
from typing import Final

MAX_WORKERS: Final = 256  # that live at the same time, those that end included


class Balance:
    """The number of connections of each worker; a process that serves alone has one of its own."""

    def __init__(self, folder: Path | None = None, number: int = 0) -> None:
        """Use the file in a folder that workers share, as the one of this number, or be alone."""
        memory: bytearray | mmap.mmap = bytearray(4)
        if folder is not None:
            with (folder / "connections").open("r+b") as file:
                memory = mmap.mmap(file.fileno(), 0)
        self._counts = memoryview(memory).cast("i")  # an aligned integer is written at once
        self._number = number

    @staticmethod
    def create(folder: Path) -> None:
        """Create the file in the folder that workers share."""
        (folder / "connections").write_bytes(bytes(4 * MAX_WORKERS))

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
        count_here = self._counts[self._number]
        return all(not 0 < count < count_here for count in self._counts)

"""Where a stream stands, and the file that it is kept in."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.checkpoint import write_whole
from model.errors import InputError

_MAGIC: Final = b"inkstream state 2"  # first line of the file


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where a stream stands. It never changes, so any number of streams may go on from it."""

    row: NDArray[np.float32] = field(repr=False)  # [D], as `ColumnLSTM` says
    columns: int  # read so far
    model: str  # digest of the checkpoint that it belongs to
    heard: Mapping[str, Any] | None = field(default=None, repr=False)  # by a transcriber's decoder

    def save(self, path: str | Path) -> None:
        """Write the state to a file; raises `OSError` if that fails.

        Lines: the format, the SHA-256 of all that follows, the values as JSON; then the row's
        float32 numbers, little-endian.
        """
        known = {"model": self.model, "columns": self.columns, "heard": self.heard}
        content = json.dumps(known).encode() + b"\n" + self.row.astype("<f4").tobytes()
        write_whole(Path(path), b"\n".join([_MAGIC, _digest(content), content]))

    @classmethod
    def load(cls, path: str | Path) -> "State":
        """Read what `save` wrote; raises `InputError` for anything else, `OSError` for no file."""
        magic, _, rest = Path(path).read_bytes().partition(b"\n")
        if magic != _MAGIC:
            starts = f"it starts with {magic[:20]!r}, expected {_MAGIC!r}"
            raise InputError(f"{path} is no saved state: {starts}")
        digest, _, content = rest.partition(b"\n")
        if digest != _digest(content):
            raise InputError(f"{path} is a damaged state: its digest is another one")
        head, _, numbers = content.partition(b"\n")
        try:
            row = np.frombuffer(numbers, "<f4").astype(np.float32)
            row.flags.writeable = False
            state = cls(row, **json.loads(head))
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{path} is a damaged state: {error}") from error
        if not (isinstance(state.columns, int) and state.columns >= 0):
            got = f"columns is {state.columns!r}"
            raise InputError(f"{path} is a damaged state: {got}, expected a number from 0 on")
        return state


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()

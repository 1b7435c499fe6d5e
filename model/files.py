"""Files read and written whole, for those that are checked before they are used."""

import errno
import os
import secrets
import stat
from pathlib import Path


def read_whole(path: Path, max_bytes: int) -> bytes:
    """Return the bytes of a regular file; they stay the same whatever becomes of the file.

    Its kind and size are checked before memory is taken: a pipe or a device may never end. Raises
    `OSError`, also for a file that is of another kind or larger than `max_bytes`.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if status.st_size > max_bytes:
            text = f"it has {status.st_size} bytes, allowed: up to {max_bytes}"
            raise OSError(errno.EFBIG, text, str(path))
        return file.read(status.st_size)


def _open_at_once(path: str, flags: int) -> int:
    """Open a file; a pipe is opened even if nobody writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write, flush to the disk, rename: `path` holds the old bytes or the new, never a part.

    Several may write the same file at once: each writes its own, and the last one renamed stays.
    """
    unfinished = path.with_name(f"{secrets.token_hex(8)}.part")
    try:
        with unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)

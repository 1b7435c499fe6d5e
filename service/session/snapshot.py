"""A session at one moment, as bytes: what a client keeps so that its line can go on elsewhere.

A line is saved as its oldest kept state and what was read since. To go on, that is read again: the
net is deterministic, so its state and the decoder's come out as they were, and a rewind reaches as
far back as before. The bytes are compressed MessagePack of the classes below.
"""

import zlib
from typing import Any

import msgspec

from inkstream.service.protocol.errors import NotResumableError
from inkstream.service.session.ink import SavedInk
from inkstream.service.session.line import SavedLine


class SavedSession(msgspec.Struct, array_like=True):
    """All of a line that its later answers depend on."""

    seq: int  # the newest number
    n_messages: int  # of the line, that were processed
    text: str | None  # that the client has
    options: dict[str, Any]  # in force
    read_with: dict[str, Any]  # those that the line began with
    line: SavedLine
    ink: SavedInk | None
    sent: list[dict[str, Any]]  # events of ink that may still be withdrawn


def encode(saved: SavedSession) -> bytes:
    """Return a session as bytes."""
    # Level 1 of zlib leaves out as much of paper as higher ones, in a third of the time.
    return zlib.compress(msgspec.msgpack.encode(saved), 1)


def decode(content: bytes) -> SavedSession:
    """Return the session that `encode` wrote; raise `NotResumableError` for anything else."""
    try:
        unpacked = zlib.decompressobj().decompress(content, 1 << 25)  # bytes at most
        return msgspec.msgpack.decode(unpacked, type=SavedSession)
    except (zlib.error, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NotResumableError(f"the snapshot is of another version: {error}") from None

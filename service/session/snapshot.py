"""A session at one moment, as bytes: what a client keeps so that its line can go on elsewhere.

A line is kept as its oldest snapshot for rewinds and what came since. To resume it, the columns
since then are run again: the net is deterministic, so its state, the decoder's and the events that
may still change come out as they were, and a rewind reaches as far back as before.

The bytes are a number for the format, then MessagePack of the classes below. Pixels are packed: a
bit for each says whether it is ink, then come the values of those that are.
"""

from typing import Any, Final

import msgspec
import numpy as np

from inkstream.service.protocol.errors import NotResumableError

SIZE_BYTES: Final = 4  # of a number of bytes
FORMAT: Final = 1  # rises with every change of these classes, or of what decoders do


class SavedColumns(msgspec.Struct, array_like=True, tag="columns"):
    """So many columns, whose pixels come next in those of the line."""

    n_columns: int


class SavedBlank(msgspec.Struct, array_like=True, tag="blank"):
    """Blank columns of a flush."""

    n_columns: int


class SavedLabels(msgspec.Struct, array_like=True, tag="labels"):
    """Which labels may be answered from here on: see `Allowed`."""

    allowed: bytes | None


class SavedLine(msgspec.Struct, array_like=True):
    """A line as it was after its first `column` columns, and what came since."""

    epoch: int
    letters_before: int  # of earlier lines
    words_before: int
    furthest: int  # columns before a rewind, at the most
    column: int
    ink_end: int
    state: bytes | None  # packed; None is the start of a line
    decoder: dict[str, Any]  # see `Decoder.to_dict`
    labels: SavedLabels
    pieces: list[SavedColumns | SavedBlank | SavedLabels]
    pixels: bytes  # of all the columns of the pieces, packed


class SavedStroke(msgspec.Struct, array_like=True):
    """A stroke that may still change: see `KeptStroke`."""

    key: int | str | tuple[int]
    n_points: int
    cost: float
    columns: tuple[int, int]
    complete: bool
    wiped_from: float


class SavedInk(msgspec.Struct, array_like=True):
    """The ink of a line that is written in strokes."""

    height: float | None  # as the client says
    frame: tuple[float, float] | None  # top and height
    is_fitted: bool
    n_pieces: int
    strokes: list[SavedStroke]
    points: bytes  # of all of them, packed
    first: int  # columns before this one are forgotten
    behind: int  # columns that the pen has left behind
    waiting: bytes  # packed, the columns that were not read yet


class SavedSpans(msgspec.Struct, array_like=True):
    """The parts of strokes that an event of ink names."""

    is_word: bool
    id: int
    spans: list[tuple[int | str, int, int]]  # stroke, first point, the one after the last


class SavedSession(msgspec.Struct, array_like=True):
    """All of a session that its later messages depend on."""

    options: dict[str, Any]  # fields of `configure` that are not as at first
    hints: dict[str, Any]  # those with which the line is read, where they are others
    taken: int  # columns read in the whole session
    age_s: float
    line: SavedLine
    ink: SavedInk | None
    spans: list[SavedSpans]  # of the events of ink that may still be withdrawn


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(SavedSession)


def encode(saved: SavedSession) -> bytes:
    """Return a session as bytes."""
    return bytes([FORMAT]) + _ENCODER.encode(saved)


def decode(content: bytes) -> SavedSession:
    """Return the session that `encode` wrote; raise `NotResumableError` for anything else."""
    if content[:1] != bytes([FORMAT]):
        raise NotResumableError("the blob is of another version of this service")
    try:
        return _DECODER.decode(memoryview(content)[1:])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NotResumableError(
            f"the blob is of another version of this service: {error}"
        ) from None


def pack(data: bytes) -> bytes:
    """Return bytes of which many are 0 as fewer bytes: a bit for each says whether it is 0."""
    values = np.frombuffer(data, np.uint8)
    kept = values != 0
    parts = len(values).to_bytes(SIZE_BYTES), np.packbits(kept).tobytes(), values[kept].tobytes()
    return b"".join(parts)


def unpack(packed: bytes) -> bytes:
    """Return the bytes that `pack` packed."""
    size = int.from_bytes(packed[:SIZE_BYTES])
    found = np.frombuffer(packed, np.uint8, offset=SIZE_BYTES)
    end = -(-size // 8)
    values = np.zeros(size, np.uint8)
    values[np.unpackbits(found[:end], count=size).view(bool)] = found[end:]
    unpacked: bytes = values.tobytes()
    return unpacked


def pack_pixels(pixels: bytes) -> bytes:
    """Return pixels as fewer bytes: of most only whether they are paper or ink."""
    values = np.frombuffer(pixels, np.uint8)
    inked = values != 0
    bits = np.packbits(inked).tobytes()
    return len(values).to_bytes(SIZE_BYTES) + bits + pack((~values[inked]).tobytes())


def unpack_pixels(packed: bytes) -> bytes:
    """Return the pixels that `pack_pixels` packed."""
    size = int.from_bytes(packed[:SIZE_BYTES])
    end = SIZE_BYTES + -(-size // 8)
    inked = np.unpackbits(np.frombuffer(packed[SIZE_BYTES:end], np.uint8), count=size)
    values = np.zeros(size, np.uint8)
    values[inked.view(bool)] = ~np.frombuffer(unpack(packed[end:]), np.uint8)
    pixels: bytes = values.tobytes()
    return pixels


def pack_points(coordinates: bytes) -> bytes:
    """Return x and y of points, in 32 bits, as fewer bytes: the steps from one to the next."""
    numbers = np.frombuffer(coordinates, np.int32).reshape(-1, 2)
    steps = np.diff(numbers, axis=0, prepend=np.zeros((1, 2), np.int32))  # they may wrap around
    return pack(((steps << 1) ^ (steps >> 31)).tobytes())  # small ones have bytes that are 0


def unpack_points(packed: bytes) -> bytes:
    """Return the coordinates that `pack_points` packed."""
    folded = np.frombuffer(unpack(packed), np.uint32).reshape(-1, 2)
    steps = (folded >> 1) ^ -(folded & 1)
    coordinates: bytes = steps.cumsum(0, dtype=np.uint32).tobytes()
    return coordinates

"""A session at one moment, as bytes: what a client keeps so that its line can go on elsewhere.

A line is kept as its oldest snapshot for rewinds and what came since. To resume it, the columns
since then are run again: the net is deterministic, so its state, the decoder's and the events that
may still change come out as they were, and a rewind reaches as far back as before.

The bytes are a number for the format, then MessagePack of the classes below. Pixels and points are
packed in a few passes of numpy: zeros are left out, and bits say where they were.
"""

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from inkstream.service.protocol.errors import NotResumableError

SIZE_BYTES: Final = 4  # of a number of bytes
RUN: Final = 8  # pixels
FORMAT: Final = 2  # rises with every change of these classes, or of what decoders do


class SavedColumns(msgspec.Struct, array_like=True, tag="columns"):
    """So many columns, whose pixels come next in those of the session."""

    n_columns: int


class SavedBlank(msgspec.Struct, array_like=True, tag="blank"):
    """Blank columns of a flush."""

    n_columns: int


class SavedLabels(msgspec.Struct, array_like=True, tag="labels"):
    """Which labels may be answered from here on: see `Allowed`."""

    allowed: bytes | None


SavedPiece = SavedColumns | SavedBlank | SavedLabels


class SavedLine(msgspec.Struct, array_like=True):
    """A line as it was after its first `column` columns, and what came since."""

    epoch: int
    letters_before: int  # of earlier lines
    words_before: int
    furthest: int  # columns before a rewind, at the most
    column: int
    ink_end: int
    state: bytes | None  # None is the start of a line
    decoder: dict[str, Any]  # see `Decoder.to_dict`
    labels: SavedLabels
    pieces: list[SavedPiece]


class SavedStroke(msgspec.Struct, array_like=True):
    """A stroke that may still change: see `KeptStroke`."""

    key: int | str | tuple[int]
    n_points: int
    cost: int  # rounded
    first: int
    end: int
    complete: bool
    wiped_from: int


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
    n_taken: int  # columns that were read


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
    pixels: bytes  # packed, of the line's columns and, behind them, of those of ink to be read yet
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


def pack_pixels(pixels: bytes) -> bytes:
    """Return pixels as fewer bytes: without eight of paper in a row, any paper, and full ink."""
    padded = pixels + bytes(-len(pixels) % RUN)
    are_inked, runs = _without_zeros(np.frombuffer(padded, np.uint64))
    is_inked, inked = _without_zeros(runs.view(np.uint8))
    is_grey, greys = _without_zeros(~inked)
    size = len(pixels).to_bytes(SIZE_BYTES)
    return b"".join((size, are_inked, is_inked, is_grey, greys.tobytes()))


def unpack_pixels(packed: bytes) -> bytes:
    """Return the pixels that `pack_pixels` packed."""
    size = int.from_bytes(packed[:SIZE_BYTES])
    are_inked, rest = _places(packed[SIZE_BYTES:], -(-size // RUN))
    is_inked, rest = _places(rest, RUN * int(are_inked.sum()))
    is_grey, greys = _places(rest, int(is_inked.sum()))
    inked = ~_with_zeros(is_grey, np.frombuffer(greys, np.uint8))
    runs = _with_zeros(is_inked, inked).view(np.uint64)
    return _with_zeros(are_inked, runs).tobytes()[:size]


def pack_points(coordinates: bytes) -> bytes:
    """Return x and y of points, in 32 bits, as fewer bytes: what changes from one to the next.

    The higher half of a number changes little: bytes of these changes that are 0 are left out.
    """
    points = np.frombuffer(coordinates, np.uint64)  # x and y as one
    changes = points.copy()
    changes[1:] ^= points[:-1]
    halves = changes.view(np.uint16)
    places, values = _without_zeros(halves[1::2].copy().view(np.uint8))
    return b"".join((halves[::2].tobytes(), places, values.tobytes()))


def unpack_points(packed: bytes, n_points: int) -> bytes:
    """Return the coordinates of so many points that `pack_points` packed."""
    size = 4 * n_points  # bytes of all lower halves, and of all higher ones
    halves = np.empty(size, np.uint16)
    halves[::2] = np.frombuffer(packed[:size], np.uint16)
    places, values = _places(packed[size:], size)
    halves[1::2] = _with_zeros(places, np.frombuffer(values, np.uint8)).view(np.uint16)
    coordinates: bytes = np.bitwise_xor.accumulate(halves.view(np.uint64)).tobytes()
    return coordinates


def _without_zeros(values: NDArray[Any]) -> tuple[bytes, NDArray[Any]]:
    """Return a bit for each value, which says whether it is not 0, and those that are not."""
    kept = values != 0
    return np.packbits(kept).tobytes(), values[kept]


def _places(packed: bytes, n: int) -> tuple[NDArray[np.bool], bytes]:
    """Return which of `n` values are not 0, by the bits that come first, and the bytes behind."""
    end = -(-n // 8)
    bits = np.frombuffer(packed[:end], np.uint8)
    return np.unpackbits(bits, count=n).view(bool), packed[end:]


def _with_zeros(places: NDArray[np.bool], kept: NDArray[Any]) -> NDArray[Any]:
    """Return values of which those at these places were kept."""
    values = np.zeros(len(places), kept.dtype)
    values[places] = kept
    return values

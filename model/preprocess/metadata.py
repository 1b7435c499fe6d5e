"""Image files -> the same files without metadata, and the orientation from that metadata.

Pillow parses metadata while it opens or decodes an image, and tags that were made for it take it
seconds and hundreds of megabytes. So it gets only what decoders need, and the one tag that counts
is read here, in time that grows with the file alone.

PNG: https://www.w3.org/TR/png-3/; JPEG: ITU-T T.81, annex B; TIFF 6.0, and EXIF 2.3, which is TIFF.
"""

import io
import struct
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final

ORIENTATION: Final = 274  # tag of TIFF and of EXIF
UPRIGHT: Final = 1
_SUBFILE_TYPE: Final = 254  # its bits: 1 a thumbnail, 2 a page, 4 a mask
_NUMBERS: Final = {1: "B", 3: "H", 4: "L"}  # types of TIFF that hold a whole number

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_APP1: Final = 0xE1
_JPEG_METADATA: Final = (*range(_APP1, 0xEE), 0xEF, 0xFE)  # without JFIF's APP0, Adobe's APP14
_EXIF: Final = b"Exif\0\0"
# Tags without which a TIFF cannot be decoded. Some have a value for each strip or tile.
_TIFF_LISTS: Final = (273, 279, 324, 325, 347)
_TIFF_TAGS: Final = (
    *_TIFF_LISTS,
    *(256, 257, 258, 259, 262, 266, 277, 278, 284, 292, 293, 317, 320, 322, 323, 332, 338, 339),
    *(512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532, 50674),
)
MAX_LIST: Final = 1 << 17  # values: strips of one row, of three planes, of the highest image

Entry = tuple[int, int, int, bytes]  # tag, type, number of values, value or where values are


def without_metadata(data: bytes) -> tuple[io.BytesIO, int]:
    """Return an image file as Pillow may have it, and its orientation, 1 to 8.

    This takes no more memory than one copy of `data`. Raises `ValueError` or `struct.error` for a
    damaged TIFF. Other damage is left for the decoder.
    """
    for start, strip in _STRIPPERS.items():
        if data.startswith(start):
            file, orientation = strip(data)
            file.seek(0)
            return file, orientation
    return io.BytesIO(data), UPRIGHT


def _strip_png(data: bytes) -> tuple[io.BytesIO, int]:
    view, kept = memoryview(data), io.BytesIO()
    orientation, start = UPRIGHT, kept.write(_PNG)
    while start + 8 <= len(data):
        n_bytes, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + n_bytes  # with length, kind and checksum
        if kind in _PNG_CHUNKS:
            kept.write(view[start:end])
        elif kind == b"eXIf":
            orientation = orientation_of(data[start + 8 : end - 4])
        start = end
    return kept, orientation


def _strip_jpeg(data: bytes) -> tuple[io.BytesIO, int]:
    view, kept = memoryview(data), io.BytesIO()
    orientation, start = UPRIGHT, kept.write(view[:2])
    while 0 <= (start := data.find(b"\xff", start)) < len(data) - 3:
        marker = data[start + 1]
        if marker == 0xDA:  # start of scan: what follows is decoded, and not parsed by Pillow
            kept.write(view[start:])
            break
        if marker == 0xFF:  # a fill byte
            start += 1
            continue
        if marker < 2 or 0xD0 <= marker < 0xDA:  # stuffed bytes, TEM, RSTn, SOI, EOI
            start += 2
            continue
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        if marker not in _JPEG_METADATA:
            kept.write(view[start:end])
        elif marker == _APP1 and data.startswith(_EXIF, start + 4):
            orientation = orientation_of(data[start + 4 + len(_EXIF) : end])
        start = end
    return kept, orientation


def _read_webp(data: bytes) -> tuple[io.BytesIO, int]:
    """Return the file as it is: of WebP Pillow parses no metadata unless it is asked for it."""
    start = 12
    while start + 8 <= len(data):
        kind, n_bytes = struct.unpack_from("<4sI", data, start)
        if kind == b"EXIF":
            exif = data[start + 8 : start + 8 + n_bytes]
            return io.BytesIO(data), orientation_of(exif.removeprefix(_EXIF))
        start += 8 + n_bytes + n_bytes % 2
    return io.BytesIO(data), UPRIGHT


def _strip_tiff(data: bytes) -> tuple[io.BytesIO, int]:
    """Keep the first picture, and of its tags those that are needed, each once."""
    start, n_entries, entry, entries, _ = _directory(data)
    kept: dict[int, bytes] = {}
    for tag, kind, count, value in entries:
        if tag not in _TIFF_TAGS or tag in kept:
            continue
        if count > (MAX_LIST if tag in _TIFF_LISTS else 1024):  # a palette has 768
            raise ValueError(f"tag {tag} has {count} values")
        kept[tag] = entry.pack(tag, kind, count, value)
    no_other = bytes(max(4, n_entries.size))  # where the next picture's directory is
    directory = n_entries.pack(len(kept)) + b"".join(kept.values()) + no_other
    view = memoryview(data)
    stripped = b"".join((view[:start], directory, view[start + len(directory) :]))
    return io.BytesIO(stripped), orientation_of(data)


def tiff_pages(tiff: bytes) -> list[int]:
    """Return where the directory of each page begins; thumbnails and masks are no pages.

    The last may lie beyond the file's end: reading it raises an error, as the first one does here,
    `struct.error`.
    """
    are_pages: dict[int, bool] = {}
    start = _directory(tiff)[0]
    while start and start not in are_pages:  # else they go in a circle
        are_pages[start] = True
        try:
            *_, entries, following = _directory(tiff, start)
        except struct.error:
            break
        tag, _, _, value = next(entries, (0, 0, 0, b""))  # they are sorted, and 254 is the least
        are_pages[start] = not (tag == _SUBFILE_TYPE and any(byte & 0b101 for byte in value))
        start = following
    return [start for start, is_page in are_pages.items() if is_page]


def tiff_page(tiff: bytes, start: int) -> bytes:
    """Return the TIFF with the page first whose directory begins at `start`."""
    n_bytes = 8 if _is_big(tiff) else 4
    first = start.to_bytes(n_bytes, "little" if _byte_order(tiff) == "<" else "big")
    return tiff[:n_bytes] + first + tiff[2 * n_bytes :]


def orientation_of(tiff: bytes) -> int:
    """Return the orientation that a TIFF or the EXIF in another file tells, 1 to 8."""
    try:
        entries = _directory(tiff)[3]
    except (struct.error, ValueError):
        return UPRIGHT
    for tag, kind, count, value in entries:
        if tag == ORIENTATION and kind in _NUMBERS and count == 1:
            (orientation,) = struct.unpack_from(_byte_order(tiff) + _NUMBERS[kind], value)
            return orientation if 1 <= orientation <= 8 else UPRIGHT
    return UPRIGHT


def _directory(
    tiff: bytes, start: int | None = None
) -> tuple[int, Struct, Struct, Iterator[Entry], int]:
    """Return where the first directory begins, how its length and entries are packed, and those.

    The last value is where the next one begins, 0 if there is none. With `start` this is about the
    directory there.
    """
    order = _byte_order(tiff)
    formats = ("8xQ", "Q", "HHQ8s") if _is_big(tiff) else ("4xL", "H", "HHL4s")
    header, n_entries, entry = (Struct(order + text) for text in formats)
    if start is None:
        (start,) = header.unpack_from(tiff)
    (n,) = n_entries.unpack_from(tiff, min(start, len(tiff)))
    first = start + n_entries.size
    end = first + n * entry.size
    following = tiff[end : end + header.size // 2]
    n = min(n, (len(tiff) - first) // entry.size)
    entries = entry.iter_unpack(memoryview(tiff)[first : first + n * entry.size])
    after = int.from_bytes(following, "little" if order == "<" else "big")
    return start, n_entries, entry, entries, after


def _is_big(tiff: bytes) -> bool:
    """Return whether this is a BigTIFF, whose addresses have 8 bytes."""
    return 43 in tiff[2:4]


def _byte_order(tiff: bytes) -> str:
    return "<" if tiff.startswith(b"II") else ">"


_STRIPPERS: Final[dict[bytes, Callable[[bytes], tuple[io.BytesIO, int]]]] = {
    _PNG: _strip_png,
    b"\xff\xd8": _strip_jpeg,
    b"RIFF": _read_webp,
    b"II": _strip_tiff,
    b"MM": _strip_tiff,
}

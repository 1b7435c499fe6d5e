"""Image files whose metadata is dear to parse, or to warn of."""

import struct
import zlib

from PIL import Image

from tests.helpers import image_files

RATIONAL = 5
SHORT = 3
ORIENTATION = 274
SIDE = 28
WHITE = b"\xff" * SIDE * SIDE


def directory(*entries: tuple[int, int, int, int]) -> bytes:
    """Return a directory of TIFF with entries of tag, type, number of values, and value."""
    packed = [struct.pack("<HHLL", *entry) for entry in sorted(entries)]
    return struct.pack("<H", len(packed)) + b"".join(packed) + bytes(4)


def tiff(n_values: int, tag: int = ORIENTATION) -> bytes:
    """Return a white TIFF with so many rationals in one tag."""
    values = struct.pack("<LL", 1, 3) * n_values
    sides = [(tag, SHORT, 1, SIDE) for tag in (256, 257, 278)]
    others = [(258, SHORT, 1, 8), *((tag, SHORT, 1, 1) for tag in (259, 262, 277))]
    strip = [(273, 4, 1, 8), (279, 4, 1, len(WHITE))]
    many = (tag, RATIONAL, n_values, 8 + len(WHITE))
    header = b"II*\0" + struct.pack("<L", 8 + len(WHITE) + len(values))
    return header + WHITE + values + directory(*sides, *others, *strip, many)


def png(n_values: int) -> bytes:
    """Return a small white PNG whose orientation has so many values, packed as text."""
    exif = b"Exif\0\0II*\0\x08\0\0\0" + directory((ORIENTATION, SHORT, n_values, 26))
    exif += struct.pack("<H", 6) * n_values
    text = b"\nexif\n%8d\n" % len(exif) + exif.hex().encode()
    profile = b"Raw profile type exif\0\0" + zlib.compress(text, 9)
    header = b"IHDR" + struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    rows = b"IDAT" + zlib.compress((b"\0" + b"\xff" * SIDE) * SIDE)
    return image_files.png(header, b"zTXt" + profile, rows, b"IEND")


def jpeg(n_tags: int) -> bytes:
    """Return a small white JPEG with tags that promise more than the file has."""
    file = image_files.encoded(Image.new("L", (SIDE, SIDE), 255), "JPEG")
    tags = directory(*((1000 + i, SHORT, 60_000 + i, 0) for i in range(n_tags)))
    exif = b"Exif\0\0II*\0\x08\0\0\0" + tags
    tables = file[file.index(b"\xff\xdb") :]  # without JFIF's resolution
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + tables

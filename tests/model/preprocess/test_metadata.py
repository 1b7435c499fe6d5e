"""Metadata of image files: the orientation counts, and nothing of the rest costs anything."""

import io
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkstream.model.errors import ImageError
from inkstream.model.preprocess.image import read_image, upright_size
from inkstream.model.preprocess.metadata import without_metadata
from tests.helpers import hard_metadata

ON_ITS_SIDE = 6
OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "JPEG": {"quality": 100},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_lzw", "description": "a" * 100},
    "TIFF for large files": {"big_tiff": True},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_orientation_is_read_in_all_formats_that_have_one(name: str) -> None:
    upright = np.full((30, 40), 255, np.uint8)
    upright[:10, :10] = 0
    stored = np.ascontiguousarray(upright.T[::-1])
    exif, file = Image.Exif(), io.BytesIO()
    exif[274] = ON_ITS_SIDE
    exif[0x010F] = "a camera"
    Image.fromarray(stored).save(file, name.split(maxsplit=1)[0], exif=exif, **OPTIONS[name])
    assert upright_size(file.getvalue()) == (40, 30)
    assert abs(read_image(file.getvalue()).astype(int) - upright).max() < 10


@pytest.mark.parametrize(
    "content",
    [hard_metadata.tiff(200_000), hard_metadata.png(65_000), hard_metadata.jpeg(5_000)],
    ids=["TIFF", "PNG", "JPEG"],
)
def test_metadata_that_is_dear_to_parse_is_not_parsed(content: bytes) -> None:
    started_s = time.process_time()
    assert upright_size(content) == (28, 28)
    assert read_image(content).min() > 250
    assert time.process_time() - started_s < 0.5  # it took seconds, and warned of each tag


MANY: dict[str, bytes] = {
    "chunks of a PNG": b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0IDAT\0\0\0\0" * 80_000,
    "segments of a JPEG": b"\xff\xd8" + b"\xff\xdb\0\2" * 250_000,
    "entries of a large TIFF": b"II+\0\x08\0\0\0\x10" + bytes(7) + b"\xff" * 1_000_000,
    "values in a TIFF": hard_metadata.tiff(125_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MANY)
def test_removing_metadata_takes_no_more_memory_than_a_copy(name: str) -> None:
    data = MANY[name]
    tracemalloc.start()
    try:
        without_metadata(data)
        assert tracemalloc.get_traced_memory()[1] < 1.3 * len(data)
    finally:
        tracemalloc.stop()


def test_a_tag_that_a_tiff_needs_has_no_more_values_than_it_can_need() -> None:
    broken = bytearray(hard_metadata.tiff(1))
    count = broken.index(b"\x02\x01\x03\x00") + 4
    broken[count : count + 4] = (2_000_000_000).to_bytes(4, "little")
    with pytest.raises(ImageError, match="tag 258 has 2000000000 values"):
        read_image(bytes(broken))


@pytest.mark.parametrize(
    "start", [b"II*\0", b"MM\0+", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF"]
)
@pytest.mark.parametrize("more", [b"", b"\xff" * 40, bytes(40), b"\xff\x01" * 20])
def test_files_that_end_too_early_are_refused(start: bytes, more: bytes) -> None:
    with pytest.raises(ImageError):
        read_image(start + more)

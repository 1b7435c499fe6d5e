"""Images that are damaged, or too large: a clear error, and never much memory."""

import struct
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inkstream.model.errors import ImageError, ImageSizeError
from inkstream.model.preprocess.image import MAX_PIXELS, MAX_SIDE, read_image, upright_size
from tests.helpers.image_files import encoded, picture, png_without_pixels

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning:PIL")]


# Damage


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x00\x00\x01\x00\x01\x00",  # ICO, which Pillow could read
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
)
def test_the_error_of_a_file_that_is_no_image_names_the_formats(content: bytes) -> None:
    with pytest.raises(ImageError, match="not an image that is read; expected PNG, JPEG"):
        read_image(content)


def test_a_text_named_like_a_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_text("I am a picture")
    with pytest.raises(ImageError, match="not an image"):
        read_image(path)


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@given(share=st.floats(0, 0.9))
def test_a_truncated_file_is_refused(format_name: str, share: float) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8))
    content = encoded(noise, format_name)
    with pytest.raises(ImageError):
        read_image(content[: int(len(content) * share)])


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@given(data=st.data())
def test_flipped_bytes_give_pixels_or_a_clear_error(format_name: str, data: st.DataObject) -> None:
    content = bytearray(encoded(Image.fromarray(picture()).convert("RGB"), format_name))
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.one_of(st.integers(0, 64), st.integers(0, len(content) - 1)))
        content[min(position, len(content) - 1)] = data.draw(st.integers(0, 255))
    try:
        grey = read_image(bytes(content))
    except ImageError:
        return
    assert grey.dtype == np.uint8
    assert grey.ndim == 2


def test_a_png_with_only_a_header_is_refused() -> None:
    header = png_without_pixels(28, 28)
    with pytest.raises(ImageError, match="damaged"):
        read_image(header)
    with pytest.raises(ImageError, match="not an image that is read"):
        read_image(header[:33])


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(ImageError):
        read_image(png_without_pixels(0, 0))
    with pytest.raises(ImageError, match="0 x 5 pixels, expected at least 1 x 1"):
        read_image(Image.new("L", (0, 5)))


# Size


@pytest.mark.parametrize("side", [11_586, 12_248, 40_000])
@pytest.mark.parametrize("bomb_warning", ["error", "ignore"])
def test_too_many_pixels_are_refused_by_the_header(side: int, bomb_warning: Any) -> None:
    warnings.simplefilter(bomb_warning, Image.DecompressionBombWarning)
    with pytest.raises(ImageSizeError, match=f"at most {MAX_PIXELS}"):
        read_image(png_without_pixels(side, side))


def test_the_caller_sets_the_limit() -> None:
    file = encoded(Image.fromarray(picture()), "PNG")
    with pytest.raises(ImageSizeError, match="40 x 30 pixels, 1200 in all; at most 1199"):
        read_image(file, max_pixels=1199)
    assert read_image(file, max_pixels=1200).shape == (30, 40)
    with pytest.raises(ImageSizeError):
        read_image(picture(), max_pixels=1199)


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (1, 2000), (2000, 1), (1025, 7), (2047, 2049), (16_384, 1024)]
)
def test_large_images_are_reduced_by_averaging(width: int, height: int) -> None:
    grey = np.zeros((height, width), np.uint8)
    grey[:, width // 2 :] = 200
    found = read_image(encoded(Image.fromarray(grey), "PNG"))
    assert max(found.shape) <= MAX_SIDE
    assert abs(float(found.mean()) - float(grey.mean())) < 2


def test_a_tile_larger_than_its_image_counts_with_the_images_size() -> None:
    side, data = 16_384, zlib.compress(b"")
    tags = {256: 1, 257: 1, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side}
    tags |= {324: 8 + 2 + 12 * 10 + 4, 325: len(data)}  # where the tile starts, and its bytes
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    file = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data
    with pytest.raises(ImageSizeError, match="16384 x 16384 pixels"):
        read_image(file)


def test_narrow_images_may_have_fewer_pixels_because_each_row_costs_a_pointer() -> None:
    with pytest.raises(ImageSizeError, match=r"1 x 60000000 pixels, .*; at most 59652323"):
        read_image(png_without_pixels(1, 60_000_000))
    with pytest.raises(ImageSizeError, match=r"1 x 100 pixels, .*; at most 99"):
        read_image(png_without_pixels(1, 100), max_pixels=99)
    with pytest.raises(ImageSizeError):  # before it is decoded for its orientation
        upright_size(png_without_pixels(1, 60_000_000))
    assert read_image(encoded(Image.new("L", (16_000, 1000)), "PNG")).size


def test_a_ppm_with_a_long_header_is_refused_at_once() -> None:
    assert read_image(b"P5\n#" + b"a" * 4000 + b"\n1 1\n255\n\0").shape == (1, 1)
    started_s = time.process_time()
    with pytest.raises(ImageError, match="damaged"):
        read_image(b"P5\n#" + b"a" * 15_000_000 + b"\n1 1\n255\n\0")
    assert time.process_time() - started_s < 0.5  # all of the header would take seconds


KINDS: dict[str, tuple[float, str, str, dict[str, Any]]] = {  # with bytes that a pixel may take
    "grey.png": (1, "L", "PNG", {"compress_level": 1}),
    "rgba.png": (4, "RGBA", "PNG", {"compress_level": 1}),
    "deep.png": (2, "I;16", "PNG", {"compress_level": 1}),
    "rgb.bmp": (4, "RGB", "BMP", {}),
    "baseline.jpg": (1, "RGB", "JPEG", {"quality": 30, "subsampling": 0}),
    "progressive.jpg": (4, "RGB", "JPEG", {"progressive": True, "quality": 30}),
    "4:4:4.jpg": (7, "RGB", "JPEG", {"progressive": True, "quality": 30, "subsampling": 0}),
    "cmyk.jpg": (12, "CMYK", "JPEG", {"progressive": True, "quality": 30}),
    "deep strip.tiff": (4, "I;16", "TIFF", {"compression": "tiff_lzw", "strip_size": 1 << 27}),
    "one strip.tiff": (8, "RGBA", "TIFF", {"compression": "tiff_deflate", "strip_size": 1 << 27}),
    "strips.tiff": (4, "RGB", "TIFF", {"compression": "tiff_lzw"}),
    "bits.tiff": (1, "1", "TIFF", {"compression": "group4"}),
    "rgb.webp": (18, "RGB", "WEBP", {"quality": 1, "method": 0}),
    "palette.gif": (2, "P", "GIF", {}),
    "rgb.jp2": (20, "RGB", "JPEG2000", {}),
    "rgb.avif": (12, "RGB", "AVIF", {"speed": 10}),
}

MEASURE = """
import sys
from PIL import Image
from inkstream.model.errors import ImageSizeError
from inkstream.model.preprocess.image import read_image
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
Image.init()
content = open(sys.argv[1], "rb").read()
before = peak()
try:
    read_image(content)
except ImageSizeError:
    pass
print((peak() - before) * 1024)
"""


def growth_of(path: Path) -> int:
    """Return the bytes by which a process grows that reads an image."""
    command = [sys.executable, "-c", MEASURE, str(path)]
    measured = subprocess.run(command, capture_output=True, check=True, text=True, timeout=120)
    return int(measured.stdout)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [2000, 5000])
def test_no_image_takes_more_memory_than_its_kind_may(tmp_path: Path, kind: str, side: int) -> None:
    bytes_per_pixel, mode, format_name, options = KINDS[kind]
    path = tmp_path / "large"
    Image.new(mode, (side, side)).save(path, format_name, **options)
    assert growth_of(path) < 60_000_000 + bytes_per_pixel * side**2


def test_the_largest_image_takes_no_more_than_a_page_worker_has(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGBA", (12_000, 11_000)).save(path, compress_level=1)
    assert 400_000_000 < growth_of(path) < 600_000_000


@pytest.mark.parametrize("kind", ["rgb.webp", "cmyk.jpg", "one strip.tiff", "rgb.avif"])
def test_formats_that_take_more_memory_may_have_fewer_pixels(tmp_path: Path, kind: str) -> None:
    _, mode, format_name, options = KINDS[kind]
    file = encoded(Image.new(mode, (2100, 2000)), format_name, **options)
    assert read_image(file, max_pixels=2100 * 2000).size
    larger = encoded(Image.new(mode, (4800, 4700)), format_name, **options)
    with pytest.raises(ImageSizeError, match="4800 x 4700 pixels, 22560000 in all; at most"):
        read_image(larger, max_pixels=22_560_000)


def test_a_jpeg_2000_that_is_too_large_is_decoded_at_half_its_size() -> None:
    large = Image.fromarray(picture()).resize((4000, 3000)).convert("RGB")
    file = encoded(large, "JPEG2000")
    assert upright_size(file, max_pixels=12_000_000) == (4000, 3000)
    half, whole = (read_image(file, n, 4000, 3_000_000) for n in (12_000_000, 1 << 27))
    assert half.shape == whole.shape == (1500, 2000)
    assert abs(half.astype(int) - whole).mean() < 1
    alone = encoded(large, "JPEG2000", num_resolutions=1)
    with pytest.raises(ImageSizeError, match="at most"):
        read_image(alone, max_pixels=12_000_000)

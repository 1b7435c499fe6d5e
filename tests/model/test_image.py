"""Image files of every kind: the right pixels or a clear error, and never much memory."""

import io
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from model.errors import ImageError, ImageSizeError
from model.image import MAX_PIXELS, MAX_SIDE, ImageSource, read_image

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def picture(height: int = 30, width: int = 40) -> NDArray[np.uint8]:
    """Dark ink in the upper left quarter of light paper: every turn of it looks different."""
    grey = np.full((height, width), 240, np.uint8)
    grey[2 : height // 2, 3 : width // 4] = 16
    return grey


def encoded(image: Image.Image, format_name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def png_without_pixels(width: int, height: int) -> bytes:
    """A PNG file that says its size, begins its pixels, and ends."""
    return png(b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"IDAT")


def png(*chunks: bytes) -> bytes:
    """A PNG file of chunks that are given as their type and content."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )


# Kinds of files


@pytest.mark.parametrize("format_name", ["PNG", "GIF", "BMP", "TIFF", "PPM"])
def test_lossless_formats_give_the_very_pixels(format_name: str) -> None:
    assert np.array_equal(read_image(encoded(Image.fromarray(picture()), format_name)), picture())


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_gives_nearly_the_pixels(options: dict[str, Any]) -> None:
    found = read_image(encoded(Image.fromarray(picture()).convert("RGB"), "JPEG", **options))
    assert abs(found.astype(int) - picture()).mean() < 4


def test_webp_gives_the_pixels() -> None:
    found = read_image(encoded(Image.fromarray(picture()).convert("RGB"), "WEBP", lossless=True))
    assert np.array_equal(found, picture())


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "I;16", "F"])
def test_every_mode_gives_the_same_picture(mode: str) -> None:
    black_and_white = Image.fromarray(np.where(picture() > 128, 255, 0).astype(np.uint8))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(black_and_white).astype(np.uint16) * 257)
    else:
        image = black_and_white.convert(mode)
    assert image.mode == mode
    assert np.array_equal(read_image(image), np.asarray(black_and_white))


def test_sixteen_bits_are_read_in_png_and_tiff() -> None:
    deep = picture().astype(np.uint16) * 100 + 7
    expected = np.where(picture() > 128, 255, 0)
    for format_name in ("PNG", "TIFF"):
        found = read_image(encoded(Image.fromarray(deep), format_name))
        assert np.array_equal(found, expected), format_name


def test_grey_with_alpha_in_sixteen_bits_is_read() -> None:
    grey = picture().astype(">u2") * 257
    rows = np.stack([grey, np.full_like(grey, 65535)], 2)
    header = b"IHDR" + struct.pack(">IIBBBBB", 40, 30, 16, 4, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    assert np.array_equal(read_image(png(header, data, b"IEND")), picture())


def test_a_cmyk_jpeg_is_read() -> None:
    found = read_image(encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG", quality=95))
    assert abs(found.astype(int) - picture()).mean() < 6


def test_a_palette_with_transparency_shows_its_paper() -> None:
    image = Image.new("P", (40, 30), 0)
    image.putpalette([255, 0, 255, 0, 0, 0])
    image.paste(1, (3, 2, 10, 15))
    found = read_image(encoded(image, "PNG", transparency=0))
    assert np.array_equal(found, np.where(picture() < 128, 0, 255))


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)])
def test_ink_on_nothing_gets_paper_that_shows_it(ink: int, paper: int) -> None:
    image = Image.new("LA", (40, 30), (ink, 0))
    image.paste((ink, 255), (3, 2, 10, 15))
    assert np.array_equal(read_image(image), np.where(picture() < 128, ink, paper))


def test_paper_goes_on_where_a_sheet_is_cut_off() -> None:
    image = Image.fromarray(picture()).convert("LA")
    image.paste((0, 0), (30, 0, 40, 30))
    assert np.array_equal(read_image(image), picture())


def test_the_first_picture_of_an_animation_counts() -> None:
    first, second = Image.fromarray(picture()), Image.fromarray(255 - picture())
    for format_name in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if format_name == "WEBP" else {}
        file = encoded(first, format_name, save_all=True, append_images=[second], **options)
        assert np.array_equal(read_image(file), picture()), format_name


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, picture()),
        (2, picture()[:, ::-1]),
        (3, picture()[::-1, ::-1]),
        (4, picture()[::-1]),
        (5, picture().T),
        (6, picture().T[::-1]),
        (7, picture()[::-1, ::-1].T),
        (8, picture().T[:, ::-1]),
        (9, picture()),
    ],
)
def test_exif_turns_the_picture_upright(orientation: int, stored: NDArray[np.uint8]) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    assert np.array_equal(read_image(encoded(image, "PNG", exif=exif)), picture())


# Sources


def test_paths_bytes_images_and_arrays_are_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(picture()).save(path)
    sources: list[ImageSource] = [path, str(path), path.read_bytes(), Image.open(path), picture()]
    for source in sources:
        assert np.array_equal(read_image(source), picture())


@pytest.mark.parametrize(
    "array",
    [
        picture().astype(np.int64),
        picture().astype(np.uint16),
        np.stack([picture()] * 3, 2),
        picture().astype(np.float32) / 255,
        picture().astype(np.float64) / 255,
        np.asfortranarray(picture()),
    ],
    ids=["int64", "uint16", "rgb", "float32", "float64", "fortran"],
)
def test_arrays_of_many_types_mean_the_same_pixels(array: NDArray[Any]) -> None:
    assert np.array_equal(read_image(array), picture())


def test_numbers_of_another_range_are_stretched() -> None:
    expected = np.where(picture() > 128, 255, 0)
    assert np.array_equal(read_image(picture() > 128), expected)
    assert np.array_equal(read_image(picture() * 3.5 - 1000), expected)
    assert not read_image(np.full((3, 3), -7.5)).any()


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((0, 3), np.uint8), r"shape \(0, 3\)"),
        (np.zeros(5, np.uint8), r"shape \(5,\) of uint8, expected \[h, w\]"),
        (np.zeros((2, 2, 2), np.uint8), r"shape \(2, 2, 2\)"),
        (np.zeros((2, 2, 3)), r"shape \(2, 2, 3\) of float64"),
        (np.array([["a"]]), "shape"),
        (np.array([[np.nan, 1]]), "not finite"),
        (np.array([[np.inf, 1]]), "not finite"),
        (np.array([[1j]]), "complex128"),
    ],
)
def test_arrays_that_are_no_images_are_refused(array: NDArray[Any], said: str) -> None:
    with pytest.raises(ImageError, match=said):
        read_image(array)


def test_a_file_that_is_missing_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.png cannot be read: No such file"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="cannot be read: Is a directory"):
        read_image(tmp_path)


# Damage


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x00\x00\x01\x00\x01\x00",  # ICO: a kind that Pillow knows and we do not read
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
)
def test_what_is_no_image_is_answered_with_what_is_read(content: bytes) -> None:
    with pytest.raises(ImageError, match="not an image that is read; expected PNG, JPEG"):
        read_image(content)


def test_a_text_that_calls_itself_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_text("I am a picture")
    with pytest.raises(ImageError, match="not an image"):
        read_image(path)


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@given(share=st.floats(0, 0.9))
def test_a_truncated_file_is_never_read_as_half_a_picture(format_name: str, share: float) -> None:
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
        place = data.draw(st.one_of(st.integers(0, 64), st.integers(0, len(content) - 1)))
        content[min(place, len(content) - 1)] = data.draw(st.integers(0, 255))
    try:
        grey = read_image(bytes(content))
    except ImageError:
        return
    assert grey.dtype == np.uint8
    assert grey.ndim == 2


def test_a_png_with_nothing_but_its_header_is_refused() -> None:
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


@pytest.mark.parametrize("side", [4097, 12_248, 40_000])
@pytest.mark.parametrize("bomb_warning", ["error", "ignore"])
def test_too_many_pixels_are_refused_by_the_header(side: int, bomb_warning: Any) -> None:
    warnings.simplefilter(bomb_warning, Image.DecompressionBombWarning)
    with pytest.raises(ImageSizeError, match=r"at most 16777216"):
        read_image(png_without_pixels(side, side))


def test_the_limit_is_the_callers() -> None:
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


def test_a_tile_larger_than_its_image_counts_as_the_image() -> None:
    side, data = 8192, zlib.compress(bytes(8192 * 8192))
    tags = {256: 1, 257: 1, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side}
    tags |= {324: 8 + 2 + 12 * 10 + 4, 325: len(data)}  # where the tile starts, and its bytes
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    file = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data
    with pytest.raises(ImageSizeError, match="8192 x 8192 pixels"):
        read_image(file)


KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "rgba.png": ("RGBA", "PNG", {"compress_level": 1}),
    "rgb.bmp": ("RGB", "BMP", {}),
    "progressive.jpg": ("RGB", "JPEG", {"progressive": True, "quality": 30}),
    "4:4:4.jpg": ("RGB", "JPEG", {"progressive": True, "quality": 30, "subsampling": 0}),
    "cmyk.jpg": ("CMYK", "JPEG", {"progressive": True, "quality": 30}),
    "deep strip.tiff": ("I;16", "TIFF", {"compression": "tiff_lzw", "strip_size": 1 << 27}),
    "one strip.tiff": ("RGBA", "TIFF", {"compression": "tiff_deflate", "strip_size": 1 << 27}),
    "rgb.webp": ("RGB", "WEBP", {"quality": 1, "method": 0}),
    "palette.gif": ("P", "GIF", {}),
    "deep.png": ("I;16", "PNG", {"compress_level": 1}),
}

MEASURE = """
import sys
from PIL import Image
from model.errors import ImageSizeError
from model.image import read_image
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [2000, 4096])
def test_no_image_takes_more_than_90_megabytes(tmp_path: Path, kind: str, side: int) -> None:
    mode, format_name, options = KINDS[kind]
    assert side * side <= MAX_PIXELS
    path = tmp_path / "large"
    Image.new(mode, (side, side)).save(path, format_name, **options)
    command = [sys.executable, "-c", MEASURE, str(path)]
    measured = subprocess.run(command, capture_output=True, check=True, text=True, timeout=120)
    assert int(measured.stdout) < 90_000_000

"""Image files and arrays of every kind give the right pixels."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.errors import ImageError
from inkstream.model.preprocess.columns import line_columns
from inkstream.model.preprocess.image import ImageSource, read_image
from tests.helpers.image_files import encoded, picture, png

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


# Kinds of files


@pytest.mark.parametrize("format_name", ["PNG", "GIF", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats_give_the_exact_pixels(format_name: str) -> None:
    options = {"lossless": True} if format_name == "WEBP" else {}
    file = encoded(Image.fromarray(picture()), format_name, **options)
    assert np.array_equal(read_image(file), picture())


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("RGB", {"progressive": True}),
        ("RGB", {"subsampling": 0}),
        ("CMYK", {"quality": 95}),
    ],
)
def test_jpeg_gives_nearly_the_pixels(mode: str, options: dict[str, Any]) -> None:
    pixels = read_image(encoded(Image.fromarray(picture()).convert(mode), "JPEG", **options))
    assert abs(pixels.astype(int) - picture()).mean() < 4


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "I;16", "F"])
def test_every_mode_gives_the_same_picture(mode: str) -> None:
    black_and_white = Image.fromarray(np.where(picture() > 128, 255, 0).astype(np.uint8))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(black_and_white).astype(np.uint16) * 257)
    else:
        image = black_and_white.convert(mode)
    assert image.mode == mode
    assert np.array_equal(read_image(image), np.asarray(black_and_white))


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
def test_sixteen_bits_are_read(format_name: str) -> None:
    deep = Image.fromarray(picture().astype(np.uint16) * 100 + 7)
    expected = np.where(picture() > 128, 255, 0)
    assert np.array_equal(read_image(encoded(deep, format_name)), expected)


def test_grey_with_alpha_in_sixteen_bits_is_read() -> None:
    grey = picture().astype(">u2") * 257
    rows = np.stack([grey, np.full_like(grey, 65535)], 2)
    header = b"IHDR" + struct.pack(">IIBBBBB", 40, 30, 16, 4, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    assert np.array_equal(read_image(png(header, data, b"IEND")), picture())


def test_a_palette_with_transparency_shows_its_paper() -> None:
    image = Image.new("P", (40, 30), 0)
    image.putpalette([255, 0, 255, 0, 0, 0])
    image.paste(1, (3, 2, 10, 15))
    found = read_image(encoded(image, "PNG", transparency=0))
    assert np.array_equal(found, np.where(picture() < 128, 0, 255))


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)])
def test_ink_on_a_transparent_background_gets_contrasting_paper(ink: int, paper: int) -> None:
    image = Image.new("LA", (40, 30), (ink, 0))
    image.paste((ink, 255), (3, 2, 10, 15))
    assert np.array_equal(read_image(image), np.where(picture() < 128, ink, paper))


def test_transparent_parts_are_filled_with_paper() -> None:
    image = Image.fromarray(picture()).convert("LA")
    image.paste((0, 0), (30, 0, 40, 30))
    assert np.array_equal(read_image(image), picture())


def test_the_first_image_of_an_animation_is_read() -> None:
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


def test_values_of_another_range_are_stretched() -> None:
    expected = np.where(picture() > 128, 255, 0)
    assert np.array_equal(read_image(picture() > 128), expected)
    assert np.array_equal(read_image(picture() * 3.5 - 1000), expected)
    assert not read_image(np.full((3, 3), -7.5)).any()


def test_a_few_extreme_pixels_do_not_hide_the_ink() -> None:
    dim = np.where(picture() > 128, 3040, 1000).astype(np.uint16)
    dim[20, 30] = 65535
    found = read_image(encoded(Image.fromarray(dim), "PNG"))
    assert np.array_equal(found, np.where(picture() > 128, 255, 0))


@pytest.mark.parametrize(
    "deep",
    [
        np.random.default_rng(0).integers(60_000, 60_004, (60, 300)),
        np.random.default_rng(0).integers(0, 4, (60, 300)),
        np.random.default_rng(0).normal(60_000, 150, (60, 300)),
        np.full((60, 300), 60_000) + np.arange(300) // 100,
    ],
    ids=["steps", "black", "noise", "shade"],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "array"])
def test_blank_paper_of_sixteen_bits_is_refused_too(deep: NDArray[Any], kind: str) -> None:
    paper = deep.astype(np.uint16)
    source = paper if kind == "array" else encoded(Image.fromarray(paper), kind)
    with pytest.raises(ImageError, match="blank"):
        line_columns(source, 32)


@pytest.mark.parametrize("deviation", [0, 20, 60])
def test_dim_ink_of_sixteen_bits_is_seen(deviation: int) -> None:
    ink = np.where(picture() > 128, 3040, 2000) + np.zeros((30, 40))
    ink += np.random.default_rng(0).normal(0, deviation, ink.shape)
    found = read_image(encoded(Image.fromarray(ink.astype(np.uint16)), "PNG")).astype(float)
    dark, light = found[picture() <= 128], found[picture() > 128]
    assert light.mean() - dark.mean() > 5 * light.std()
    assert light.mean() - dark.mean() > 100


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((0, 3), np.uint8), r"shape \(0, 3\)"),
        (np.zeros(5, np.uint8), r"shape \(5,\) of uint8, expected \[h, w\]"),
        (np.zeros((2, 2, 2), np.uint8), r"shape \(2, 2, 2\)"),
        (np.zeros((2, 2, 3)), r"shape \(2, 2, 3\) of float64"),
        (np.array([["a"]]), "shape"),
        (np.array([[np.nan, 1]]), "holds nan, expected finite numbers"),
        (np.array([[np.inf, 1]]), "holds inf, expected finite numbers"),
        (np.array([[1j]]), "complex128"),
    ],
)
def test_arrays_that_are_no_images_are_refused(array: NDArray[Any], text: str) -> None:
    with pytest.raises(ImageError, match=text):
        read_image(array)


def test_a_missing_file_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.png cannot be read: No such file"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="cannot be read: Is a directory"):
        read_image(tmp_path)

"""Documents are split into images, one for each page; damaged ones raise a clear error."""

import io
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkstream.model.errors import ImageError, ImageSizeError
from inkstream.model.preprocess.documents import pages_of
from inkstream.model.preprocess.image import read_image
from tests.helpers.documents import ENCRYPTED, blank_pdf, saved
from tests.helpers.image_files import encoded, picture

SHADES = (0, 120, 240)


def shades(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> list[Image.Image]:
    """Return a grey image for each shade."""
    return [Image.new("L", size, shade).convert(mode) for shade in SHADES]


@pytest.mark.parametrize(
    ("format_name", "options"),
    [
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"big_tiff": True}),
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {}),
        ("PDF", {}),
    ],
)
@pytest.mark.parametrize("is_path", [False, True])
def test_each_page_of_a_document_is_read(
    tmp_path: Path, format_name: str, options: dict[str, object], is_path: bool
) -> None:
    content, path = saved(shades(), format_name, **options), tmp_path / "document"
    path.write_bytes(content)
    pages = pages_of(path if is_path else content)
    assert (len(pages), pages.is_document) == (3, True)
    tones = [float(np.median(read_image(page))) for page in pages]
    assert tones == pytest.approx(SHADES, abs=6)
    assert float(np.median(read_image(pages.page(1)))) == pytest.approx(120, abs=6)


def test_an_image_of_one_page_is_given_as_it_came(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(picture()).save(path)
    tiff = encoded(Image.fromarray(picture()), "TIFF")
    image, array = Image.fromarray(picture()), picture()
    for source in (path, str(path), path.read_bytes(), tiff, array, image, b"text", "missing.png"):
        pages = pages_of(source)
        (page,) = pages
        assert page is source
        assert not pages.is_document


def test_thumbnails_and_masks_in_a_tiff_are_no_pages() -> None:
    first, *others = shades()
    file = io.BytesIO()
    for image, kind in zip((first, *others), (0, 1, 4), strict=True):
        image.encoderinfo = {"tiffinfo": {254: kind}}
    first.save(file, "TIFF", save_all=True, append_images=others, tiffinfo={254: 0})
    assert not pages_of(file.getvalue()).is_document


def test_a_damaged_page_spares_the_others() -> None:
    content = saved(shades(), "TIFF", compression="tiff_lzw")
    pages = pages_of(content[: len(content) * 2 // 3])
    read_image(pages.page(0))
    with pytest.raises(ImageError, match="damaged"):
        read_image(pages.page(len(pages) - 1))


def test_pages_of_a_pdf_are_drawn_with_enough_rows() -> None:
    a5, a3 = (420.0, 595.0), (842.0, 1191.0)
    large, turned = blank_pdf(a5, a3, (4960, 7016), (8192, 8192)), blank_pdf(a5, rotation=90)
    sizes = [page.size for page in pages_of(large) if isinstance(page, Image.Image)]
    assert sizes[0] == pytest.approx((1712, 2424), abs=9)  # 294 dots an inch
    assert all(width * height <= 1 << 22 for width, height in sizes)
    assert sizes[2][1] > 2400
    assert [page.size for page in pages_of(turned) if isinstance(page, Image.Image)] == [
        (sizes[0][1], sizes[0][0])
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ENCRYPTED, "encrypted, expected one that opens without a password"),
        (b"%PDF-1.7\n", "the PDF is damaged"),
        (b"%PDF-1.7\n" + bytes(10_000), "the PDF is damaged"),
        (blank_pdf(), "the PDF is damaged, or has no pages"),
        (blank_pdf((200, 300))[:200], "the PDF is damaged"),
    ],
)
def test_a_pdf_that_cannot_be_read_is_a_clear_error(content: bytes, message: str) -> None:
    for read in (pages_of, read_image):
        with pytest.raises(ImageError, match=message):
            read(content)


def test_a_page_that_is_too_large_is_refused_and_the_others_are_read() -> None:
    pages = pages_of(blank_pdf((10_000, 10_000), (100, 100)))
    message = r"page 1 of the PDF is 10000 x 10000 points, allowed: up to .* such as 8192 x 8192"
    with pytest.raises(ImageSizeError, match=message):
        pages.page(0)
    assert read_image(pages.page(1)).min() == 255


HEIC = (Path(__file__).parents[2] / "data" / "hello.heic").read_bytes()


@pytest.mark.needs(find_spec("pi_heif") is not None)
def test_a_heic_is_read_where_its_library_is_installed() -> None:
    expected = read_image(Path(__file__).parents[3] / "examples" / "hello.png").astype(int)
    assert abs(read_image(HEIC) - expected).mean() < 6
    assert len(pages_of(HEIC)) == 1


def test_a_heic_without_its_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(ImageError, match=r"HEIC .* pip install 'inkstream\[files\]'"):
        read_image(HEIC)


def test_an_image_read_alone_is_the_first_page() -> None:
    assert np.median(read_image(saved(shades(), "PDF"))) == 0

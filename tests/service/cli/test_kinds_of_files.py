"""Files of sixty kinds that other programs write: each is read right, or refused clearly."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pypdfium2
import pytest
from PIL import Image, ImageOps

from inkstream.model.errors import InkstreamError
from inkstream.model.metrics import errors
from inkstream.service.cli import files, offline
from tests.helpers.command_line import EXAMPLES
from tests.helpers.documents import ENCRYPTED, blank_pdf, saved
from tests.helpers.image_files import encoded

pytestmark = pytest.mark.slow

Make = Callable[[], bytes]
LINE: Final = Image.open(EXAMPLES / "hello.png").convert("L")
INVERSE: Final = ImageOps.invert(LINE)
TEXT: Final = "hello, world!"
TURNS: Final = {  # how the stored image lies, by the orientation of EXIF
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def line(kind: str, mode: str = "L", **options: Any) -> bytes:
    """Return the line as Pillow writes it in a mode."""
    return encoded(LINE.convert(mode), kind, **options)


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return encoded(LINE.transpose(TURNS[orientation]), "JPEG", exif=exif, quality=95)


def transparent() -> bytes:
    """Return ink on paper that is nothing but transparent."""
    alpha = Image.eval(LINE, lambda tone: 255 - tone)
    return encoded(Image.merge("LA", (Image.new("L", LINE.size), alpha)).convert("RGBA"), "PNG")


def deep(kind: str, dtype: str, most: float) -> bytes:
    """Return the line with 16 or 32 bits a pixel."""
    tones = np.asarray(LINE) * np.float64(most / 255)
    return encoded(Image.fromarray(tones.astype(dtype)), kind)


def by_opencv(suffix: str, dtype: str = "uint8", channels: int = 3) -> bytes:
    tones = np.asarray(LINE).astype(dtype) * (257 if dtype == "uint16" else 1)
    done, data = cv2.imencode(suffix, np.repeat(tones[:, :, None], channels, 2))
    assert done
    return data.tobytes()


def pdf(mode: str = "L", rotation: int = 0, **options: Any) -> bytes:
    """Return the line on a page of a PDF that is turned."""
    image = LINE.convert(mode).rotate(rotation, expand=True)
    file = io.BytesIO()
    document = pypdfium2.PdfDocument(encoded(image, "PDF", **options))
    document[0].set_rotation(rotation)
    document.save(file)
    document.close()
    return file.getvalue()


def large(kind: str, mode: str = "L", factor: int = 8, **options: Any) -> bytes:
    """Return the line with so many times as many pixels a side."""
    size = LINE.width * factor, LINE.height * factor
    return encoded(LINE.resize(size).convert(mode), kind, **options)


def half_of(kind: str) -> bytes:
    content = line(kind, "RGB")
    return content[: len(content) // 2]


READ: Final[dict[str, Make]] = {
    **{f"{mode}.png": partial(line, "PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")},
    "transparent.png": transparent,
    "16 bits.png": partial(deep, "PNG", "uint16", 65_535),
    "12 bits.png": partial(deep, "PNG", "uint16", 4095),
    "16 bits of colour.png": partial(by_opencv, ".png", "uint16"),
    **{f"{mode}.jpg": partial(line, "JPEG", mode) for mode in ("L", "RGB", "CMYK")},
    "progressive.jpg": partial(line, "JPEG", "RGB", progressive=True),
    "4:4:4.jpg": partial(line, "JPEG", "RGB", subsampling=0),
    **{f"orientation {number}.jpg": partial(turned, number) for number in TURNS},
    "L.gif": partial(line, "GIF"),
    "RGB.bmp": partial(line, "BMP", "RGB"),
    "1.bmp": partial(line, "BMP", "1"),
    "lossy.webp": partial(line, "WEBP", "RGB"),
    "lossless.webp": partial(line, "WEBP", "RGBA", lossless=True),
    "raw.tif": partial(line, "TIFF"),
    **{
        f"{name}.tif": partial(line, "TIFF", mode, compression=name)
        for name, mode in (
            ("tiff_lzw", "RGB"),
            ("tiff_adobe_deflate", "CMYK"),
            ("packbits", "L"),
            ("group3", "1"),
            ("group4", "1"),
            ("jpeg", "RGB"),
            ("zstd", "L"),
        )
    },
    "BigTIFF.tif": partial(line, "TIFF", big_tiff=True),
    "16 bits.tif": partial(deep, "TIFF", "uint16", 65_535),
    "32 bits.tif": partial(deep, "TIFF", "int32", 1e6),
    "32 bits of fractions.tif": partial(deep, "TIFF", "float32", 1),
    "OpenCV.tif": partial(by_opencv, ".tif"),
    "pgm": partial(line, "PPM"),
    "pbm": partial(line, "PPM", "1"),
    "OpenCV.ppm": partial(by_opencv, ".ppm"),
    "jp2": partial(line, "JPEG2000"),
    "j2k": partial(line, "JPEG2000", "RGB", no_jp2=True, irreversible=True),
    "avif": partial(line, "AVIF", "RGB"),
    "alpha.avif": partial(line, "AVIF", "RGBA"),
    "OpenCV.webp": partial(by_opencv, ".webp"),
    **{f"{mode}.pdf": partial(pdf, mode) for mode in ("1", "L", "RGB")},
    "turned.pdf": partial(pdf, rotation=90),
    "a pixel a point.pdf": partial(pdf, resolution=36),
    "large.jpg": partial(large, "JPEG"),
    "large.png": partial(large, "PNG", "RGB", compress_level=1),
    "large.tif": partial(large, "TIFF", "1", compression="group4"),
}
PAGES: Final[dict[str, Make]] = {
    **{f"three.{kind}": partial(saved, [LINE] * 3, kind) for kind in ("PDF", "TIFF")},
    **{f"three.{kind}": partial(saved, [LINE, INVERSE, LINE], kind) for kind in ("GIF", "WEBP")},
}
REFUSED: Final[dict[str, tuple[Make, str]]] = {
    **{
        f"half a {kind}": (partial(half_of, kind), "damaged|not an image")
        for kind in ("PNG", "JPEG", "TIFF", "WEBP", "AVIF", "JPEG2000")
    },
    "half a PDF": (lambda: pdf()[:-900], "the PDF is damaged"),
    "encrypted.pdf": (lambda: ENCRYPTED, "the PDF is encrypted"),
    "empty.pdf": (blank_pdf, "the PDF is damaged, or has no pages"),
    "huge.pdf": (partial(blank_pdf, (10_000, 10_000)), "10000 x 10000 points, allowed"),
    "text": (lambda: b"hello, world!", "not an image that is read; expected PNG"),
    "empty": (lambda: b"", "not an image that is read"),
    "icon.ico": (partial(line, "ICO"), "not an image that is read"),
    "drawing.svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image that"),
    "film.mp4": (lambda: b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "not an image that is read"),
}


def answers(content: bytes, folder: Path) -> list[offline.Answer]:
    path = folder / "file"
    path.write_bytes(content)
    files.document.cache_clear()
    return [*offline.Reader("lines", {}, page=False).read(path)]


def text_of(answer: offline.Answer) -> str:
    assert not isinstance(answer.result, InkstreamError), answer.result
    return answer.result.text.lower()


@pytest.mark.parametrize("name", READ)
def test_a_line_is_read_in_files_of_all_kinds(tmp_path: Path, name: str) -> None:
    (answer,) = answers(READ[name](), tmp_path)
    assert errors([text_of(answer)], [TEXT])["cer"] < 0.16


@pytest.mark.parametrize("name", PAGES)
def test_each_page_is_read_in_files_of_several(tmp_path: Path, name: str) -> None:
    read = answers(PAGES[name](), tmp_path)
    assert [answer.name for answer in read] == [f"{tmp_path / 'file'}:{n}" for n in (1, 2, 3)]
    assert errors([*map(text_of, read)], [TEXT] * 3)["cer"] < 0.16


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_a_clear_error(tmp_path: Path, name: str) -> None:
    make, message = REFUSED[name]
    (answer,) = answers(make(), tmp_path)
    assert isinstance(answer.result, InkstreamError)
    assert answer.result.code in ("bad_image", "over_limit")
    with pytest.raises(InkstreamError, match=message):
        raise answer.result


def test_sixty_kinds_are_tried() -> None:
    assert len(READ) + len(PAGES) + len(REFUSED) >= 60

"""Image files of all kinds -> grey pixels, within a bound of memory.

Bytes from strangers are read here. So the size is judged by the header before anything is decoded,
and an image is turned grey and reduced strip by strip, never as a second full copy.
"""

import io
import math
import struct
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import (
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401 - else `Image.OPEN` lacks its format
)

from inkstream.model.errors import ImageError, ImageSizeError
from inkstream.model.preprocess.metadata import ORIENTATION, UPRIGHT, without_metadata
from inkstream.model.preprocess.pdf import drawn_page, is_pdf

Image.preinit()  # the other formats that are read: 10 ms, which no request is to wait for

Grey = NDArray[np.uint8]  # [h, w]
ImageSource = str | Path | bytes | Image.Image | NDArray[Any]

MAX_PIXELS: Final = 1 << 27  # A3 at 600 dots an inch, and photos of 108 megapixels
MAX_SIDE: Final = 1024  # pixels; larger images are reduced: a digit needs 20, its page more
MAX_KEPT: Final = 1 << 21  # pixels in all after that, where a longer side is asked for
FORMATS: Final = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")

MAX_SLOW_PIXELS: Final = 1_000_000  # that decoders in Python read within a second
SLOW_CODECS: Final = ("ppm", "ppm_plain", "bmp_rle")
STORED_BYTES_PER_PIXEL: Final = 4  # Pillow's own, in most of its modes
# What decoders keep beside the image, for each of its bands: measured, as the process grew.
WORKING_BYTES: Final = {"WEBP": 4.7, "GIF": 11, "JPEG2000": 5.2, "AVIF": 2.7, "HEIF": 2.7}
MIN_DECODING_BYTES: Final = 80_000_000  # that decoding may take, however few pixels are allowed

# Decoders of damaged bytes raise all of these; a warning where the user has made it an error.
DECODING_ERRORS: Final = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,
)


def read_image(
    source: ImageSource,
    max_pixels: int = MAX_PIXELS,
    max_side: int = MAX_SIDE,
    max_kept: int = MAX_KEPT,
) -> NDArray[np.uint8]:
    """Return grey pixels of an image, 0 = black and 255 = white, upright.

    Of an animation the first picture counts, of a multi-page file the first page. What is
    transparent takes the tone of the paper. More than 8 bits are stretched to the darkest and the
    lightest pixels, unless these are as good as the same. An image that is longer or higher than
    `max_side`, or has more than `max_kept` pixels in all, is reduced until it fits.

    Args:
        source: a path, the bytes of a file, a PIL image, or an array: [h, w] of any real type, or
            [h, w, 3 or 4] of bytes.
        max_pixels: an image with more is refused before it is decoded.

    Raises:
        ImageError: this is not an image of a kind that we read, or it is damaged.
        ImageSizeError: it has too many pixels.
    """
    image, orientation = opened(source, max_pixels)
    image.draft("L", (max_side, max_side))  # JPEG can decode at an eighth
    try:
        image.load()
        grey = _grey(image, max_side, max_kept)
    except DECODING_ERRORS as error:
        raise ImageError(f"image is damaged: {error}") from error
    turned = grey.T if orientation >= 5 else grey  # by the orientations of EXIF 2.3
    down, across = (
        -1 if orientation in mirrored else 1 for mirrored in ((3, 4, 7, 8), (2, 3, 6, 7))
    )
    return np.ascontiguousarray(turned[::down, ::across])


def upright_size(source: ImageSource, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return width and height in pixels of an image as `read_image` sees it, before it is reduced.

    Nothing is decoded for that. Raises as `read_image` does.
    """
    image, orientation = opened(source, max_pixels)
    width, height = image.size
    return (height, width) if orientation >= 5 else (width, height)


def file_bytes(source: str | Path | bytes) -> bytes:
    """Return the bytes of a file; raise `ImageError` if it cannot be read."""
    try:
        return source if isinstance(source, bytes) else Path(source).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: the path holds a zero
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{source!s} cannot be read: {reason}") from error


def opened(source: ImageSource, max_pixels: int = MAX_PIXELS) -> tuple[Image.Image, int]:
    """Return an image that is not too large and its orientation; of a file nothing is decoded.

    Of a PDF this is the first page. Raises as `read_image` does.
    """
    if isinstance(source, np.ndarray):
        source = _from_array(source)
    if not isinstance(source, Image.Image):
        data = file_bytes(source)
        if is_pdf(data[:64]):
            source = drawn_page(data, 0)
    try:
        if isinstance(source, Image.Image):
            _check_size(*source.size, max_pixels)
            orientation = source.getexif().get(ORIENTATION, UPRIGHT)
            return source, orientation if orientation in range(1, 9) else UPRIGHT
        if data.startswith(b"P"):  # a PPM's header, with its comments, is read byte by byte
            _open(io.BytesIO(data[:4096])).close()
        file, orientation = without_metadata(data)
        image = _open(file)
        _check_demand(image, max_pixels)
        if image.format == "AVIF":  # Pillow has read it
            orientation = image.getexif().get(ORIENTATION, UPRIGHT)
        return image, orientation
    except UnidentifiedImageError as error:
        formats = f"{', '.join(FORMATS)} or PDF"
        raise ImageError(f"not an image that is read; expected {formats}") from error
    except Image.DecompressionBombError as error:
        raise ImageSizeError(f"image has far too many pixels, at most {max_pixels}") from error
    except DECODING_ERRORS as error:
        raise ImageError(f"image is damaged: {error}") from error


def _open(file: io.BytesIO) -> ImageFile.ImageFile:
    """Open an image as `Image.open` does, but without its bound of pixels and its warnings."""
    head = file.read(64)
    formats = (_media_format(head),) if head[4:8] == b"ftyp" else FORMATS[:-2]
    for name in formats:
        factory, accepts = Image.OPEN[name]
        try:
            if accepts is None or accepts(head[:16]) is True:
                file.seek(0)
                return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            raise UnidentifiedImageError from error
    raise UnidentifiedImageError


def _media_format(head: bytes) -> str:
    """Return AVIF or HEIF by the brands in the first box of a file, and have Pillow read it.

    The libraries of both are loaded only now. Raises `ImageError` where that of HEIF is missing.
    """
    brands = head[8 : min(64, int.from_bytes(head[:4], "big"))]
    if b"avi" in brands:
        import_module("PIL.AvifImagePlugin")
        return "AVIF"
    if not any(brand in brands for brand in (b"hei", b"hev", b"mif1", b"msf1")):
        raise UnidentifiedImageError
    try:
        import_module("pi_heif").register_heif_opener()
    except ModuleNotFoundError as error:
        text = "HEIC images are read where pi-heif is installed: pip install 'inkstream[files]'"
        raise ImageError(text) from error
    return "HEIF"


def _from_array(array: NDArray[Any]) -> Image.Image:
    """Return an array as an image; raise `ImageError` for shapes of no image."""
    if array.size == 0:
        raise ImageError(f"array has shape {array.shape}, expected at least one pixel")
    if array.ndim == 3 and array.shape[2] in (3, 4) and array.dtype == np.uint8:
        return Image.fromarray(array)
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise ImageError(
            f"array has shape {array.shape} of {array.dtype}, "
            "expected [h, w] of numbers, or [h, w, 3 or 4] of uint8"
        )
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        fault = high if np.isfinite(low) else low
        raise ImageError(f"array holds {fault}, expected finite numbers")
    if array.dtype.kind in "bf" and low >= 0 and high <= 1:
        return Image.fromarray(np.rint(array * np.float32(255)).astype(np.uint8))
    if array.dtype.kind in "ui" and low >= 0 and high <= 255:
        return Image.fromarray(array.astype(np.uint8))
    return Image.fromarray(array.astype(np.float32))


def _check_demand(image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Raise `ImageSizeError` for an opened image that is too large to be decoded.

    So many pixels of four bytes may be kept in memory, and fewer in formats that take more.
    """
    (width, height), mode = image.size, image.mode
    cost: float = STORED_BYTES_PER_PIXEL
    if mode in ("1", "L", "P") or mode.startswith("I;16"):
        cost = 2 if mode.startswith("I") else 1
    if any(tile[0] in SLOW_CODECS for tile in image.tile):
        max_pixels = min(max_pixels, MAX_SLOW_PIXELS)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        cost = cost if mode == "CMYK" else 1  # the other modes are decoded as grey
        if "progressive" in image.info or not _is_one_scan(image):
            # Two bytes for each coefficient are kept until the last scan.
            blocks = [across * down for _, across, down, _ in image.layer]
            cost += 2 * sum(blocks) / max(blocks)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        # Beside the image lies a strip, maybe as large, or a tile, maybe larger.
        tags = image.tag_v2
        bits = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)
        bits *= max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
        rows = min(tags.get(TiffImagePlugin.ROWSPERSTRIP) or height, height)
        rows = tags.get(TiffImagePlugin.TILELENGTH, rows)
        columns = tags.get(TiffImagePlugin.TILEWIDTH, width)
        width, height = max(width, columns), max(height, rows)
        if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 6:  # YCbCr, decoded as RGBA
            bits = 32
        cost += bits / 8 * rows * columns / max(1, width * height)
    cost += WORKING_BYTES.get(image.format or "", 0) * len(image.getbands())
    cost += 8 // max(1, width)  # Pillow stores a pointer to each row too
    max_bytes = max(MIN_DECODING_BYTES, STORED_BYTES_PER_PIXEL * max_pixels)
    is_too_large = width * height * cost > max_bytes
    if is_too_large and isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile) and _has_levels(image):
        image.reduce, cost = 1, cost / 4  # is decoded at half its size
    _check_size(width, height, min(max_pixels, int(max_bytes / cost)))


def _is_one_scan(image: JpegImagePlugin.JpegImageFile) -> bool:
    """Return whether the first scan of a JPEG, which was just opened, has all of its components."""
    assert isinstance(image.fp, io.BytesIO)
    n, end = len(image.layer), image.fp.tell()
    scan = image.fp.getvalue()[:end][-(8 + 2 * n) :]  # its header, by T.81, B.2.3
    return scan.startswith(b"\xff\xda\0%c%c" % (6 + 2 * n, n)) and max(scan[6:-3:2]) < 0x34


def _has_levels(image: Jpeg2KImagePlugin.Jpeg2KImageFile) -> bool:
    """Return whether a JPEG 2000 holds the image at half its size (T.800, A.6.1)."""
    assert isinstance(image.fp, io.BytesIO)
    data = image.fp.getvalue()
    style = data.find(b"\xff\x52", data.find(b"\xff\x4f\xff\x51"), 1 << 16)
    return style > 0 and data[style + 9] > 0


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if not width or not height:
        raise ImageError(f"image is {width} x {height} pixels, expected at least 1 x 1")
    if width * height > max_pixels:
        raise ImageSizeError(
            f"image is {width} x {height} pixels, {width * height} in all; "
            f"at most {max_pixels} in this format"
        )


def _grey(image: Image.Image, max_side: int, max_kept: int) -> NDArray[np.uint8]:
    """Return grey pixels [h, w], reduced to at most `max_side` on a side by averaging squares."""
    width, height = image.size
    factor = math.ceil(max(max(width, height) / max_side, math.sqrt(width * height / max_kept)))
    rows = factor * max(1, (1 << 18) // (width * factor))  # a strip of so many pixels at once
    deep = image.mode[0] in "IF"  # 16 or 32 bits a pixel
    clear = image.has_transparency_data and not deep
    strips = []
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        if deep:
            strip = strip.convert("I").convert("F") if strip.mode != "F" else strip
        elif clear:
            strip = strip.convert("RGBA").convert("LA").convert("La")
        elif strip.mode != "L":
            strip = strip.convert("RGB").convert("L")
        strips.append(np.asarray(strip.reduce(factor)))
    pixels = np.concatenate(strips)
    if deep:
        return _stretched(pixels, 0xFFFF if image.mode.startswith("I;16") else 0)
    return _on_paper(pixels[:, :, 0], pixels[:, :, 1]) if clear else pixels


def _stretched(values: NDArray[np.float32], full: float) -> NDArray[np.uint8]:
    """Return numbers of any range as bytes, the lowest 0 and the highest 255.

    A few pixels that lie beyond all others count as these. Neither noise nor less than a byte's
    step of the largest number, or of `full` where that is larger, is stretched over all bytes.
    """
    if not np.isfinite(values).all():
        raise ImageError("image holds numbers that are not finite")
    n_hot = min(math.ceil(1e-4 * values.size), values.size // 100)  # faults of a sensor
    ends = [n_hot, values.size - 1 - n_hot]
    low, high = np.partition(values, ends, axis=None)[ends].tolist()
    steps = abs(np.diff(values, axis=1, append=values[:, -1:]))
    noise = float(np.median(steps)) / (0.6745 * math.sqrt(2))  # of a normal one the deviation
    span = max(high - low, max(full, abs(low), abs(high)) / 255, 32 * noise)  # ink begins at 5
    if not span:
        return np.zeros(values.shape, np.uint8)
    stretched: Grey = np.rint((values.clip(low, high) - low) * (255 / span)).astype(np.uint8)
    return stretched


def _on_paper(tone: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put what is visible on paper; `tone` [h, w] is multiplied by `alpha` [h, w] already.

    What covers less than half of the image is ink, and its paper is white or black, whichever is
    further from it. Otherwise it is paper with ink, and the paper goes on where nothing is visible.
    """
    seen = float(alpha.mean()) / 255  # share of the image that is visible
    if not seen:
        return np.full(tone.shape, 255, np.uint8)
    if seen < 0.5:
        paper = 255.0 if float(tone.mean()) / seen < 128 else 0.0
    else:
        paper = float(np.median(tone[alpha > 127]))
    filled: Grey = tone + np.rint((255 - alpha) * np.float16(paper / 255)).astype(np.uint8)
    return filled

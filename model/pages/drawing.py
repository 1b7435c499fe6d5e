"""The text of a page drawn on its image."""

from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from inkstream.model.errors import ImageError
from inkstream.model.pages.transcription import Page
from inkstream.model.preprocess.image import DECODING_ERRORS, ImageSource, opened
from inkstream.model.preprocess.metadata import ORIENTATION

FONT: Final = Path(__file__).parent / "DejaVuSans.ttf"  # Latin, Greek and Cyrillic: see README.md


def upright_image(source: ImageSource) -> Image.Image:
    """Return an image in colours and upright; raise `ImageError` if it cannot be read."""
    image, orientation = opened(source)
    image.getexif()[ORIENTATION] = orientation  # which was taken out of the file
    try:
        return ImageOps.exif_transpose(image).convert("RGB")
    except DECODING_ERRORS as error:
        raise ImageError(f"image is damaged: {error}") from error


def draw(source: ImageSource, page: Page, path: Path) -> None:
    """Draw boxes around the lines and words of a page, with their text, and write it to `path`.

    Raises `ImageError` if the image cannot be read, or `path` names no format of images.
    """
    image = upright_image(source)
    blue, green, red = (37, 99, 235), (5, 150, 105), (220, 38, 38)
    pen = ImageDraw.Draw(image)
    for line in page.lines:
        pen.polygon(line.box, outline=blue)
        font = ImageFont.truetype(FONT, max(9, round(0.4 * abs(line.box[3][1] - line.box[0][1]))))
        for word in line.words:
            colour = green if word.confidence >= 0.5 else red  # whether it is probably right
            pen.polygon(word.box, outline=colour)
            pen.text(word.box[0], word.text, fill=colour, font=font, anchor="ls")
    try:
        image.save(path)
    except (ValueError, KeyError) as error:  # Pillow's for an ending that it does not know
        raise ImageError(f"{path} names no format of images: {error}") from error

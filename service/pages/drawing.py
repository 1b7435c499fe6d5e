"""A page with what was read on it, drawn: boxes around lines and words, and their text above."""

from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from inkstream.model.errors import ImageError
from inkstream.model.preprocess.image import MAX_PIXELS, upright_size
from inkstream.service.pages.messages import Box, PageTranscription

LINE: Final = (37, 99, 235)
SURE: Final = (5, 150, 105)  # of a word that is probably right
UNSURE: Final = (220, 38, 38)
SURE_FROM: Final = 0.5  # of a word's confidence
TEXT_SHARE: Final = 0.4  # of a line's height
LEAST_TEXT: Final = 9  # pixels


def draw(source: Path, page: PageTranscription, path: Path) -> None:
    """Write the image of a page with boxes and text to `path`.

    Raises `ImageError` if it cannot be read, or is written in no form that `path` names.
    """
    width, height = upright_size(source)
    if width * height > MAX_PIXELS:
        raise ImageError(f"image is {width} x {height} pixels, {MAX_PIXELS} at most can be drawn")
    with Image.open(source) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    pen = ImageDraw.Draw(image)
    for line in page.lines:
        pen.polygon(line.box, outline=LINE)
        size = max(LEAST_TEXT, round(TEXT_SHARE * _height(line.box)))
        font = ImageFont.load_default(size)
        for word in line.words:
            colour = SURE if word.confidence >= SURE_FROM else UNSURE
            pen.polygon(word.box, outline=colour)
            pen.text(word.box[0], word.text, fill=colour, font=font, anchor="ls")
    try:
        image.save(path)
    except (ValueError, KeyError) as error:  # Pillow's for an ending that it does not know
        raise ImageError(f"{path} is no name of an image: {error}") from error


def _height(box: Box) -> float:
    return abs(box[3][1] - box[0][1])

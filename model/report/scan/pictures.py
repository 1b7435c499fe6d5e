"""Pictures of pages with the lines that were found on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from model.report.scan.reading import ReadPage

FOUND: Final = (5, 150, 105)
MISSED: Final = (220, 38, 38)
NO_LINE: Final = (37, 99, 235)
SHOWN: Final = 6
HEIGHT: Final = 640  # pixels, of each page
QUALITY: Final = 80


def draw_pages(read: Sequence[ReadPage], folder: Path) -> None:
    """Write pages.jpg into `folder`: from the page that is read best to the worst."""
    ordered = sorted(read, key=lambda each: each.error[0] / max(1, each.error[1]))
    if not ordered:
        return
    places = np.linspace(0, len(ordered) - 1, min(SHOWN, len(ordered))).astype(int)
    pictures = [_drawn(ordered[place]) for place in places.tolist()]
    sheet = Image.new("RGB", (sum(picture.width for picture in pictures), HEIGHT), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width
    sheet.save(folder / "pages.jpg", quality=QUALITY)


def _drawn(page: ReadPage) -> Image.Image:
    image = Image.fromarray(page.written.sheet.image)
    pen = ImageDraw.Draw(image)
    width = max(2, image.height // 400)
    for place, line in enumerate(page.written.sheet.lines):
        if place not in page.hits:
            _outline(pen, line.box, MISSED, width)
    found = set(page.hits.values())
    for number, own in enumerate(page.page.lines):
        _outline(pen, own.box, FOUND if number in found else NO_LINE, width)
    return image.resize((max(1, round(image.width * HEIGHT / image.height)), HEIGHT))


def _outline(
    pen: ImageDraw.ImageDraw, box: NDArray[np.float64], colour: tuple[int, int, int], width: int
) -> None:
    corners = [(float(x), float(y)) for x, y in box]
    pen.line([*corners, corners[0]], fill=colour, width=width)

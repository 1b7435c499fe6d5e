"""What an image shows: a page of several lines, one line of writing, or one character.

A line that is read as a digit gets a confident digit and no error, and a page that is read as a
line gets nonsense. So what reads an image is chosen by what it shows. The command line and REST
follow this one rule.
"""

from typing import Final, Literal

from inkstream.model.config import Kind
from inkstream.model.errors import ImageError
from inkstream.model.pages.detector import text_map
from inkstream.model.pages.lines import find_lines
from inkstream.model.preprocess.columns import LEAST_PAGE_SIDE, WIDE, is_blank, looks_like_page
from inkstream.model.preprocess.image import MAX_PIXELS, ImageSource, read_image

Content = Literal["page", "line", "character"]

# Of 60 digits on large sheets none is found as a line more than 1.4 times as long as high; of 60
# short German words none less than 2.5.
LONG: Final = 1.8


def content_of(image: ImageSource, max_pixels: int = MAX_PIXELS) -> Content:
    """Return what an image shows; reading one that is no image raises the error that explains it.

    The shape of a small image decides. Of another one, lines are sought on a reduced map: two lines
    make a page, and one is a character unless it is long. Dense lines, which grow together on that
    map, are known by the strokes that a cut through them crosses. What is blank is a blank page.
    """
    try:
        grey = read_image(image, max_pixels)
    except ImageError:
        return "character"
    height, width = grey.shape
    by_shape: Content = "line" if width >= WIDE * height else "character"
    if min(height, width) < LEAST_PAGE_SIDE:
        return by_shape
    if looks_like_page(grey):
        return "page"
    text, _ = text_map(grey, 3 << 14)  # pixels: 20 to 60 ms
    lines = find_lines(text).lines
    if len(lines) > 1 or (not lines and is_blank(grey)):
        return "page"
    is_long = any(line.course.right - line.course.left > LONG * line.height for line in lines)
    return "line" if is_long else by_shape


def kind_for(content: Content) -> Kind:
    """Return the kind of model that reads it."""
    return "classifier" if content == "character" else "transcriber"

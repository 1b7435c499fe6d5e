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
from inkstream.model.preprocess.columns import (
    LEAST_PAGE_SIDE,
    WIDE,
    is_blank,
    looks_like_page,
    strokes_crossed,
)
from inkstream.model.preprocess.image import MAX_PIXELS, ImageSource, read_image

Content = Literal["page", "line", "character"]

# Of 60 digits on large sheets none is found as a line more than 1.4 times as long as high; of 60
# short German words none less than 2.5.
LONG: Final = 1.8
# Pixels. Of 300 lines of wills and registers, 64 and 80 pixels high, 4 seem to have two lines.
LEAST_PAGE_HEIGHT: Final = 96
# A level cut crosses at most 2.1 strokes of 3,000 digits on average, and at least 2.3 of 33 short
# words on real paper.
WORD_STROKES: Final = 2.2


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
    may_be_page = height >= LEAST_PAGE_HEIGHT
    if may_be_page and looks_like_page(grey):
        return "page"
    text, _ = text_map(grey, 3 << 14)  # pixels: 20 to 60 ms
    lines = find_lines(text).lines
    if not lines and is_blank(grey):
        return "page"
    if len(lines) > 1:
        return "page" if may_be_page else "line"
    is_long = any(line.course.right - line.course.left > LONG * line.height for line in lines)
    is_word = not may_be_page and strokes_crossed(grey.T) > WORD_STROKES
    return "line" if is_long or is_word else by_shape


def kind_for(content: Content) -> Kind:
    """Return the kind of model that reads it."""
    return "classifier" if content == "character" else "transcriber"

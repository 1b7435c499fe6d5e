"""One page, read twice: as the ink that was written, and from a made-up scan or photo of it."""

from dataclasses import dataclass
from typing import Final

from model.line_reading import Reader
from model.recognizer import Recognizer
from model.report.scan.material import WrittenPage
from model.report.scan.measures import found, page_error
from model.scan.page import Page, find_page

OVERLAP: Final = 0.5  # of a line's box and the one that was found, over both


@dataclass(frozen=True, slots=True, eq=False)
class ReadPage:
    """One page and all that was read of it."""

    written: WrittenPage
    page: Page
    texts: list[str]  # of the lines that were found
    strokes: list[str]  # of the lines that were written, read as ink
    hits: dict[int, int]  # lines that were found, by those that were written

    @property
    def labels(self) -> list[str]:
        """What stands on its lines."""
        return [line.label for line in self.written.sheet.lines]

    @property
    def error(self) -> tuple[int, int]:
        """Characters wrong, and written."""
        return page_error(self.texts, self.labels)


def read_page(recognizer: Recognizer, reader: Reader, written: WrittenPage) -> ReadPage:
    """Find the lines of a page and read them; and read its ink."""
    page = find_page(written.sheet.image, recognizer.column_height)
    said = recognizer.read_all([line.columns for line in page.lines]) if page.lines else []
    boxes, wanted = [line.box for line in page.lines], [line.box for line in written.sheet.lines]
    return ReadPage(
        written,
        page,
        [each.text for each in said],
        [each.text for each in reader.read(written.drawn)],
        found(boxes, wanted, OVERLAP),
    )

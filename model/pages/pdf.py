"""Searchable PDF: the scans, and over each what was read, invisible, where it is written."""

import ctypes
import io
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pypdfium2 as pdfium
from numpy.typing import NDArray
from PIL import ImageFont
from pypdfium2 import raw

from inkstream.model.pages.drawing import FONT, upright_image
from inkstream.model.pages.transcription import Page
from inkstream.model.preprocess.image import ImageSource

LONG_SIDE: Final = 842.0  # points of the longer side of a page that is no PDF's: that of A4
EM: Final = 1000  # units that the font is measured in


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, EM, layout_engine=ImageFont.Layout.BASIC)


class SearchablePdf:
    """A PDF with one page for each image."""

    def __init__(self) -> None:
        self._pdf = pdfium.PdfDocument.new()
        data = FONT.read_bytes()
        self._font = raw.FPDFText_LoadFont(
            self._pdf,
            (ctypes.c_uint8 * len(data)).from_buffer_copy(data),
            len(data),
            raw.FPDF_FONT_TRUETYPE,
            True,
        )

    def add(self, source: ImageSource, page: Page) -> None:
        """Add a page that was read, its writing upright; raise `ImageError` as `read_image`.

        A page of a PDF keeps its size.
        """
        picture = upright_image(source)
        as_large = LONG_SIDE / max(picture.size) * np.array(picture.size)
        width, height = picture.info.get("points", as_large)
        scale = width / page.width, -height / page.height  # points for a pixel; y upwards
        jpeg = io.BytesIO()
        picture.save(jpeg, "JPEG", quality=90)
        image = pdfium.PdfImage.new(self._pdf)
        image.load_jpeg(jpeg)
        image.set_matrix(pdfium.PdfMatrix().scale(width, height))
        pdf_page = self._pdf.new_page(width, height)
        pdf_page.insert_obj(image)
        for line in page.lines:
            for word in line.words:
                corners = np.array(word.box) * scale + [0, height]
                raw.FPDFPage_InsertObject(pdf_page, self._text(word.text, corners))
        pdf_page.set_rotation(page.turned)
        pdf_page.gen_content()
        pdf_page.close()

    def save(self, path: Path) -> None:
        """Write the PDF; raise `OSError` if that fails."""
        self._pdf.save(path)

    def _text(self, word: str, corners: NDArray[np.float64]) -> Any:
        """Return an invisible word that fills its box; `corners` [4, 2] are in points."""
        upper_left, _, lower_right, lower_left = corners
        ascent, descent = _font().getmetrics()
        along = (lower_right - lower_left) / _font().getlength(word)  # for a unit of the font
        up = (upper_left - lower_left) / (ascent + descent)
        text = raw.FPDFPageObj_CreateTextObj(self._pdf, self._font, EM)
        # Programs that copy or search expect the spaces between words.
        encoded = ctypes.create_string_buffer(f"{word} \0".encode("utf-16-le"))
        raw.FPDFText_SetText(text, ctypes.cast(encoded, raw.FPDF_WIDESTRING))
        raw.FPDFTextObj_SetTextRenderMode(text, raw.FPDF_TEXTRENDERMODE_INVISIBLE)
        raw.FPDFPageObj_SetMatrix(text, raw.FS_MATRIX(*along, *up, *(lower_left + descent * up)))
        return text

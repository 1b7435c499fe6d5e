"""Open recognisers that read whole pages, with their own finders of lines, to compare."""

import importlib
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.report.recognisers import plain_text, those_there

Picture = NDArray[np.uint8]  # [h, w, 3], red, green, blue


class PagePeer(Protocol):
    """Something that reads images of pages."""

    name: str  # with its version
    way: str  # how it reads a page

    def read_page(self, image: Picture) -> list[str]:
        """The lines of a page, as it reads them."""
        ...


class RapidPages:
    """PP-OCR's whole pipeline by RapidOCR: finds lines, turns them, reads them."""

    way = "its own detector, classifier of direction and recognition"

    def __init__(self) -> None:
        rapidocr: Any = importlib.import_module("rapidocr")
        self._engine = rapidocr.RapidOCR(params={"Global.log_level": "error"})
        self._engine(np.full((64, 96, 3), 255, np.uint8))  # loads it
        kind = self._engine.cfg.Rec
        self.name = (
            f"RapidOCR {version('rapidocr')} ({kind.ocr_version.value} {kind.model_type.value})"
        )

    def read_page(self, image: Picture) -> list[str]:
        """See `PagePeer`."""
        said = self._engine(np.ascontiguousarray(image[:, :, ::-1])).txts
        return [plain_text(text) for text in said or ()]


class TesseractPages:
    """Tesseract's LSTM for English, with its own page segmentation."""

    way = "its own page segmentation (mode 3), English words"

    def __init__(self) -> None:
        self._tesseract: Any = importlib.import_module("pytesseract")
        self.name = f"Tesseract {self._tesseract.get_tesseract_version().base_version}"

    def read_page(self, image: Picture) -> list[str]:
        """See `PagePeer`."""
        text = self._tesseract.image_to_string(Image.fromarray(image), lang="eng", config="--psm 3")
        return [plain_text(line) for line in text.splitlines() if line.strip()]


def installed() -> list[PagePeer]:
    """The peers that are there; raises `ConfigError` when none is."""
    return those_there(RapidPages, TesseractPages)

"""Compare with open recognisers that read finished images: RapidOCR and Tesseract.

They are optional: `pip install rapidocr pytesseract`, and Debian's package tesseract-ocr. Each sees
the whole image of a line, at the size and with the margins with which it read the ink of the
validation writers best, or a whole page, on which it finds the lines itself.
"""

import contextlib
import importlib
import os
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.data.ink_set import TEXT, WORDS
from inkstream.model.errors import ConfigError
from inkstream.model.evaluation.evaluation_set import CHARACTERS, EvaluationSet
from inkstream.model.metrics import Figures, error_ratios, errors

Kind = Literal["word", "text", "character"]
Grey = NDArray[np.uint8]  # [h, w], dark on light
Colour = NDArray[np.uint8]  # [h, w, 3], red, green, blue

TO_ASCII: Final = str.maketrans("‘’“”–—", "''\"\"--")


@dataclass(frozen=True, slots=True)
class Rendering:
    """The size and margins of an image of ink."""

    rows: int  # that the frame of the writing fills
    above: int  # blank rows above and below it
    beside: int  # blank columns left and right of it


@dataclass(frozen=True, slots=True, eq=False)
class ReadLine:
    """What a recogniser takes for a line of a page."""

    text: str
    box: NDArray[np.float64]  # [4, 2], corners in pixels of the image


class Baseline(Protocol):
    """A recogniser of images of lines and of pages."""

    name: str  # with its version
    sees: str  # of a line
    page_method: str  # how it reads a page
    renderings: Mapping[Kind, Rendering]  # that suit it best

    def read(self, images: Sequence[Grey], kind: Kind, characters: str | None) -> list[str]:
        """Return the text of each image, one at least, limited to `characters` if it can be.

        None allows all.
        """

    def read_page(self, image: Colour) -> list[ReadLine]:
        """Return the lines of a page."""


class RapidOCR:
    """PP-OCR by RapidOCR on one core, with the models that its wheel ships."""

    sees = "the finished image of the line"
    page_method = "its own detector, classifier of direction and recognition"
    renderings: Mapping[Kind, Rendering] = {  # it scales all of them to 48 rows
        "word": Rendering(64, 8, 8),
        "text": Rendering(96, 0, 16),
        "character": Rendering(64, 16, 16),
    }

    def __init__(self) -> None:
        rapidocr: Any = importlib.import_module("rapidocr")
        self._engine = rapidocr.RapidOCR(
            params={
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "Global.log_level": "error",
            }
        )
        blank = np.full((48, 96, 3), 255, np.uint8)
        self._engine(blank, use_det=False, use_cls=False)  # loads the model
        recognition = self._engine.cfg.Rec
        self.name = (
            f"RapidOCR {version('rapidocr')}"
            f" ({recognition.ocr_version.value} {recognition.model_type.value})"
        )
        self._input = importlib.import_module("rapidocr.ch_ppocr_rec").TextRecInput
        self._limited = _LimitedDecoding(self._engine.text_rec.postprocess_op)
        self._engine.text_rec.postprocess_op = self._limited

    def read(self, images: Sequence[Grey], kind: Kind, characters: str | None) -> list[str]:
        """See `Baseline`."""
        self._limited.limit(characters)
        coloured = [np.repeat(image[:, :, None], 3, 2) for image in images]
        return [plain_text(text) for text in self._engine.text_rec(self._input(img=coloured)).txts]

    def read_page(self, image: Colour) -> list[ReadLine]:
        """See `Baseline`."""
        self._limited.limit(None)
        blue_first = np.ascontiguousarray(image[:, :, ::-1])
        page = self._engine(blue_first, use_det=True, use_cls=True, use_rec=True)
        if page.txts is None:
            return []
        return [
            ReadLine(plain_text(text), np.asarray(box, np.float64))
            for text, box in zip(page.txts, page.boxes, strict=True)
        ]


class _LimitedDecoding:
    """RapidOCR's own CTC decoding of allowed characters alone, limited as our decoder is."""

    def __init__(self, decode: Any) -> None:
        self._decode = decode
        self._symbols: Sequence[str] = decode.character  # the blank first
        self.limit(None)

    def limit(self, characters: str | None) -> None:
        """Allow these characters alone from now on; None allows all."""
        allowed = set(self._symbols if characters is None else characters)
        self._allowed = np.array([symbol in allowed for symbol in self._symbols])
        self._allowed[0] = True

    def __call__(self, probabilities: NDArray[np.float32], *args: Any, **options: Any) -> Any:
        """Decode; characters that are not allowed leave their probability to the others."""
        if self._allowed.all():
            return self._decode(probabilities, *args, **options)
        limited = np.where(self._allowed, probabilities, 0)
        before, after = (p[..., 1:].sum(-1, keepdims=True) for p in (probabilities, limited))
        limited[..., 1:] *= before / np.maximum(after, 1e-30)
        return self._decode(limited, *args, **options)


class Tesseract:
    """Tesseract's LSTM for English."""

    sees = "the finished image of the line, and English words"
    page_method = "its own page segmentation (mode 3), English words"
    modes: Final[dict[Kind, int]] = {"word": 8, "text": 7, "character": 10}  # of segmentation
    renderings: Mapping[Kind, Rendering] = {  # as of scanned print: small, with broad strokes
        "word": Rendering(32, 8, 8),
        "text": Rendering(24, 8, 8),
        "character": Rendering(24, 8, 8),
    }

    def __init__(self) -> None:
        self._tesseract: Any = importlib.import_module("pytesseract")
        self.name = f"Tesseract {self._tesseract.get_tesseract_version().base_version}"

    def read(self, images: Sequence[Grey], kind: Kind, characters: str | None) -> list[str]:
        """See `Baseline`; only single characters are limited."""
        settings = f"--psm {self.modes[kind]}"
        if kind == "character":
            settings += f" -c tessedit_char_whitelist={characters}"
        with tempfile.TemporaryDirectory() as name:
            paths = [Path(name) / f"{number}.png" for number in range(len(images))]
            for path, image in zip(paths, images, strict=True):
                Image.fromarray(image).save(path)
            listed = Path(name) / "all.txt"
            listed.write_text("".join(f"{path}\n" for path in paths))
            pages = self._tesseract.image_to_string(str(listed), lang="eng", config=settings)
        return [plain_text(page) for page in pages.split("\f")[: len(images)]]

    def read_page(self, image: Colour) -> list[ReadLine]:
        """See `Baseline`."""
        page = self._tesseract.image_to_data(
            Image.fromarray(image), lang="eng", config="--psm 3", output_type="dict"
        )
        columns = ("block_num", "par_num", "line_num", "text", "left", "top", "width", "height")
        lines: dict[tuple[int, ...], list[tuple[str, int, int, int, int]]] = {}
        for *line, text, left, top, width, height in zip(*map(page.get, columns), strict=True):
            if text.strip():
                word = text, left, top, left + width, top + height
                lines.setdefault(tuple(line), []).append(word)
        found_lines = []
        for words in lines.values():
            texts, lefts, tops, rights, bottoms = zip(*words, strict=True)
            left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
            corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
            found_lines.append(ReadLine(plain_text(" ".join(texts)), np.array(corners, float)))
        return found_lines


def installed() -> list[Baseline]:
    """Return the installed baselines; raise `ConfigError` without any."""
    baselines: list[Baseline] = []
    for kind in (RapidOCR, Tesseract):
        with contextlib.suppress(ImportError, OSError):  # the package or its program is missing
            baselines.append(kind())
    if not baselines:
        raise ConfigError("no baseline is installed: pip install rapidocr pytesseract")
    return baselines


def plain_text(text: str) -> str:
    """Return a text in ASCII where ASCII has its characters, without white space around it."""
    return unicodedata.normalize("NFKC", text).translate(TO_ASCII).strip()


def compare(
    pieces: EvaluationSet,
    baseline: Baseline,
    labels: Sequence[str],
    ours: Mapping[str, Figures],
    n_columns: int,
) -> Figures:
    """Return the errors of a baseline on words, lines of text and single characters.

    `ratios` beside those of words and lines are how many times as many characters it gets wrong
    as our net (`ours`: `EvaluationSet.errors` of `words` and `text`). Processor time is given for
    each of the `n_columns` of all words and lines as our net reads them.
    """

    spent_s = 0.0

    def read(indices: Sequence[int], kind: Kind, characters: str) -> list[str]:
        nonlocal spent_s
        images = [render(pieces, index, baseline.renderings[kind]) for index in indices]
        begun_s = processor_s()
        texts = baseline.read(images, kind, characters) if images else []
        spent_s += processor_s() - begun_s
        return texts

    figures: Figures = {"sees": baseline.sees}
    sides: dict[str, tuple[str, Kind]] = {"words": (WORDS, "word"), "text": (TEXT, "text")}
    for side, (category, kind) in sides.items():
        indices = pieces.indices(category)
        figures[side] = pieces.errors(indices, read(indices, kind, "".join(labels)))
        ratios = error_ratios(figures[side]["bootstrap"], ours[side]["bootstrap"])
        figures[side]["ratios"] = ratios
    figures["us_per_column"] = 1e6 * spent_s / n_columns if n_columns else None
    figures["characters"] = {}
    for category, characters in CHARACTERS.items():
        indices = pieces.indices(category)
        texts = read(indices, "character", characters)
        figures["characters"][category] = errors(texts, pieces.labels(indices))
    return figures


def render(pieces: EvaluationSet, index: int, rendering: Rendering) -> Grey:
    """Return a piece as an image [h, w], dark on light, with margins."""
    margins = ((rendering.beside, rendering.beside), (rendering.above, rendering.above))
    columns = np.pad(pieces.columns(index, rendering.rows), margins)
    return np.ascontiguousarray(255 - columns.T)


def processor_s() -> float:
    """Return the processor time of this process and its children, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

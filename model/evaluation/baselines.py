"""Open recognisers that finished lines are read with, to compare: RapidOCR and Tesseract.

They are optional: `pip install rapidocr pytesseract`, and Debian's package tesseract-ocr. Each sees
the whole image at once, and each gets its ink as it likes it best: found on writers who choose.

The same ink read by others, in the same run.

Open recognisers that read whole pages, with their own finders of lines, to compare.
"""

import importlib
import os
import tempfile
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.errors import ConfigError
from inkstream.model.evaluation.bootstrap import overall, times
from inkstream.model.evaluation.material import CHARACTERS, TEXT, WORDS, Material
from inkstream.model.metrics import Figures, errors

P = TypeVar("P")
Kind = Literal["word", "text", "character"]
Grey = NDArray[np.uint8]  # [h, w], dark on light

TYPOGRAPHIC: Final = str.maketrans("‘’“”–—", "''\"\"--")  # what they say for what ASCII has
LEAST: Final = 1e-30  # stands for no probability where it is divided by


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a peer wants its ink."""

    rows: int  # that the writing fills
    above: int  # blank rows above and below it
    beside: int  # blank columns left and right of it
    tight: bool = False  # whether it is the ink that fills the rows, not the frame of its writer


class Peer(Protocol):
    """Something that reads images of lines."""

    name: str  # with its version
    sees: str  # what it may look at

    def rendering(self, kind: Kind) -> Rendering:
        """How it wants its ink."""
        ...

    def read(self, images: Sequence[Grey], kind: Kind, characters: str) -> list[str]:
        """The text of each image, one at least, of `characters` alone if it can be told that."""
        ...


class RapidOCR:
    """PP-OCR's recognition by RapidOCR, with the model that its wheel ships."""

    sees = "the finished image of the line"
    renderings: Final[dict[Kind, Rendering]] = {
        "word": Rendering(64, 8, 8),
        "text": Rendering(96, 0, 16),
        "character": Rendering(64, 16, 16),
    }

    def __init__(self) -> None:
        rapidocr: Any = importlib.import_module("rapidocr")
        engine = rapidocr.RapidOCR(
            params={
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "Global.log_level": "error",
            }
        )
        engine(np.full((48, 96, 3), 255, np.uint8), use_det=False, use_cls=False)  # loads it
        recognition = engine.cfg.Rec
        self.name = (
            f"RapidOCR {version('rapidocr')}"
            f" ({recognition.ocr_version.value} {recognition.model_type.value})"
        )
        self._input = importlib.import_module("rapidocr.ch_ppocr_rec").TextRecInput
        self._recognise = engine.text_rec
        self._decode = _Limited(engine.text_rec.postprocess_op)
        self._recognise.postprocess_op = self._decode

    def rendering(self, kind: Kind) -> Rendering:
        """More rows than it takes, which it scales to 48; lines without a margin above them."""
        return self.renderings[kind]

    def read(self, images: Sequence[Grey], kind: Kind, characters: str) -> list[str]:
        """See `Peer`."""
        self._decode.limit(characters)
        coloured = [np.repeat(image[:, :, None], 3, 2) for image in images]
        return [plain_text(text) for text in self._recognise(self._input(img=coloured)).txts]


class _Limited:
    """RapidOCR's own decoding of CTC, with what is not allowed left out, as our decoder does it."""

    def __init__(self, decode: Any) -> None:
        self._decode = decode
        self._symbols: Sequence[str] = decode.character  # the blank first
        self._allowed = np.ones(len(self._symbols), bool)

    def limit(self, characters: str) -> None:
        """From now on answer with these alone."""
        self._allowed = np.array([symbol in set(characters) for symbol in self._symbols])
        self._allowed[0] = True

    def __call__(self, probabilities: NDArray[np.float32], *args: Any, **options: Any) -> Any:
        """Letters that are not allowed leave their probability to those that are."""
        limited = np.where(self._allowed, probabilities, 0)
        before, after = (p[..., 1:].sum(-1, keepdims=True) for p in (probabilities, limited))
        limited[..., 1:] *= before / np.maximum(after, LEAST)
        return self._decode(limited, *args, **options)


class Tesseract:
    """Tesseract's LSTM for English."""

    sees = "the finished image of the line, and English words"
    modes: Final[dict[Kind, int]] = {"word": 8, "text": 7, "character": 10}  # of the page

    def __init__(self) -> None:
        self._tesseract: Any = importlib.import_module("pytesseract")
        self.name = f"Tesseract {self._tesseract.get_tesseract_version().base_version}"

    def rendering(self, kind: Kind) -> Rendering:
        """As print is scanned: small, in strokes that are broad for it."""
        return Rendering(32 if kind == "word" else 24, 8, 8)

    def read(self, images: Sequence[Grey], kind: Kind, characters: str) -> list[str]:
        """See `Peer`; single characters alone are limited."""
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


def line_peers() -> list[Peer]:
    """The peers that are there; raises `ConfigError` when none is."""
    return those_there(RapidOCR, Tesseract)


def those_there(*peers: Callable[[], P]) -> list[P]:
    """Those of some peers that are installed; raises `ConfigError` when none is."""
    found: list[P] = []
    for peer in peers:
        try:
            found.append(peer())
        except (ImportError, OSError):  # the package is not there, or its program is not
            continue
    if not found:
        raise ConfigError("no peer is installed: pip install rapidocr pytesseract")
    return found


def plain_text(text: str) -> str:
    """A text in ASCII's characters where it has such, without blanks around it."""
    return unicodedata.normalize("NFKC", text).translate(TYPOGRAPHIC).strip()


SIDES: Final[dict[str, tuple[str, Kind]]] = {"words": (WORDS, "word"), "text": (TEXT, "text")}
PAPER: Final = 255


def compare(
    material: Material,
    peers: Sequence[Peer],
    labels: Sequence[str],
    ours: Mapping[str, Figures],
    n_columns: int,
) -> Figures:
    """Errors of each peer on all words and lines, on fresh ones, and on single characters.

    `times` beside those of words and lines are how many times as many characters it gets wrong.

    Args:
        material: the pieces.
        peers: who read them.
        labels: what may be answered in words and lines.
        ours: what our net makes of `words` and `text`: the `overall` figures of either.
        n_columns: of all words and lines as our net reads them: what the processor's time is for.
    """
    found = {}
    for peer in peers:
        own = found[peer.name] = _measured(material, peer, labels, n_columns)
        for side in SIDES:
            own[side]["times"] = times(own[side]["spread"], ours[side]["spread"])
    return found


def _measured(material: Material, peer: Peer, labels: Sequence[str], n_columns: int) -> Figures:
    found: Figures = {"sees": peer.sees}
    taken_s = 0.0
    for side, (category, kind) in SIDES.items():
        places = material.places(category)
        images = [image(material, place, peer.rendering(kind)) for place in places]
        begun_s = _processor_s()
        texts = peer.read(images, kind, "".join(labels)) if images else []
        taken_s += _processor_s() - begun_s
        found[side] = overall(material, places, texts)
    found["us_per_column"] = 1e6 * taken_s / n_columns if n_columns else None
    found["characters"] = {}
    for category, characters in CHARACTERS.items():
        places = material.places(category)
        rendering = peer.rendering("character")
        images = [image(material, place, rendering) for place in places]
        texts = peer.read(images, "character", characters) if images else []
        found["characters"][category] = errors(texts, material.labels(places))
    return found


def image(material: Material, place: int, rendering: Rendering) -> Grey:
    """A piece as an image [h, w], dark on light, with margins."""
    columns = material.columns(place, rendering.rows, tight=rendering.tight)
    margins = ((rendering.beside, rendering.beside), (rendering.above, rendering.above))
    return np.ascontiguousarray(PAPER - np.pad(columns, margins).T)


def _processor_s() -> float:
    """Seconds of the processor that this process and those that it started have taken."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


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


def page_peers() -> list[PagePeer]:
    """The peers that are there; raises `ConfigError` when none is."""
    return those_there(RapidPages, TesseractPages)

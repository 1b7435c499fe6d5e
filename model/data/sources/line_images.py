"""Read a user's images of lines and pages with their text, as other programs keep them.

- `NAME.png` and `NAME.gt.txt` (kraken, Tesseract): a line or, where the text has several lines, a
  page, whose lines are found and matched with those of the text.
- ALTO and PAGE XML (eScriptorium, Transkribus) and the images that they name: lines are cut out
  along their polygons or boxes, or around their baselines.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from glob import escape
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from inkstream.model.data.images import SUFFIXES as IMAGE_SUFFIXES
from inkstream.model.data.sources import ink_files
from inkstream.model.data.sources.paper import PaperLines, PaperSource, decoded, read_file, spelt
from inkstream.model.data.split import part_of_lines
from inkstream.model.errors import DataError, ImageError
from inkstream.model.pages import cut_lines, page_columns
from inkstream.model.preprocess.columns import line_columns
from inkstream.model.preprocess.image import Grey, upright_size
from inkstream.model.preprocess.inkml import Element, parse
from inkstream.model.recognizer import load

Points = NDArray[np.float64]  # [n, 2], x right, y down
Pairs = list[tuple[Grey, str]]  # of images and texts of lines

TEXT: Final = ".gt.txt"
SUFFIXES: Final = (TEXT, ".xml")
KINDS: Final = {"images of lines": line_columns, "lines of pages": page_columns}
SKIPPED: Final = 0.5  # cost of a line without a text, and of a text without a line; a pair is 0..1
DOUBT: Final = 0.25  # a pair costs so much more than is usual on its page


def read(source: Path, held_out: float) -> tuple[list[PaperLines], Counter[str]]:
    """Read a file, or all files of a folder; return the lines by kind, and what was left out.

    A share of each kind is held out. Raises `DataError` for what can't be read.
    """
    lines: dict[str, list[tuple[str, Grey, str]]] = {kind: [] for kind in KINDS}
    left_out, digest = Counter[str](), hashlib.sha256()
    for path in ink_files.files_of(source, SUFFIXES):
        content = read_file(path)
        digest.update(content)
        is_text = path.name.lower().endswith(TEXT)
        kind, pairs = (_of_text if is_text else _of_xml)(path, content, left_out)
        name = path.relative_to(source) if path != source else path.name
        for number, (image, text) in enumerate(pairs, 1):
            digest.update(image.tobytes())
            lines[kind].append((f"{name}, line {number}", image, text))
    sets = []
    for kind, members in lines.items():
        if members:
            names, images, texts = map(list, zip(*members, strict=True))
            parts = partial(part_of_lines, held_out=held_out)
            origin = PaperSource(kind, kind, "", "", str, parts, columns=KINDS[kind])
            sets.append(PaperLines(origin, images, texts, names, 0, digest.hexdigest()))
    return sets, left_out


def _of_text(path: Path, content: bytes, left_out: Counter[str]) -> tuple[str, Pairs]:
    """Return the kind, the images and the texts of a file of text and the image beside it."""
    try:
        texts = [text for text in map(spelt, content.decode("utf-8-sig").splitlines()) if text]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 at byte {error.start}") from error
    image = _image_of(path, path.name[: -len(TEXT)])
    if len(texts) < 2:
        picture = decoded(read_file(image), str(image))
        left_out["lines without text"] += not texts
        return "images of lines", [(picture, text) for text in texts if _has_ink(picture, left_out)]
    strips = [strip for strip in _cut(image) if strip is not None]
    net = load("lines")
    columns = [page_columns(strip, net.column_height) for strip in strips]
    read_texts = [line.text for line in net.read_all(columns)] if columns else []
    pairs = matched(read_texts, texts)
    left_out["lines of text that match no line of their page for sure"] += len(texts) - len(pairs)
    return "lines of pages", [(strips[at], texts[number]) for at, number in pairs]


def _has_ink(picture: Grey, left_out: Counter[str]) -> bool:
    """Tell whether there is a line on an image, and count it where there is none."""
    try:
        line_columns(picture, 32)
    except ImageError:
        left_out["images without writing"] += 1
        return False
    return True


def _cut(image: Path, outlines: Sequence[Points] | None = None) -> list[Grey | None]:
    """Cut the lines of a page; an error names the image."""
    try:
        return cut_lines(read_file(image), outlines)
    except ImageError as error:
        raise DataError(f"{image}: {error}") from error


def _image_of(path: Path, stem: str, named: str = "") -> Path:
    """Return the image beside a file or its folder: the `named` one, or `stem` with an ending."""
    for folder in (path.parent, path.parent.parent):
        if named and (folder / named).is_file():
            return folder / named
        for beside in sorted(folder.glob(f"{escape(stem)}.*"), key=lambda other: len(other.name)):
            if beside.suffix.lower() in IMAGE_SUFFIXES:
                return beside
    raise DataError(f"{path} has no image beside it, expected {named or f'{stem}.png'}")


def matched(read_texts: Sequence[str], written: Sequence[str]) -> list[tuple[int, int]]:
    """Match what was read of a page's lines with its text, in order; return pairs of indices.

    The pairs have the least sum of edit distances, as shares of the longer text. Those in doubt are
    left out, and where the numbers differ all pairs of a page that can hardly be read.
    """
    distance = Levenshtein.normalized_distance
    costs = np.array([[distance(text, other) for other in written] for text in read_texts])
    costs = costs.reshape(len(read_texts), len(written))
    total = np.add.outer(*(SKIPPED * np.arange(length + 1) for length in costs.shape))
    for at, number in np.ndindex(costs.shape):
        skipped = min(total[at, number + 1], total[at + 1, number]) + SKIPPED
        total[at + 1, number + 1] = min(skipped, total[at, number] + costs[at, number])
    pairs: list[tuple[int, int]] = []
    at, number = costs.shape
    while at and number:
        if total[at, number] == total[at - 1, number - 1] + costs[at - 1, number - 1]:
            at, number = at - 1, number - 1
            pairs.insert(0, (at, number))
        elif total[at, number] == total[at - 1, number] + SKIPPED:
            at -= 1
        else:
            number -= 1
    usual = float(np.median([costs[pair] for pair in pairs])) if pairs else 0.0
    is_sure = len(pairs) == len(read_texts) == len(written) or usual <= 0.6
    return [pair for pair in pairs if is_sure and costs[pair] <= usual + DOUBT]


def _of_xml(path: Path, content: bytes, left_out: Counter[str]) -> tuple[str, Pairs]:
    """Return the kind, the images and the texts of ALTO or PAGE; of other XML there are none."""
    kind = "lines of pages"
    try:
        root = parse(content)
    except DataError as error:
        raise DataError(f"{path}, {error}") from error
    if root.name not in ("alto", "PcGts"):
        left_out["files of XML that are neither ALTO nor PAGE"] += 1
        return kind, []
    page = next(root.all("Page"), root)
    named = page.attributes.get("imageFilename") or next((e.text for e in root.all("fileName")), "")
    image = _image_of(path, path.stem, Path(named.strip().replace("\\", "/")).name)
    given_size = " ".join(
        page.attributes.get(name, "") for name in ("WIDTH", "HEIGHT", "imageWidth", "imageHeight")
    )
    size = _points(given_size) if given_size.strip() else upright_size(read_file(image))
    lines = []
    for element in page.all("TextLine"):
        text, outline, baseline = spelt(_text_of(element)), _outline(element), _baseline(element)
        if text and (len(outline) > 2 or len(baseline) > 1):
            lines.append((text, outline / size, baseline / size))
        else:
            left_out[f"lines without {'an outline' if text else 'text'}"] += 1
    spacing = _spacing([baseline for _, _, baseline in lines if len(baseline)])
    outlines = [
        outline if len(outline) > 2 else _around(baseline, spacing)
        for _, outline, baseline in lines
    ]
    strips = zip(_cut(image, outlines), (text for text, *_ in lines), strict=True)
    pairs = [(strip, text) for strip, text in strips if strip is not None]
    left_out["lines without ink"] += len(lines) - len(pairs)
    return kind, pairs


def _text_of(line: Element) -> str:
    """Return the text of a line: the words of ALTO, the preferred text of PAGE."""
    named = [child for child in line.children if child.name == "TextEquiv"]
    for text in sorted(named, key=lambda child: child.attributes.get("index", "").zfill(9)):
        return next((unicode.text for unicode in text.all("Unicode")), "")
    words = [
        child.attributes.get("CONTENT", "") for child in line.children if child.name == "String"
    ]
    hyphens = [
        child.attributes.get("CONTENT", "-") for child in line.children if child.name == "HYP"
    ]
    return " ".join(words) + "".join(hyphens)


def _outline(line: Element) -> Points:
    """Return the corners of a line's polygon or box; two points or fewer where it has neither."""
    corners = [
        element.attributes.get(name, "")
        for child in line.children
        if child.name in ("Coords", "Shape")
        for element in child.all("Coords", "Polygon", "Point")
        for name in ("points", "POINTS", "x", "y")
    ]
    if len(polygon := _points(" ".join(corners))) > 2:
        return polygon
    sides = (line.attributes.get(name, "") for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
    if len(box := _points(" ".join(sides))) < 2:
        return box
    (left, top), (width, height) = box.tolist()
    right, bottom = left + width, top + height
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _baseline(line: Element) -> Points:
    """Return the points of a line's baseline; none where it has none."""
    written = [
        child.attributes.get("points", "") for child in line.children if child.name == "Baseline"
    ]
    return _points(" ".join([*written, line.attributes.get("BASELINE", "")]))


def _points(text: str) -> Points:
    """Return the pairs of numbers in a text."""
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text)
    return np.array(numbers[: len(numbers) // 2 * 2], np.float64).reshape(-1, 2)


def _spacing(baselines: Sequence[Points]) -> float:
    """Return the usual distance of baselines."""
    steps = np.diff(sorted(float(baseline[:, 1].mean()) for baseline in baselines))
    steps = steps[steps > 0.005]  # of the image's height: others stand side by side
    return float(np.median(steps)) if len(steps) else 0.05


def _around(baseline: Points, spacing: float) -> Points:
    """Return the outline of the writing on a baseline."""
    above, below = np.array([(0, 0.65 * spacing), (0, 0.25 * spacing)])
    return np.concatenate([baseline - above, baseline[::-1] + below])

"""Small made-up folders of ruled pages, wills, words and registers, laid out as the real ones."""

import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

TEXTS = ("abc abc", "cab >ba< ca", "bca")
SPACING = 60  # pixels between baselines
WIDTH = 400


def write_pages(folder: Path, numbers: Sequence[int] = (12, 13, 14)) -> None:
    """Write a page of `TEXTS` for each text number; the last text has two pages."""
    (folder / "pages").mkdir(parents=True)
    names = [f"copy_{number:04}.png" for number in numbers]
    names[-1:] = [names[-1].replace(".png", "_1.png"), names[-1].replace(".png", "_2.png")]
    pages = [{"page": name, "width": WIDTH, "height": 220, "lines": _lines()} for name in names]
    for name in names:
        image = np.full((220, WIDTH), 250, np.uint8)
        for line in range(len(TEXTS)):
            _write_zigzag(image, SPACING * (line + 1))
        Image.fromarray(image).save(folder / "pages" / name)
    (folder / "pages.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))


def write_wills(folder: Path, n_writers: int = 30) -> None:
    """Write two lines by each writer, and a third by the first with a word crossed out."""
    (folder / "lines").mkdir(parents=True)
    texts = [(f"w{writer}", text) for writer in range(n_writers) for text in ("né à", "M^me abc")]
    rows = []
    for number, (writer, text) in enumerate([*texts, ("w0", "un >mot< mot")]):
        name = f"lines/{number:05}.png"
        image = np.full((80, 200 + number), 250, np.uint8)
        _write_zigzag(image, 60)
        Image.fromarray(image).save(folder / name)
        rows.append({"image": name, "text": text, "writer": writer})
    (folder / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_index(folder: Path, texts: Mapping[str, Sequence[str]]) -> Path:
    """Write images of these texts by writer as German words or registers come; return their tar."""
    (folder / "img").mkdir(parents=True)
    rows: list[dict[str, str]] = []
    for writer, own in texts.items():
        for text in own:
            name = f"img/{len(rows)}.webp"
            image = np.full((64, 256), 250, np.uint8)
            _write_zigzag(image, 50)
            Image.fromarray(image).save(folder / name, lossless=True)
            rows.append({"image": name, "text": text, "writer": writer})
    (folder / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with tarfile.open(folder.with_suffix(".tar"), "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    return folder.with_suffix(".tar")


def _lines() -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for number, text in enumerate(TEXTS, 1):
        y = SPACING * number
        corners = [40, y - 26, WIDTH - 40, y - 26, WIDTH - 40, y + 2, 40, y + 2]
        lines.append({"text": text, "polygon": corners, "baseline": [40, y, WIDTH - 40, y]})
    return lines


def _write_zigzag(image: NDArray[np.uint8], baseline: int) -> None:
    """Draw words of letters like w from side to side, 24 pixels high, into an image."""
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    for left in range(40, image.shape[1] - 80, 80):
        points = [(left + 8 * step, baseline - 24 * (step % 2)) for step in range(8)]
        pen.line(points, fill=20, width=3)
    image[:] = np.asarray(picture)

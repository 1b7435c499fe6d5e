"""Files of single letters: special letters by unknown people, and letters by ten writers."""

import json
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

SPECIAL = "øØ«„~|"  # 40 of each
RARE, UNKNOWN = "ç", "þ"  # 3 of each; no net knows the latter
LEAST_POINTS = 30  # of a letter: more than a made-up writer's letters have


def write_letters(folder: Path) -> tuple[Path, Path]:
    """Write special-letters.jsonl.xz and characters.jsonl.xz; letters are 300 wide, 1000 high."""
    random = np.random.default_rng(0)

    def letter(label: str, n_points: int, writer: str = "anyone") -> dict[str, Any]:
        points = [[0, 0], [300, 1000], *random.integers(0, 301, (n_points - 2, 2)).tolist()]
        return {"label": label, "writer": writer, "strokes": [points]}

    special = [letter(label, LEAST_POINTS + n) for label in SPECIAL for n in range(40)]
    special += [letter(label, LEAST_POINTS) for label in 3 * (RARE + UNKNOWN)]
    others = [letter(label, LEAST_POINTS, f"w{n}") for n in range(10) for label in "ogH7"]
    paths = folder / "special-letters.jsonl.xz", folder / "characters.jsonl.xz"
    return write(paths[0], special), write(paths[1], others)


def write(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write JSON lines, compressed."""
    path.write_bytes(lzma.compress("\n".join(map(json.dumps, rows)).encode()))
    return path

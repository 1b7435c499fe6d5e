"""Measure how fast UNIPEN's pens write, for `inkstream bench writers`.

`python -m tools.pens FOLDER` reads the unpacked release and writes `service/bench/pens.json`: the
pens, the pauses between strokes, and the strokes of `examples/hello.jsonl`, which the pens of the
bench write. No ink of UNIPEN is in it.
"""

import itertools
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inkstream.model.data.ink_set import TEXT
from inkstream.model.data.sources.unipen.format import Page, includes, read_page, read_segments
from inkstream.model.errors import DataError

ROOT = Path(__file__).parent.parent
PENS = ROOT / "service" / "bench" / "pens.json"
HELLO = ROOT / "examples" / "hello.jsonl"
INK_ROWS = 29  # of the 32 rows of a column, that the ink of a line fills
FILES = 40  # of each donor, so that no donor outweighs the others
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)  # of each donor's speeds: its pens
RATE = re.compile(rb"^[ \t]*\.POINTS_PER_SECOND[ \t]+(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Written:
    """How one line of text was written."""

    points_per_s: int
    rows_per_s: float  # path of the pen on paper
    gaps_s: list[float]  # between strokes; empty where the pen was not recorded in the air


def lines(root: Path) -> Iterator[tuple[str, Written]]:
    """Yield the donor and the writing of each line whose rate is known."""
    n_files: dict[str, int] = defaultdict(int)
    for path in sorted(root.glob("data/8/*/**/*.dat")):
        donor = path.relative_to(root).parts[2]
        if n_files[donor] == FILES:
            continue
        text = path.read_bytes()
        try:
            included = [(root / "include" / name).read_bytes() for name in includes(text)]
            page = read_page(includes(text), lambda name: (root / "include" / name).read_bytes())
        except (DataError, OSError):
            continue
        rates = {int(rate) for each in (text, *included) for rate in RATE.findall(each)}
        if len(rates) != 1:
            continue
        n_files[donor] += 1
        (rate,) = rates
        for segment in read_segments(text, TEXT, donor):
            if (found := written(page, segment.delineation, rate)) is not None:
                yield donor, found


def written(page: Page, delineation: str, rate: int) -> Written | None:
    """Return how a segment was written; None unless it is a line, three times as wide as high."""
    try:
        strokes = page.strokes(delineation)
    except DataError:
        return None
    parts = [page.points[start:stop].astype(float) for start, stop in strokes]
    width, height = np.ptp(np.concatenate(parts), axis=0) if parts else (0, 0)
    if not height or width < 3 * height:
        return None
    path = sum(float(np.hypot(*np.diff(part, axis=0).T).sum()) for part in parts)
    down_s = sum(map(len, parts)) / rate
    gaps = [(later[0] - earlier[1]) / rate for earlier, later in itertools.pairwise(strokes)]
    return Written(rate, INK_ROWS * path / height / down_s, [gap for gap in gaps if gap > 0])


def main(folder: Path) -> None:
    """Write the pens of the release in `folder`."""
    by_donor: dict[str, list[Written]] = defaultdict(list)
    for donor, found in lines(folder):
        by_donor[donor].append(found)
    pens, gaps_s = [], []
    for own in by_donor.values():
        own.sort(key=lambda line: line.rows_per_s)
        chosen = [own[int(quantile * len(own))] for quantile in QUANTILES]
        pens += [(line.points_per_s, round(line.rows_per_s, 1)) for line in chosen]
        donor_gaps = [gap for line in own for gap in line.gaps_s]
        if len(donor_gaps) > len(own):  # its pens were recorded in the air
            gaps_s.append(np.quantile(donor_gaps, np.linspace(0.01, 0.99, 50)))
    strokes = json.loads(HELLO.read_text("utf-8"))["strokes"]
    contents = {
        "pens": pens,
        "gaps_s": [round(float(gap), 3) for gap in np.mean(gaps_s, axis=0)],
        "strokes": strokes,
    }
    PENS.write_text(json.dumps(contents) + "\n", "utf-8")
    rates = np.quantile([rate for rate, _ in pens], (0.1, 0.5, 0.9))
    speeds = np.quantile([speed for _, speed in pens], (0.1, 0.5, 0.9))
    print(f"{len(pens)} pens of {len(by_donor)} donors; 10 %, median, 90 %:")
    print(f"points a second {rates.round(1)}, rows a second {speeds.round(1)}")
    print(f"gaps {np.quantile(contents['gaps_s'], (0.1, 0.5, 0.9)).round(3)} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

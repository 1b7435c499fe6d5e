"""What the writing pad does with hands that it does not know: `make pad`.

Writes words of report writers on the page, with a mouse that moves as their pens did, in a browser
on this machine; compares the page's text with what the Python client hears of the same ink;
measures how soon and how smoothly the page shows it; and takes the pictures of the page that the
documents show. Needs UNIPEN, read once by `inkstream data unipen`.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Response

from inkstream.model.checkpoint import find, read
from inkstream.model.data.sources import unipen
from inkstream.model.evaluation.material import WORDS, Material
from tests.service.running import Running, server
from tests.service.web.pad import pictures
from tests.service.web.pad.page import Pad, chromium, recognize_at_once

Strokes = list[NDArray[np.float32]]

REPORT: Final = Path(__file__).parent.parent / "docs" / "reports" / "pad"
PROBE: Final = Path(pictures.__file__).with_name("probe.js").read_text()
AXE: Final = Path(sys.prefix) / "npm" / "node_modules" / "axe-core" / "axe.min.js"
SCREEN: Final = {"width": 1100, "height": 800}
N_WORDS: Final = 50
N_LATE: Final = 30
MOST_COLUMNS: Final = 170  # of a word: what the pad holds
BACK: Final = 10.0  # columns that a late stroke goes back, at least
SHORT: Final = 90  # columns of a word of those that make a long line
GAP: Final = 40.0  # CSS pixels between its words
LONG: Final = 2000  # columns of the line in which frames are counted
FRAMES: Final = ["disabled-by-default-devtools.timeline.frame", "devtools.timeline.frame"]


def words() -> tuple[Material, list[Strokes]]:
    """Words of report writers that the pad holds, in random order."""
    net = read(find("lines"))
    config = net.metadata.config
    material = Material(unipen.read(None)[0], "test", config.labels, config.column_height)
    places = np.random.default_rng(0).permutation(material.places(WORDS))
    strokes = [material.strokes(place) for place in places[:1000].tolist()]
    return material, [
        each for each in strokes if max(stroke[:, 0].max() for stroke in each) < MOST_COLUMNS
    ]


def goes_back(strokes: Strokes) -> bool:
    """Whether a stroke begins far behind what was written before it: a dot, a bar."""
    furthest = strokes[0][:, 0].max()
    for stroke in strokes[1:]:
        if stroke[:, 0].max() < furthest - BACK:
            return True
        furthest = max(furthest, stroke[:, 0].max())
    return False


def same_text(running: Running, pad: Pad, pieces: Sequence[Strokes], rows: int) -> int:
    """How many of these the page reads as the Python client does, from the same ink at once."""
    n_same = 0
    for strokes in pieces:
        pad.page.get_by_role("button", name="Clear").click()
        pad.write_at_speed(strokes, rows)
        pad.settle()
        n_same += pad.text == recognize_at_once(running, pad)
    return n_same


def delays(pad: Pad) -> dict[str, float]:
    """Milliseconds from a point of the pen to the ribbon."""
    found: list[float] = pad.page.evaluate("delays")
    middle, most = np.quantile(found, (0.5, 0.9)).tolist()
    return {"ribbon_ms": middle, "ribbon_ms_90": most, "ribbon_times": len(found)}


def first_answer_ms(browser: Browser, url: str, strokes: Strokes, rows: int) -> float:
    """Milliseconds from the first point on a fresh page to the first column that is shown."""
    times = []
    for _ in range(5):
        pad = Pad(browser, url, PROBE, viewport=SCREEN)
        pad.write_at_speed(strokes, rows)
        times.append(pad.page.evaluate("delays[0]"))
        pad.page.close()
    return float(median(times))


def frames(browser: Browser, pad: Pad, pieces: Iterator[Strokes], rows: int) -> dict[str, float]:
    """Frames a second while a long line is being written, by the browser's own trace."""
    pad.page.get_by_role("button", name="Clear").click()
    width, right = float(pad.page.evaluate("document.querySelector('#pad').clientWidth")), 0.0
    while (column := pad.column) < LONG:
        right = pad.write_at_speed(next(pieces), rows, right + GAP)
        if right > 0.8 * width:  # the paper moves on when all is decided
            pad.settle()
            right = 0.4 * width
    pad.settle()
    pad.page.evaluate("(function each() { requestAnimationFrame(each); })()")  # also in pauses
    browser.start_tracing(page=pad.page, categories=FRAMES)
    pad.write_at_speed(next(pieces), rows, right + GAP)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    drawn = sorted(event["ts"] for event in events if event["name"] == "BeginMainThreadFrame")
    assert pad.column > column
    return {"frames_per_s": 1e6 * (len(drawn) - 1) / (drawn[-1] - drawn[0]), "at_column": column}


def weight(browser: Browser, url: str) -> dict[str, int]:
    """Bytes of all that the page loads, and as they are sent; requests to elsewhere."""
    page = browser.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - is given marks
    page.goto(url, wait_until="networkidle")
    own = [each for each in answers if "/v1/" not in each.url]
    found = {
        "page_bytes": sum(len(each.body()) for each in own),
        "page_bytes_sent": sum(each.request.sizes()["responseBodySize"] for each in own),
        "requests_elsewhere": sum(not each.url.startswith(url) for each in answers),
    }
    page.close()
    return found


def violations(pad: Pad) -> int:
    """What axe-core finds on the page as it stands."""
    pad.page.evaluate(AXE.read_text())
    return len(pad.page.evaluate("axe.run()")["violations"])


@click.command()
@click.option("--pictures", "only_pictures", is_flag=True, help="measure nothing")
def main(*, only_pictures: bool) -> None:
    """Measure the pad, print and write down; take its pictures."""
    REPORT.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        server(Path(folder), models="lines,digits") as running,
        chromium() as browser,
    ):
        if not only_pictures:
            text = json.dumps(measured(running, browser), indent=2)
            (REPORT / "report.json").write_text(text + "\n")
            print(text)
        pictures.take(browser, url_of(running), REPORT)


def url_of(running: Running) -> str:
    """The page's address."""
    return f"http://127.0.0.1:{running.port}/"


def measured(running: Running, browser: Browser) -> dict[str, Any]:
    """All figures."""
    material, pieces = words()
    rows, url = material.column_height, url_of(running)
    late = [strokes for strokes in pieces if goes_back(strokes)][:N_LATE]
    short = [each for each in pieces if max(stroke[:, 0].max() for stroke in each) < SHORT]
    pad = Pad(browser, url, PROBE, viewport=SCREEN)
    found: dict[str, Any] = {
        "model_digest": read(find("lines")).digest,
        "data_digest": material.data_digest,
        "browser": browser.version,
        "words": N_WORDS,
        "words_same": same_text(running, pad, pieces[:N_WORDS], rows),
        "late": len(late),
        "late_same": same_text(running, pad, late, rows),
    }
    found |= delays(pad) | frames(browser, pad, iter(short), rows) | weight(browser, url)
    found["first_answer_ms"] = first_answer_ms(browser, url, pieces[0], rows)
    found |= {"violations": violations(pad), "console_texts": len(pad.console_texts)}
    pad.page.close()
    return found


if __name__ == "__main__":
    main()

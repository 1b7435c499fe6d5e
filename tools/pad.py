"""Measure the writing pad with words and lines of test writers: `make tools.pad`.

A mouse writes them on the page, in a browser on this machine, as the writers' pens moved. The
page's text is compared with that of the Python client for the same ink, latencies, changes of the
text, frame rate and layout shifts are measured, and the pictures of the page for the documents are
taken. This needs UNIPEN, converted once by `inkstream data unipen`.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Response
from rapidfuzz.distance import Levenshtein

from inkstream.model.checkpoint import find, read
from inkstream.model.data.ink_set import TEXT, WORDS
from inkstream.model.data.sources import unipen
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from inkstream.model.metrics import errors
from inkstream.service.client.stream import connect_sync
from tests.helpers.running_server import Running, server
from tests.service.web.pad.pad_page import (
    ROW_HEIGHT,
    Pad,
    chromium,
    kept,
    read_in_both_frames,
    recognize_at_once,
)
from tools import pad_pictures

Strokes = list[NDArray[np.float32]]

REPORT: Final = Path(__file__).parent.parent / "docs" / "reports" / "pad"
PROBE: Final = Path(__file__).with_name("pad_probe.js").read_text()
AXE: Final = Path(sys.prefix) / "npm" / "node_modules" / "axe-core" / "axe.min.js"
SCREEN: Final = {"width": 1100, "height": 800}
LINE_COLUMNS: Final = (150, 340)  # of a line: up to the width of the pad
PHONE_COLUMNS: Final = (0, 105)  # of a word: up to the width of a phone's pad
# Of a page of lines: from one to the next and their size, in heights of a row, and their slope.
LAYOUTS: Final = (
    (0.85, 0.85, 0.0),
    (0.7, 0.7, 0.0),
    (1.0, 1.0, 0.05),
    (1.0, 1.0, -0.05),
    (1.0, 0.7, 0.1),
    (1.0, 0.7, -0.1),
    (2.0, 1.8, 0.0),
)
ROWS: Final = """async (strokes) => {
  const { findRow } = await import("./web/pad/rows.js");
  const { ROW_HEIGHT } = await import("./web/pad/document.js");
  const lines = new Map();
  let activeRow = 0;
  return strokes.map((points) => {
    const row = findRow(points, [...lines.values()], activeRow);
    const moved = points.map(([x, y]) => [x, y - row * ROW_HEIGHT]);
    lines.set(row, { row, strokes: [...(lines.get(row)?.strokes ?? []), { points: moved }] });
    return (activeRow = row);
  });
}"""
SIZES: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 1.0, 1.2, 1.4)  # of words, in heights of a row
N_FULL: Final = 20  # lines on the page on which frames are counted


def ink_of_test_writers() -> EvaluationSet:
    """Return what test writers wrote."""
    config = read(find("lines")).metadata.config
    return EvaluationSet(unipen.read(None)[0], "test", config.labels, config.column_height)


def ink_of(
    evaluation_set: EvaluationSet, category: str, columns: tuple[float, float]
) -> list[Strokes]:
    """Return pieces of a category, of a width between two numbers of columns, in random order."""
    indices = np.random.default_rng(0).permutation(evaluation_set.indices(category))
    pieces = [evaluation_set.strokes(index) for index in indices[:1000].tolist()]
    return [piece for piece in pieces if columns[0] <= width(piece) < columns[1]]


def width(strokes: Strokes) -> float:
    """Return how many columns strokes take."""
    return float(max(stroke[:, 0].max() for stroke in strokes))


def goes_back(strokes: Strokes) -> bool:
    """Return whether a stroke begins far to the left of earlier ink, as a late dot or bar does."""
    ends = np.array([stroke[:, 0].max() for stroke in strokes])
    return bool((ends < np.maximum.accumulate(ends) - 10).any())


class Written(NamedTuple):
    """What the page showed of words or lines that were written on it."""

    n_same: int  # of them with the text that the Python client gets
    n_letters: int  # of the final texts
    n_changed: int  # letters that were shown as decided and changed afterwards
    last_letter_ms: list[float]  # from the end of the ink of each until its text stood, decided

    @property
    def changed_per_100(self) -> float:
        """How many letters of 100 changed after they were shown as decided."""
        return 100 * self.n_changed / self.n_letters


def write_each(running: Running, pad: Pad, pieces: Sequence[Strokes], rows: int) -> Written:
    """Write words or lines, each on an empty page, and record what the page shows."""
    n_same = n_letters = n_changed = 0
    last_letter_ms = []
    for strokes in pieces:
        pad.page.get_by_role("button", name="Clear").click()
        pad.page.evaluate("texts.length = 0")
        pad.write_at_speed(strokes, rows)
        pad.settle()
        n_same += pad.text == recognize_at_once(running, pad)
        n_letters += len(pad.text.replace(" ", ""))
        shown = pad.page.evaluate("texts")
        for before, after in pairwise(shown):
            n_changed += count_changed(before["decided"], after["decided"])
        last_letter_ms.append(settled_after_ms(pad))
    return Written(n_same, n_letters, n_changed, last_letter_ms)


def count_changed(before: str, after: str) -> int:
    """Count the letters of a text that another one lacks, other letters at its end aside.

    This is the least number of edits that make a prefix of `after` of `before` (Levenshtein).
    """
    return min(Levenshtein.distance(before, after[:n]) for n in range(len(after) + 1))


def settled_after_ms(pad: Pad) -> float:
    """Return the milliseconds from the pen's lift until the page showed its final text, decided."""
    shown = pad.page.evaluate("texts")
    final = shown[-1]["text"]
    settled = list(takewhile(lambda text: text["decided"] == final, shown[::-1]))
    return max(0.0, float(settled[-1]["at"] - pad.page.evaluate("pen.liftedAt")))


def insertion(
    running: Running, pad: Pad, ink_of_words: Sequence[Strokes], rows: int
) -> dict[str, Any]:
    """Measure the milliseconds from the end of a word between two others to the right text."""
    short = [word for word in ink_of_words if width(word) < 80][:60]  # three of them fit in a line
    gap = 32.0  # CSS pixels between words
    times, n_same = [], 0
    for first, between, last in zip(short[::3], short[1::3], short[2::3], strict=True):
        pad.page.get_by_role("button", name="Clear").click()
        start = pad.write_at_speed(first, rows) + gap
        pad.write_at_speed(last, rows, left=start + ROW_HEIGHT / rows * width(between) + gap)
        pad.settle()
        pad.page.evaluate("texts.length = 0")
        pad.write_at_speed(between, rows, left=start)
        pad.settle()
        n_same += pad.text == recognize_at_once(running, pad)
        times.append(settled_after_ms(pad))
    return {
        "inserted": len(times),
        "inserted_same": n_same,
        "inserted_ms": median(times),
        "inserted_ms_90": float(np.quantile(times, 0.9)),
    }


def lines_told_apart(pad: Pad, lines: Sequence[Strokes], rows: int) -> dict[str, Any]:
    """Count the lines all of whose strokes get one row, which no other line of the page gets.

    They are written in several layouts: slanted, small, large, and closer together than the rules.
    """
    pages = [lines[n : n + 4] for n in range(0, len(lines), 4)][:30]
    n_whole = 0
    for pitch, size, slope in LAYOUTS:
        scale = size * ROW_HEIGHT / rows
        for page in pages:
            top = max(0.0, -slope) * scale * max(map(width, page))
            strokes = [
                [
                    [scale * x, top + number * pitch * ROW_HEIGHT + scale * (y + slope * x)]
                    for x, y in stroke.tolist()
                ]
                for number, line in enumerate(page)
                for stroke in line
            ]
            row_numbers = iter(pad.page.evaluate(ROWS, strokes))
            rows_of_lines = [{next(row_numbers) for _ in line} for line in page]
            n_whole += sum(
                len(line) == 1 and sum(not line.isdisjoint(other) for other in rows_of_lines) == 1
                for line in rows_of_lines
            )
    return {
        "layouts": len(LAYOUTS),
        "laid_out": len(LAYOUTS) * sum(map(len, pages)),
        "whole": n_whole,
    }


def frames(running: Running, words: EvaluationSet) -> dict[str, Any]:
    """Measure the CER of words in several sizes, each in the middle of a row.

    They are read in the row's frame, in the one that fits them, and in that of the two that the
    page keeps.
    """
    indices = np.random.default_rng(0).permutation(words.indices(WORDS))[:400].tolist()
    texts: dict[str, list[str]] = {"row": [], "fit": [], "kept": []}
    with connect_sync(running.url, model="lines") as stream:
        for number, index in enumerate(indices):
            stream.reset()
            stream.configure(language="english")
            size = SIZES[number % len(SIZES)]
            scale, top = size * ROW_HEIGHT / words.column_height, ROW_HEIGHT * (1 - size) / 2
            ink = [scale * stroke + (0, top) for stroke in words.strokes(index)]
            row, fit = read_in_both_frames(stream, ink, ROW_HEIGHT)
            for read, (_, text) in zip(texts.values(), (row, fit, kept(row, fit)), strict=True):
                read.append(text)
    labels = words.labels(indices)
    cer = {f"cer_{name}": errors(read, labels)["cer"] for name, read in texts.items()}
    return {"sized": len(indices), "sizes": len(SIZES)} | cer


def latencies(pad: Pad) -> dict[str, float]:
    """Measure the milliseconds from a point of the pen to its drawing in the ribbon."""
    times: list[float] = pad.page.evaluate("latencies")
    middle, high = np.quantile(times, (0.5, 0.9)).tolist()
    return {"ribbon_ms": middle, "ribbon_ms_90": high, "ribbon_times": len(times)}


def first_answer_ms(browser: Browser, url: str, strokes: Strokes, rows: int) -> float:
    """Measure the milliseconds from the first point on a new page to the first drawn column."""
    times = []
    for _ in range(5):
        pad = Pad(browser, url, PROBE, viewport=SCREEN)
        pad.see()
        pad.write_at_speed(strokes, rows)
        times.append(pad.page.evaluate("latencies[0]"))
        pad.page.close()
    return float(median(times))


def frame_rate(
    browser: Browser, pad: Pad, ink_of_words: Iterator[Strokes], rows: int
) -> dict[str, float]:
    """Measure the frames per second while a full page is being written, by the browser's trace."""
    pad.page.get_by_role("button", name="Clear").click()
    for number in range(N_FULL):
        if number:
            pad.page.get_by_role("button", name="New line").click()
        pad.write_at_speed(next(ink_of_words), rows, row=row_in_view(pad, number))
    pad.settle()
    pad.page.evaluate(
        "(function each() { requestAnimationFrame(each); })()"
    )  # asks for frames in pauses too
    pad.page.get_by_role("button", name="New line").click()
    timeline = "devtools.timeline.frame"
    browser.start_tracing(page=pad.page, categories=[timeline, f"disabled-by-default-{timeline}"])
    pad.write_at_speed(next(ink_of_words), rows, row=row_in_view(pad, N_FULL))
    events = json.loads(browser.stop_tracing())["traceEvents"]
    frame_times = sorted(event["ts"] for event in events if event["name"] == "BeginMainThreadFrame")
    return {
        "frames_per_s": 1e6 * (len(frame_times) - 1) / (frame_times[-1] - frame_times[0]),
        "at_lines": N_FULL,
    }


def row_in_view(pad: Pad, row: int) -> int:
    """Return how many rows lie above a row of the paper in the part that is in view."""
    scrolled = float(pad.page.evaluate("document.querySelector('#paper').scrollTop"))
    return row - int(scrolled // ROW_HEIGHT)


def page_size(browser: Browser, url: str) -> dict[str, int]:
    """Measure the bytes that the page loads, and count its requests to other servers."""
    page = browser.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - playwright needs a function
    page.goto(url, wait_until="networkidle")
    files = [answer for answer in answers if "/v1/" not in answer.url]
    sizes = {
        "page_bytes": sum(len(file.body()) for file in files),
        "page_bytes_sent": sum(file.request.sizes()["responseBodySize"] for file in files),
        "requests_elsewhere": sum(not answer.url.startswith(url) for answer in answers),
    }
    page.close()
    return sizes


def count_violations(browser: Browser, url: str) -> dict[str, int]:
    """Count the accessibility violations that axe-core finds in all states of the pictures."""
    n_violations = 0
    for state in pad_pictures.STATES.values():
        page = state(browser, url).page
        page.evaluate(AXE.read_text())
        n_violations += len(page.evaluate("axe.run()")["violations"])
        page.close()
    return {"states": len(pad_pictures.STATES), "violations": n_violations}


@click.command()
@click.option("--pictures", "only_pictures", is_flag=True, help="take the pictures only")
def main(*, only_pictures: bool) -> None:
    """Measure the pad, print and write the report, and take the pictures."""
    REPORT.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        server(Path(folder), models="lines,digits") as running,
        chromium() as browser,
    ):
        url = f"http://127.0.0.1:{running.port}/"
        if not only_pictures:
            text = json.dumps(measure(running, browser, url), indent=2)
            (REPORT / "report.json").write_text(text + "\n")
            print(text)
        pad_pictures.take(browser, url, REPORT)


def measure(running: Running, browser: Browser, url: str) -> dict[str, Any]:
    """Measure all figures of the report."""
    evaluation_set = ink_of_test_writers()
    rows = evaluation_set.column_height
    ink_of_words = ink_of(evaluation_set, WORDS, (0, 170))  # up to half the width of the pad
    ink_of_lines = ink_of(evaluation_set, TEXT, LINE_COLUMNS)
    late = [strokes for strokes in ink_of_words if goes_back(strokes)][:30]
    narrow = ink_of(evaluation_set, WORDS, PHONE_COLUMNS)[-10:]
    pad = Pad(browser, url, PROBE, viewport=SCREEN)
    pad.see()
    words = write_each(running, pad, ink_of_words[:50], rows)
    lines = write_each(running, pad, ink_of_lines[:10], rows)
    phone = Pad(browser, url, PROBE, viewport=pad_pictures.PHONE, has_touch=True)
    report: dict[str, Any] = {
        "model_digest": read(find("lines")).digest,
        "data_digest": evaluation_set.pieces.ink.digest,
        "browser": browser.version,
        "words": 50,
        "words_same": words.n_same,
        "changed_per_100": words.changed_per_100,
        "last_letter_ms": median(words.last_letter_ms),
        "last_letter_ms_90": float(np.quantile(words.last_letter_ms, 0.9)),
        "late": len(late),
        "late_same": write_each(running, pad, late, rows).n_same,
        "lines": 10,
        "lines_same": lines.n_same,
        "lines_changed_per_100": lines.changed_per_100,
        "phone": len(narrow),
        "phone_same": write_each(running, phone, narrow, rows).n_same,
    }
    phone.page.close()
    report |= (
        latencies(pad)
        | insertion(running, pad, ink_of_words, rows)
        | frames(running, evaluation_set)
        | lines_told_apart(pad, ink_of_lines, rows)
        | frame_rate(browser, pad, iter(ink_of_words), rows)
        | {"layout_shift": pad.page.evaluate("shifts"), "console_errors": len(pad.console_texts)}
        | page_size(browser, url)
        | count_violations(browser, url)
    )
    report["first_answer_ms"] = first_answer_ms(browser, url, ink_of_words[0], rows)
    pad.page.close()
    return report


if __name__ == "__main__":
    main()

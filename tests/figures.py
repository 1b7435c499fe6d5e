"""Puts the reports' figures into the documents, between their markers, and beside the weights.

`make figures` does so; `tests/test_readme.py` holds that nobody typed one by hand.
"""

import json
from pathlib import Path

from model.checkpoint import FIGURES, find, read
from service.bench.report import Report
from service.settings import Settings

ROOT = Path(__file__).parent.parent
REPORTS = ROOT / "docs" / "reports"
DOCUMENTS = (ROOT / "README.md", ROOT / "model" / "weights" / "MODEL_CARD.md")


def figures() -> dict[str, str]:
    """What stands between the markers of each name."""
    digits = (REPORTS / "digits" / "figures.md").read_text()
    document = json.loads((REPORTS / "document.json").read_text())
    bench = Report.model_validate_json((REPORTS / "bench.json").read_text())
    footprint = json.loads((REPORTS / "footprint.json").read_text())
    return {
        "footprint": (
            f"{footprint['install_mb']:.0f} MB installed without byte code, "
            f"{footprint['resident_mb']:.0f} MB of memory when idle, "
            f"{footprint['ready_s']:.2f} s from start to ready"
        ),
        "both": (
            f"{footprint['both_resident_mb']:.0f} MB when idle, "
            f"{footprint['both_ready_s']:.2f} s from start to ready"
        ),
        "figures": f"\n{digits}",
        "lines": f"\n{(REPORTS / 'lines' / 'figures.md').read_text()}",
        "pad": f"\n{_pad()}",
        "pages": f"\n{(REPORTS / 'pages' / 'figures.md').read_text()}",
        "language": f"\n{(REPORTS / 'language' / 'figures.md').read_text()}",
        "document": f"{document['test_accuracy']:.2%}",
        "bench": f"\n{bench.table()}",
    }


def _pad() -> str:
    """The table of the pad, from the reports of `tests.pad` and `inkstream evaluate ink`."""
    pad = json.loads((REPORTS / "pad" / "report.json").read_text())
    margin = Settings.model_fields["ink_margin_columns"].default
    ink = json.loads((REPORTS / "ink" / "report.json").read_text())["margins"][str(margin)]
    rows = {
        "words by unseen writers with the text that the Python client hears of the same ink": (
            f"{pad['words_same']} of {pad['words']}"
        ),
        "words with late dots and bars with the text of their ink at once": (
            f"{pad['late_same']} of {pad['late']}"
        ),
        "letters withdrawn of 100 (no longer in the text), in words; in lines": "; ".join(
            f"{ink[kind]['withdrawn_per_100']:.1f} ({ink[kind]['gone_per_100']:.1f})"
            for kind in ("words", "lines")
        ),
        "columns from a letter's end to the pen when it is told, median": (
            f"{ink['words']['ahead_median']:.0f}; {ink['lines']['ahead_median']:.0f}"
        ),
        "from a point of the pen to the ribbon, median; 90 %": (
            f"{pad['ribbon_ms']:.0f} ms; {pad['ribbon_ms_90']:.0f} ms"
        ),
        "from the first ink to the first answer": f"{pad['first_answer_ms']:.0f} ms",
        f"frames a second while writing beyond column {pad['at_column']:,}": (
            f"{pad['frames_per_s']:.0f}"
        ),
        "page; as it is sent": (
            f"{pad['page_bytes'] / 1000:.0f} kB; {pad['page_bytes_sent'] / 1000:.0f} kB"
        ),
        "requests to elsewhere; console errors; violations that axe-core finds": (
            f"{pad['requests_elsewhere']}; {pad['complaints']}; {pad['violations']}"
        ),
    }
    head = f"| the pad in Chromium {pad['browser'].split('.')[0]} | measured |\n| --- | --- |\n"
    return head + "".join(f"| {name} | {value} |\n" for name, value in rows.items())


def fill(text: str) -> str:
    """The document with the figures of today's reports."""
    for name, content in figures().items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if start in text:
            before, _, rest = text.partition(start)
            text = before + start + content + end + rest.partition(end)[2]
    return text


def of_shipped() -> dict[str, dict[str, float]]:
    """Figures of the shipped nets by digest: what `GET /v1/models` adds to training's own."""
    digits = json.loads((REPORTS / "digits" / "report.json").read_text())
    lines = json.loads((REPORTS / "lines" / "report.json").read_text())
    found = {"mnist_test_accuracy": lines["digits"]["right"]}
    for side in ("words", "text"):
        found[f"report_writers_{side}_error"] = lines[side]["error"]
        found[f"report_writers_{side}_right"] = lines[side]["right"]
        found[f"report_writers_fresh_{side}_error"] = lines[side]["fresh"]["error"]
    for category, own in lines["characters"].items():
        found[f"report_writers_{category}_accuracy"] = own["right"]
    return {
        read(find("digits")).digest: {"mnist_test_accuracy": digits["accuracy"]},
        read(find("lines")).digest: found,
    }


if __name__ == "__main__":
    FIGURES.write_text(json.dumps(of_shipped(), indent=2) + "\n")
    for document in DOCUMENTS:
        document.write_text(fill(document.read_text()))

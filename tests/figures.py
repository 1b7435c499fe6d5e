"""Puts the reports' figures into the documents, between their markers: `make figures`.

`tests/test_readme.py` holds that nobody typed one by hand.
"""

import json
from pathlib import Path

from service.bench.report import Report

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
        "document": f"{document['test_accuracy']:.2%}",
        "bench": f"\n{bench.table()}",
    }


def fill(text: str) -> str:
    """The document with the figures of today's reports."""
    for name, content in figures().items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if start in text:
            before, _, rest = text.partition(start)
            text = before + start + content + end + rest.partition(end)[2]
    return text


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(fill(document.read_text()))

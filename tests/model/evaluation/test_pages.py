"""The report on pages: its measures, and its documents, which follow from its JSON."""

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.evaluation.baselines import Colour, Grey, Kind, ReadLine, Rendering
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from inkstream.model.evaluation.pages import (
    cer,
    match_boxes,
    overlap,
    pages,
    report,
)
from inkstream.model.evaluation.report import Report, document, figures
from tests.helpers.small_ink_set import ALL_KINDS, HEIGHT, ink

pytestmark = pytest.mark.slow

SQUARE = np.array([[0.0, 0.0], [10, 0], [10, 10], [0, 10]])


class Echo:
    """A baseline that reads the same two lines in every image."""

    name, sees, page_method = "Echo 1.0", "nothing", "a fixed answer"

    renderings: Mapping[Kind, Rendering] = {}  # of lines, which it is not asked for

    def read(self, images: Sequence[Grey], kind: Kind, characters: str | None) -> list[str]:
        raise AssertionError(kind)

    def read_page(self, image: Colour) -> list[ReadLine]:
        assert image.ndim == 3
        return [ReadLine(text, SQUARE) for text in ("abc", "cab")]


@pytest.fixture(scope="module")
def pages_report(tiny_lines: Checkpoint) -> Report:
    return report(tiny_lines, ink(), part="validation", limit=2, baselines=[Echo()])


def test_boxes_overlap_by_their_shared_area() -> None:
    assert overlap(SQUARE, SQUARE) == pytest.approx(1)
    assert overlap(SQUARE, SQUARE + np.array([5.0, 0])) == pytest.approx(1 / 3)
    assert overlap(SQUARE, SQUARE + 20) == 0


def test_a_box_is_matched_once() -> None:
    shifted = SQUARE + np.array([1.0, 0])
    assert match_boxes([SQUARE, shifted], [SQUARE]) == {0: 0}
    assert match_boxes([shifted], [SQUARE, shifted]) == {1: 0}
    assert match_boxes([], [SQUARE]) == {}


def test_the_errors_of_pages_count_all_of_their_text() -> None:
    assert cer(["abc"], ["abcd"]) == {"pages": 1, "characters": 4, "cer": 0.25}
    assert cer(["abc", "abcdef"], ["abcd", "abxdef"])["cer"] == pytest.approx(0.2)
    assert cer([], [])["cer"] is None


def test_pages_are_repeatable_and_have_the_labels_of_their_lines() -> None:
    pieces = EvaluationSet(ink(), "validation", ALL_KINDS, HEIGHT)
    first, second = (list(islice(pages(pieces), 2)) for _ in range(2))
    assert len(first) == 2
    for page, same_page in zip(first, second, strict=True):
        assert (page.sheet.image == same_page.sheet.image).all()
        labels = [line.label for line in page.sheet.lines]
        assert [sample.label for sample in page.samples] == labels
        assert all(sample.columns.any() for sample in page.samples)


def test_a_report_is_plain_json_with_errors_lines_and_baselines(pages_report: Report) -> None:
    contents = json.loads(json.dumps(pages_report.contents))
    assert contents == pages_report.contents
    assert contents["page"]["pages"] == 2
    assert 0 < contents["found"]["f1"] <= 1
    assert contents["found"]["wanted"] == contents["lines"]
    assert contents["baselines"]["Echo 1.0"]["cer"] > 0
    for figures_of in contents["alone"].values():
        assert figures_of["pages"]["pages"] == figures_of["lines"]["pages"] > 0
    for kinds in contents["by"].values():
        assert sum(figures_of["page"]["pages"] for figures_of in kinds.values()) == 2


def test_a_report_writes_json_images_and_a_document(pages_report: Report, tmp_path: Path) -> None:
    folder, path = tmp_path / "reports" / "pages", tmp_path / "pages.md"
    pages_report.save(folder, path)
    contents = json.loads((folder / "report.json").read_text())
    assert path.read_text() == document("pages", contents, "reports/pages")
    assert (folder / "figures.md").read_text() == figures("pages", contents)
    assert "Echo 1.0" in path.read_text()
    with Image.open(folder / "pages.jpg") as picture:
        assert picture.format == "JPEG"

"""The report on pages: what it measures, and that its documents follow from its JSON."""

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.evaluation.baselines import Grey, Kind, Rendering
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
    """A baseline that reads the same in every image."""

    name, sees, page_method = "Echo 1.0", "nothing", "it says what it always says"

    renderings: Mapping[Kind, Rendering] = {}  # of lines, which it is not asked for

    def read(self, images: Sequence[Grey], kind: Kind, characters: str) -> list[str]:
        raise AssertionError(kind)

    def read_page(self, image: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]) -> list[str]:
        assert image.ndim == 3
        return ["abc", "cab"]


@pytest.fixture(scope="module")
def made(tiny_lines: Checkpoint) -> Report:
    return report(tiny_lines, ink(), part="validation", limit=2, baselines=[Echo()])


def test_boxes_overlap_by_their_shared_area() -> None:
    assert overlap(SQUARE, SQUARE) == pytest.approx(1)
    assert overlap(SQUARE, SQUARE + np.array([5.0, 0])) == pytest.approx(1 / 3)
    assert overlap(SQUARE, SQUARE + 20) == 0


def test_a_box_is_found_once() -> None:
    near = SQUARE + np.array([1.0, 0])
    assert match_boxes([SQUARE, near], [SQUARE]) == {0: 0}
    assert match_boxes([near], [SQUARE, near]) == {1: 0}
    assert match_boxes([], [SQUARE]) == {}


def test_the_errors_of_pages_are_those_of_all_their_text() -> None:
    assert cer([(["abc", "d"], ["abc", "d"])]) == {"pages": 1, "characters": 5, "cer": 0}
    assert cer([(["abc d"], ["abc", "d"])])["cer"] == 0  # where a line ends is not judged
    assert cer([([], ["abc"])]) == {"pages": 1, "characters": 3, "cer": 1}
    assert cer([(["abc"], ["abcd"]), (["abcdef"], ["abxdef"])])["cer"] == pytest.approx(0.2)
    assert cer([])["cer"] is None


def test_pages_are_always_the_same_and_say_what_their_strokes_say() -> None:
    pieces = EvaluationSet(ink(), "validation", ALL_KINDS, HEIGHT)
    one, other = (list(islice(pages(pieces), 2)) for _ in range(2))
    assert len(one) == 2
    for first, second in zip(one, other, strict=True):
        assert (first.sheet.image == second.sheet.image).all()
        labels = [line.label for line in first.sheet.lines]
        assert [sample.label for sample in first.samples] == labels
        assert all(sample.columns.any() for sample in first.samples)


def test_a_report_is_plain_json_with_errors_lines_and_baselines(made: Report) -> None:
    contents = json.loads(json.dumps(made.contents))
    assert contents == made.contents
    assert contents["page"]["pages"] == 2
    assert 0 < contents["found"]["f1"] <= 1
    assert contents["found"]["wanted"] == contents["lines"]
    assert contents["baselines"]["Echo 1.0"]["cer"] > 0
    for own in contents["alone"].values():
        assert own["pages"]["pages"] == own["lines"]["pages"] > 0
    for kinds in contents["by"].values():
        assert sum(own["page"]["pages"] for own in kinds.values()) == 2


def test_a_report_becomes_json_pictures_and_a_document(made: Report, tmp_path: Path) -> None:
    folder, path = tmp_path / "reports" / "pages", tmp_path / "pages.md"
    made.save(folder, path)
    contents = json.loads((folder / "report.json").read_text())
    assert path.read_text() == document("pages", contents, "reports/pages")
    assert (folder / "figures.md").read_text() == figures("pages", contents)
    assert "Echo 1.0" in path.read_text()
    with Image.open(folder / "pages.jpg") as picture:
        assert picture.height == 640

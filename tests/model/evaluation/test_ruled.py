"""Ruled pages: their texts, the halves that validate and test, and damaged lists."""

import json
from pathlib import Path

import pytest

from inkstream.model.errors import DataError
from inkstream.model.evaluation.ruled import load_pages
from tests.helpers.paper_folder import TEXTS, write_pages


def test_even_text_numbers_validate_and_odd_ones_test(tmp_path: Path) -> None:
    write_pages(tmp_path, (12, 13, 14))
    ruled = load_pages(tmp_path)
    validation, test = ruled.part("validation"), ruled.part("test")
    assert [ruled.path(page).stem for page in validation] == [
        "copy_0012",
        "copy_0014_1",
        "copy_0014_2",
    ]
    assert [ruled.path(page).stem for page in test] == ["copy_0013"]
    assert [page.copy for page in validation] == ["copy_0012", "copy_0014", "copy_0014"]


def test_what_is_crossed_out_is_no_part_of_a_pages_text(tmp_path: Path) -> None:
    write_pages(tmp_path)
    page = load_pages(tmp_path).pages[0]
    assert TEXTS[1] == "cab >ba< ca"
    assert [line.label for line in page.lines] == ["abc abc", "cab ca", "bca"]
    assert page.lines[0].baseline == [40, 60, 360, 60]


def test_the_digest_of_pages_follows_from_all_files(tmp_path: Path) -> None:
    write_pages(tmp_path / "a")
    write_pages(tmp_path / "b")
    digest = load_pages(tmp_path / "a").digest
    assert load_pages(tmp_path / "b").digest == digest
    image = next((tmp_path / "b" / "pages").iterdir())
    image.write_bytes(image.read_bytes() + b"\0")
    assert load_pages(tmp_path / "b").digest != digest


@pytest.mark.parametrize(
    "change",
    [
        {"page": "no number"},
        {"page": None},
        {"lines": None},
        {"lines": [{"text": "a", "polygon": [1, 2, 3], "baseline": [1, 2]}]},
        {"lines": [{"text": "a", "polygon": ["x", "y"], "baseline": [1, 2]}]},
        {"lines": [{"text": "a", "polygon": [], "baseline": [1, 2, 3, 2]}]},
        {"lines": [{"text": "a", "polygon": [1, 2, 3, 4], "baseline": [1, float("nan")]}]},
        {"lines": [{"text": "a", "polygon": [1, 2]}]},
        {"lines": ["a"]},
    ],
)
def test_a_damaged_list_of_pages_is_refused_with_its_line(
    tmp_path: Path, change: dict[str, object]
) -> None:
    write_pages(tmp_path)
    listed = tmp_path / "pages.jsonl"
    first, *others = listed.read_text().splitlines()
    damaged = json.dumps(json.loads(others[0]) | change)
    listed.write_text("\n".join([first, damaged, *others[1:]]))
    with pytest.raises(DataError, match=r"line 2: .*expected"):
        load_pages(tmp_path)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    write_pages(tmp_path)
    (tmp_path / "pages" / "copy_0013.png").unlink()
    with pytest.raises(DataError, match=r"copy_0013\.png"):
        load_pages(tmp_path)

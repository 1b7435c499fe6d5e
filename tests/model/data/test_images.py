"""Datasets: their digest, their split, and a user's own images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from inkstream.model.data import images
from inkstream.model.errors import DataError
from tests.helpers.builders import excerpt


def draw(path: Path, letter: str, shift: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", (60, 60), 255)
    ImageDraw.Draw(image).text((12 + shift, 4), letter, fill=0, font_size=44)
    image.save(path)


def test_the_digest_changes_with_pixels_answers_and_labels() -> None:
    dataset = excerpt(10)
    other = dataset.columns.copy()
    other[3, 4, 5] ^= 1
    changes: list[dict[str, Any]] = [
        {}, {"columns": other}, {"answers": dataset.answers[::-1]}, {"labels": (*"abcdefghij",)}
    ]  # fmt: skip
    digests = [replace(dataset, **change).digest for change in changes]
    assert len(set(digests)) == 4
    assert replace(dataset, name="renamed").digest == digests[0]


def test_joined_datasets_keep_their_order_and_must_fit() -> None:
    first, second = excerpt(10), excerpt(50).take(np.arange(40, 50))
    joined = first.joined([second])
    for part, start in ((first, 0), (second, 10)):
        assert joined.take(np.arange(start, start + 10)).digest == part.digest
    assert (joined.name, len(joined)) == (first.name, 20)
    letters = replace(first, name="letters", labels=(*"abcdefghij",))
    with pytest.raises(DataError, match="letters have different labels or sizes"):
        first.joined([letters])


def test_a_split_uses_every_image_once_and_is_repeatable() -> None:
    dataset = excerpt(50)
    training, held_out = dataset.split(20, seed=1)
    assert (len(training), len(held_out)) == (30, 20)
    together = np.concatenate([training.columns, held_out.columns])
    assert {column.tobytes() for column in together} == {c.tobytes() for c in dataset.columns}
    assert dataset.split(20, seed=1)[1].digest == held_out.digest
    assert dataset.split(20, seed=2)[1].digest != held_out.digest
    for n_held_out in (0, 50):
        with pytest.raises(DataError, match=f"cannot hold out {n_held_out} of 50 images"):
            dataset.split(n_held_out, seed=0)


def test_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    for label in ("ß", "é", "A"):
        for number in range(2):
            draw(tmp_path / label / f"{number}.png", label, number)
    dataset = images.load(tmp_path)
    assert dataset.labels == ("A", "ß", "é")
    assert dataset.answers.tolist() == [0, 0, 1, 1, 2, 2]
    assert dataset.columns.shape == (6, 28, 28)
    assert dataset.columns.max() > 128


def test_a_csv_of_pixels_is_read_and_its_header_skipped(tmp_path: Path) -> None:
    source = excerpt(3)
    path = tmp_path / "digits.csv"
    lines = ["label," + ",".join(f"pixel{i}" for i in range(784))]
    for columns, answer in zip(source.columns, source.answers, strict=True):
        lines.append(f"{answer}," + ",".join(map(str, columns.T.ravel())))
    path.write_text("\n".join(lines) + "\n")
    dataset = images.load(path)
    assert [dataset.labels[k] for k in dataset.answers] == [str(k) for k in source.answers]
    np.testing.assert_array_equal(dataset.columns, source.columns)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["1,0,0,0"], "row 1: 3 pixels, expected a square image's"),
        (["label,a,b,c,d", "2,0,0,x,0"], "row 2: invalid literal"),
        (["1,0,0,0,0"], "row 1: no writing found"),
        (["1,0,300,0,0"], r"row 1: pixels 0..300, allowed: 0..255"),
        ([], "0 images of 0 classes, expected 2 classes or more"),
    ],
)
def test_the_error_of_a_faulty_csv_names_the_row(
    tmp_path: Path, lines: list[str], complaint: str
) -> None:
    path = tmp_path / "faulty.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=complaint):
        images.load(path)


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "1.png", "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.png").write_text("no picture")
    with pytest.raises(DataError, match=r"b/1\.png"):
        images.load(tmp_path)

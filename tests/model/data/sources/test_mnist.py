"""MNIST's files are read, and damaged ones are refused with the reason."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from inkstream.model.data.sources import mnist
from inkstream.model.errors import DataError


def idx(shape: tuple[int, ...], content: bytes) -> bytes:
    counts = b"".join(n.to_bytes(4, "big") for n in shape)
    return bytes([0, 0, 8, len(shape)]) + counts + content


def test_an_idx_file_is_read_with_its_shape(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(idx((2, 2, 3), bytes(range(12))))
    assert mnist.read_idx(path).tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no IDX file"),
        (b"hello world", "no IDX file"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "no IDX file of unsigned bytes"),
        (idx((3, 2), bytes(5)), "has 17 bytes, expected 18 for its shape 3x2"),
        (idx((3, 2), bytes(7)), "has 19 bytes, expected 18 for its shape 3x2"),
        (idx((2**31, 2**31), b""), "expected 4611686018427387916"),
    ],
)
def test_the_error_of_a_damaged_idx_file_names_what_was_expected(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(DataError, match=complaint) as caught:
        mnist.read_idx(path)
    assert str(path) in str(caught.value)


def test_a_header_cut_in_the_middle_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(b"\0\0\x08\x03\0\0")
    with pytest.raises(DataError, match="has 6 bytes"):
        mnist.read_idx(path)


def test_a_changed_byte_is_found_by_the_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "train-labels-idx1-ubyte"
    good = idx((3,), b"\1\2\3")
    monkeypatch.setitem(mnist.SHA256, name, hashlib.sha256(good).hexdigest())
    (tmp_path / name).write_bytes(good)
    assert mnist.verified(tmp_path, name) == tmp_path / name
    (tmp_path / name).write_bytes(good[:-1] + b"\4")
    with pytest.raises(DataError, match=r"is damaged: 11 bytes with SHA-256 .*, expected SHA-256"):
        mnist.verified(tmp_path, name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train-images-idx3-ubyte is missing"):
        mnist.load("train", tmp_path)


def test_a_column_is_a_vertical_slice_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "train-images-idx3-ubyte": idx((1, 2, 3), bytes([1, 2, 3, 4, 5, 6])),
        "train-labels-idx1-ubyte": idx((1,), b"\7"),
    }
    for name, content in files.items():
        monkeypatch.setitem(mnist.SHA256, name, hashlib.sha256(content).hexdigest())
        (tmp_path / name).write_bytes(content)
    dataset = mnist.load("train", tmp_path)
    np.testing.assert_array_equal(dataset.columns[0], [[1, 4], [2, 5], [3, 6]])
    assert dataset.answers.tolist() == [7]

"""MNIST's files are read, and damaged ones are refused with the reason."""

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from inkstream.model.data.sources import mnist
from inkstream.model.errors import DataError

PIXELS: Final = np.arange(28 * 28).reshape(28, 28).astype(np.uint8)


def write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write files of one image, a seven, as if they were MNIST's."""
    for name, content in {
        "train-images-idx3-ubyte": bytes(16) + PIXELS.tobytes(),
        "train-labels-idx1-ubyte": bytes(8) + b"\7",
    }.items():
        monkeypatch.setitem(mnist.SHA256, name, hashlib.sha256(content).hexdigest())
        (folder / name).write_bytes(content)


def test_a_changed_byte_is_found_by_the_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "train-labels-idx1-ubyte"
    write(tmp_path, monkeypatch)
    (tmp_path / name).write_bytes(bytes(8) + b"\4")
    with pytest.raises(DataError, match=r"is damaged: 9 bytes with SHA-256 .*, expected SHA-256"):
        mnist.load("train", tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train-images-idx3-ubyte is missing"):
        mnist.load("train", tmp_path)


def test_where_it_cannot_be_fetched_the_error_says_which_files_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))
    files = "train-images-idx3-ubyte, .*, or have them in .*inkstream/mnist"
    with pytest.raises(DataError, match=rf"http://127.0.0.1:9/: .* Give a folder with {files}"):
        mnist.load("train")


def test_a_column_is_a_vertical_slice_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, monkeypatch)
    dataset = mnist.load("train", tmp_path)
    np.testing.assert_array_equal(dataset.columns[0], PIXELS.T)
    assert dataset.answers.tolist() == [7]

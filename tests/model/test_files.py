"""Whole files: what may not end or is too large is not read, and nothing is written in part."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inkstream.model.files import read_whole, write_whole


def test_a_file_is_read_up_to_the_size_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_whole(path, 5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes, allowed: up to 4"):
        read_whole(path, 4)
    os.truncate(path, 1 << 42)  # its size is checked before memory is taken
    with pytest.raises(OSError, match="it has 4398046511104 bytes"):
        read_whole(path, 1 << 20)


def test_pipes_devices_and_folders_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="no regular file"):
            read_whole(path, 1 << 20)
    with pytest.raises(IsADirectoryError):
        read_whole(tmp_path, 1 << 20)


def test_several_write_the_same_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([letter]) * 200_000 for letter in b"abcdefgh"]
    with ThreadPoolExecutor(len(contents)) as threads:
        for _ in range(5):
            list(threads.map(write_whole, [path] * len(contents), contents))
            assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]

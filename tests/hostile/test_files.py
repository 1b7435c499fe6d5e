"""Files that change under a running server, and files that no server should start with."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from inkstream.model.checkpoint import WEIGHTS_FOLDER, find, read, sealed
from inkstream.model.decoding.ngrams import FORMAT, NODE
from inkstream.service.client.stream import connect_sync
from tests.helpers import builders
from tests.helpers.command_line import inkstream, one_line
from tests.helpers.target import Target

pytestmark = pytest.mark.slow

ENGLISH = WEIGHTS_FOLDER / "english.ngrams"
LINE = 60  # columns


def read_line(url: str) -> str:
    """Return what a session with the language model reads in one line."""
    with connect_sync(url, model="lines") as stream:
        stream.configure(language="english")
        columns = builders.columns(LINE, 1, stream.ready.column_height)
        for _ in stream.send(columns):
            pass
        return str(stream.flush().text)


@pytest.mark.parametrize("change", ["truncate", "overwrite", "remove"])
def test_a_server_outlives_a_change_of_its_files(
    target: Target, tmp_path: Path, change: str
) -> None:
    for path in (find("lines"), ENGLISH):
        shutil.copy(path, tmp_path)
    language = tmp_path / "english.ngrams"
    flags = ("--models", "lines", "--weights", str(tmp_path), "--languages", str(language))
    with Target(*flags) as changed:
        for path in tmp_path.iterdir():
            if change == "truncate":
                os.truncate(path, 0)
            elif change == "overwrite":
                path.write_bytes(b"\xff" * path.stat().st_size)
            else:
                path.unlink()
        assert read_line(changed.url) == read_line(target.url)
        assert changed.process.poll() is None


def flipped(data: bytes) -> bytes:
    """Return a language model with one bit changed in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def without_numbers(data: bytes) -> bytes:
    """Return a language model whose probabilities are no numbers, with a valid digest."""
    nodes_start = data.index(b"\n", len(FORMAT) + 65) + 1
    about, nodes = data[len(FORMAT) + 65 : nodes_start], data[nodes_start:]
    broken = bytearray(nodes)
    for start in range(0, len(broken), NODE.itemsize):
        broken[start + 1 : start + 3] = b"\xff\xff"
    content = about + bytes(broken)
    return FORMAT + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda data: b"", "starts with b''"),
        (lambda data: data[:1000], "damaged"),
        (flipped, "damaged"),
        (without_numbers, "no finite number"),
    ],
)
def test_a_server_does_not_start_with_a_damaged_language_model(
    tmp_path: Path, damage: Callable[[bytes], bytes], text: str
) -> None:
    path = tmp_path / "english.ngrams"
    path.write_bytes(damage(ENGLISH.read_bytes()))
    result = inkstream("serve", "--port", "0", "--models", "lines", "--languages", path)
    assert result.returncode == 1
    assert text in one_line(result.stderr)


def garbage(path: Path) -> None:
    path.write_bytes(sealed(b"\x12\x09inkstream" + bytes(range(256)) * 1000))


def deep_metadata(path: Path) -> None:
    model = onnx.load_from_string(read(find("digits")).content)
    model.metadata_props[0].value = "[" * 100_000
    del model.metadata_props[1]  # the digest
    path.write_bytes(sealed(model.SerializeToString()))


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 41)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Path.mkdir, "a training run writes it"),
        (os.mkfifo, "no such file"),
        (Path.touch, "not an inkstream checkpoint"),
        (sparse, "allowed: up to"),
        (garbage, "refuses it"),
        (deep_metadata, "its metadata cannot be read"),
    ],
)
def test_a_server_does_not_start_with_an_absurd_model(
    tmp_path: Path, make: Callable[[Path], None], text: str
) -> None:
    path = tmp_path / "net.onnx"
    make(path)
    result = inkstream("serve", "--port", "0", "--models", path)
    assert result.returncode == 1
    assert text in one_line(result.stderr)

"""Files that change under a running server, and files that no server should start with."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from inkstream.model.checkpoint import WEIGHTS_FOLDER, find, read, sealed
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


def deep_metadata(path: Path) -> None:
    model = onnx.load_from_string(read(find("digits")).content)
    model.metadata_props[0].value = "[" * 100_000
    del model.metadata_props[1]  # the digest
    path.write_bytes(sealed(model.SerializeToString()))


# The tests of checkpoints and of language models have all that is wrong with a file.
@pytest.mark.parametrize(
    ("make", "flag", "text"),
    [
        (lambda path: path.write_bytes(ENGLISH.read_bytes()[:1000]), "--languages", "damaged"),
        (os.mkfifo, "--models", "no such file"),
        (deep_metadata, "--models", "its metadata cannot be read"),
    ],
)
def test_a_server_does_not_start_with_a_file_that_it_cannot_use(
    tmp_path: Path, make: Callable[[Path], None], flag: str, text: str
) -> None:
    path = tmp_path / ("english.ngrams" if flag == "--languages" else "net.onnx")
    make(path)
    result = inkstream("serve", "--port", "0", "--models", "lines", flag, path)
    assert result.returncode == 1
    assert text in one_line(result.stderr)

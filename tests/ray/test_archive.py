"""Pages that Ray Data reads, beside those that the command reads by itself."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from inkstream.service.cli import offline
from tests.helpers.command_line import ROOT


class Fatal(offline.Reader):
    """A reader whose process dies at a file of that name."""

    def read(self, path, known=(), page_index=None):  # type: ignore[no-untyped-def]
        """Read a file, or die."""
        if path.name == "fatal.png":
            os._exit(1)
        return super().read(path, known, page_index)


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """Run Ray on this machine."""
    from tests.ray.local_ray import local_ray

    with local_ray({"PYTHONPATH": str(ROOT)}):
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a page, and a file that is none."""
    folder = tmp_path / "pages"
    folder.mkdir()
    shutil.copy(ROOT / "examples" / "will.jpg", folder / "a.jpg")
    (folder / "b.png").write_bytes(b"no image")
    return folder


def lines_of(path: Path) -> list[dict[str, object]]:
    """Return the rows of a file, in order of their names."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return sorted(rows, key=lambda row: str(row["image"]))


READER = offline.Reader("lines", {"threads": 1}, page=True)


def uris(folder: Path) -> dict[str, str]:
    """Return the paths of all files, by their names."""
    return {str(path): str(path) for path in sorted(folder.iterdir())}


@pytest.mark.usefixtures("ray_here")
def test_rows_are_those_of_the_command_and_what_is_known_is_not_read_again(
    folder: Path, tmp_path: Path
) -> None:
    from inkstream.service.cli.parquet import Parquet
    from inkstream.service.cli.ray_archive import read_by_ray

    here, by_ray, parquet = tmp_path / "here.jsonl", tmp_path / "ray.jsonl", tmp_path / "parquet"
    offline.read_into(offline.JsonLines(here), sorted(folder.iterdir()), READER, 1)
    assert not read_by_ray(offline.JsonLines(by_ray), uris(folder), READER, 1)
    assert lines_of(by_ray) == lines_of(here)
    assert "error" in lines_of(here)[1]

    shutil.copy(folder / "a.jpg", folder / "b.png")  # now it is a page
    first = lines_of(by_ray)[0]
    by_ray.write_text(json.dumps(first | {"text": "kept"}) + "\n")
    assert read_by_ray(offline.JsonLines(by_ray), uris(folder), READER, 1)
    assert [row["text"] for row in lines_of(by_ray)] == ["kept", first["text"]]

    import pyarrow.parquet as pq

    (folder / "c.png").write_bytes(b"no image")
    assert not read_by_ray(Parquet(parquet), uris(folder), READER, 2)
    rows = sorted(pq.read_table(parquet).to_pylist(), key=lambda row: row["image"])
    assert json.loads(rows[0]["row"]) == first
    assert [row["error"] is None for row in rows] == [True, True, False]
    (folder / "c.png").unlink()
    assert Parquet(parquet).known() == set(uris(folder))


@pytest.mark.usefixtures("ray_here")
def test_a_page_whose_process_dies_is_a_row_that_says_so(folder: Path, tmp_path: Path) -> None:
    from inkstream.service.cli.ray_archive import read_by_ray

    (folder / "b.png").unlink()
    (folder / "fatal.png").write_bytes(b"")
    out = tmp_path / "rows.jsonl"
    reader = Fatal("lines", {"threads": 1}, page=True)
    assert not read_by_ray(offline.JsonLines(out), uris(folder), reader, 1)
    page, fatal = lines_of(out)
    assert page["text"]
    assert "died" in str(fatal["error"])


def test_an_object_store_lists_its_images_and_gives_copies(folder: Path, tmp_path: Path) -> None:
    from inkstream.service.cli.ray_archive import local_file, objects_of

    (folder / "notes.txt").touch()
    names = objects_of(folder.as_uri())  # a file system is one, for pyarrow
    assert names == [(folder / name).as_uri() for name in ("a.jpg", "b.png")]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    copy = local_file(names[0], scratch)
    assert copy.parent == scratch
    assert copy.read_bytes() == (folder / "a.jpg").read_bytes()


def test_a_reader_returns_the_row_of_the_command(folder: Path) -> None:
    from inkstream.service.cli.ray_archive import PageReader

    read = PageReader(READER)
    for path in sorted(folder.iterdir()):
        row, end = read({"name": str(path), "uri": str(path), "known": "[]"})
        (answer,) = READER.read(path)
        assert json.loads(row["row"]) == answer.fields
        assert end == {"name": str(path), "row": ""}
    missing = "file:///no/such.png"
    row, _ = read({"name": missing, "uri": missing, "known": "[]"})
    assert "cannot be read" in json.loads(row["row"])["error"]

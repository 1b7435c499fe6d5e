"""Rows in Parquet, without Ray."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from inkstream.service.cli.parquet import ROWS_OF_A_FILE, Parquet
from tests.helpers.command_line import EXAMPLES, run_here


def test_parquet_keeps_rows_that_were_read_and_forgets_errors(tmp_path: Path) -> None:
    rows = Parquet(tmp_path / "rows")
    for number in range(ROWS_OF_A_FILE):
        rows.add([{"image": f"{number}.png", "text": "a"}])
    rows.add([{"image": "last.png", "error": "no image", "code": "bad_image"}])
    assert len([*tmp_path.glob("rows/*.parquet")]) == 1  # the last row is not written yet
    rows.close()
    again = Parquet(tmp_path / "rows")
    assert again.known() == {f"{number}.png" for number in range(ROWS_OF_A_FILE)}
    again.add([{"image": "last.png", "text": "b"}])
    again.close()
    assert len(Parquet(tmp_path / "rows").known()) == ROWS_OF_A_FILE + 1


@pytest.mark.slow
def test_a_folder_is_read_into_parquet_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    images, rows = tmp_path / "images", tmp_path / "rows"
    images.mkdir()
    shutil.copy(EXAMPLES / "hello.png", images / "a.png")
    (images / "b.png").write_bytes(b"no image")
    command = ["recognize", images, "--parquet", rows, "--processes", 1]
    assert run_here(*command).returncode == 1
    (line,) = run_here("recognize", images / "a.png", "--json").stdout.splitlines()
    first, second = pq.read_table(rows).to_pylist()
    assert json.loads(first["row"]) == json.loads(line)
    assert (first["error"], second["code"]) == (None, "bad_image")
    shutil.copy(EXAMPLES / "hello.png", images / "b.png")
    assert run_here(*command).returncode == 0
    files = [pq.read_table(path)["image"].to_pylist() for path in sorted(rows.glob("*.parquet"))]
    assert files == [[str(images / "a.png")], [str(images / "b.png")]]

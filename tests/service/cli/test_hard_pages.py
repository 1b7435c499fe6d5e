"""A folder of images that are no pages of writing: all are read, and a broken file is named."""

import json
from pathlib import Path

import pytest

from inkstream.model.checkpoint import Checkpoint
from tests.helpers.command_line import run_here
from tests.helpers.hard_pages import DRAWN, drawn
from tools.pages import encoded

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("options", [["--json"], ["--jsonl", "out.jsonl"]])
def test_a_folder_of_hard_pages_is_read_to_its_end(
    tmp_path: Path,
    tiny_lines: Checkpoint,
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("pages")
    folder.mkdir()
    names = []
    for name in DRAWN:
        for height, width in ((500, 400), (3, 900), (900, 3)):
            names.append(folder / f"{name} {height} {width}.png")
            names[-1].write_bytes(encoded(drawn(name, height, height, width), "PNG"))
    (folder / "broken.png").write_bytes(names[0].read_bytes()[:60])
    done = run_here("recognize", folder, "--page", "--model", tiny_lines.path, *options)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    n_files = len(names) + 1
    assert f"1 of {n_files} could not be read" in done.stderr.splitlines()[-1]
    output = Path("out.jsonl").read_text() if "--jsonl" in options else done.stdout
    lines = {line["image"]: line for line in map(json.loads, output.splitlines())}
    assert len(lines) == n_files
    assert [name for name, line in lines.items() if "error" in line] == [str(folder / "broken.png")]
    assert lines[str(folder / "broken.png")]["code"] == "bad_image"
    assert all("text" in lines[str(name)] for name in names)

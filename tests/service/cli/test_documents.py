"""Documents and standard input on the command line."""

import json
from pathlib import Path

import pytest
from PIL import Image

from inkstream.model.checkpoint import Checkpoint
from tests.helpers.command_line import EXAMPLES, inkstream, one_line, run_here
from tests.helpers.documents import ENCRYPTED, blank_pdf, saved
from tools.pages import page

pytestmark = pytest.mark.slow

SHEETS = [Image.fromarray(page(n_lines=n).image).convert("L") for n in (2, 3)]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.pdf"
    path.write_bytes(saved(SHEETS, "PDF", quality=95))
    return path


def test_each_page_of_a_pdf_is_named_and_read(scan: Path, tiny_lines: Checkpoint) -> None:
    command = ["recognize", scan, "--page", "--model", tiny_lines.path]
    done = run_here(*command, "--json")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["image"] for answer in answers] == [f"{scan}:1", f"{scan}:2"]
    assert [len(answer["lines"]) for answer in answers] == [2, 3]
    text = run_here(*command).stdout
    parts = [f"==> {answer['image']} <==\n{answer['text']}\n" for answer in answers]
    assert text == "\n".join(parts)


@pytest.mark.parametrize("processes", [1, 2])
def test_pages_that_were_read_are_not_read_again(
    scan: Path, tmp_path: Path, tiny_lines: Checkpoint, processes: int
) -> None:
    out = tmp_path / "out.jsonl"
    first = json.dumps({"image": f"{scan}:1", "text": "kept"})
    failed = json.dumps({"image": f"{scan}:2", "error": "gone", "code": "bad_image"})
    out.write_text(f"{first}\n{failed}\n")
    (tmp_path / "other.pdf").write_bytes(blank_pdf((99, 99), (10_000, 10_000)))
    command = ["recognize", tmp_path, "--page", "--model", tiny_lines.path, "--jsonl", out]
    assert run_here(*command, "--processes", processes).returncode == 1
    rows = {row["image"]: row for row in map(json.loads, out.read_text().splitlines())}
    other = tmp_path / "other.pdf"
    assert rows.keys() == {f"{scan}:1", f"{scan}:2", f"{other}:1", f"{other}:2"}
    assert rows[f"{scan}:1"]["text"] == "kept"
    assert len(rows[f"{scan}:2"]["lines"]) == 3
    assert rows[f"{other}:1"]["lines"] == []
    assert rows[f"{other}:2"]["code"] == "over_limit"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_pdf_that_cannot_be_read_is_named(tmp_path: Path, form: list[str]) -> None:
    path = tmp_path / "scan.pdf"
    path.write_bytes(ENCRYPTED)
    done = run_here("recognize", path, "--page", *form)
    assert done.returncode == 1
    assert f"{path}: the PDF is encrypted" in one_line(done.stderr)
    errors = [json.loads(line)["code"] for line in done.stdout.splitlines()]
    assert errors == ["bad_image"] * len(form)


def test_a_page_of_a_document_is_drawn(scan: Path, tmp_path: Path, tiny_lines: Checkpoint) -> None:
    one, shown = tmp_path / "one.pdf", tmp_path / "shown.png"
    one.write_bytes(saved(SHEETS[:1], "PDF"))
    command = ["recognize", "--page", "--model", tiny_lines.path, "--show", shown]
    assert run_here(*command, one).returncode == 0
    with Image.open(shown) as image:
        assert image.size[1] > 100
    assert "--show takes one page, 2 came" in one_line(run_here(*command, scan).stderr)


def test_standard_input_is_an_image_a_document_or_ink(scan: Path) -> None:
    hello, ink = EXAMPLES / "hello.png", EXAMPLES / "hello.jsonl"
    for path, names in ((hello, ["-"]), (scan, ["-:1", "-:2"]), (ink, ["-:1"])):
        with path.open() as file:
            done = inkstream("recognize", "-", "--model", "lines", "--json", stdin=file)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert [row["image"] for row in rows] == names
        by_name = run_here("recognize", path, "--model", "lines", "--json").stdout
        assert done.stdout == by_name.replace(str(path), "-")


def test_standard_input_is_read_alone() -> None:
    done = run_here("recognize", "-", EXAMPLES / "hello.png")
    assert "name no other file beside it" in one_line(done.stderr)

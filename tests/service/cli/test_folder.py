"""Folders of images and pages: read by several processes, resumable, unaffected by bad files."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkstream.model import pages
from inkstream.model.checkpoint import Checkpoint
from inkstream.model.errors import InkstreamError
from inkstream.model.metrics import errors
from inkstream.model.pages import Page, find_page
from inkstream.model.recognizer import load
from inkstream.service.cli import offline
from tests.helpers.command_line import one_line, run_here
from tools.pages import EXAMPLES, encoded, page

pytestmark = pytest.mark.slow

HELLO = (EXAMPLES / "hello.png").read_bytes()


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Return a folder with two images of a line and a file that is no image."""
    folder = tmp_path / "scans"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.png"):
        (folder / name).write_bytes(HELLO)
    (folder / "bad.png").write_text("no image")
    return folder


def read_into(
    out: Path, paths: Iterable[Path], net: Checkpoint, processes: int = 1, *, page: bool = False
) -> bool:
    reader = offline.Reader(str(net.path), {}, page)
    return offline.read_into(offline.JsonLines(out), sorted(paths), reader, processes)


def lines(path: Path) -> dict[str, Any]:
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({line["image"] for line in written}) == len(written)
    return {Path(line["image"]).name: line for line in written}


def test_a_folder_is_read_by_processes_in_spite_of_a_bad_file(
    scans: Path, tmp_path: Path, tiny_lines: Checkpoint
) -> None:
    out = tmp_path / "out.jsonl"
    args = ["recognize", scans, "--model", tiny_lines.path, "--jsonl", out, "--processes", 2]
    done = run_here(*args)
    assert done.returncode == 1
    summary = f"inkstream: 1 of 3 could not be read, {out} has their errors\n"
    assert done.stderr.endswith(summary)
    output = lines(out)
    assert output.keys() == {"a.png", "b.png", "bad.png"}
    assert output["bad.png"]["code"] == "bad_image"
    assert "not an image that is read; expected PNG, JPEG" in output["bad.png"]["error"]
    expected = load(tiny_lines.path).recognize(EXAMPLES / "hello.png")
    assert output["a.png"]["text"] == output["b.png"]["text"] == expected.text


def test_files_that_failed_are_read_again_and_others_are_not(
    scans: Path, tmp_path: Path, tiny_lines: Checkpoint
) -> None:
    out = tmp_path / "out.jsonl"
    finished = json.dumps({"image": str(scans / "a.png"), "text": "unchanged"})
    failed = json.dumps({"image": str(scans / "bad.png"), "error": "gone", "code": "bad_image"})
    torn = '{"image": "' + str(scans / "deep" / "b.png") + '", "te'
    out.write_text(f"{finished}\n{failed}\n{torn}")
    (scans / "bad.png").write_bytes(HELLO)
    assert read_into(out, scans.rglob("*.png"), tiny_lines)
    output = lines(out)
    assert output["a.png"]["text"] == "unchanged"
    assert output["bad.png"]["text"] == output["b.png"]["text"] != ""
    before = out.read_bytes()
    assert read_into(out, scans.rglob("*.png"), tiny_lines)
    assert out.read_bytes() == before


@pytest.mark.needs(offline.MALLOPT is not None)  # of glibc
def test_memory_that_a_page_frees_is_kept_for_the_next() -> None:
    script = """
import resource
import numpy as np
from inkstream.service.cli.offline import keep_memory

def read():
    blocks = [np.ones(2 << 20) for _ in range(8)]  # 16 MB each

keep_memory()
read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
read()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    output = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert int(output) < 1000  # else 4,000 and more, by the size of the pages


@pytest.mark.parametrize("jsonl", [False, True])
def test_a_page_that_fails_is_a_line_with_an_error_and_the_others_are_read(
    jsonl: bool, tmp_path: Path, tiny_lines: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "pages", tmp_path / "out.jsonl"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.png").write_bytes(encoded(page(n_lines=3).image, "PNG"))

    def find(path: Path, column_height: int, threads: int) -> Page:
        assert threads == (1 if jsonl else os.cpu_count())  # each core has a page, or a part of one
        if path.name == "b.png":
            raise RuntimeError("a side of 40000 pixels")
        return find_page(path, column_height)

    monkeypatch.setattr(pages, "find_page", find)
    form = ["--jsonl", out, "--processes", 1] if jsonl else ["--json"]
    done = run_here("recognize", folder, "--page", "--model", tiny_lines.path, *form)
    assert done.returncode == 1
    if not jsonl:
        out.write_text(done.stdout)
    read = lines(out)
    assert list(read) == ["a.png", "b.png", "c.png"]
    assert read["b.png"] == {
        "image": str(folder / "b.png"),
        "error": "reading it failed: RuntimeError: a side of 40000 pixels",
        "code": "unreadable",
    }
    for name in ("a.png", "c.png"):
        assert [len(line["box"]) for line in read[name]["lines"]] == [4, 4, 4]
    assert "1 of 3 could not be read" in one_line(done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr


def test_a_page_of_too_many_lines_is_an_error(
    tmp_path: Path, tiny_lines: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_LINES", 2)
    image, out = tmp_path / "a.png", tmp_path / "out.jsonl"
    image.write_bytes(encoded(page(n_lines=3).image, "PNG"))
    assert not read_into(out, [image], tiny_lines, page=True)
    assert lines(out)["a.png"] == {
        "image": str(image),
        "error": "the page has 3 lines, allowed: up to 2",
        "code": "over_limit",
    }


def test_a_killed_process_is_an_error_in_one_line(
    scans: Path, tmp_path: Path, tiny_lines: Checkpoint
) -> None:
    others = {*active_children()}

    def kill() -> None:
        # Both have begun: a pool that starts one while another dies may fail in its thread.
        while len(processes := {*active_children()} - others) < 2:
            pass
        processes.pop().kill()

    killing = threading.Thread(target=kill)
    killing.start()
    into = ["--jsonl", tmp_path / "out.jsonl", "--processes", 2]
    done = run_here("recognize", scans, "--model", tiny_lines.path, *into)
    killing.join()
    assert done.returncode == 1
    assert "fewer than 2 --processes" in one_line(done.stderr.splitlines()[-1])


def test_each_piece_of_ink_in_a_folder_is_read_once(
    scans: Path, tmp_path: Path, tiny_lines: Checkpoint
) -> None:
    (scans / "bad.png").unlink()
    stroke = [[0, 0], [40, 60], [90, 5]]
    piece = json.dumps({"strokes": [stroke]})
    ink, out = scans / "ink.jsonl", tmp_path / "out.jsonl"
    ink.write_text(f"{piece}\n{{}}\n{piece}\n")
    paths = [scans / "a.png", scans / "deep" / "b.png", ink]
    assert not read_into(out, paths, tiny_lines, processes=2)
    output = lines(out)
    assert output.keys() == {"a.png", "b.png", "ink.jsonl:1", "ink.jsonl:2", "ink.jsonl:3"}
    assert output["ink.jsonl:1"]["text"] == load(tiny_lines.path).read_ink([stroke]).text
    assert output["ink.jsonl:2"]["code"] == "bad_data"
    out.write_text(out.read_text().replace('"columns": ', '"kept": true, "columns": '))
    ink.write_text(f"{piece}\n{piece}\n{piece}\n")
    assert read_into(out, paths, tiny_lines)
    output = lines(out)
    assert [name for name, line in output.items() if "kept" not in line] == ["ink.jsonl:2"]


def test_the_output_file_is_not_read_if_it_is_in_the_folder(
    scans: Path, tiny_lines: Checkpoint
) -> None:
    (scans / "bad.png").unlink()
    out = scans / "out.jsonl"
    for _ in range(2):
        into = ["--jsonl", out, "--processes", 1]
        assert run_here("recognize", scans, "--model", tiny_lines.path, *into).returncode == 0
        assert lines(out).keys() == {"a.png", "b.png"}


@pytest.mark.parametrize("notes", ["my notes\nand more", "my notes", '{"label": "mine"}'])
def test_a_file_that_is_no_output_is_not_overwritten(
    scans: Path, tmp_path: Path, tiny_lines: Checkpoint, notes: str
) -> None:
    out = tmp_path / "notes.txt"
    out.write_text(notes)
    with pytest.raises(InkstreamError, match="line 1 names no image"):
        read_into(out, [scans / "a.png"], tiny_lines)
    assert out.read_text() == notes


def test_a_name_that_is_not_utf_8_is_written_and_recognized_later(
    tmp_path: Path, tiny: Checkpoint
) -> None:
    image, out = tmp_path / os.fsdecode(b"\xff.png"), tmp_path / "out.jsonl"
    image.write_bytes((EXAMPLES / "7.png").read_bytes())
    assert read_into(out, [image], tiny)
    assert lines(out).keys() == {image.name}
    before = out.read_bytes()
    assert read_into(out, [image], tiny)
    assert out.read_bytes() == before


def test_processes_leave_an_interrupt_to_the_command(
    scans: Path, tmp_path: Path, tiny_lines: Checkpoint
) -> None:
    (scans / "bad.png").unlink()
    done, interrupted = threading.Event(), list[int]()

    def interrupt() -> None:
        while not done.is_set():
            for pid in (process.pid for process in active_children()):
                if pid is not None and pid not in interrupted:
                    interrupted.append(pid)
                    os.kill(pid, signal.SIGINT)

    terminal = threading.Thread(target=interrupt)
    terminal.start()
    out = tmp_path / "out.jsonl"
    try:
        assert read_into(out, scans.rglob("*.png"), tiny_lines, processes=2)
    finally:
        done.set()
        terminal.join()
    assert interrupted
    assert lines(out).keys() == {"a.png", "b.png"}


# Pages on the command line


def test_ink_beside_scans_of_pages_is_ignored_and_a_file_that_is_no_image_is_named(
    scans: Path,
) -> None:
    (scans / "ink.jsonl").write_text("{}")
    done = run_here("recognize", scans, "--page")
    assert done.returncode == 1
    named, summary = done.stderr.splitlines()
    assert f"{scans / 'bad.png'}: not an image that is read; expected PNG, JPEG" in named
    assert summary == "inkstream: 1 of 3 could not be read"


@pytest.fixture
def page_image(tmp_path: Path) -> Path:
    path = tmp_path / "page.png"
    path.write_bytes(encoded(page(n_lines=3).image, "PNG"))
    return path


def test_a_page_is_read_line_by_line(page_image: Path) -> None:
    text = run_here("recognize", page_image, "--page").stdout
    assert errors([text.lower()], ["hello, world!\nworld!\nworld! hello,\n"])["cer"] < 0.1
    assert len(text.splitlines()) == 3
    output = run_here("recognize", page_image, page_image, "--page").stdout
    assert output.replace(str(page_image), "page") == "\n".join([f"==> page <==\n{text}"] * 2)
    head, *rows = run_here("recognize", page_image, "--page", "--csv").stdout.splitlines()
    assert head == "image,block,line,text,probability"
    assert len(rows) == 3
    read = json.loads(run_here("recognize", page_image, "--page", "--json").stdout)
    assert len(read["lines"]) == 3


def test_boxes_and_text_are_drawn_on_the_image(page_image: Path, tmp_path: Path) -> None:
    with_boxes = tmp_path / "shown.png"
    assert run_here("recognize", page_image, "--page", "--show", with_boxes).returncode == 0
    before, after = (
        np.asarray(Image.open(path).convert("RGB")) for path in (page_image, with_boxes)
    )
    assert before.shape == after.shape
    coloured = np.ptp(after.astype(int), axis=2) > 60
    assert coloured.sum() > 500
    assert (before[~coloured] == after[~coloured]).mean() > 0.95


@pytest.mark.parametrize(("flag", "begins"), [("--hocr", "<!DOCTYPE"), ("--alto", "<?xml")])
def test_page_formats_go_to_standard_output(page_image: Path, flag: str, begins: str) -> None:
    text = run_here("recognize", page_image, "--page", flag).stdout
    assert text.startswith(begins)
    assert str(page_image) in text

"""A folder with a file of what was read for each image."""

import json
import re
import shutil
from pathlib import Path

import pypdfium2 as pdfium
import pytest

from tests.helpers.command_line import EXAMPLES, one_line, run_here
from tools.pages import encoded, page

pytestmark = pytest.mark.slow


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Return a folder with two pages, one of them in a subfolder."""
    folder = tmp_path / "scans"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.png").write_bytes(encoded(page(n_lines=2).image, "PNG"))
    (folder / "deep" / "b.png").write_bytes(encoded(page(n_lines=3).image, "PNG"))
    return folder


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


def test_each_image_gets_a_text_file_of_its_name(scans: Path, tmp_path: Path) -> None:
    done = run_here("recognize", scans, "--page", "--out", tmp_path / "texts")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert files_of(tmp_path / "texts") == ["a.txt", "deep/b.txt"]
    for name in ("a", "deep/b"):
        alone = run_here("recognize", scans / f"{name}.png", "--page").stdout
        assert (tmp_path / "texts" / f"{name}.txt").read_text("utf-8") == alone


def test_several_pages_are_written_in_several_forms_at_once(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    forms = {"--json": "json", "--hocr": "hocr", "--alto": "alto.xml", "--pagexml": "page.xml"}
    assert run_here("recognize", scans, "--page", "--pdf", *forms, "--out", out).returncode == 0
    endings = sorted([*forms.values(), "pdf"])
    assert files_of(out) == [f"{name}.{ending}" for name in ("a", "deep/b") for ending in endings]
    text = json.loads((out / "a.json").read_text("utf-8"))["text"]
    for ending in ("hocr", "alto.xml", "page.xml"):
        written = (out / f"a.{ending}").read_text("utf-8")
        assert text.split()[-1] in re.sub("<.?span[^>]*>", "", written)
        assert "../scans/a.png" in written  # from the file to its image
    assert (
        pdfium.PdfDocument(out / "a.pdf")[0].get_textpage().get_text_bounded().split()
        == text.split()
    )


def test_names_that_differ_in_their_ending_alone_keep_it(scans: Path, tmp_path: Path) -> None:
    shutil.copy(scans / "a.png", scans / "a.gif")
    run_here("recognize", scans, "--page", "--out", tmp_path / "texts")
    assert files_of(tmp_path / "texts") == ["a.gif.txt", "a.png.txt", "deep/b.txt"]


def test_images_of_lines_and_pieces_of_ink_get_files_too(tmp_path: Path) -> None:
    out = tmp_path / "texts"
    images = [EXAMPLES / "hello.png", EXAMPLES / "hello.jsonl"]
    assert run_here("recognize", *images, "--out", out).returncode == 0
    assert files_of(out) == ["hello.jsonl.txt", "hello.png.txt"]
    assert {path.read_text() for path in out.iterdir()} == {"hello, world!\n"}


def test_an_image_that_cannot_be_read_has_no_file_and_is_named(scans: Path, tmp_path: Path) -> None:
    (scans / "bad.png").write_text("no image")
    done = run_here("recognize", scans, "--page", "--json", "--out", tmp_path / "texts")
    assert (done.returncode, done.stdout) == (1, "")
    assert "bad.png: not an image" in done.stderr
    assert files_of(tmp_path / "texts") == ["a.json", "deep/b.json"]


def test_a_file_that_is_read_is_not_overwritten(scans: Path) -> None:
    ink = scans / "ink.json"
    ink.write_bytes((scans / "a.png").read_bytes())
    done = run_here("recognize", ink, "--page", "--json", "--out", scans)
    assert done.returncode == 1
    assert "is read and cannot be written" in one_line(done.stderr)
    assert ink.read_bytes() == (scans / "a.png").read_bytes()

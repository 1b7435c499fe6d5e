"""Without a named model, each file is read by the model that suits it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers import builders
from tests.helpers.command_line import EXAMPLES, one_line, run_here
from tests.helpers.running_server import Running, server
from tools.pages import encoded, page

HELLO = EXAMPLES / "hello.png"
INK = EXAMPLES / "hello.jsonl"
SEVEN = EXAMPLES / "7.png"


def test_a_page_that_is_read_as_a_line_gets_a_hint(tmp_path: Path) -> None:
    page_image = tmp_path / "page.png"
    page_image.write_bytes(encoded(page(n_lines=6).image, "PNG"))
    hint = one_line(run_here("recognize", page_image, "--line").stderr)
    assert "this looks like a page of several lines: have it read as a page" in hint
    done = run_here("recognize", page_image, "--line", "--json")
    assert "page" in json.loads(done.stdout)["hint"]
    assert done.stderr == ""


def test_recognize_reads_digits_lines_and_ink_in_one_call() -> None:
    done = run_here("recognize", HELLO, SEVEN, INK)
    assert [line.split("  ")[:2] for line in done.stdout.splitlines()] == [
        [str(HELLO), "hello, world!"],
        [str(SEVEN), "7"],
        [f"{INK}:1", "hello, world!"],
    ]
    done = run_here("recognize", HELLO, SEVEN, INK, "--json")
    line, digit, ink = map(json.loads, done.stdout.splitlines())
    assert line["text"] == ink["text"] == "hello, world!"
    assert digit["label"] == "7"
    assert not [answer for answer in (line, digit, ink) if "hint" in answer]


@pytest.mark.parametrize(("files", "column"), [((SEVEN,), "label"), ((SEVEN, HELLO), "text")])
def test_the_column_of_csv_is_named_label_if_all_files_are_digits(
    files: tuple[Path, ...], column: str
) -> None:
    head, *_ = run_here("recognize", *files, "--csv").stdout.splitlines()
    assert head == f"image,{column},probability"


def test_a_language_model_chooses_a_transcriber(tmp_path: Path) -> None:
    square = Image.new("L", (600, 600), 255)
    square.paste(Image.open(HELLO), (0, 200))
    square.save(tmp_path / "square.png")
    done = run_here("recognize", tmp_path / "square.png", "--language", "english")
    assert "hello, world!" in done.stdout


@pytest.mark.parametrize("image", [SEVEN, HELLO])
def test_characters_do_not_change_the_choice_of_the_model(image: Path) -> None:
    text = run_here("recognize", image, "--characters", "0123").stdout.split("  ")[1]
    assert set(text) <= set("0123")
    assert (len(text) > 1) == (image is HELLO)


# Through a server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("weights")
    builders.line_checkpoint(folder / "lines.onnx")
    with server(folder, models="tiny,lines") as running:
        yield running


@pytest.mark.parametrize(("image", "is_line"), [(HELLO, True), (SEVEN, False)])
def test_stream_asks_for_the_model_that_suits(running: Running, image: Path, is_line: bool) -> None:
    done = run_here("stream", image, "--url", running.url)
    assert done.returncode == 0
    assert ("letter  " in done.stdout) == is_line


def test_stream_asks_for_characters(running: Running) -> None:
    command = ["stream", SEVEN, "--url", running.url, "--characters"]
    shown = run_here(*command, "03").stdout
    assert re.search(r"^  [03]  .* after 28 columns", shown, re.MULTILINE)
    refused = run_here(*command, "x")
    assert refused.returncode == 1
    assert "characters holds 'x'" in refused.stderr


def test_stream_uses_the_servers_first_model_if_it_has_no_transcriber(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        command = ["stream", HELLO, "--url", running.url]
        assert "after 28 columns" in run_here(*command).stdout
        assert "no model 'lines'" in run_here(*command, "--model", "lines").stderr

"""Without a named model, each file is read by the model that suits it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from inkstream.service.cli import main as cli
from tests.helpers import builders
from tests.helpers.command_line import EXAMPLES, one_line
from tests.helpers.running_server import Running, server
from tools.pages import encoded, page

HELLO = EXAMPLES / "hello.png"
INK = EXAMPLES / "hello.jsonl"
SEVEN = EXAMPLES / "7.png"


def test_a_page_without_page_is_read_with_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page_image = tmp_path / "page.png"
    page_image.write_bytes(encoded(page(n_lines=6).image, "PNG"))
    assert cli.run(["recognize", str(page_image)]) == 0
    assert "this looks like a page of several lines: try " in one_line(capsys.readouterr().err)
    assert cli.run(["recognize", str(page_image), "--json"]) == 0
    output = capsys.readouterr()
    assert "--page" in json.loads(output.out)["hint"]
    assert output.err == ""


def test_recognize_reads_digits_lines_and_ink_in_one_call(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["recognize", *map(str, (HELLO, SEVEN, INK))]) == 0
    texts = [line.split("  ")[:2] for line in capsys.readouterr().out.splitlines()]
    assert texts == [
        [str(HELLO), "hello, world!"],
        [str(SEVEN), "7"],
        [f"{INK}:1", "hello, world!"],
    ]
    assert cli.run(["recognize", *map(str, (HELLO, SEVEN, INK)), "--json"]) == 0
    line, digit, ink = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["text"] == ink["text"] == "hello, world!"
    assert digit["label"] == "7"
    assert not [answer for answer in (line, digit, ink) if "hint" in answer]


@pytest.mark.parametrize(("files", "column"), [((SEVEN,), "label"), ((SEVEN, HELLO), "text")])
def test_the_column_of_csv_is_named_label_if_all_files_are_digits(
    files: tuple[Path, ...], column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["recognize", *map(str, files), "--csv"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"image,{column},probability"


def test_a_language_model_chooses_a_transcriber(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    square = Image.new("L", (600, 600), 255)
    square.paste(Image.open(HELLO), (0, 200))
    square.save(tmp_path / "square.png")
    assert cli.run(["recognize", str(tmp_path / "square.png"), "--language", "english"]) == 0
    assert "hello, world!" in capsys.readouterr().out


@pytest.mark.parametrize("image", [SEVEN, HELLO])
def test_characters_do_not_change_the_choice_of_the_model(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["recognize", str(image), "--characters", "0123"]) == 0
    text = capsys.readouterr().out.split("  ")[1]
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
def test_stream_asks_for_the_model_that_suits(
    running: Running, image: Path, is_line: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["stream", str(image), "--url", running.url]) == 0
    assert ("letter  " in capsys.readouterr().out) == is_line


def test_stream_asks_for_characters(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["stream", str(SEVEN), "--url", running.url, "--characters", "03"]
    assert cli.run(args) == 0
    assert re.search(r"^  [03]  .* after 28 columns", capsys.readouterr().out, re.MULTILINE)
    assert cli.run([*args[:-1], "x"]) == 1
    assert "characters holds 'x'" in capsys.readouterr().err


def test_stream_uses_the_servers_first_model_if_it_has_no_transcriber(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with server(tmp_path) as running:
        assert cli.run(["stream", str(HELLO), "--url", running.url]) == 0
        assert "after 28 columns" in capsys.readouterr().out
        assert cli.run(["stream", str(HELLO), "--url", running.url, "--model", "lines"]) == 1
        assert "no model 'lines'" in capsys.readouterr().err

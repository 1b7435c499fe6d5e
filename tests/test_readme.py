"""README's examples run as they stand there, and its figures are those of the reports."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inkstream.model.checkpoint import FIGURES, find, read
from inkstream.model.decoding import ngrams as languages
from inkstream.model.evaluation.document import accuracy, table
from inkstream.model.evaluation.pages_document import document as page_document
from inkstream.model.evaluation.pages_document import table as page_table
from inkstream.service.cli.evaluate import table as language_table
from tests.service.running import server
from tools import figures
from tools.figures import REPORTS, ROOT

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the shipped weights; examples name its port in the place of 8000."""
    folder = tmp_path_factory.mktemp("readme")
    with server(folder, models="digits,lines") as running:
        yield f"127.0.0.1:{running.port}"


def run(command: list[str], url: str, text: str | None = None) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [part.replace("127.0.0.1:8000", url) for part in command],
        cwd=ROOT,
        env=environment,
        input=None if text is None else text.replace("127.0.0.1:8000", url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_examples_run(url: str) -> None:
    local, streamed, hinted = (
        run([sys.executable, "-"], url, block) for block in blocks("python")
    )  # fmt: skip
    assert (local, hinted) == ("7\n", "hello, world!\n")
    results = streamed.splitlines()
    assert [int(line.split()[0]) for line in results] == list(range(28))
    assert results[-1].split()[1] == "7"


def test_the_javascript_example_runs(url: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (example,) = blocks("js")
    command = [node, "--experimental-websocket", "--no-warnings", "--input-type=module", "-"]
    messages = [json.loads(line) for line in run(command, url, example).splitlines()]
    kinds = [message["type"] for message in messages]
    assert kinds == ["ready", *["result"] * 28, "flushed", "done"]
    assert messages[-1]["label"] == "1"


def test_the_curl_example_runs(url: str) -> None:
    (command,) = [block for block in blocks("sh") if block.startswith("curl")]
    assert json.loads(run(["bash", "-c", command], url))["label"] == "7"


def commands(*first_words: str) -> list[str]:
    lines = [
        line.partition("#")[0].strip() for block in blocks("sh") for line in block.splitlines()
    ]
    return [line for line in lines if line.startswith(first_words)]


@pytest.mark.parametrize(
    "command", commands("inkstream recognize", "inkstream models", "inkstream serve --print")
)
def test_the_commands_run_as_they_stand(command: str, url: str) -> None:
    assert run(["bash", "-c", command], url)


@pytest.mark.parametrize("command", commands("inkstream stream"))
def test_the_streaming_commands_run_with_the_servers_address(command: str, url: str) -> None:
    answer = "hello" if "hello" in command else "3"
    assert answer in run(["bash", "-c", f"{command} --url ws://{url}"], url)


@pytest.mark.parametrize("command", commands("inkstream train", "inkstream serve --models"))
def test_the_long_commands_have_the_flags_that_they_are_given(command: str, url: str) -> None:
    options = set(re.findall(r"--[a-z-]+", command))
    words = [word for word in command.split() if not word.startswith("-")]
    depth = 3 if "train" in words else 2
    assert options <= set(re.findall(r"--[a-z-]+", run([*words[:depth], "--help"], url)))


def test_every_make_target_is_there() -> None:
    targets = set(re.findall(r"make ([a-z-]+)", README))
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("document", figures.DOCUMENTS, ids=lambda path: path.name)
def test_every_figure_is_that_of_its_report(document: Path) -> None:
    assert figures.fill(document.read_text()) == document.read_text()


def test_the_figures_beside_the_weights_are_those_of_the_reports() -> None:
    assert json.loads(FIGURES.read_text()) == figures.of_shipped()
    digits = json.loads((REPORTS / "digits" / "report.json").read_text())
    lines = json.loads((REPORTS / "lines" / "report.json").read_text())
    assert read(find("digits")).metrics["mnist_test_accuracy"] == digits["accuracy"]
    assert read(find("lines")).metrics["report_writers_words_error"] == lines["words"]["error"]


def test_the_words_about_lines_are_those_of_the_report() -> None:
    report = json.loads((REPORTS / "lines" / "report.json").read_text())
    assert table(report) == (REPORTS / "lines" / "figures.md").read_text()
    assert accuracy(report, "reports/lines") == (ROOT / "docs" / "accuracy.md").read_text()


def test_the_report_on_lines_is_of_the_weights_that_are_shipped() -> None:
    report = json.loads((REPORTS / "lines" / "report.json").read_text())
    weights = (ROOT / "model" / "weights" / "lines.onnx").read_bytes()
    assert report["checkpoint_sha256"] == hashlib.sha256(weights).hexdigest()
    assert f"{report['parameters']:,} parameters" in README


def test_the_words_about_the_language_are_those_of_the_report() -> None:
    report = json.loads((REPORTS / "language" / "report.json").read_text())
    assert language_table(report) == (REPORTS / "language" / "figures.md").read_text()
    assert report["ngrams"] == len(languages.load("english"))
    assert report["model_digest"] == read(find("lines")).digest


def test_the_words_about_pages_are_those_of_the_report() -> None:
    report = json.loads((REPORTS / "pages" / "report.json").read_text())
    assert page_table(report) == (REPORTS / "pages" / "figures.md").read_text()
    assert page_document(report, "reports/pages") == (ROOT / "docs" / "pages.md").read_text()
    assert report["model_digest"] == read(find("lines")).digest
    assert (report["part"], report["limit"]) == ("report", None)


def test_the_report_is_of_the_weights_that_are_shipped() -> None:
    report = json.loads((REPORTS / "digits" / "report.json").read_text())
    weights = (ROOT / "model" / "weights" / "digits.onnx").read_bytes()
    assert report["checkpoint_sha256"] == hashlib.sha256(weights).hexdigest()
    assert f"{report['parameters']:,} parameters" in README
    assert report["parameters"] <= 1_000_000

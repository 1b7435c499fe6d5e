"""The documents' examples run unchanged, and their figures are those of the reports."""

import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inkstream.model.checkpoint import FIGURES, find, read
from inkstream.model.decoding import ngrams as languages
from inkstream.service.cli.main import run as inkstream
from tests.helpers.running_server import server
from tools import figures
from tools.figures import REPORTS, ROOT

pytestmark = pytest.mark.slow

README = ROOT / "README.md"
DOCS = ROOT / "docs"
CARD = ROOT / "model" / "weights" / "MODEL_CARD.md"
WITH_EXAMPLES = (README, *(DOCS / f"{name}.md" for name in ("usage", "training", "deployment")))
WITH_LINKS = (*WITH_EXAMPLES, CARD, *ROOT.glob("*.md"), *DOCS.rglob("*.md"))
MAX_README_LINES = 150

NODE = shutil.which("node")
NPM = shutil.which("npm")
NODE_OPTIONS = ["--experimental-websocket", "--no-warnings"]  # the first for Node 20


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)


def commands(*first_words: str) -> list[str]:
    lines = [
        line.partition("#")[0].strip()
        for document in WITH_EXAMPLES
        for block in blocks(document, "sh")
        for line in block.splitlines()
    ]
    return list(dict.fromkeys(line for line in lines if line.startswith(first_words)))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server with the shipped weights; its address replaces that of the examples."""
    folder = tmp_path_factory.mktemp("readme")
    with server(folder, models="digits,lines", languages="english") as running:
        yield f"127.0.0.1:{running.port}"


def run(command: list[str], url: str, text: str | None = None, cwd: Path = ROOT) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [part.replace("127.0.0.1:8000", url) for part in command],
        cwd=cwd,
        env=environment,
        input=None if text is None else text.replace("127.0.0.1:8000", url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_is_at_most_150_lines_long() -> None:
    assert len(README.read_text().splitlines()) <= MAX_README_LINES


def test_the_python_examples_of_readme_run(url: str) -> None:
    local, streamed = (run([sys.executable, "-"], url, block) for block in blocks(README, "python"))
    assert local == "7\nhello, world!\n"
    *results, whole = streamed.splitlines()
    assert whole == "hello, world!"
    columns, texts = zip(*(line.split(" ", 1) for line in results), strict=True)
    assert [int(column) for column in columns] == list(range(len(columns)))
    assert "hello, world!".startswith(texts[-1])
    assert "hello" in texts[-1]


def test_the_python_examples_of_the_usage_guide_run(url: str) -> None:
    examples = blocks(DOCS / "usage.md", "python")
    recognized, pushed, streamed, hinted, page = (
        run([sys.executable, "-"], url, example) for example in examples
    )
    assert recognized.startswith("hello, world!\nhello, ")
    assert pushed.endswith("hello, world!\n")
    assert streamed.splitlines()[-1].startswith("27 7 ")
    assert hinted == "hello, world!\n"
    assert "\nhello, world!\n" in page


@pytest.mark.needs(NODE and NPM)
def test_the_javascript_module_example_prints_the_word_and_exits(url: str, tmp_path: Path) -> None:
    (pack,) = re.findall(r"`(npm pack [^`]+)`", README.read_text())
    run(["bash", "-c", f"{pack} --pack-destination {tmp_path}"], url)
    (package,) = tmp_path.glob("*.tgz")
    run(
        [str(NPM), "install", "--offline", "--no-audit", "--no-fund", str(package)],
        url,
        None,
        tmp_path,
    )
    _, module = blocks(README, "js")
    (tmp_path / "hi.mjs").write_text(module.replace("127.0.0.1:8000", url))
    assert run([str(NODE), *NODE_OPTIONS, "hi.mjs"], url, None, tmp_path) == "Hi\n"


@pytest.mark.parametrize("command", commands("curl"))
def test_the_curl_examples_answer(command: str, url: str) -> None:
    answer = run(["bash", "-c", f"{command} --silent --fail-with-body"], url)
    expected = {"7.png": '"label":"7"', "alto": "<alto", "json": '"text":"H"'}
    wanted = next((text for part, text in expected.items() if part in command), "hello, world!")
    assert wanted in answer


@pytest.mark.parametrize(
    "command",
    commands("inkstream recognize examples", "inkstream models", "inkstream serve --print"),
)
def test_the_short_commands_run(command: str, url: str, tmp_path: Path) -> None:
    printed = run(["bash", "-c", command.partition(" > ")[0].replace("/tmp/", f"{tmp_path}/")], url)
    assert "hello" in printed or "recognize" not in command


@pytest.mark.parametrize("command", commands("inkstream stream"))
def test_the_streaming_commands_run_with_the_servers_address(command: str, url: str) -> None:
    assert "hello" in run(["bash", "-c", f"{command} --url ws://{url}"], url)


def measuring_commands() -> list[str]:
    """Return the measuring commands, which the documents name within sentences."""
    texts = [document.read_text() for document in (README, *DOCS.glob("*.md"), CARD)]
    return sorted(
        {name for text in texts for name in re.findall(r"`(inkstream evaluate [^`\n]+)`", text)}
    )


@pytest.mark.parametrize(
    "command",
    [
        *commands("inkstream train", "inkstream data", "inkstream serve --models"),
        *measuring_commands(),
    ],
)
def test_the_options_of_the_long_commands_exist(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.split()[1:]
    depth = 1 if words[0] == "serve" else 2
    assert inkstream([*words[:depth], "--help"]) == 0
    options = set(re.findall(r"--[a-z-]+", command))
    assert options <= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))


def test_every_extra_that_is_installed_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for document in WITH_EXAMPLES:
        for names in re.findall(r"pip install '?\.\[([a-z,]+)\]", document.read_text()):
            assert set(names.split(",")) <= set(extras)


def test_every_make_target_exists() -> None:
    targets = {*re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)}
    targets |= {f"tools.{path.stem}" for path in (ROOT / "tools").glob("[!_]*.py")}
    for document in WITH_LINKS:
        assert {*re.findall(r"`make ([a-z_.-]+)", document.read_text())} <= targets


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "document", sorted(set(WITH_LINKS)), ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_targets_of_links_exist(document: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)]+)\)", document.read_text()):
        name, _, anchor = link.partition("#")
        target = (document.parent / name) if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_index_of_decisions_is_complete() -> None:
    index = DOCS / "decisions" / "README.md"
    for page in set(index.parent.glob("*.md")) - {index}:
        assert f"| [{page.name}]({page.name}) |" in index.read_text(), page.name


def test_files_that_the_documents_name_exist() -> None:
    for document in WITH_LINKS:
        paths = re.findall(
            r"`((?:model|service|tests|tools|docker|docs)/[\w./]*)`", document.read_text()
        )
        assert [path for path in paths if not (ROOT / path).exists()] == [], document


@pytest.mark.parametrize("document", figures.DOCUMENTS, ids=lambda path: path.name)
def test_the_figures_of_the_documents_are_those_of_the_reports(document: Path) -> None:
    assert figures.fill(document.read_text()) == document.read_text()


def test_the_figures_beside_the_weights_are_those_of_the_reports() -> None:
    assert json.loads(FIGURES.read_text()) == figures.of_shipped()
    digits, lines = (read(find(name)).metrics for name in ("digits", "lines"))
    assert digits["mnist_test_accuracy"] == report("digits")["accuracy"]
    assert lines["report_writers_words_error"] == report("lines")["words"]["cer"]


@pytest.mark.parametrize("path", figures.rendered(), ids=lambda path: path.name)
def test_the_tables_and_documents_are_rendered_from_the_reports(path: Path) -> None:
    assert path.read_text() == figures.rendered()[path]


def report(*folders: str) -> dict[str, Any]:
    """Return a published report."""
    contents: dict[str, Any] = json.loads(REPORTS.joinpath(*folders, "report.json").read_text())
    return contents


@pytest.mark.parametrize("name", ["language", "pages"])
def test_the_reports_on_lines_are_of_the_shipped_weights(name: str) -> None:
    assert report(name)["model_digest"] == read(find("lines")).digest
    assert report(name)["part"] == "test"


def test_the_reports_on_language_and_pages_are_of_all_that_is_shipped() -> None:
    assert report("language")["ngrams"] == len(languages.load("english"))
    assert report("pages")["limit"] is None


@pytest.mark.parametrize(
    "folders", [("digits",), ("lines",), *((name, "rough") for name in figures.ROUGH)]
)
def test_the_reports_are_of_the_shipped_weights(folders: tuple[str, ...]) -> None:
    weights = (ROOT / "model" / "weights" / f"{folders[0]}.onnx").read_bytes()
    assert report(*folders)["checkpoint_sha256"] == hashlib.sha256(weights).hexdigest()


@pytest.mark.parametrize(("name", "max_parameters"), [("digits", 1_000_000), ("lines", math.inf)])
def test_the_card_has_the_number_of_parameters(name: str, max_parameters: float) -> None:
    parameters = report(name)["parameters"]
    assert f"{parameters:,}" in " ".join(CARD.read_text().split())
    assert parameters <= max_parameters

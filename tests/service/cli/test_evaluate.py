"""The command `evaluate`: its reports are printed and written."""

import inspect
import json
import shutil
from pathlib import Path

import pytest

from inkstream.model.errors import DataError
from inkstream.model.evaluation import pages
from inkstream.service.cli.evaluate import evaluate
from tests.helpers import builders
from tests.helpers.command_line import EXAMPLES, run_here
from tests.helpers.paper_folder import write_pages, write_wills
from tests.service.cli.test_examples import WILL

pytestmark = pytest.mark.slow

VALIDATION = ("--part", "validation", "--limit", 3)


def report(out: Path, *command: object) -> tuple[dict[str, object], str]:
    """Run a command with `--out`; return its report and what it printed, with the figures in it."""
    done = run_here("evaluate", *command, "--out", out)
    assert done.returncode == 0, done.stderr
    (folder,) = (path.parent for path in out.rglob("report.json"))
    assert (folder / "figures.md").read_text() in done.stdout
    return json.loads((folder / "report.json").read_text()), done.stdout


@pytest.mark.usefixtures("small_unipen")
def test_evaluating_lines_prints_the_figures_and_writes_the_report(
    tmp_path: Path, net_of_all_kinds: Path
) -> None:
    document = tmp_path / "accuracy.md"
    options = ["--checkpoint", net_of_all_kinds, *VALIDATION, "--document", document]
    written, _ = report(tmp_path / "lines", "lines", *options)
    assert (written["part"], written["limit"]) == ("validation", 3)
    assert document.read_text().startswith("# How well lines are read")


def own_data(folder: Path, kind: str) -> Path:
    """Write a few lines of a user's labelled data; return its path."""
    folder.mkdir()
    if kind == "one line":
        shutil.copy(EXAMPLES / "hello.png", folder / "a.png")
        (folder / "a.gt.txt").write_text("hello, world!")
    elif kind == "a page":
        shutil.copy(EXAMPLES / "will.jpg", folder / "a.jpg")
        (folder / "a.gt.txt").write_text(WILL)
    else:
        ink = json.loads((EXAMPLES / "hello.jsonl").read_text())
        labels = ["hello, world!"] * (19 if kind == "ink" else 1) + ["hello | wörld?"]
        writers = [f"w{number % (3 if kind == 'ink' else 1)}" for number in range(len(labels))]
        rows = [
            ink | {"label": label, "writer": writer}
            for label, writer in zip(labels, writers, strict=True)
        ]
        (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder / "test.jsonl"
    return folder


@pytest.mark.parametrize("kind", ["ink", "two pieces of ink", "one line", "a page"])
def test_your_own_data_are_read_by_the_shipped_net_and_by_yours(
    tmp_path: Path, net_of_all_kinds: Path, kind: str
) -> None:
    data, yours = own_data(tmp_path / "mine", kind), str(net_of_all_kinds)
    written, printed = report(
        tmp_path / "out", "lines", "--data", data, "--checkpoint", net_of_all_kinds
    )
    readers: dict[str, dict[str, float]] = written["readers"]  # type: ignore[assignment]
    assert list(readers) == ["the shipped net", yours]
    shipped, personal = readers.values()
    assert shipped["cer"] < 0.2 < personal["cer"]  # random weights
    assert (
        shipped["pieces"]
        == written["lines"]
        == {"ink": 20, "two pieces of ink": 2, "one line": 1, "a page": 11}[kind]
    )
    low, high = shipped["bootstrap"]["interval"]  # type: ignore[index]
    assert 0 <= low <= shipped["cer"] <= high
    assert f"| {yours}: written | read | times |" in printed
    assert f"| worst lines | written | read by the shipped net | read by {yours} |" in printed
    if "ink" in kind:
        assert " | hello \\| wörld? | hello, world! | " in printed


def test_your_own_data_are_read_once_where_no_other_net_is_named(tmp_path: Path) -> None:
    written, printed = report(
        tmp_path / "out", "lines", "--data", own_data(tmp_path / "mine", "one line")
    )
    assert list(written["readers"]) == ["the shipped net"]  # type: ignore[call-overload]
    assert (written["worst"], "worst" in printed) == ([], False)


def test_options_that_your_own_data_exclude_are_named(tmp_path: Path) -> None:
    data = own_data(tmp_path / "mine", "one line")
    done = run_here("evaluate", "lines", "--data", data, "--rough", "--part", "validation")
    assert done.returncode == 2
    assert f"{data} holds labelled data of yours: leave out --part, --rough" in done.stderr


@pytest.mark.usefixtures("mnist_excerpt")
def test_a_net_for_other_labels_is_not_measured_on_digits(tmp_path: Path) -> None:
    net = builders.checkpoint(tmp_path / "letters.onnx", tuple("abc")).path
    done = run_here("evaluate", "digits", "--checkpoint", net, "--out", tmp_path / "out")
    assert done.returncode == 1
    complaint = f"{net} answers a b c, but MNIST excerpt has the labels 0 1 2 3 4 5 6 7 8 9"
    assert complaint in done.stderr.splitlines()[-1]


@pytest.mark.usefixtures("small_unipen")
@pytest.mark.parametrize("kind", ["lines", "digits"])
def test_rough_columns_are_measured_in_a_folder_of_their_own(
    tmp_path: Path, net_of_all_kinds: Path, kind: str
) -> None:
    net, out = net_of_all_kinds, tmp_path / "out"
    if kind == "digits":
        net = builders.checkpoint(tmp_path / "digits.onnx").path
    options = VALIDATION if kind == "lines" else ()
    written, _ = report(out, kind, "--rough", "--checkpoint", net, *options)
    assert "thicker, 3x3 maximum" in written["changes"]  # type: ignore[operator]
    assert [path.name for path in out.iterdir()] == ["rough"]


@pytest.mark.usefixtures("small_unipen")
def test_evaluating_language_prints_the_figures_with_and_without_it(
    tmp_path: Path, net_of_all_kinds: Path
) -> None:
    options = ["--checkpoint", net_of_all_kinds, "--part", "validation", "--limit", 5]
    options += ["--language", "en", "--language", "auto"]
    written: dict[str, dict[str, dict[str, dict[str, int]]]]
    written, printed = report(tmp_path / "out", "language", *options)  # type: ignore[assignment]
    for kind in ("words", "lines"):
        for decoding in ("plain", "guided", "auto"):
            assert written[kind][decoding]["all"]["pieces"] > 0
    n_words = written["words"]["plain"]["all"]["pieces"]
    assert written["lexicons"]["5000"]["all"]["pieces"] == n_words
    assert written["dates"]["date"]["pieces"] == written["dates"]["nothing"]["pieces"]
    assert "| without it | with it |" in printed
    assert "| words with `auto`: CER; exact match | |" in printed


@pytest.mark.usefixtures("small_unipen")
def test_the_options_of_pages_are_those_of_its_report(
    tmp_path: Path, net_of_all_kinds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = inspect.signature(pages.report)

    def refuse(*args: object, **options: object) -> None:
        given = signature.bind(*args, **options).arguments
        raise DataError(f"{given['part']} {given['limit']}")

    monkeypatch.setattr(pages, "report", refuse)
    out = ["--out", tmp_path / "out"]
    done = run_here("evaluate", "pages", "--checkpoint", net_of_all_kinds, *VALIDATION, *out)
    assert done.stderr.splitlines()[-1] == "inkstream: validation 3"


def test_evaluating_real_pages_needs_no_unipen(tmp_path: Path, net_of_all_kinds: Path) -> None:
    write_pages(tmp_path / "paper")
    out = tmp_path / "ruled"
    real = ["--real", tmp_path / "paper", "--overlays", tmp_path / "overlays"]
    options = ["--checkpoint", net_of_all_kinds, "--part", "validation", "--language", "english"]
    written, printed = report(out, "pages", *real, *options)
    assert "| inkstream with english |" in printed
    assert (out / "ruled.md").read_text().startswith("# How well pages on ruled paper are read")
    assert written["pages"] == 3
    assert len(list((tmp_path / "overlays").iterdir())) == 3


def test_evaluating_wills_reads_the_lines_of_the_part(
    tmp_path: Path, net_of_all_kinds: Path
) -> None:
    write_wills(tmp_path / "wills")
    options = ["--checkpoint", net_of_all_kinds, "--limit", 1]
    written, _ = report(tmp_path / "out", "wills", tmp_path / "wills", *options)
    assert (written["part"], written["lines"]) == ("test", 1)


@pytest.mark.parametrize("kind", ["lines", "ink"])
def test_ink_of_test_writers_is_read_by_default(kind: str) -> None:
    defaults = {option.name: option.default for option in evaluate.commands[kind].params}
    assert (defaults["part"], defaults["checkpoint"]) == ("test", "lines")

"""The commands `train language`, `recognize --language` and `evaluate language`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from inkstream.service.cli import main as cli
from tests.helpers import builders
from tests.helpers.command_line import EXAMPLES, one_line, run_here
from tests.helpers.small_ink_set import ALL_KINDS, ink

HELLO = EXAMPLES / "hello.png"


@pytest.mark.slow
def test_a_language_model_is_trained_and_used(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("hello, world!\n")
    out = tmp_path / "mine.ngrams"
    done = run_here(
        "train", "language", "--no-words", "--text", tmp_path / "text.txt", "--out", out
    )
    assert done.returncode == 0
    assert "n-grams of up to 9 characters" in done.stdout
    for language in (out, "english"):
        done = run_here("recognize", HELLO, "--model", "lines", "--language", language)
        assert done.stdout.split("  ")[1].strip() == "hello, world!"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            ("--model", "digits", "--language", "english"),
            "language came, but only a model that reads lines takes hints",
        ),
        (("--model", "lines", "--language", "klingon"), "no language model klingon"),
        (("--model", "lines", "--language", str(HELLO)), "is no language model of ours"),
    ],
)
@pytest.mark.slow
def test_the_error_of_an_invalid_language_model_is_one_line(
    options: tuple[str, ...], text: str
) -> None:
    done = run_here("recognize", HELLO, *options)
    assert done.returncode == 1
    assert text in one_line(done.stderr)


@pytest.mark.parametrize("option", ["--words", "--lexicon"])
def test_a_byte_order_mark_at_the_start_of_a_list_is_ignored(
    tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.txt").write_bytes(b"\xef\xbb\xbfhello,\r\nworld!\r\n")
    assert cli.run(["recognize", str(HELLO), option, str(tmp_path / "words.txt")]) == 0
    assert capsys.readouterr().out.split("  ")[1].strip() == "hello, world!"


@pytest.mark.slow
def test_the_error_of_training_without_text_is_one_line(tmp_path: Path) -> None:
    done = run_here("train", "language", "--no-words", "--out", tmp_path / "x")
    assert done.returncode == 1
    assert "no text" in one_line(done.stderr)


@pytest.mark.slow
def test_evaluating_prints_the_figures_with_and_without_language_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkstream.model.data.sources.unipen.read", lambda source: (ink(), None))
    net = builders.line_checkpoint(tmp_path / "net.onnx", labels=ALL_KINDS).path
    out = tmp_path / "report"
    result = CliRunner().invoke(
        cli.cli,
        [
            "evaluate",
            "language",
            "--checkpoint",
            str(net),
            "--part",
            "validation",
            "--limit",
            "5",
            "--out",
            str(out),
        ],
    )
    assert result.exit_code == 0, result.output
    report = json.loads((out / "report.json").read_text())
    for kind in ("words", "lines"):
        for decoding in ("plain", "guided"):
            assert report[kind][decoding]["all"]["pieces"] > 0
    assert report["lexicons"]["5000"]["all"]["pieces"] == report["words"]["plain"]["all"]["pieces"]
    assert report["dates"]["date"]["pieces"] == report["dates"]["nothing"]["pieces"]
    assert (out / "figures.md").read_text() in result.output
    assert "| without it | with it |" in result.output

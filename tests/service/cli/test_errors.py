"""An error of the command line is one line on standard error, and an exit code."""

import shlex
from pathlib import Path

import pytest

from tests.helpers.command_line import ROOT, one_line, run_here

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("mnist_excerpt")]

RECIPE = (
    "unipen-train.tar.xz, wills.tar, german-words.tar, notaries.tar, special-letters.jsonl.xz,"
    " characters.jsonl.xz"
)
ERRORS = [  # `{tmp}` is a folder with one file, `file`
    (2, "nosuch", "No such command 'nosuch'"),
    (2, "recgnize", "Did you mean 'recognize'?"),
    (2, "recognize", "Missing argument 'IMAGE...'"),
    (2, "recognize --jason x.png", "No such option '--jason'"),
    (2, "recognize nosuch.png", "no file at 'nosuch.png'"),
    (2, "recognize 'nosuch/*.png'", "no image or ink at 'nosuch/*.png'"),
    (2, "recognize examples --json --csv", "--json and --csv exclude each other"),
    (2, "recognize examples/page.jpg --line --hocr", "--hocr is for pages: leave --line out"),
    (2, "recognize examples/page.jpg --line --show x.png", "leave --line out"),
    (2, "recognize examples --page --hocr --alto", "--hocr and --alto exclude each other"),
    (2, "recognize examples --page --jsonl x --alto", "--jsonl and --parquet exclude"),
    (2, "recognize examples --page --ray", "add --page, and --jsonl or --parquet"),
    (2, "recognize examples --ray --jsonl x", "add --page, and --jsonl or --parquet"),
    (2, "recognize examples --parquet x --jsonl y", "--jsonl and --parquet exclude each other"),
    (2, "recognize examples --page --pdf", "--pdf needs --out"),
    (2, "recognize examples --csv --out x", "--csv is one table"),
    (2, "recognize examples --line --pagexml --out x", "--pagexml is for pages: leave --line out"),
    (2, "recognize examples/7.png examples/8.png --page --show x --out y", "takes one page, 2"),
    (2, "recognize examples/7.png examples/8.png --page --alto", "takes one page, 2 came"),
    *((1, f"recognize examples/1.png --model {name}", name) for name in ("nosuch", "nosuch.onnx")),
    (1, "recognize examples/1.png --model pyproject.toml", "pyproject"),
    (
        1,
        "recognize examples/hello.png --model digits --language english",
        "`language` needs a model that reads lines; this one reads one digit. Use model `lines`.",
    ),
    (
        1,
        "recognize examples/hello.png --language klingon",
        "no language klingon, allowed: a file, danish, dutch",
    ),
    (
        1,
        "recognize examples/hello.png --language=",
        "language is '', allowed: danish, dutch",
    ),
    (1, "recognize examples/hello.png --language pyproject.toml", "is no language model of ours"),
    (2, "stream nosuch.png", "'nosuch.png' does not exist"),
    (2, "stream examples/7.png --pace -1", "--pace"),
    (2, "stream examples/7.png --pace nan", "--pace: nan is no pace"),
    (2, "serve --pot 1", "--port"),
    (2, "serve --port high", "port is 'high'"),
    (2, "serve --port 99999", "port is '99999'"),
    (2, "serve --config nosuch.toml", "nosuch.toml"),
    (2, "models --weights nosuch", "nosuch"),
    (1, "models --weights {tmp}", "no models in {tmp}"),
    (2, "train digits --minutes=0", "Invalid value for '--minutes'"),
    (2, "train lines --minutes=-1", "Invalid value for '--minutes'"),
    (2, "train lines --threads=-1", "Invalid value for '--threads'"),
    (2, "train language --text-weight=0", "Invalid value for '--text-weight'"),
    (2, "train language --text-weight=-1", "Invalid value for '--text-weight'"),
    (2, "train language --text-weight=inf", "Invalid value for '--text-weight'"),
    (1, "train language --no-words --out {tmp}/x", "no text"),
    (1, "train language --no-words --out README.md", "README.md holds a language model already"),
    (2, "recognize examples/hello.jsonl --pdf --out {tmp}/x", "--pdf reads images of pages, but "),
    (2, "recognize examples/hello.jsonl --alto", "but these hold ink: examples/hello.jsonl"),
    (1, "stream examples/7.png --url ws://127.0.0.1:9", "`inkstream serve`, or name another with"),
    (1, "train digits --epochs 0 --data {tmp}/nothing", ": epochs is 0, allowed: 1..10000"),
    (
        1,
        "train digits --run {tmp}/run --data {tmp}/no",
        "{tmp}/no is neither a folder nor a CSV file",
    ),
    (1, "train lines --run {tmp}/nothing --resume", "there is no run to resume"),
    (1, "train lines --sources {tmp}", f"has no {RECIPE}, which the recipe of lines reads"),
    (2, "train lines --sources {tmp} --data {tmp}", "--data and --sources exclude each other"),
    (
        2,
        "evaluate lines --rough --baselines --adaptation 2 --document a.md",
        "--rough excludes --baselines, --adaptation, --document",
    ),
    (2, "evaluate pages --overlays x", "--overlays draws the pages of --real"),
    (2, "evaluate pages --language english", "--language reads the pages of --real"),
    (
        1,
        "evaluate digits --checkpoint lines --out {tmp}/out",
        ": lines.onnx: it is a transcriber, expected a classifier",
    ),
    *(
        (
            1,
            f"evaluate {report} --checkpoint digits --out {{tmp}}/out",
            ": digits.onnx: it is a classifier, expected a transcriber",
        )
        for report in ("lines", "ink", "language", "pages")
    ),
    *(
        (
            1,
            f"evaluate {report} --out {{tmp}}/file --data {{tmp}}/nothing",
            "{tmp}/file: File exists",
        )
        for report in ("digits", "lines", "ink", "language", "pages")
    ),
]


@pytest.mark.parametrize(("code", "command", "text"), ERRORS)
def test_an_error_is_one_line_and_nothing_else_is_written(
    code: int, command: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "file").touch()
    done = run_here(*shlex.split(command.format(tmp=tmp_path)))
    line = one_line(done.stderr)
    assert (done.returncode, done.stdout) == (code, "")
    assert text.format(tmp=tmp_path) in line
    assert line.endswith("--help)") == (code == 2)

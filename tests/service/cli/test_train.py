"""The command `train`: it stops in time, goes on, and names what comes next."""

import json
import re
import shutil
import tarfile
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from matplotlib.figure import Figure

from inkstream.model.checkpoint import find, read
from inkstream.service.app import create_app
from inkstream.service.settings import Settings
from tests.helpers import builders
from tests.helpers.command_line import EXAMPLES, run_here
from tests.helpers.letter_files import write_letters
from tests.helpers.paper_folder import write_index, write_wills
from tests.service.cli.test_examples import WILL
from tests.service.cli.unipen_folder import write_release

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("mnist_excerpt")]


@pytest.fixture(autouse=True)
def _blank_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write blank curves, which are faster to draw."""
    monkeypatch.setattr("inkstream.model.plots.training_curve", lambda metrics: Figure())


SMALL = ("--held-out", "100", "--units", "8", "--features", "8", "--epochs", "2")
SMALL_LINES = "--layers 1 --units 8 --channels 4 --steps 2 --columns 900 --made 0 --images 0"
ALONE = (*SMALL, "--teacher-share", "0")
AT_ONCE = ("--minutes", "0.000001")


def ends_with(done: CompletedProcess[str], *lines: str) -> bool:
    return done.stderr.splitlines()[-len(lines) :] == list(lines)


def test_the_next_command_that_a_long_command_names_works(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "report"
    stopped = run_here("train", "digits", "--run", run, *ALONE, *AT_ONCE)
    assert stopped.returncode == 3
    resume = f"inkstream train digits --run {run} --resume"
    assert ends_with(
        stopped,
        f"made:    {run / 'state.safetensors'}",
        "missing: the trained model: the time was over",
        f"next:    {resume}",
    )
    finished = run_here(*resume.split()[1:])
    assert finished.returncode == 0
    evaluation = f"inkstream evaluate digits --checkpoint {run / 'digits.onnx'}"
    assert ends_with(finished, f"made:    {run / 'digits.onnx'}", f"next:    {evaluation}")
    report = run_here(*evaluation.split()[1:], "--out", out)
    assert "after 28 columns" in report.stdout
    assert json.loads((out / "report.json").read_text())["images"] == 400
    serve = f"inkstream serve --models {run / 'digits.onnx'}"
    assert ends_with(report, f"made:    {out}", f"next:    {serve}")


def test_a_time_limit_within_the_teacher_reports_that_there_is_no_model(tmp_path: Path) -> None:
    run = tmp_path / "run"
    stopped = run_here("train", "digits", "--run", run, *SMALL, *AT_ONCE)
    assert stopped.returncode == 3
    assert ends_with(
        stopped,
        f"made:    {run / 'teacher' / 'state.safetensors'}",
        "missing: the trained model: the time was over while its teacher was trained"
        " (--quick needs none)",
        f"next:    inkstream train digits --run {run} --resume",
    )
    options = json.loads((run / "options.json").read_text())
    assert options["config"]["units"] == 8  # the teacher has other units


@pytest.fixture
def page_with_text(tmp_path: Path) -> Path:
    """Return a folder of a page by one hand and its text."""
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(EXAMPLES / "will.jpg", folder / "page.jpg")
    (folder / "page.gt.txt").write_text(WILL)
    return folder


def test_a_page_with_its_text_adapts_the_shipped_net_and_says_by_how_much(
    page_with_text: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    fast = ("--steps", "2", "--columns", "500")
    done = run_here("train", "hand", "--data", page_with_text, "--run", run, *fast)
    assert done.returncode == 0, done.stderr
    assert "lines of pages (9 lines)" in done.stdout + done.stderr
    share = r"\d+\.\d%"
    held_out = rf"CER of 2 held out, lines of pages: {share} before, {share} after"
    assert re.search(held_out, done.stdout)
    assert "error lines of pages=" in done.stderr  # what the progress shows is no share of right
    assert ends_with(
        done,
        f"made:    {run / 'lines.onnx'}",
        f"next:    inkstream serve --models {run / 'lines.onnx'}",
    )


def commands_of(tmp_path: Path, page_with_text: Path) -> dict[str, tuple[object, ...]]:
    ink = write_json_lines(tmp_path / "mine.jsonl", 1_200)
    hand = ("--layers", "1", "--units", "8", "--channels", "4", "--columns", "300")
    return {
        "digits": ("train", "digits", *ALONE),
        "digits with a teacher": ("train", "digits", *SMALL),
        "digits quickly": ("train", "digits", "--quick", "--held-out", "100"),
        "lines": ("train", "lines", "--data", ink, *SMALL_LINES.split()),
        "hand": ("train", "hand", "--data", page_with_text, *hand),
    }


def write_json_lines(path: Path, n_words: int) -> Path:
    strokes = [[[10 * x, 40 * (x % 2)] for x in range(9)]]
    path.write_text((json.dumps({"strokes": strokes, "label": "www"}) + "\n") * n_words)
    return path


KINDS = ("digits", "digits with a teacher", "digits quickly", "lines", "hand")


def small_net(path: Path) -> Path:
    """Write a net with random weights that `train hand` may begin with."""
    return builders.line_checkpoint(
        path, column_height=32, layers=1, units=8, features=8, channels=(2, 4, 4), flush_columns=16,
        directions=True,
    ).path  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_command_that_is_given_again_asks_for_resume(
    tmp_path: Path, page_with_text: Path, kind: str
) -> None:
    run = tmp_path / "run"
    command = (*commands_of(tmp_path, page_with_text)[kind], "--run", run, *AT_ONCE)
    if kind == "hand":
        command = (*command, "--init", small_net(tmp_path / "net.onnx"))
    assert run_here(*command).returncode == 3
    assert run_here(*command).stderr.splitlines()[-1] == (
        f"inkstream: {run} holds a run already: resume it (--resume) or name another folder (--run)"
    )
    assert run_here(*command, "--resume").returncode == 3


def test_few_words_are_no_ink_for_a_net_from_random_weights(tmp_path: Path) -> None:
    ink = write_json_lines(tmp_path / "mine.jsonl", 120)
    done = run_here("train", "lines", "--data", ink, "--run", tmp_path / "run")
    assert done.returncode == 1
    assert f"{ink} has 108 words and lines to train on, expected 1,000 or more" in done.stderr
    assert f"`inkstream train hand --data {ink}`" in done.stderr


def test_a_quick_run_makes_a_small_net_and_needs_no_teacher(tmp_path: Path) -> None:
    run = tmp_path / "run"
    few = ("--held-out", "100", "--epochs", "1", "--steps", "3")
    assert run_here("train", "digits", "--quick", "--run", run, *few).returncode == 0
    config = read(run / "digits.onnx").metadata.config
    assert (config.layers, config.units) == (1, 128)
    assert not (run / "teacher").exists()


def test_a_resumed_run_knows_its_options_and_refuses_others_by_name(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_here("train", "digits", "--run", run, *ALONE, *AT_ONCE)
    others = ["--units", 16, "--epochs", 2, "--seed", 1]
    again = run_here("train", "digits", "--run", run, "--resume", *others)
    assert again.stderr == (
        f"inkstream: cannot resume {run}: units was 8, now 16; seed was 0, now 1"
        " (give what it was begun with, or another folder with --run)\n"
    )
    of_lines = run_here("train", "lines", "--run", run, "--resume")
    assert f"cannot resume {run}: task was digits, now lines" in of_lines.stderr


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of the files that the recipe of lines reads; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "sources"
    write_release(tmp_path / "unipen")
    write_wills(tmp_path / "wills")
    (folder / "paper").mkdir(parents=True)
    for name, path in (("unipen-train.tar.xz", "unipen"), ("paper/wills.tar", "wills")):
        with tarfile.open(folder / name, "w:xz" if name.endswith("xz") else "w") as archive:
            archive.add(tmp_path / path, "" if path == "wills" else path)
    write_index(folder / "hands" / "german-words", {f"dhsd-{n}": ["it", "ti"] for n in range(10)})
    sheets = {f"lect:page-FRAN_0025_{n:04}_L-0": ["it ti"] for n in (73, 934, 2352)}
    write_index(folder / "hands" / "notaries", sheets)
    write_letters(folder / "hands")
    return folder


def test_a_run_with_sources_resumes_by_its_folder_alone_and_unipen_is_read_once(
    sources: Path, tmp_path: Path
) -> None:
    run, another = tmp_path / "run", tmp_path / "another"
    begin = ["train", "lines", "--sources", sources, *SMALL_LINES.split(), *AT_ONCE, "--run"]
    stopped = run_here(*begin, run)
    assert stopped.returncode == 3
    texts = "ink: UNIPEN train_r01_v07, special-letters, characters (259 pieces), CREMMA"
    assert texts in stopped.stdout + stopped.stderr
    (sources / "unipen-train.tar.xz").write_bytes(b"read again, it would be an error")
    assert run_here(*begin, another).returncode == 3
    assert ends_with(
        run_here("train", "lines", "--run", run, "--resume"),
        f"made:    {run / 'lines.onnx'}",
        f"next:    inkstream evaluate lines --checkpoint {run / 'lines.onnx'}",
    )
    moved = sources.rename(tmp_path / "moved")
    again = ("train", "lines", "--run", another, "--resume", "--sources", moved)
    assert run_here(*again).returncode == 0


def test_a_hand_has_a_name_and_is_served_beside_the_common_net(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pieces = [f'{{"strokes": [[[0, 0], [{x}, 9]]], "label": "ab"}}' for x in range(300, 340)]
    Path("hand.jsonl").write_text("\n".join(pieces))
    options = ["--data", "hand.jsonl", *SMALL_LINES.split()]
    hand = ["train", "hand", "--init", small_net(tmp_path / "net.onnx"), *options, "--name"]
    assert run_here(*hand, "anna").returncode == 0
    assert find("runs/anna").name == "anna.onnx"
    settings = Settings.load(models="lines,runs/anna", languages="")
    assert list(create_app(settings).state.service.models) == ["lines", "anna"]
    refused = run_here(*hand, "an/na")
    assert "name is 'an/na', allowed: letters, digits, . - and _" in refused.stderr


def test_a_run_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run_here("train", "digits", "--run", tmp_path / "file" / "run", *ALONE)
    assert "options.json cannot be written: Not a directory" in done.stderr


def test_help_names_the_options_with_their_defaults() -> None:
    output = " ".join(run_here("train", "digits", "--help").stdout.split())
    assert "--learning-rate" in output
    assert "[default: 0.0025]" in output

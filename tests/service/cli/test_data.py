"""`inkstream data`: ink is read once, described and plotted."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from inkstream.model.data.sources import unipen
from tests.helpers.command_line import one_line, read_all, run_here, terminal
from tests.service.cli.unipen_folder import write_release

pytestmark = pytest.mark.slow


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a release of twenty writers; the cache folder is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_release(tmp_path)
    return tmp_path


def test_pieces_are_counted_by_part_reason_and_rule(release: Path) -> None:
    done = run_here("data", "unipen", release)
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[:5] == [
        "train validation test",
        "small letters 32 4 4",
        "words 16 2 2",
        "lines 16 2 2",
        "writers 16 2 2",
    ]
    assert {"skipped: 20", "20 quality BAD", "changed: 20", "20 marks closed up"} <= {*lines}


def test_of_your_own_ink_nothing_is_listed_that_is_none(tmp_path: Path) -> None:
    piece = {"strokes": [[[0, 0], [10, 40], [20, 0]]], "label": "hello"}
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(piece | {"writer": name}) + "\n" for name in "abc"))
    shown = run_here("data", "ink", path).stdout
    assert "characters: e h l o" in shown
    assert "skipped" not in shown
    assert "changed" not in shown
    assert "\n\n\n" not in shown


def test_ink_that_was_read_once_is_described_again_without_a_source(release: Path) -> None:
    first = run_here("data", "unipen", release).stdout
    assert run_here("data", "unipen").stdout == first != ""
    assert len(unipen.read()[0]) == 80


@pytest.mark.usefixtures("release")
def test_the_error_without_a_cache_names_the_command() -> None:
    message = one_line(run_here("data", "unipen").stderr)
    assert message.endswith("is not there: inkstream data unipen ARCHIVE reads it")


@pytest.mark.parametrize(
    ("form", "damage"),
    [("", "cut off"), ("gz", "cut off"), ("xz", "cut off"), ("xz", "changed")],
)
def test_a_damaged_archive_is_named(release: Path, form: str, damage: str) -> None:
    (release / "include" / "noise").write_bytes(np.random.default_rng(0).bytes(500_000))
    archive = release / "unipen.tar"
    with tarfile.open(archive, f"w:{form}") as file:  # type: ignore[call-overload]  # a literal
        file.add(release / "include", "unipen/include")
    content = archive.read_bytes()
    archive.write_bytes(content[:-100_000] if damage == "cut off" else b"\xff" * 99 + content[99:])
    done = run_here("data", "unipen", archive)
    assert done.returncode == 1
    message = f"inkstream: {archive} is no archive of UNIPEN, or is incomplete or damaged: "
    assert message in one_line(done.stderr)


def test_plots_are_written(release: Path) -> None:
    done = run_here("data", "unipen", release, "--plots", release / "plots")
    names = ["characters", "words", "lines", "letters"]
    paths = [release / "plots" / f"{name}.png" for name in names]
    files = ", ".join(map(str, [unipen.cache_folder(), *paths]))
    assert done.stderr.splitlines()[-2:] == [
        f"made:    {files}",
        "next:    inkstream train lines",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_a_users_own_ink_is_described_and_plotted(tmp_path: Path) -> None:
    pieces = [f'{{"strokes": [[[0, 0], [{x}, 9]]], "label": "né"}}' for x in range(300, 320)]
    (tmp_path / "hand.jsonl").write_text("\n".join(pieces))
    done = run_here("data", "ink", tmp_path / "hand.jsonl", "--plots", tmp_path / "plots")
    assert done.returncode == 0
    lines = {" ".join(line.split()) for line in done.stdout.splitlines()}
    assert {"train validation", "words 16 4", "writers 1 1", "characters: n é"} <= lines
    assert (tmp_path / "plots" / "words.png").is_file()


def test_the_error_and_the_help_show_the_format_of_labelled_ink(tmp_path: Path) -> None:
    (tmp_path / "hand.jsonl").write_text('{"strokes": [], "text": "né"}')
    done = run_here("train", "hand", "--data", tmp_path / "hand.jsonl", "--run", tmp_path / "run")
    message = one_line(done.stderr)
    assert "line 1: Object missing required field `label` in " in message
    assert ' in {"strokes": [], "text": "né"}, expected {"strokes": [[[x, y], ...], ' in message
    for command in (("train", "hand"), ("data", "ink")):
        assert '{"strokes": [[[x, y], ...], ...], "label": "' in run_here(*command, "-h").stdout


def test_progress_on_a_terminal_names_the_step(release: Path) -> None:
    with tarfile.open(release / "unipen.tar.gz", "w:gz") as file:
        for name in ("data", "include"):
            file.add(release / name, f"unipen/{name}")
    with terminal("data", "unipen", release / "unipen.tar.gz") as (process, end):
        text = read_all(end)
        assert process.wait(60) == 0
    assert "unpacking: 100%" in text
    assert "reading pages of ink: 100%" in text

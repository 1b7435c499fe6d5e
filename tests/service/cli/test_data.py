"""`inkstream data`: ink is read once, described and plotted."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from inkstream.model.data.sources import unipen
from inkstream.model.errors import DataError
from inkstream.service.cli.main import cli
from tests.helpers.command_line import ROOT, inkstream, one_line, read_all, run_here, terminal
from tests.helpers.unipen_folder import write_release

pytestmark = pytest.mark.slow


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a release of twenty writers; the cache folder is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_release(tmp_path)
    return tmp_path


def invoke(*arguments: str | Path, command: str = "unipen") -> Result:
    return CliRunner().invoke(cli, ["data", command, *map(str, arguments)])


def test_pieces_are_counted_by_donor_reason_rule_and_part(release: Path) -> None:
    result = invoke(release)
    assert result.exception is None
    lines = {" ".join(line.split()) for line in result.output.splitlines()}
    assert "pieces small letters words lines all" in lines
    assert "sta 40 20 20 80" in lines
    assert "quality BAD 20 20" in lines
    assert "marks closed up 20 20" in lines
    assert "test 4 2 2 8" in lines
    assert "train 32 16 16 64" in lines
    assert "writers: 16 train, 2 validation, 2 test" in lines


def test_ink_that_was_read_once_is_described_again_without_a_source(release: Path) -> None:
    first = invoke(release)
    assert invoke().output == first.output
    assert len(unipen.read()[0]) == 80


def test_the_error_without_a_cache_names_the_command(release: Path) -> None:
    result = invoke()
    assert isinstance(result.exception, DataError)
    assert "is not there: inkstream data unipen ARCHIVE reads it" in str(result.exception)


@pytest.mark.parametrize("form", ["", "gz", "xz"])
def test_a_truncated_archive_is_named(release: Path, form: str) -> None:
    (release / "include" / "noise").write_bytes(np.random.default_rng(0).bytes(500_000))
    archive = release / "unipen.tar"
    with tarfile.open(archive, f"w:{form}") as file:  # type: ignore[call-overload]  # a literal
        file.add(release / "include", "unipen/include")
    archive.write_bytes(archive.read_bytes()[:-100_000])
    done = run_here("data", "unipen", archive)
    assert done.returncode == 1
    assert f"{archive} is incomplete or damaged: " in one_line(done.stderr)


def test_a_damaged_archive_is_named(release: Path) -> None:
    archive = release / "unipen.tar.xz"
    with tarfile.open(archive, "w:xz") as file:
        file.add(release / "include", "unipen/include")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 255
    archive.write_bytes(content)
    done = run_here("data", "unipen", archive)
    assert done.returncode == 1
    assert one_line(done.stderr).startswith(f"inkstream: {archive} is ")


def test_the_table_of_writers_is_written(release: Path) -> None:
    result = invoke(release, "--writers", release / "writers.tsv")
    table = (release / "writers.tsv").read_text().splitlines()
    assert len(table) == 20
    assert sum(line.startswith("test\tsta/") for line in table) == 2
    assert f"{release / 'writers.tsv'} (SHA-256 " in result.stderr


def test_the_rules_are_written_with_their_counts(release: Path) -> None:
    result = invoke(release, "--rules", release / "data.md")
    document = (release / "data.md").read_text()
    assert f"80 pieces, SHA-256 `{unipen.read()[0].digest}`" in document
    assert "| marks closed up | `so .` becomes `so.`, of donors " in document
    assert "| quality BAD | marked so in the release | 20 | sta |" in document
    assert result.stderr.splitlines()[-2].endswith(f", {release / 'data.md'}")


def test_every_rule_in_the_document_has_a_description() -> None:
    rows = [line.split(" | ") for line in (ROOT / "docs" / "data.md").read_text().splitlines()]
    rules = {row[0].removeprefix("| "): row[1] for row in rows if len(row) == 4}
    assert len(rules) > 20
    assert all(rules.values())


def test_plots_are_written(release: Path) -> None:
    result = invoke(release, "--plots", release / "plots")
    names = ["donors", "sizes", "symbols", "characters", "words", "lines", "letters"]
    paths = [release / "plots" / f"{name}.png" for name in names]
    assert result.exception is None
    files = ", ".join(map(str, [unipen.cache_folder(), *paths]))
    assert result.stderr.splitlines()[-2:] == [
        f"made:    {files}",
        "next:    inkstream train lines",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_a_users_own_ink_is_described_and_plotted(tmp_path: Path) -> None:
    pieces = [f'{{"strokes": [[[0, 0], [{x}, 9]]], "label": "né"}}' for x in range(300, 320)]
    (tmp_path / "hand.jsonl").write_text("\n".join(pieces))
    result = invoke(tmp_path / "hand.jsonl", "--plots", tmp_path / "plots", command="ink")
    assert result.exception is None
    lines = {" ".join(line.split()) for line in result.output.splitlines()}
    assert {"hand 20 20", "train 18 18", "validation 2 2", "characters: n é"} <= lines
    assert "pieces words all" in lines
    assert "writers: 1 train, 1 validation" in lines
    assert (tmp_path / "plots" / "words.png").is_file()


def test_invalid_ink_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "hand.jsonl").write_text("hello")
    result = invoke(tmp_path / "hand.jsonl", command="ink")
    assert isinstance(result.exception, DataError)
    assert "hand.jsonl, line 1: no JSON" in str(result.exception)


def test_the_error_and_the_help_show_the_format_of_labelled_ink(tmp_path: Path) -> None:
    (tmp_path / "hand.jsonl").write_text('{"strokes": [], "text": "né"}')
    done = inkstream("train", "hand", "--data", tmp_path / "hand.jsonl")
    message = one_line(done.stderr)
    assert 'line 1: {"strokes": [], "text": "né"}, expected {"strokes": [[[x, y], ...], ' in message
    for command in (("train", "hand"), ("data", "ink")):
        assert '{"strokes": [[[x, y], ...], ...], "label": "' in inkstream(*command, "-h").stdout


def test_progress_on_a_terminal_names_the_step(release: Path) -> None:
    with tarfile.open(release / "unipen.tar.gz", "w:gz") as file:
        for name in ("data", "include"):
            file.add(release / name, f"unipen/{name}")
    with terminal("data", "unipen", release / "unipen.tar.gz") as (process, end):
        text = read_all(end)
        assert process.wait(60) == 0
    assert "unpacking: 100%" in text
    assert "reading pages of ink: 100%" in text

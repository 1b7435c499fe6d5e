"""The commands `inkstream serve` and `inkstream stream`."""

import os
import pty
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from inkstream.model.checkpoint import Checkpoint
from inkstream.service.cli.terminal import HIDE_CURSOR, SHOW_CURSOR
from inkstream.service.settings import Settings
from tests.helpers.command_line import (
    DIGITS,
    EXAMPLES,
    INKSTREAM,
    ROOT,
    inkstream,
    one_line,
    read_all,
    run_here,
    screen,
    terminal,
)
from tests.helpers.running_server import Running, server

pytestmark = pytest.mark.slow

SEVEN = EXAMPLES / "7.png"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("weights")) as running:
        yield running


# serve


def test_every_setting_has_a_flag() -> None:
    text = run_here("serve", "--help").stdout
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in text
        assert field.description
        assert field.description.split()[0] in text


def test_flags_are_settings_and_keys_are_not_printed() -> None:
    flags = ["--port", 0, "--origins", "https://a.example,https://b.example", "--max-batch", 7]
    flags += ["--metrics-need-key", "--no-metrics-need-key", "--api-keys", "sesame"]
    printed = run_here("serve", "--print-settings", *flags).stdout
    values = tomllib.loads(printed)
    assert (values["port"], values["max_batch"], values["metrics_need_key"]) == (0, 7, False)
    assert values["origins"] == ["https://a.example", "https://b.example"]
    assert "sesame" not in printed


# stream


def test_stream_writes_a_line_for_each_column_if_the_output_is_no_terminal(
    running: Running,
) -> None:
    done = inkstream("stream", SEVEN, "--url", running.url)
    *lines, last = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[:2] for line in lines] == [["column", str(n)] for n in range(28)]
    assert "after 28 columns" in last
    assert "\x1b" not in done.stdout


def drawn(image: Path, running: Running, *options: object) -> str:
    """Stream an image in a terminal; return all that comes there."""
    with terminal("stream", image, "--url", running.url, *options) as (process, end):
        text = read_all(end)
        assert process.wait(60) == 0
    return text


def test_stream_draws_in_a_terminal(running: Running) -> None:
    text = drawn(SEVEN, running, "--pace", 0)
    assert 0 < text.count("\x1b[17A") <= 27  # all pictures in one place
    assert "▀" in text
    assert "█" in text
    assert text.index(HIDE_CURSOR) < text.index(SHOW_CURSOR)


def test_a_line_is_drawn_completely_and_in_few_bytes(tmp_path: Path) -> None:
    with server(tmp_path, models="lines") as running:
        text = drawn(EXAMPLES / "hello.png", running)
    assert len(text.encode()) < 150_000  # 4 MB if every picture is written completely
    shown = screen(text)
    assert len(shown) <= 24
    assert all(len(row) <= 80 for row in shown)
    letters, _, answer, _, summary = shown[-5:]
    assert "".join(letters.split()) == "hello,world!"
    assert answer == summary == "  hello, world!"


@pytest.mark.parametrize(("name", "size"), [("COLUMNS", "40"), ("LINES", "12")])
def test_a_terminal_that_is_too_small_gets_lines_of_text(
    running: Running, monkeypatch: pytest.MonkeyPatch, name: str, size: str
) -> None:
    monkeypatch.setenv(name, size)
    *lines, _ = drawn(SEVEN, running, "--pace", 0).splitlines()
    assert [line.split()[:2] for line in lines] == [["column", str(n)] for n in range(28)]
    assert "\x1b" not in "".join(lines)


def test_an_interrupted_drawing_shows_the_cursor_again(running: Running) -> None:
    with terminal("stream", SEVEN, "--url", running.url, "--pace", 9_999) as (process, end):
        text = ""
        while "▀" not in text:
            text += os.read(end, 65_536).decode("utf-8", "ignore")
        process.send_signal(signal.SIGINT)
        text += read_all(end)
        assert process.wait(60) == 130
    assert SHOW_CURSOR in text
    assert "Traceback" not in text


def test_recognize_shows_its_progress_if_only_stderr_is_a_terminal(tiny: Checkpoint) -> None:
    parent_end, child_end = pty.openpty()
    args = [*INKSTREAM, "recognize", str(DIGITS), "--json", "--model", str(tiny.path)]
    with subprocess.Popen(args, cwd=ROOT, stdout=subprocess.PIPE, stderr=child_end) as process:
        os.close(child_end)
        assert process.stdout is not None
        assert len(process.stdout.read().splitlines()) == 10
        shown = read_all(parent_end)
        os.close(parent_end)
    assert "reading" in shown
    assert "100%" in shown


def test_stream_sends_its_key(tmp_path: Path) -> None:
    with server(tmp_path, api_keys="sesame") as running:
        command = ["stream", SEVEN, "--url", running.url, "--key"]
        refused = run_here(*command, "wrong")
        assert refused.returncode == 1
        assert "wrong" not in one_line(refused.stderr)
        assert run_here(*command, "sesame").returncode == 0


def test_the_error_of_streaming_an_invalid_image_is_one_line_and_code_1(running: Running) -> None:
    done = run_here("stream", ROOT / "pyproject.toml", "--url", running.url)
    assert done.returncode == 1
    assert "pyproject.toml: not an image" in one_line(done.stderr)

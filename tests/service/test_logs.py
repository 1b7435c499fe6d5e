"""Logs: one line for each life-cycle event, in two formats, without pixels or keys."""

import io
import json
import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkstream.service.observe import logs


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Restore the process's logging after each test."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    logging.captureWarnings(False)
    yield
    root.handlers = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn").setLevel(logging.NOTSET)
    logging.captureWarnings(False)


@pytest.fixture
def stream() -> io.StringIO:
    """Return a stream for the log, in JSON."""
    stream = io.StringIO()
    logs.configure("json", stream=stream)
    return stream


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_writes_one_object_a_line_with_context_and_time(stream: io.StringIO) -> None:
    logs.get_logger(session="s1").info("session opened", model="digits")
    (line,) = lines_of(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "session opened", "level": "info", "session": "s1", "model": "digits"}


def test_terminal_lines_are_plain_text_if_the_output_is_no_terminal() -> None:
    stream = io.StringIO()
    logs.configure("terminal", stream=stream)
    logs.get_logger(session="s1").warning("session refused", reason="full")
    (line,) = stream.getvalue().splitlines()
    assert "session refused" in line
    assert "reason=full" in line
    assert "\x1b" not in line


def test_warnings_are_lines_of_the_log_but_for_those_about_images(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.configure("json", stream=stream)
        warnings.warn_explicit("a tag", UserWarning, "image.py", 1, "PIL.TiffImagePlugin")
        warnings.warn_explicit("a fault", UserWarning, "other.py", 1, "other")
    logging.getLogger("PIL.PngImagePlugin").warning("a chunk")
    (line,) = lines_of(stream)
    assert "a fault" in line["event"]
    assert not capsys.readouterr().err


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    logs.configure("json", "warning", stream)
    logs.get_logger().info("quiet")
    logs.get_logger().warning("loud")
    assert [line["event"] for line in lines_of(stream)] == ["loud"]


def test_secrets_are_removed_by_name(stream: io.StringIO) -> None:
    names = ["key", "api_keys", "Authorization", "resume_token"]
    logs.get_logger().info("refused", **dict.fromkeys(names, "s3cret"))
    assert "s3cret" not in stream.getvalue()
    assert [lines_of(stream)[0][name] for name in names] == 4 * ["***"]


def test_pixels_appear_as_their_size_alone(stream: io.StringIO) -> None:
    pixels = np.full((2, 28), 77, np.uint8)
    logs.get_logger().info("got", array=pixels, raw=pixels.tobytes(), text="x" * 5_000)
    (line,) = lines_of(stream)
    assert line["array"] == "<array (2, 28)>"
    assert line["raw"] == "<56 bytes>"
    assert len(line["text"]) < 400


def test_an_exception_stays_one_json_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logs.get_logger().exception("run failed")
    (line,) = lines_of(stream)
    assert "ValueError: broken" in line["exception"]


def test_warnings_of_uvicorn_are_written_once_in_the_same_format(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").error("Exception in %s", "ASGI application")
    for name in ("uvicorn.access", "uvicorn.error"):  # query strings are not written
        logging.getLogger(name).info('"WebSocket /v1/stream?key=s3cret" [accepted]')
    (line,) = lines_of(stream)
    assert (line["event"], line["level"]) == ("Exception in ASGI application", "error")


def test_nothing_is_printed_before_logs_are_configured(capsys: pytest.CaptureFixture[str]) -> None:
    logs.get_logger(session="s1").info("session opened")
    assert capsys.readouterr() == ("", "")


# In the background


def test_lines_are_written_in_order_by_a_thread_and_all_of_them_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as stream:
        logs.configure("json", stream=stream)
        with logs.in_background(lambda: None):
            for number in range(500):
                logs.get_logger(session="s1").info("numbered", number=number)
        logs.get_logger().info("afterwards")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["number"] for line in lines[:-1]] == list(range(500))
    assert lines[-1]["event"] == "afterwards"


def test_lines_that_nobody_reads_are_dropped_and_counted_and_nobody_waits() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    dropped: list[None] = []
    with os.fdopen(write_end, "w") as stream:
        logs.configure("json", stream=stream)
        start_s = time.monotonic()
        with logs.in_background(lambda: dropped.append(None)):
            for number in range(2 * logs.MAX_WAITING):
                logs.get_logger().info("numbered", number=number)
            logged_s = time.monotonic()
        assert logged_s - start_s < 10.0
        assert time.monotonic() - logged_s < logs.FLUSH_S + 1.0
        n_dropped = len(dropped)
        # The pipe holds some lines, the queue others.
        assert 0 < n_dropped < logs.MAX_WAITING
        text = b""
        while len(text.splitlines()) < 2 * logs.MAX_WAITING - n_dropped:
            with suppress(BlockingIOError):
                text += os.read(read_end, 1 << 20)
    os.close(read_end)
    numbers = [json.loads(line)["number"] for line in text.splitlines()]
    assert len(numbers) == 2 * logs.MAX_WAITING - n_dropped
    assert numbers == sorted(set(numbers))  # none twice, none before an earlier one
    assert numbers[: logs.MAX_WAITING] == list(range(logs.MAX_WAITING))


def test_each_line_of_a_worker_has_its_number(log: io.StringIO) -> None:
    logs.configure("json", stream=log, worker=3)
    logs.get_logger().info("ours")
    logging.getLogger("other").warning("another package's")
    assert [json.loads(line)["worker"] for line in log.getvalue().splitlines()] == [3, 3]

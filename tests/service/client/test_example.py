"""The example of a client that is written from the document alone."""

import io
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from inkstream.model.recognizer import Recognizer
from tests.helpers import builders
from tests.helpers.cutting_proxy import Cut, cutting_proxy
from tests.helpers.running_server import server

RESUME = Path(__file__).parents[3] / "examples" / "resume.py"
CUTS = [Cut(received=n) for n in (90, 1500, 2500, 5000)] + [Cut(sent=n) for n in (300, 3000, 9000)]


@pytest.fixture
def read_lines() -> Callable[[str, IO[bytes]], Iterator[str]]:
    program = runpy.run_path(str(RESUME))
    read: Callable[[str, IO[bytes]], Iterator[str]] = program["read_lines"]
    return read


def test_the_example_of_a_client_loses_nothing_wherever_it_is_cut(
    line_weights: Path,
    reader: Recognizer,
    read_lines: Callable[[str, IO[bytes]], Iterator[str]],
) -> None:
    lines = [builders.columns(n, n, 16) for n in (324, 94, 524)]
    for line in lines:
        line[-25:] = [[200]] + [[0]] * 24  # ink, and the blank columns that end the line
    pixels = b"".join(line.tobytes() for line in lines)
    expected = [reader.read(line).text for line in lines]
    with (
        server(line_weights, models="tiny_lines") as running,
        cutting_proxy(running.port, CUTS) as (proxy, url),
    ):
        address = url.replace("http", "ws") + "/v1/stream"
        assert [*read_lines(address, io.BytesIO(pixels))] == [*expected, ""]
        assert proxy.n_cut == len(CUTS)
    assert all(expected)


def test_the_example_of_a_client_has_60_lines_and_needs_websockets_alone() -> None:
    text = RESUME.read_text("utf-8")
    assert len(text.splitlines()) <= 60
    assert "inkstream import" not in text

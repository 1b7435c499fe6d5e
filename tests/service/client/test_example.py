"""Clients that are written from the document alone: an example, and the one in the document."""

import asyncio
import io
import json
import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from inkstream.model.recognizer import Recognizer
from tests.helpers import builders
from tests.helpers.proxies import Cut, cutting_proxy
from tests.helpers.running_server import server

ROOT = Path(__file__).parents[3]
RESUME = ROOT / "examples" / "resume.py"
DOCUMENT = ROOT / "docs" / "protocol.md"
CUTS = [Cut(received=n) for n in (90, 1500, 2500, 5000)] + [Cut(sent=n) for n in (300, 3000, 9000)]


@pytest.fixture
def read_lines() -> Callable[[str, IO[bytes]], Iterator[str]]:
    program = runpy.run_path(str(RESUME))
    read: Callable[[str, IO[bytes]], Iterator[str]] = program["read_lines"]
    return read


def test_the_example_of_a_client_loses_nothing_wherever_it_is_cut(
    line_weights: Path, reader: Recognizer, read_lines: Callable[[str, IO[bytes]], Iterator[str]]
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


def test_the_client_in_the_document_hears_every_answer_once_wherever_it_is_cut(
    line_weights: Path,
) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert len(source.splitlines()) <= 40
    names: dict[str, Any] = {}
    exec(source.replace("sleep(0.5)", "sleep(0)"), names)
    columns = [builders.columns(40, seed, 16).tobytes() for seed in range(8)]
    messages = [*columns, json.dumps({"type": "end"})]

    async def heard(url: str) -> list[dict[str, Any]]:
        return [answer async for answer in names["answers"](url, messages)]

    with (
        server(line_weights, models="tiny_lines") as running,
        cutting_proxy(running.port, CUTS[:-1]) as (proxy, url),
    ):
        expected = asyncio.run(heard(running.url))
        assert asyncio.run(heard(url.replace("http", "ws") + "/v1/stream")) == expected
        assert proxy.n_cut == len(CUTS) - 1
    assert [answer["seq"] for answer in expected] == [*range(1, len(expected) + 1)]

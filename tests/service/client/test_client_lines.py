"""The Python clients and a transcriber: events with their results, flushes, and ink."""

import asyncio
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkstream.model.preprocess.columns import line_columns
from inkstream.model.preprocess.ink import flatten, rasterise
from inkstream.model.recognizer import Recognizer, load
from inkstream.service.client.conversation import CHUNK_COLUMNS, Result
from inkstream.service.client.stream import SyncStream, connect, connect_sync
from inkstream.service.protocol.errors import ColumnsError, InkError
from inkstream.service.protocol.server_messages import Event, Letter
from tests.helpers import builders
from tests.helpers.command_line import inkstream, one_line, read_all, run_here, terminal
from tests.helpers.image_files import drawn
from tests.helpers.running_server import Running, server

Stroke = list[tuple[float, float]]
WAVE: Stroke = [(float(x), 80 + 70 * float(np.sin(x / 30))) for x in range(30, 900, 9)]
DOT: Stroke = [(400, 10)]
BAR: Stroke = [(950, 10), (960, 150)]


@pytest.fixture(scope="module")
def running(line_weights: Path) -> Iterator[Running]:
    with server(
        line_weights, models="tiny,tiny_lines", max_message_points=60, ink_margin_columns=0
    ) as running:
        yield running


@pytest.fixture
def stream(running: Running) -> Iterator[SyncStream]:
    with connect_sync(running.url, model="tiny_lines") as stream:
        yield stream


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a scan of a line."""
    path: Path = tmp_path_factory.mktemp("scans") / "line.png"
    points, starts = flatten([WAVE, DOT, BAR])
    Image.fromarray(255 - drawn(points, starts, 170, 9.0, 1000)).save(path)
    return path


def rasterised(*strokes: Stroke) -> Any:
    points, starts = flatten(strokes)
    return rasterise(points / 10, starts, 16)


def letters(events: list[Event]) -> list[tuple[bool, int, int]]:
    return [(event.mark, event.start, event.end) for event in events if isinstance(event, Letter)]


def events_of(results: list[Result]) -> list[Event]:
    return [event for result in results for event in result.events]


def expected(reader: Recognizer, columns: Any) -> list[tuple[bool, int, int]]:
    """Return the letters and marks of a line, flushed at its end."""
    found = reader.read(columns).letters
    return [(letter.is_mark, letter.start, letter.end) for letter in found]


# Columns


def test_events_come_with_the_result_of_their_column(
    stream: SyncStream, reader: Recognizer
) -> None:
    columns = builders.columns(300, 3, 16)
    results = list(stream.send(columns))
    flushed = stream.flush()
    assert [result.column for result in results] == list(range(300))
    for result in results:
        assert all(event.column == result.column for event in result.events)
        assert result.text is not None
        assert 0 <= (result.letter_end or 0) <= 1
    events = events_of(results) + list(flushed.events)
    assert letters(events) == expected(reader, columns)
    assert flushed.text == reader.read(columns).text


def test_a_line_that_ends_by_itself_has_its_last_events(
    stream: SyncStream, reader: Recognizer
) -> None:
    stream.configure(line_end_columns=5)
    first = np.concatenate([builders.columns(41, 4, 16), np.zeros((5, 16), np.uint8)])
    first[40] = 99
    assert stream.ended_line is None
    results = list(stream.send(first))
    following = list(stream.send(builders.columns(20, 5, 16)))
    ended = stream.ended_line
    assert ended is not None
    assert ended.text == reader.read(first).text
    events = events_of(results) + list(ended.events)
    assert letters(events) == expected(reader, first)
    assert [result.column for result in following] == list(range(20))
    assert all(event.start < 20 for event in events_of(following))


def test_events_that_a_rewind_withdraws_do_not_come_later(stream: SyncStream) -> None:
    columns = builders.columns(120, 3, 16)
    for result in stream.send(columns):
        if result.column == 10:
            break
    rewound = stream.rewind(8)
    assert rewound.text is not None
    results = list(stream.send(columns[8:]))
    assert all(event.column >= 8 for event in events_of(results))
    ids = [event.id for event in events_of(results) if event.type != "word"]
    assert ids == list(range(rewound.letters, rewound.letters + len(ids)))


def test_a_long_line_that_other_weights_read_again_comes_once_and_is_withdrawn(
    stream: SyncStream, reader: Recognizer
) -> None:
    columns = builders.columns(5000, 3, 16)
    results = list(stream.send(columns[:4000]))
    stream._line.digest = "of other weights"  # as if these had answered so far
    stream._socket.socket.shutdown(socket.SHUT_RDWR)
    results += stream.send(columns[4000:])
    shown = [result.column for result in results]
    assert shown == sorted({*shown})  # some may be merged
    assert shown[-1] == 4999
    assert stream.reconnected is not None
    assert (stream.revised and stream.revised.column) == 0
    flushed = stream.flush()
    events = [*events_of(results[4000:]), *flushed.events]
    assert letters(events) == expected(reader, columns)
    assert flushed.text == reader.read(columns).text


# Ink


def test_a_stroke_with_an_id_is_sent_in_parts_and_undone(
    running: Running, reader: Recognizer
) -> None:
    x = np.linspace(30, 900, 1000)
    fine = np.stack([x, 80 + 70 * np.sin(x / 30)], 1).tolist()
    with connect_sync(running.url, model="tiny_lines") as stream:
        results = list(stream.ink([{"id": "f", "points": fine[:900], "last": False}], 160))
        results += stream.ink([{"id": "f", "points": fine[900:]}], 160, pause=True)
        assert results[-1].column == len(rasterised(fine)) - 1
        named = {span.id for event in events_of(results) for span in event.strokes or ()}
        assert named == {"f"}
        assert stream.revised is None
        list(stream.ink([{"id": 2, "points": [(200, 2), (300, 158)]}], 160))
        assert stream.revised is not None
        first = stream.revised.column
        again = list(stream.undo(2))
        assert again[0].column == stream.revised.column == first
        assert stream.flush().text == reader.read(rasterised(fine)).text


def test_fitted_small_ink_is_read_like_large_ink(running: Running) -> None:
    x = np.linspace(0, 900, 1000)
    large = np.stack([x + 30, 80 + 70 * np.sin(x / 30)], 1)
    centre, small = 95.0, large * (0.3, 0.3) + (0, 71)
    with connect_sync(running.url, model="tiny_lines") as stream:
        list(stream.ink([large], 160, pause=True))
        expected = stream.flush().text
        stream.reset()
        list(stream.ink([small], 160, pause=True, fit=True))
        assert stream.revised is not None
        frame = stream.revised.frame
        assert frame is not None
        assert frame.top + frame.height / 2 == pytest.approx(centre, abs=0.1)
        assert frame.height == pytest.approx(42 / (29 / 32 - 2 / 16), rel=1e-4)
        fitted = stream.flush().text
        stream.reset()
        list(stream.ink([small - (0, frame.top)], frame.height, pause=True))
        assert stream.flush().text == fitted != ""
        assert abs(len(fitted or "") - len(expected or "")) <= 3


def test_an_error_is_raised_by_the_call_that_caused_it(stream: SyncStream) -> None:
    list(stream.ink([BAR], 160))
    columns = builders.columns(2 * CHUNK_COLUMNS + 1, column_height=16)
    with pytest.raises(ColumnsError, match="in a line of ink"):
        list(stream.send(columns))
    stream.reset()
    assert [result.column for result in stream.send(columns)] == list(range(len(columns)))
    with pytest.raises(InkError, match="in a line of columns"):
        list(stream.ink([BAR], 160))
    assert [result.column for result in stream.send(columns[:2])] == [129, 130]


async def test_an_error_about_an_earlier_call_is_not_raised_later(running: Running) -> None:
    async with connect(running.url, model="tiny_lines") as stream:
        refused = stream.configure(top_k=0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await refused
        await stream.ping()
        assert (await stream.configure(top_k=1)).top_k == 1


# The command line


@pytest.mark.slow
def test_stream_writes_columns_and_events_if_the_output_is_no_terminal(
    running: Running, picture: Path, reader: Recognizer
) -> None:
    done = inkstream("stream", picture, "--url", running.url, "--model", "tiny_lines")
    assert (done.returncode, done.stderr) == (0, "")
    *lines, last = done.stdout.splitlines()
    answer = reader.recognize(picture)
    assert last == f"  {answer.text}"
    kinds = [line.split()[0] for line in lines]
    assert kinds.count("column") == len(line_columns(picture, 16))
    assert kinds.count("letter") + kinds.count("mark") == len(answer.letters)
    assert kinds.count("word") == len(answer.words)


@pytest.mark.slow
def test_stream_sends_ink_and_writes_its_columns_and_events(
    running: Running, tmp_path: Path, reader: Recognizer
) -> None:
    (tmp_path / "a.jsonl").write_text(
        f"{json.dumps({'strokes': [WAVE, BAR]})}\n"
        f"{json.dumps({'strokes': [[], WAVE, BAR, DOT], 'height': 160})}\n"
    )
    args = ["--url", running.url, "--model", "tiny_lines"]
    done = inkstream("stream", tmp_path / "a.jsonl", *args)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    answers = [reader.read_ink([WAVE, BAR]), reader.read(rasterised(WAVE, BAR, DOT))]
    assert [line[2:] for line in lines if line.startswith("  ")] == [
        reading.text for reading in answers
    ]
    kinds = [line.split()[0] for line in lines]
    assert kinds.count("revised") == 1  # by the dot, which came late in a message of its own
    assert kinds.count("column") > sum(reading.columns for reading in answers)
    assert "letter" in kinds


@pytest.mark.slow
def test_stream_draws_ink_in_a_terminal(running: Running, tmp_path: Path) -> None:
    ink = tmp_path / "a.jsonl"
    ink.write_text(json.dumps({"strokes": [WAVE, DOT], "height": 160}))
    args = ["stream", ink, "--url", running.url, "--model", "tiny_lines", "--pace", 0]
    with terminal(*args) as (process, end):
        assert "▀" in read_all(end)
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "a.jsonl: there is no ink in it"),
        ("[]", "a.jsonl:1: a JSON list"),
        ('{"strokes": [[]]}', "a.jsonl:1: there is no ink: no stroke has a point"),
    ],
)
@pytest.mark.slow
def test_stream_names_invalid_ink(
    running: Running, tmp_path: Path, content: str, text: str
) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    args = ["--url", running.url, "--model", "tiny_lines"]
    done = run_here("stream", tmp_path / "a.jsonl", *args)
    assert done.returncode == 1
    assert text in one_line(done.stderr)


@pytest.mark.slow
def test_recognize_reads_images_of_lines(line_weights: Path, picture: Path) -> None:
    model = str(line_weights / "tiny_lines.onnx")
    answer = load(model).recognize(picture)

    def output_of(*args: str) -> str:
        done: subprocess.CompletedProcess[str] = inkstream(
            "recognize", picture, "--model", model, *args
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert output_of().startswith(f"{picture}  {answer.text}  uncertain: ")
    header, values = output_of("--csv").splitlines()
    assert header == "image,text,probability"
    assert values.endswith(f"{answer.confidence:.6f}")

    line = json.loads(output_of("--json"))
    assert line.keys() == {"image", "text", "confidence", "letters", "words", "columns"}
    assert [each["char"] for each in line["letters"]] == [each.char for each in answer.letters]
    assert [each["text"] for each in line["words"]] == [each.text for each in answer.words]


def test_without_results_the_flush_has_all_events(stream: SyncStream, reader: Recognizer) -> None:
    columns = builders.columns(300, 3, 16)
    stream.configure(results="none")
    assert list(stream.send(columns)) == []
    flushed = stream.flush()
    assert flushed.text == reader.read(columns).text
    assert letters([*flushed.events]) == expected(reader, columns)
    stream.configure(results="column")
    assert len(list(stream.send(columns[:9]))) == 9

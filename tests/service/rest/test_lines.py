"""REST with a transcriber, and with two models of one server."""

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from inkstream.model.metrics import is_mark
from inkstream.model.preprocess.columns import digit_columns, line_columns
from inkstream.model.preprocess.ink import flatten, rasterise
from inkstream.model.recognizer import Recognizer
from inkstream.service.client.stream import connect_sync
from inkstream.service.protocol.errors import OverLimitError
from inkstream.service.rest.bodies import SMALL_PATH_PIXELS
from inkstream.service.rest.inputs import JSON, Input, Task, read
from inkstream.service.rest.recognition import answer_of
from tests.helpers.builders import columns
from tests.helpers.http import PNG, client_of, error
from tests.helpers.image_files import drawn
from tests.helpers.running_server import Running, server

LINES = "/v1/transcribe?model=tiny_lines"
MODEL: dict[str, Any] = {"model": "tiny_lines"}
STROKES: list[list[list[float]]] = [
    [[10 + 2 * i, 50 + 40 * float(np.sin(i / 3))] for i in range(200)],
    [[200, 5], [210, 100]],
    [[300, 8]],
]
CLASSIFIER = ("one character; `tiny_lines` reads lines", "tiny")
TRANSCRIBER = ("lines; `tiny` reads one digit", "tiny_lines")


@pytest.fixture(scope="module")
def picture() -> bytes:
    """Return a scan of a line, as a PNG."""
    points, starts = flatten(STROKES)
    data = io.BytesIO()
    Image.fromarray(255 - drawn(points, starts, 110, 5.0, 440)).save(data, "PNG")
    return data.getvalue()


def test_an_image_of_a_line_is_read_as_by_a_stream_and_by_the_library(
    client: httpx.Client, running: Running, reader: Recognizer, picture: bytes
) -> None:
    answer = client.post(LINES, content=picture).json()
    assert answer.keys() == {"type", "text", "letters", "words", "columns"}
    assert answer["type"] == "transcription"
    assert answer["columns"] == len(line_columns(picture, 16))
    assert "".join(each["char"] for each in answer["letters"]) == answer["text"].replace(" ", "")
    assert answer["text"]
    with connect_sync(running.url, model="tiny_lines") as stream:
        results = list(stream.send(line_columns(picture, 16)))
        flushed = stream.flush()
    events = [event for result in results for event in result.events] + list(flushed.events)
    listed = [answer_of(event).model_dump(mode="json") for event in events]
    assert answer["letters"] == [event for event in listed if "char" in event]
    assert answer["words"] == [event for event in listed if "text" in event]
    assert answer["text"] == flushed.text
    reading = reader.recognize(picture)
    assert reading.text == answer["text"]
    assert [(each.char, each.start, each.end, is_mark(each.char)) for each in reading.letters] == [
        (each["char"], each["start"], each["end"], each["mark"]) for each in answer["letters"]
    ]
    assert [each.text for each in reading.words] == [each["text"] for each in answer["words"]]


def test_the_columns_of_an_image_are_those_that_are_read(
    client: httpx.Client, picture: bytes
) -> None:
    line, digit = line_columns(picture, 16), digit_columns(PNG, 28)
    for content, model, expected in (
        (picture, "tiny_lines", line),
        (PNG.read_bytes(), "tiny", digit),
    ):
        answer = client.post("/v1/columns", content=content)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-inkstream-model"] == model
        assert answer.content == expected.tobytes()
    strokes = client.post("/v1/columns?model=tiny_lines", json={"strokes": STROKES})
    columns = np.frombuffer(strokes.content, np.uint8).reshape(-1, 16).tolist()
    loose = client.post(LINES, json={"strokes": STROKES}).json()
    assert client.post(LINES, json={"columns": columns}).json() == loose
    error(client.post("/v1/columns", content=b"text"), 415, "bad_image")


def test_strokes_are_read_in_their_frame_or_in_that_of_their_ink(client: httpx.Client) -> None:
    framed = client.post(LINES, json={"strokes": STROKES, "height": 110}).json()
    points, starts = flatten(STROKES)
    columns = rasterise(points * 16 / 110, starts, 16)
    assert framed == client.post(LINES, json={"columns": columns.tolist()}).json()
    loose = client.post(LINES, json={"strokes": STROKES}).json()
    moved = [[[x / 7 + 900, y / 7 - 40] for x, y in stroke] for stroke in STROKES]
    assert client.post(LINES, json={"strokes": moved, "height": None}).json() == loose
    pressed = [[(*point, 0.5, None) for point in stroke[:-1]] + stroke[-1:] for stroke in STROKES]
    assert client.post(LINES, json={"strokes": pressed}).json() == loose


def test_a_hundred_thousand_points_are_read(client: httpx.Client) -> None:
    x = np.linspace(0, 5000, 100_000)
    points = np.round(np.stack([x, 50 + 40 * np.sin(x / 9)], 1), 1)
    answer = client.post(LINES, json={"strokes": [points.tolist()], "height": 100})
    assert answer.status_code == 200
    assert answer.json()["columns"] == 801


@pytest.mark.parametrize(
    ("path", "needed_by", "reads", "other"),
    [
        ("classify?model=tiny_lines", "/v1/classify", *CLASSIFIER),
        ("transcribe?model=tiny", "/v1/transcribe", *TRANSCRIBER),
        ("page?model=tiny", "/v1/page", *TRANSCRIBER),
        ("page/columns?model=tiny", "/v1/page/columns", *TRANSCRIBER),
        ("recognize?model=tiny&page=true", "page=true", *TRANSCRIBER),
        ("recognize?model=tiny_lines&curve=true", "curve=true", *CLASSIFIER),
        ("recognize?model=tiny_lines&page=true&curve=true", "curve=true", *CLASSIFIER),
    ],
)
def test_a_model_of_the_other_kind_is_refused(
    client: httpx.Client, picture: bytes, path: str, needed_by: str, reads: str, other: str
) -> None:
    assert error(client.post(f"/v1/{path}", content=picture), 422, "bad_value") == (
        f"`{needed_by}` needs a model that reads {reads}. Use model `{other}`."
    )


@pytest.mark.parametrize("height", [None, 16])
def test_strokes_may_be_as_long_as_an_image_of_a_line(
    client: httpx.Client, height: int | None
) -> None:
    longest = {"strokes": [[[0, 0], [16_000, 15]]], "height": 16}
    assert client.post(LINES, json=longest).json()["columns"] == 16_001
    for width in (30_000, 65_500, 1e9):
        longer = {"strokes": [[[0, 0], [width, 15], [0, 0]]], "height": height}
        text = error(client.post(LINES, json=longer), 413, "over_limit")
        assert text.endswith("columns, allowed: up to 16384")


@pytest.mark.parametrize("height", [None, 28])
def test_a_small_body_of_long_strokes_is_drawn_by_a_page_worker(
    running: Running, height: int | None
) -> None:
    """What a page worker may take is more than what may be drawn while others wait."""
    scribble = {"strokes": [[[0, 0], [25, 28]] * 900], "height": height}
    task = Task(JSON, is_page=False, models={}, max_pixels=1, max_columns=100)
    for model in running.service.models.values():
        task.models[model.info.name] = model.session_model.config
        body = json.dumps(scribble).encode()
        drawn = read(task, body)
        assert isinstance(drawn, Input)
        assert len(drawn.columns) >= 10
        with pytest.raises(OverLimitError, match="the pen goes"):
            read(replace(task, max_path=SMALL_PATH_PIXELS), body)
        task.models.clear()


def test_columns_count_as_bodies_until_their_request_is_answered(line_weights: Path) -> None:
    body = {"strokes": [[[0, 0], [900, 15]]], "height": 16}  # 32 bytes a column
    with (
        server(line_weights, models="tiny_lines", max_body_bytes=20_000) as running,
        client_of(running) as client,
    ):
        for _ in range(10):
            assert client.post(LINES, json=body).status_code == 200
        longer = {"strokes": [[[0, 0], [1300, 15]]], "height": 16}
        assert "at once, try again" in error(client.post(LINES, json=longer), 503, "server_full")
        assert client.post(LINES, json=body).status_code == 200


def test_both_models_are_listed_and_the_first_is_the_default(client: httpx.Client) -> None:
    listing = client.get("/v1/models").json()
    assert listing["pages"] is True
    digits, lines = listing["models"]
    of_digits = {"name": "tiny", "kind": "classifier", "column_height": 28, "languages": []}
    assert digits.items() >= (of_digits | {"metrics": {"accuracy": 0.1}}).items()
    assert digits["labels"] == list("0123456789")
    assert digits["parameters"] > 0
    of_lines = {"kind": "transcriber", "column_height": 16, "languages": ["english"]}
    assert lines.items() >= ({"name": "tiny_lines"} | of_lines).items()
    assert client.post("/v1/recognize", content=PNG.read_bytes()).json().keys() >= {"label"}


def test_simultaneous_requests_to_both_models_do_not_mix(running: Running) -> None:
    def recognize(number: int) -> Any:
        model, height = (("tiny", 28), ("tiny_lines", 16))[number % 2]
        body = {"columns": columns(30, number, height).tolist()}
        with client_of(running) as client:
            return client.post(f"/v1/recognize?model={model}", json=body).json()

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(recognize, range(12)))
    for answer, alone in zip(answers, map(recognize, range(12)), strict=True):
        assert answer.get("text") == alone.get("text")
        probabilities, expected = (dict(read.get("probabilities", [])) for read in (answer, alone))
        assert probabilities == pytest.approx(expected, abs=1e-5)


def test_a_request_may_have_hints(client: httpx.Client, running: Running, picture: bytes) -> None:
    for options in ({"pattern": "[ab]{2,9}c?"}, {"words": ["abc", "cab"]}, {"characters": "ab"}):
        answer = client.post("/v1/recognize", params=MODEL | options, content=picture).json()
        with connect_sync(running.url, model="tiny_lines") as stream:
            stream.configure(**options)
            list(stream.send(line_columns(picture, 16)))
            assert answer["text"] == stream.flush().text
        plain = client.post(LINES, content=picture).json()
        assert answer["text"] != plain["text"]
    with_pattern = client.post(LINES + "&pattern=[ab]{2,9}c?", content=picture).json()
    assert re.match("[ab]", with_pattern["text"])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"language": "latin"}, "language is 'latin', allowed: english, several with commas, or"),
        ({"pattern": "("}, "cannot be understood"),
        ({"words": "é"}, "word 'é' cannot be read"),
        ({"context": "a" * 5000}, "5000 characters, allowed: up to 4096"),
    ],
)
def test_invalid_hints_are_refused(
    client: httpx.Client, picture: bytes, options: dict[str, str], text: str
) -> None:
    answer = client.post("/v1/recognize", params=MODEL | options, content=picture)
    assert text in error(answer, 422, "bad_value")

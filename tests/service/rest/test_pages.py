"""Pages over REST."""

import base64
import io
import json
import shutil
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from inkstream.model.checkpoint import WEIGHTS_FOLDER
from inkstream.model.metrics import errors
from inkstream.model.pages import find_page
from inkstream.model.pages.answers import PageColumns
from inkstream.model.pages.transcription import Page
from inkstream.model.recognizer import Recognizer
from inkstream.service.client.stream import connect_sync
from inkstream.service.observe import logs
from inkstream.service.rest import work
from tests.helpers.http import client_of, error
from tests.helpers.running_server import Running, server
from tests.service.rest import failing_page_worker
from tools.pages import encoded, page

pytestmark = pytest.mark.slow

PAGE = "/v1/page?model=tiny_lines"
COLUMNS = "/v1/page/columns?model=tiny_lines"


@pytest.fixture(scope="module")
def picture() -> bytes:
    return encoded(page(n_blocks=2, n_lines=4).image, "PNG")


def test_a_page_gets_its_lines_words_and_letters_with_their_boxes(
    client: httpx.Client, picture: bytes, reader: Recognizer
) -> None:
    answer = client.post(PAGE, content=picture)
    transcription = Page.model_validate(answer.json())
    layout = find_page(picture, 16)
    assert (transcription.width, transcription.height) == (layout.width, layout.height)
    assert len(transcription.lines) == 8
    for line, found_line in zip(transcription.lines, layout.lines, strict=True):
        expected = reader.read(found_line.columns)
        read = expected.text, len(found_line.columns), found_line.block
        assert (line.text, line.columns, line.block) == read
        assert line.confidence == pytest.approx(expected.confidence, abs=1e-3)
        assert np.array(line.box) == pytest.approx(found_line.box, abs=0.06)
        assert [word.text for word in line.words] == [word.text for word in expected.words]
        for letter, expected_letter in zip(line.letters, expected.letters, strict=True):
            assert letter.char == expected_letter.char
            assert np.array(letter.box) == pytest.approx(
                found_line.box_of(expected_letter.start, expected_letter.end), abs=0.06
            )
    first, second = transcription.text.split("\n\n")
    assert first.split("\n") == [line.text for line in transcription.lines[:4]]
    assert second.split("\n") == [line.text for line in transcription.lines[4:]]


@pytest.mark.parametrize(
    ("format_name", "content_type", "content"),
    [
        ("hocr", "text/vnd.hocr+html; charset=utf-8", 'class="ocr_line"'),
        ("alto", "application/xml; charset=utf-8", "<TextLine "),
        ("pagexml", "application/xml; charset=utf-8", "<PcGts "),
        ("json", "application/json", '"lines":[{"text":'),
    ],
)
def test_a_page_is_answered_by_both_calls_and_in_each_format(
    client: httpx.Client, picture: bytes, format_name: str, content_type: str, content: str
) -> None:
    for path in (PAGE, "/v1/recognize?model=tiny_lines&page=true"):
        answer = client.post(f"{path}&format={format_name}", content=picture)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == content_type
        assert content in answer.text


def test_the_columns_of_a_page_are_those_that_are_read_line_by_line(
    client: httpx.Client, running: Running, picture: bytes
) -> None:
    answer = client.post(COLUMNS, content=picture)
    assert answer.headers["content-type"] == "application/json"
    page = PageColumns.model_validate(answer.json())
    assert page.column_height == 16
    read = client.post(PAGE, content=picture).json()["lines"]
    with connect_sync(running.url, model="tiny_lines") as stream:
        for line, expected, raw in zip(page.lines, read, answer.json()["lines"], strict=True):
            assert line.columns == base64.b64decode(raw["columns"])
            assert raw["box"] == expected["box"]
            columns = np.frombuffer(line.columns, np.uint8).reshape(-1, 16)
            for _ in stream.send(columns):
                pass
            assert stream.flush().text == expected["text"]
            stream.reset()


def test_a_page_without_ink_has_no_lines(client: httpx.Client) -> None:
    blank = encoded(np.full((300, 200, 3), 250, np.uint8), "PNG")
    assert client.post(PAGE, content=blank).json() == {
        "type": "page", "text": "", "width": 200, "height": 300, "turned": 0, "lines": [],
    }  # fmt: skip
    assert client.post(COLUMNS, content=blank).json()["lines"] == []
    for format_name in ("hocr", "alto", "pagexml"):
        answer = client.post(f"{PAGE}&format={format_name}", content=blank)
        assert answer.status_code == 200
        # As on the command line, the form says that the image is a page.
        anything = client.post(f"/v1/recognize?format={format_name}", content=blank)
        assert anything.headers["content-type"] == answer.headers["content-type"]


def test_what_is_no_image_of_a_page_is_refused(client: httpx.Client, picture: bytes) -> None:
    error(client.post(f"{PAGE}&format=pdf", content=picture), 422, "bad_value")
    json_page = client.post(PAGE, json={"strokes": [[[1, 2]]]})
    assert error(json_page, 422, "bad_value") == "a page needs an image, application/json came"
    as_line = "/v1/recognize?model=tiny_lines&format=alto&page=false"
    text = error(client.post(as_line, content=picture), 422, "bad_value")
    assert text == "format=alto is for pages: leave page=false out"
    for content in (b"text", b"\x89PNG\r\n\x1a\n"):
        error(client.post(PAGE, content=content), 415, "bad_image")


@pytest.mark.parametrize(("limit", "most"), [("max_image_pixels", 1000), ("max_line_columns", 20)])
def test_pages_beyond_the_limits_are_refused(
    line_weights: Path, picture: bytes, limit: str, most: int
) -> None:
    with (
        server(line_weights, models="tiny_lines", **{limit: most}) as running,
        client_of(running) as client,
    ):
        assert f"{most}" in error(client.post(PAGE, content=picture), 413, "over_limit")


@pytest.mark.parametrize("path", [PAGE, COLUMNS])
def test_a_page_whose_reading_fails_is_refused_and_the_cause_is_logged(
    line_weights: Path, picture: bytes, path: str, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    logs.configure("json", stream=log)
    monkeypatch.setattr(work, "__name__", failing_page_worker.__name__)
    with server(line_weights, models="tiny_lines") as running, client_of(running) as client:
        answer = client.post(path, content=picture)
        assert "secret" not in error(answer, 422, "unreadable")
        (line,) = [
            line for line in log.getvalue().splitlines() if failing_page_worker.SECRET in line
        ]
        assert json.loads(line)["request"] == answer.headers["x-request-id"]


def test_options_apply_to_every_line_of_a_page(client: httpx.Client, picture: bytes) -> None:
    answer = client.post(f"{PAGE}&characters=ab", content=picture).json()
    assert set(answer["text"]) <= set("ab \n")
    assert {"a", "b"} & set(answer["text"])
    error(client.post(f"{PAGE}&pattern=(", content=picture), 422, "bad_value")


def test_other_streams_go_on_while_pages_are_read(running: Running) -> None:
    large = np.asarray(Image.fromarray(page(n_lines=6).image).resize((1500, 2000)))
    content, stop = encoded(large), threading.Event()
    answers: list[tuple[int, float]] = []

    def ask() -> None:
        with client_of(running) as client:
            while not stop.is_set():
                started_s = time.monotonic()
                status = client.post(PAGE, content=content).status_code
                answers.append((status, time.monotonic() - started_s))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    waits = []
    try:
        with connect_sync(running.url, model="tiny_lines") as stream:
            while len(answers) < 3:
                started_s = time.monotonic()
                list(stream.send(np.zeros((1, 16), np.uint8)))
                waits.append(time.monotonic() - started_s)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    statuses, pages_s = zip(*answers, strict=True)
    assert set(statuses) == {200}
    assert np.quantile(waits, 0.9) < min(pages_s) / 10
    assert max(waits) < min(pages_s)


def test_a_client_that_streams_a_page_gets_one_line_after_another(tmp_path: Path) -> None:
    shutil.copy(WEIGHTS_FOLDER / "lines.onnx", tmp_path)
    page_with_text = page(n_lines=3)
    gap = np.zeros((80, 32), np.uint8)  # blank paper between the lines
    columns = [
        piece for line in find_page(page_with_text.image, 32).lines for piece in (line.columns, gap)
    ]
    texts: list[str] = []
    with (
        server(tmp_path, models="lines") as running,
        connect_sync(running.url, model="lines") as stream,
    ):
        stream.configure(line_end_columns=60)
        for result in stream.send(np.concatenate(columns)):
            if result.column == 0:
                texts.append("")
            texts[-1] = (result.text or "").lower()
    read = [text for text in texts if text]
    labels = [line.label for line in page_with_text.lines]
    assert len(read) == len(labels) == 3
    assert errors(read, labels)["cer"] < 0.1

"""The REST door of a real server: answers, and one clear error for everything else."""

import io
import json
import logging
import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from model.columns import digit_columns
from model.runtime import Runtime
from service import logs
from service.bodies import BodyReader
from service.client import connect_sync
from service.errors import MEANINGS
from tests import builders
from tests.service.running import Running, server

PNG = Path(__file__).parents[2] / "examples" / "7.png"
AS_PNG = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("weights"), max_body_bytes=4_000_000) as running:
        yield running


@pytest.fixture
def client(running: Running) -> Iterator[httpx.Client]:
    with client_of(running) as client:
        yield client


def client_of(running: Running) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{running.port}", timeout=30)


def error(response: httpx.Response, status: int, code: str) -> str:
    """Check an error's status, code and shape; its message."""
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"code", "message", "request_id"}
    assert body["error"]["request_id"] == response.headers["x-request-id"]
    message = body["error"]["message"]
    assert isinstance(message, str)
    assert message
    assert "\n" not in message
    return message


# Answers


def test_an_image_gets_its_label_and_probabilities(client: httpx.Client) -> None:
    response = client.post("/v1/recognize", content=PNG.read_bytes(), headers=AS_PNG)
    answer = response.json()
    assert response.status_code == 200
    assert answer.keys() == {"label", "probabilities", "columns"}
    assert answer["columns"] == 28
    assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_the_curve_is_what_a_stream_says_after_every_column(
    client: httpx.Client, running: Running
) -> None:
    response = client.post("/v1/recognize?curve=true", content=PNG.read_bytes(), headers=AS_PNG)
    answer = response.json()
    with connect_sync(running.url) as stream:
        columns = digit_columns(PNG, 28)
        results = [result for column in columns for result in stream.send(column)]
    assert len(answer["curve"]) == 28
    assert answer["curve"][-1] == answer["probabilities"]
    for ours, theirs in zip(answer["curve"], results, strict=True):
        assert ours == pytest.approx(theirs.probabilities, abs=1e-5)


def test_every_way_to_bring_an_image_gets_the_same_answer(client: httpx.Client) -> None:
    data = PNG.read_bytes()
    columns = digit_columns(PNG, 28).tolist()
    answers = [
        client.post("/v1/recognize", content=data, headers=AS_PNG),
        client.post("/v1/recognize", content=data),
        client.post(
            "/v1/recognize", content=data, headers={"content-type": "application/octet-stream"}
        ),
        client.post("/v1/recognize", content=data, headers={"content-type": "IMAGE/JPEG; q=1"}),
        client.post("/v1/recognize", files={"file": ("7.png", data, "image/png")}),
        client.post("/v1/recognize", files={"file": data}, data={"note": "more fields are fine"}),
        client.post("/v1/recognize", json={"columns": columns}),
        client.post("/v1/recognize?model=tiny&unknown=1", json={"columns": columns, "more": None}),
    ]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert answers[0].status_code == 200


def test_a_chunked_body_is_read_like_any_other(client: httpx.Client) -> None:
    data = PNG.read_bytes()
    pieces = (data[i : i + 7] for i in range(0, len(data), 7))
    whole = client.post("/v1/recognize", content=data, headers=AS_PNG)
    chunked = client.post("/v1/recognize", content=pieces, headers=AS_PNG)
    assert chunked.text == whole.text


def test_more_columns_than_a_message_may_hold_are_read_to_the_end(client: httpx.Client) -> None:
    columns = builders.columns(5_000)
    answer = client.post("/v1/recognize?curve=true", json={"columns": columns.tolist()}).json()
    short = client.post("/v1/recognize", json={"columns": columns.tolist()}).json()
    assert answer["columns"] == short["columns"] == len(answer["curve"]) == 5_000
    assert short["probabilities"] == answer["probabilities"]


def test_each_of_several_models_answers_under_its_name(tmp_path: Path) -> None:
    builders.checkpoint(tmp_path / "letters.onnx", labels=("ä", "ß", "%"), seed=3)
    with server(tmp_path, models="tiny,letters") as running, client_of(running) as client:
        data = PNG.read_bytes()
        default = client.post("/v1/recognize", content=data).json()
        letters = client.post("/v1/recognize?model=letters", content=data).json()
        assert len(default["probabilities"]) == 10
        assert letters["probabilities"].keys() == {"ä", "ß", "%"}
        names = [model["name"] for model in client.get("/v1/models").json()["models"]]
        assert names == ["tiny", "letters"]


def test_models_are_listed_with_all_that_may_be_known(client: httpx.Client) -> None:
    (model,) = client.get("/v1/models").json()["models"]
    assert model["labels"] == list("0123456789")
    assert model["column_height"] == 28
    assert model["kind"] == "classifier"
    assert model["parameters"] > 0
    assert model["metrics"] == {"accuracy": 0.1}
    assert model.keys() >= {"name", "version", "data", "licence"}


def test_requests_at_once_do_not_mix(running: Running) -> None:
    rows = [builders.columns(30, seed) for seed in range(12)]
    answers: dict[int, Any] = {}

    def ask(number: int) -> None:
        with client_of(running) as client:
            body = {"columns": rows[number].tolist()}
            answers[number] = client.post("/v1/recognize", json=body).json()["probabilities"]

    threads = [threading.Thread(target=ask, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with connect_sync(running.url) as stream:
        for number, columns in enumerate(rows):
            *_, last = stream.send(columns)
            stream.reset()
            assert answers[number] == pytest.approx(last.probabilities, abs=1e-5)


# Operators


def test_health_and_readiness_are_told(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.head("/healthz").status_code == client.head("/readyz").status_code == 200


def test_a_server_about_to_stop_is_alive_but_not_ready(tmp_path: Path) -> None:
    with server(tmp_path) as running, client_of(running) as client:
        running.service.sessions.stopping = True
        error(client.get("/readyz"), 503, "stopping")
        response = client.post("/v1/recognize", content=PNG.read_bytes())
        error(response, 503, "stopping")
        assert int(response.headers["retry-after"]) > 0
        assert client.get("/healthz").status_code == 200


def test_metrics_count_what_happened(tmp_path: Path) -> None:
    with server(tmp_path) as running, client_of(running) as client:
        client.post("/v1/recognize", content=PNG.read_bytes())
        client.post("/v1/recognize", content=b"text")
        client.post("/v1/recognize?model=nosuch", content=b"text")
        text = client.get("/metrics").text
    assert "inkstream_columns_total 28.0" in text
    assert 'inkstream_request_seconds_count{status="200"} 1.0' in text
    assert 'inkstream_errors_total{code="bad_image"} 1.0' in text
    assert 'inkstream_refused_total{reason="unknown_model"} 1.0' in text
    assert "inkstream_sessions 0.0" in text


def test_a_request_is_one_line_of_the_log_with_its_id(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", logging.root.handlers)
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    written = io.StringIO()
    logs.configure("json", stream=written)
    response = client.post("/v1/recognize?model=tiny", content=PNG.read_bytes())
    client.get("/healthz")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    (line,) = [line for line in lines if "request" in line]
    assert line["request"] == response.headers["x-request-id"]
    assert (line["event"], line["path"], line["status"]) == ("request", "/v1/recognize", 200)


# What is malformed: 400

BOUNDARY = {"content-type": "multipart/form-data; boundary=xyz"}
PART = (
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%s\r\n--xyz--\r\n'
)


@pytest.mark.parametrize(
    ("headers", "body", "says"),
    [
        (AS_PNG, b"", "the body is empty"),
        ({}, b"", "the body is empty"),
        (BOUNDARY, b"", "the body is empty"),
        ({"content-type": "multipart/form-data"}, b"x", "boundary"),
        (BOUNDARY, b"no boundary in sight", "multipart"),
        (BOUNDARY, PART[:-30], "multipart"),
        (BOUNDARY, PART.replace(b"xyz", b"abc"), "multipart"),
        (BOUNDARY, b"--xyz\r\nbroken header\r\n\r\nx\r\n--xyz--\r\n", "multipart"),
        (BOUNDARY, b"--xyz--\r\n", "expected a part 'file'"),
        (BOUNDARY, PART.replace(b'"file"', b'"image"'), "'image', expected a part 'file'"),
        (BOUNDARY, PART.replace(b'; filename="a"', b""), "expected a part 'file'"),
        (BOUNDARY, PART % b"", "the file is empty"),
        (BOUNDARY, PART[:-9] % b"a" + b"\r\n" + PART % b"b", "Too many files"),
    ],
)
def test_a_malformed_body_says_what_is_wrong_with_it(
    client: httpx.Client, headers: dict[str, str], body: bytes, says: str
) -> None:
    response = client.post("/v1/recognize", content=body, headers=headers)
    assert says in error(response, 400, "bad_message")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'columns': []}",
        b"[]",
        b"null",
        b"7",
        b'"columns"',
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"columns": [[' + b"9" * 5_000 + b"]]}",
        b'{"columns": ' + b"[" * 50_000,
    ],
)
def test_what_is_no_json_object_is_said_so(client: httpx.Client, body: bytes) -> None:
    response = client.post(
        "/v1/recognize", content=body, headers={"content-type": "application/json"}
    )
    error(response, 400, "bad_json" if body else "bad_message")


# Columns of a wrong shape: 422


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ("[]", "expected at least one column"),
        ("7", "columns is 7, expected an array"),
        ("null", "columns is None"),
        ('"text"', "columns is 'text'"),
        ("[7]", "column 0 is 7, expected a row of pixels"),
        ("[[]]", "column 0 has 0 pixels, expected 28"),
        ([[0] * 27], "column 0 has 27 pixels, expected 28"),
        ([[0] * 28, [0] * 29], "column 1 has 29 pixels, expected 28"),
        ([[0] * 28, None], "column 1 is None"),
        ([0] * 28, "column 0 is 0"),
        ([[0] * 27 + [300]], "pixel 27 of column 0 is 300, allowed: whole numbers 0..255"),
        ([[0] * 27 + [-1]], "is -1"),
        ([[0] * 27 + [0.5]], "is 0.5"),
        ([[0] * 27 + [1.0]], "is 1.0"),
        ([[0] * 27 + [None]], "is None"),
        ([[0] * 27 + ["9"]], "is '9'"),
        ([[0] * 27 + [True]], "is True"),
        ([[0] * 27 + [[]]], "is []"),
        ("[[" + "0," * 27 + "NaN]]", "is nan"),
        ("[[" + "0," * 27 + "Infinity]]", "is inf"),
        ("[[" + "0," * 27 + "1e400]]", "is inf"),
    ],
)
def test_columns_that_do_not_fit_name_the_first_fault(
    client: httpx.Client, columns: Any, says: str
) -> None:
    text = columns if isinstance(columns, str) else json.dumps(columns)
    response = client.post(
        "/v1/recognize",
        content=f'{{"columns": {text}}}',
        headers={"content-type": "application/json"},
    )
    assert says in error(response, 422, "bad_columns")


def test_json_without_columns_is_said_so(client: httpx.Client) -> None:
    assert "no columns" in error(client.post("/v1/recognize", json={}), 422, "bad_value")


def test_ink_is_not_offered_yet(client: httpx.Client) -> None:
    body = {"strokes": [{"id": 0, "points": [[1, 2]], "last": True}], "height": 100}
    said = error(client.post("/v1/recognize", json=body), 422, "not_offered")
    assert "ink is not offered by this model yet" in said


def test_a_query_that_is_no_truth_value_is_said_so(client: httpx.Client) -> None:
    response = client.post("/v1/recognize?curve=maybe", content=PNG.read_bytes())
    assert "curve is 'maybe'" in error(response, 422, "bad_value")


# What is too much: 413


def test_a_body_over_the_limit_is_refused_by_its_announced_length(client: httpx.Client) -> None:
    response = client.post("/v1/recognize", content=bytes(4_000_001), headers=AS_PNG)
    assert "4000001 bytes, allowed: up to 4000000" in error(response, 413, "over_limit")


def test_a_body_over_the_limit_is_refused_while_it_comes_in_chunks(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), 10) as raw:
        raw.sendall(b"POST /v1/recognize HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        sent = 0
        while not select.select([raw], [], [], 0)[0]:
            assert sent < 100_000_000
            raw.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            sent += 0x10000
        assert b" 413 " in raw.recv(100)


def test_json_is_held_shorter_since_it_swells_in_memory(client: httpx.Client) -> None:
    body = b'{"columns":[' + b"[]," * 1_000_000 + b"[]]}"
    response = client.post(
        "/v1/recognize", content=body, headers={"content-type": "application/json"}
    )
    assert "2097152" in error(response, 413, "over_limit")


def test_more_columns_than_a_line_may_have_are_refused(tmp_path: Path) -> None:
    with server(tmp_path, max_line_columns=100) as running, client_of(running) as client:
        body = {"columns": [[0] * 28] * 101}
        said = error(client.post("/v1/recognize", json=body), 413, "over_limit")
        assert "101 columns, allowed: up to 100" in said
        assert client.post("/v1/recognize", json={"columns": [[0] * 28] * 100}).is_success


def test_large_bodies_at_once_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    head = b"POST /v1/recognize HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"
    with server(tmp_path, max_body_bytes=100_000) as running, client_of(running) as client:
        with ExitStack() as stack:
            address = ("127.0.0.1", running.port)
            held = [stack.enter_context(socket.create_connection(address)) for _ in range(5)]
            for raw in held:
                raw.sendall(head + bytes(99_999))
            refused, _, _ = select.select(held, [], [], 10)
            assert len(refused) == 1  # the others are waited for
            answer = refused[0].recv(1000)
            assert b"503" in answer.splitlines()[0]
            assert b"retry-after" in answer.lower()
        wait_for_no_sessions(client)
        assert client.post("/v1/recognize", content=PNG.read_bytes()).status_code == 200


def wait_for_no_sessions(client: httpx.Client) -> None:
    """Every request waits for the event loop, which has dealt with the closed ones by then."""
    for _ in range(1_000):
        if "inkstream_sessions 0.0" in client.get("/metrics").text:
            return
    raise AssertionError("sessions are left")


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing_behind(
    client: httpx.Client, running: Running
) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", running.port)) as raw:
            raw.sendall(
                b"POST /v1/recognize HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n12345"
            )
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_for_no_sessions(client)
    assert client.post("/v1/recognize", content=PNG.read_bytes()).status_code == 200


# Other media, routes and methods


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/pdf", "application/x-www-form-urlencoded", "video/mp4", "x" * 999],
)
def test_another_content_type_is_answered_with_those_allowed(
    client: httpx.Client, kind: str
) -> None:
    response = client.post(
        "/v1/recognize", content=PNG.read_bytes(), headers={"content-type": kind}
    )
    said = error(response, 415, "bad_image")
    assert kind[:100] in said
    assert "allowed: image/*" in said


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nosuch", 404, "not_found"),
        ("POST", "/v1/recognise", 404, "not_found"),
        ("GET", "/v1/recognize", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/metrics", 405, "method_not_allowed"),
        ("GET", "/v1/stream", 426, "upgrade_required"),
        ("POST", "/v1/recognize?model=nosuch", 404, "unknown_model"),
        ("POST", "/v1/recognize?model=", 404, "unknown_model"),
        ("POST", "/v1/recognize?model=../../etc/passwd%00", 404, "unknown_model"),
    ],
)
def test_what_is_not_there_is_said_in_the_same_shape(
    client: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    response = client.request(method, path)
    error(response, status, code)
    if status == 405:
        assert response.headers["allow"]


# Who may come in


def test_keys_are_asked_for_where_they_are_set(tmp_path: Path) -> None:
    with server(tmp_path, api_keys="sesame,other") as running, client_of(running) as client:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "sesame"}):
            response = client.post("/v1/recognize", content=PNG.read_bytes(), headers=headers)
            said = error(response, 401, "unauthorized")
            assert "wrong" not in said
            assert response.headers["www-authenticate"] == "Bearer"
        error(client.get("/v1/models"), 401, "unauthorized")
        error(client.get("/v1/models?key=sesame"), 401, "unauthorized")
        right = {"authorization": "Bearer other"}
        answer = client.post("/v1/recognize", content=PNG.read_bytes(), headers=right)
        assert answer.status_code == 200
        for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
            assert client.get(path).status_code == 200


def test_metrics_ask_for_a_key_where_a_setting_says_so(tmp_path: Path) -> None:
    with (
        server(tmp_path, api_keys="sesame", metrics_need_key=True) as running,
        client_of(running) as client,
    ):
        error(client.get("/metrics"), 401, "unauthorized")
        right = {"authorization": "Bearer sesame"}
        assert client.get("/metrics", headers=right).status_code == 200


def test_pages_of_other_origins_are_turned_away(tmp_path: Path) -> None:
    with server(tmp_path, origins="https://ink.example") as running, client_of(running) as client:
        data = PNG.read_bytes()
        foreign = {"origin": "https://elsewhere.example"}
        said = error(
            client.post("/v1/recognize", content=data, headers=foreign), 403, "forbidden_origin"
        )
        assert "https://elsewhere.example" in said
        known = {"origin": "https://ink.example"}
        answer = client.post("/v1/recognize", content=data, headers=known)
        assert answer.headers["access-control-allow-origin"] == "https://ink.example"
        preflight = client.options(
            "/v1/recognize", headers=known | {"access-control-request-method": "POST"}
        )
        assert preflight.status_code == 200
        own = {"origin": f"http://127.0.0.1:{running.port}"}
        assert client.post("/v1/recognize", content=data, headers=own).status_code == 200


@pytest.mark.parametrize(
    ("setting", "status", "code"),
    [("max_sessions", 503, "server_full"), ("max_sessions_per_client", 429, "too_many_sessions")],
)
def test_a_request_takes_a_place_like_a_stream(
    tmp_path: Path, setting: str, status: int, code: str
) -> None:
    with server(tmp_path, **{setting: 1}) as running, client_of(running) as client:
        data = PNG.read_bytes()
        with connect_sync(running.url) as stream:
            response = client.post("/v1/recognize", content=data)
            error(response, status, code)
            assert int(response.headers["retry-after"]) > 0
            stream.end()
        wait_for_no_sessions(client)
        assert client.post("/v1/recognize", content=data).status_code == 200


# Our own faults


def test_a_failing_net_is_a_500_in_shape_that_tells_nothing_of_the_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("secret of the inside")

    with server(tmp_path) as running, client_of(running) as client:
        with monkeypatch.context() as broken:
            broken.setattr(Runtime, "run_ragged", fail)
            response = client.post("/v1/recognize", content=PNG.read_bytes())
        assert "secret" not in error(response, 500, "internal")
        assert client.post("/v1/recognize", content=PNG.read_bytes()).status_code == 200


def test_a_crash_is_a_500_in_shape_whose_traceback_stands_in_the_log_with_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: Any) -> Any:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(logging.root, "handlers", logging.root.handlers)
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    written = io.StringIO()
    logs.configure("json", stream=written)
    with server(tmp_path) as running, client_of(running) as client:
        with monkeypatch.context() as broken:
            broken.setattr(BodyReader, "columns", crash)
            response = client.post("/v1/recognize", content=b"x")
        assert "secret" not in error(response, 500, "internal")
        assert client.get("/healthz").status_code == 200
        wait_for_no_sessions(client)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"] == "request crashed"]
    assert line["request"] == response.headers["x-request-id"]
    assert "secret of the inside" in line["exception"]


def test_a_body_that_comes_too_slowly_is_a_408(tmp_path: Path) -> None:
    with (
        server(tmp_path, body_timeout_s=2) as running,
        socket.create_connection(("127.0.0.1", running.port), 10) as raw,
    ):
        raw.sendall(b"POST /v1/recognize HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx")
        answer = raw.recv(10_000)
    assert b" 408 " in answer.splitlines()[0]
    assert b'"code":"idle"' in answer


def test_every_code_has_a_status_that_http_knows() -> None:
    assert all(400 <= meaning.http < 600 for meaning in MEANINGS.values())


def test_a_16_megapixel_page_is_read(client: httpx.Client) -> None:
    image = np.full((4_000, 4_000), 255, np.uint8)
    image[1000:3000, 1900:2100] = 0
    data = io.BytesIO()
    Image.fromarray(image).save(data, "PNG")
    assert client.post("/v1/recognize", content=data.getvalue()).status_code == 200


def test_request_ids_are_never_the_same(client: httpx.Client) -> None:
    ids = {client.get("/healthz").headers["x-request-id"] for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch("[0-9a-f]{16}", request_id) for request_id in ids)

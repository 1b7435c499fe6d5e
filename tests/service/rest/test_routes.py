"""The REST routes of a real server: answers, operation, access and internal errors."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from inkstream.model.preprocess.columns import digit_columns
from inkstream.model.runtime import Runtime
from inkstream.service.client.stream import connect_sync
from inkstream.service.observe import logs
from inkstream.service.rest.bodies import BodyReader
from tests.helpers import builders
from tests.helpers.http import AS_PNG, PNG, client_of, error, wait_for_no_sessions
from tests.helpers.running_server import Running, server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("weights"), max_body_bytes=4_000_000) as running:
        yield running


def log_line(client: httpx.Client, log: io.StringIO, part: str) -> str:
    """Return the only log line with `part`, which is written after its request is answered."""
    for _ in range(1_000):
        client.get("/healthz")
        lines = [line for line in log.getvalue().splitlines(keepends=True) if part in line]
        if lines and lines[-1].endswith("\n"):
            (line,) = lines
            return line
    raise AssertionError(f"no line of the log has {part}")


# Answers


def test_an_image_gets_its_label_and_probabilities(client: httpx.Client) -> None:
    response = client.post("/v1/classify", content=PNG.read_bytes(), headers=AS_PNG)
    answer = response.json()
    assert response.status_code == 200
    assert answer.keys() == {"type", "label", "probabilities", "columns"}
    assert answer["type"] == "classification"
    assert answer["columns"] == 28
    curve = client.post("/v1/classify?curve=true", content=PNG.read_bytes()).json()["curve"]
    assert len(curve) == 28
    assert curve[-1] == answer["probabilities"]
    labels, probabilities = zip(*answer["probabilities"], strict=True)
    assert answer["label"] == labels[0]
    assert list(probabilities) == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)


def test_every_kind_of_body_of_an_image_gets_the_same_answer(client: httpx.Client) -> None:
    data = PNG.read_bytes()
    columns = digit_columns(PNG, 28).tolist()
    answers = [
        client.post("/v1/recognize", content=data),
        client.post("/v1/recognize", content=(data[i : i + 7] for i in range(0, len(data), 7))),
        *(
            client.post("/v1/recognize", content=data, headers={"content-type": kind})
            for kind in ("image/png", "application/octet-stream", "IMAGE/JPEG; q=1")
        ),
        client.post("/v1/recognize", files={"file": ("7.png", data, "image/png")}),
        client.post("/v1/recognize", json={"columns": columns}),
        client.post("/v1/recognize?model=tiny", json={"columns": columns, "more": None}),
        *(client.post(f"/v1/classify{end}", content=data) for end in ("", "/json")),
        *(client.post(f"/v1/classify{end}", json={"columns": columns}) for end in ("", "/json")),
    ]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert answers[0].status_code == 200


def test_more_columns_than_a_message_may_hold_are_read_to_the_end(client: httpx.Client) -> None:
    columns = builders.columns(5_000)
    answer = client.post("/v1/recognize?curve=true", json={"columns": columns.tolist()}).json()
    short = client.post("/v1/recognize", json={"columns": columns.tolist()}).json()
    assert answer["columns"] == short["columns"] == len(answer["curve"]) == 5_000
    assert short["probabilities"] == answer["probabilities"]


# Operation


def test_health_and_readiness_are_answered(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.head("/healthz").status_code == client.head("/readyz").status_code == 200


def test_a_server_about_to_stop_is_alive_but_not_ready(tmp_path: Path) -> None:
    with server(tmp_path) as running, client_of(running) as client:
        running.service.sessions.stopping = running.service.sessions.stopped = True
        error(client.get("/readyz"), 503, "stopping")
        response = client.post("/v1/recognize", content=PNG.read_bytes())
        error(response, 503, "stopping")
        assert int(response.headers["retry-after"]) > 0
        assert client.get("/healthz").status_code == 200


def test_metrics_count_columns_requests_and_errors(tmp_path: Path) -> None:
    with server(tmp_path) as running, client_of(running) as client:
        client.post("/v1/recognize", content=PNG.read_bytes())
        client.post("/v1/recognize", content=b"text")
        client.post("/v1/recognize?model=nosuch", content=b"text")
        client.get("/v1/recognize")
        client.post("/v1/columns", content=PNG.read_bytes())
        for call in ("classify", "classify/json"):
            client.post(f"/v1/{call}", content=PNG.read_bytes())
        client.post("/web/v1/recognize", content=b"text")
        text = client.get("/metrics").text
    assert "inkstream_columns_total 84.0" in text
    assert 'inkstream_request_seconds_count{status="200"} 3.0' in text
    assert 'inkstream_request_seconds_count{status="404"} 1.0' in text
    assert 'inkstream_request_seconds_count{status="405"}' not in text
    assert 'inkstream_errors_total{code="bad_image"} 1.0' in text
    assert 'inkstream_refused_total{reason="unknown_model"} 1.0' in text
    assert "inkstream_sessions 0.0" in text


def test_a_request_is_one_line_of_the_log_with_its_id(
    client: httpx.Client, log: io.StringIO
) -> None:
    logs.configure("json", stream=log)
    response = client.post("/v1/recognize?model=tiny", content=PNG.read_bytes())
    line = json.loads(log_line(client, log, '"status": 200'))
    assert (line["event"], line["path"]) == ("request", "/v1/recognize")
    assert line["request"] == response.headers["x-request-id"]
    form = {"content-type": "multipart/form-data; boundary=xyz"}
    error(client.post("/v1/recognize", content=b"amiss", headers=form), 400, "bad_message")
    line = json.loads(log_line(client, log, '"status": 400'))
    assert log.getvalue().count(line["request"]) == 1
    logs.configure("terminal", stream=log)
    error(client.post("/v1/recognize?curve=perhaps", content=b"x"), 422, "bad_value")
    assert "status=422" in log_line(client, log, "code=bad_value")


# Access


def test_keys_are_required_if_any_are_set(tmp_path: Path) -> None:
    with (
        server(tmp_path, api_keys="sesame,other", metrics_need_key=True) as running,
        client_of(running) as client,
    ):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "sesame"}):
            response = client.post("/v1/recognize", content=PNG.read_bytes(), headers=headers)
            text = error(response, 401, "unauthorized")
            assert "wrong" not in text
            assert response.headers["www-authenticate"] == "Bearer"
        for path in ("/v1/models", "/v1/models?key=sesame", "/metrics"):
            error(client.get(path), 401, "unauthorized")
        valid = {"authorization": "Bearer other"}
        answer = client.post("/v1/recognize", content=PNG.read_bytes(), headers=valid)
        assert answer.status_code == client.get("/metrics", headers=valid).status_code == 200
        for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
            assert client.get(path).status_code == 200
    with server(tmp_path, api_keys="sesame") as running, client_of(running) as client:
        assert client.get("/metrics").status_code == 200


def test_web_pages_of_other_origins_are_refused(tmp_path: Path) -> None:
    with server(tmp_path, origins="https://ink.example") as running, client_of(running) as client:
        data = PNG.read_bytes()
        foreign = {"origin": "https://elsewhere.example"}
        text = error(
            client.post("/v1/recognize", content=data, headers=foreign), 403, "forbidden_origin"
        )
        assert "https://elsewhere.example" in text
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
def test_a_request_counts_as_a_session(
    tmp_path: Path, setting: str, status: int, code: str
) -> None:
    with server(tmp_path, **{setting: 1}) as running, client_of(running) as client:
        data = PNG.read_bytes()
        with connect_sync(running.url) as stream:
            answers = [client.post("/v1/recognize", content=data)]
            if setting == "max_sessions":
                answers.append(client.get("/readyz"))
            for response in answers:
                error(response, status, code)
                assert int(response.headers["retry-after"]) > 0
            assert client.get("/healthz").status_code == 200
            stream.end()
        wait_for_no_sessions(client)
        assert client.post("/v1/recognize", content=data).status_code == 200


# Internal errors


def test_a_failing_net_is_a_500_without_internal_details(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("internal secret")

    with server(tmp_path) as running, client_of(running) as client:
        with monkeypatch.context() as patch:
            patch.setattr(Runtime, "run_ragged", fail)
            response = client.post("/v1/recognize", content=PNG.read_bytes())
        assert "secret" not in error(response, 500, "internal")
        assert client.post("/v1/recognize", content=PNG.read_bytes()).status_code == 200


@pytest.mark.parametrize("in_query", [False, True])
def test_the_log_line_of_a_request_names_its_trace(
    tmp_path: Path, log: io.StringIO, in_query: bool
) -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    given = {"traceparent": f"00-{trace}-{span}-01"}
    params, headers = (given, None) if in_query else (None, given)
    logs.configure("json", stream=log)
    with server(tmp_path) as running, client_of(running) as client:
        content = PNG.read_bytes()
        client.post("/v1/recognize", content=content, params=params, headers=headers)
        client.post("/v1/recognize", content=content)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    traced, other = (line for line in lines if line["event"] == "request")
    assert traced["status"] == other["status"] == 200
    assert (traced["trace_id"], traced["span_id"]) == (trace, span)
    assert "trace_id" not in other


def test_a_crash_is_a_500_whose_traceback_is_in_the_log_with_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    def crash(*_: Any, **__: Any) -> Any:
        raise RuntimeError("internal secret")

    logs.configure("json", stream=log)
    with server(tmp_path) as running, client_of(running) as client:
        with monkeypatch.context() as patch:
            patch.setattr(BodyReader, "columns", crash)
            response = client.post("/v1/recognize", content=b"x")
        assert "secret" not in error(response, 500, "internal")
        with client_of(running) as another:  # uvicorn closes the connection
            wait_for_no_sessions(another)
            assert another.get("/readyz").status_code == 200
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"] == "request crashed"]
    assert line["request"] == response.headers["x-request-id"]
    assert "internal secret" in line["exception"]


def test_a_16_megapixel_page_is_read(client: httpx.Client) -> None:
    image = np.full((4_000, 4_000), 255, np.uint8)
    image[1000:3000, 1900:2100] = 0
    data = io.BytesIO()
    Image.fromarray(image).save(data, "PNG")
    assert client.post("/v1/recognize", content=data.getvalue()).status_code == 200


def test_request_ids_are_unique(client: httpx.Client) -> None:
    ids = {client.get("/healthz").headers["x-request-id"] for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch("[0-9a-f]{16}", request_id) for request_id in ids)

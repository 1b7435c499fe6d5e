"""Malformed requests: each gets an error of the same form, and other requests go on."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from inkstream.service.rest import bodies
from tests.helpers.http import AS_PNG, PNG, client_of, error, wait_for_no_sessions
from tests.helpers.raw_http import connected, reset
from tests.helpers.running_server import Running, server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("weights"), max_body_bytes=4_000_000) as running:
        yield running


HEAD = b"POST /v1/recognize HTTP/1.1\r\nhost: [::1]\r\n"

# Malformed bodies: 400

BOUNDARY = {"content-type": "multipart/form-data; boundary=xyz"}
PART = (
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%s\r\n--xyz--\r\n'
)


@pytest.mark.parametrize(
    ("headers", "body", "text"),
    [
        (AS_PNG, b"", "the body is empty"),
        ({}, b"", "the body is empty"),
        (BOUNDARY, b"", "the body is empty"),
        ({"content-type": "application/json"}, b"", "the body is empty"),
        ({"content-type": "multipart/form-data"}, b"x", "boundary"),
        (BOUNDARY, b"no boundary", "multipart"),
        (BOUNDARY, PART[:-30], "multipart"),
        (BOUNDARY, PART.replace(b"xyz", b"abc"), "multipart"),
        (BOUNDARY, b"--xyz\r\nbroken header\r\n\r\nx\r\n--xyz--\r\n", "multipart"),
        (BOUNDARY, b"--xyz--\r\n", "expected a part 'file'"),
        (BOUNDARY, PART.replace(b'; filename="a"', b""), "expected a part 'file'"),
        (BOUNDARY, PART % b"", "the file is empty"),
        (BOUNDARY, PART[:-9] % b"a" + b"\r\n" + PART % b"b", "several files"),
    ],
)
def test_the_error_of_a_malformed_body_names_the_fault(
    client: httpx.Client, headers: dict[str, str], body: bytes, text: str
) -> None:
    response = client.post("/v1/recognize", content=body, headers=headers)
    assert text in error(response, 400, "bad_message")


@pytest.mark.parametrize("name", ["image", "model", "language"])
def test_a_form_has_its_file_alone(client: httpx.Client, name: str) -> None:
    parts: Any = {"file": ("a.png", PNG.read_bytes()), name: (None, "lines")}
    text = error(client.post("/v1/recognize", files=parts), 422, "bad_value")
    assert text.startswith(f"the form holds {name!r}, allowed: the part 'file' alone; parameters")


def post(client: httpx.Client, text: str | bytes) -> httpx.Response:
    return client.post("/v1/recognize", content=text, headers={"content-type": "application/json"})


# JSON that is no object of columns or strokes: 400 and 422


NESTED = "[" * 50_000
NO_OBJECT = [  # the body, and what the error says
    *((body, "the body is not JSON: ") for body in ("{", "{'columns': []}", b"\xff\xfe", NESTED)),
    ('{"columns": [[' + "9" * 5_000 + "]]}", "the body is not JSON: "),
    ('{"columns": ' + NESTED, "the body is not JSON: "),
    ('"columns"', 'the body is "columns", expected an object'),
    ("[]", "the body is an array, expected an object"),
    ("null", "the body is null, expected an object"),
    ("7", "the body is 7, expected an object"),
]
# `test_client_messages` has all faults of columns, which are read by the same function.
COLUMNS = [
    ("[]", "expected at least one column"),
    ("7", "columns is 7, expected an array"),
    (str([[0] * 28, [0] * 29]), "column 1 has 29 pixels, expected 28"),
    (str([[0] * 27 + [300]]), "pixel 27 of column 0 is 300, allowed: whole numbers 0..255"),
    ("[[" + "0," * 27 + "NaN]]", "is NaN"),
]
VALUES = [
    ("{}", "the body has neither columns nor strokes"),
    ('{"columns":[[0]],"strokes":[]}', "the body has columns and strokes, allowed: one of them"),
    *(
        (f'{{"strokes":[[[1,2]]],"height":{height}}}', "height is ")
        for height in ("0", "-1", '"9"', "true", "[]", "1e400")
    ),
]
STROKES = [
    ("7", "strokes is 7, expected an array of strokes"),
    ("null", "strokes is null"),
    ("[]", "there is no ink: no stroke has a point"),
    ("[[],[]]", "there is no ink: no stroke has a point"),
    ("[7]", "stroke 0 is 7, expected an array of points"),
    ('[{"points":[[1,2]]}]', "stroke 0 is an object, expected an array of points"),
    ("[[7]]", "point 0 of stroke 0 is 7, expected [x, y], two finite numbers"),
    ("[[[1,2]],[[1,2],[1]]]", "point 1 of stroke 1 is [1], expected"),
    ("[[[1,2,3],[1]]]", "point 1 of stroke 0 is [1]"),
    ("[[[1,NaN]]]", "point 0 of stroke 0 is [1, NaN]"),
    ("[[[1,1e400]]]", "point 0 of stroke 0 is [1, Infinity]"),
    ('[[[1,"2"]]]', 'point 0 of stroke 0 is [1, "2"]'),
    ("[[[1,null]]]", "point 0 of stroke 0 is [1, null]"),
    ("[[[0,0],[1e300,5]]]", "points lie beyond what can be drawn"),
    ('[[[-3,2],[5,9]]],"height":28', "x is from -3 to 5"),
]


@pytest.mark.parametrize(
    ("code", "body", "text"),
    [
        *(("bad_json", *fault) for fault in NO_OBJECT),
        *(("bad_value", *fault) for fault in VALUES),
        *(("bad_columns", f'{{"columns": {columns}}}', text) for columns, text in COLUMNS),
        *(("bad_ink", f'{{"strokes": {strokes}}}', text) for strokes, text in STROKES),
    ],
)
def test_the_error_of_a_json_body_names_its_first_fault(
    client: httpx.Client, code: str, body: str | bytes, text: str
) -> None:
    assert text in error(post(client, body), 400 if code == "bad_json" else 422, code)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("curve=maybe", "curve is 'maybe', allowed: true or false"),
        ("page=", "page is '', allowed: true or false"),
        ("format=pdf", "format is 'pdf', allowed: 'json', 'hocr', 'alto' or 'pagexml'"),
        *(
            (
                f"{name}=two&model=tiny",
                f"`{name}` needs a model that reads lines; `tiny` reads one digit",
            )
            for name in ("words", "context", "pattern", "language")
        ),
        ("language=de&language=fr", "language came 2 times, allowed: once, several with commas"),
        ("model=tiny&model=lines&model=a", "model came 3 times, allowed: once"),
    ],
)
def test_the_error_of_an_invalid_parameter_names_what_is_allowed(
    client: httpx.Client, query: str, text: str
) -> None:
    response = client.post(f"/v1/recognize?{query}", content=PNG.read_bytes())
    assert error(response, 422, "bad_value") == text


# Too large: 413


def test_a_body_over_the_limit_is_refused_by_its_announced_length(client: httpx.Client) -> None:
    response = client.post("/v1/recognize", content=bytes(4_000_001), headers=AS_PNG)
    assert "4000001 bytes, allowed: up to 4000000" in error(response, 413, "over_limit")


def test_a_body_over_the_limit_is_refused_while_it_comes_in_chunks(running: Running) -> None:
    with connected(running.port) as raw:
        raw.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        sent = 0
        while not select.select([raw], [], [], 0)[0]:
            assert sent < 100_000_000
            raw.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            sent += 0x10000
        assert b" 413 " in raw.recv(100)


def test_json_has_a_smaller_limit_because_parsing_needs_memory(client: httpx.Client) -> None:
    body = b'{"columns":[' + b"[]," * 1_000_000 + b"[]]}"
    headers = {"content-type": "application/json"}
    for content, size in ((body, f"{len(body)} bytes"), (iter([body]), "more than 2097152 bytes")):
        response = client.post("/v1/recognize", content=content, headers=headers)
        text = f"the JSON body has {size}, allowed: up to "
        assert error(response, 413, "over_limit").startswith(text)


def test_more_columns_than_a_line_may_have_are_refused(tmp_path: Path) -> None:
    with server(tmp_path, max_line_columns=100) as running, client_of(running) as client:
        body = {"columns": [[0] * 28] * 101}
        text = error(client.post("/v1/recognize", json=body), 413, "over_limit")
        assert "101 columns, allowed: up to 100" in text
        assert client.post("/v1/recognize", json={"columns": [[0] * 28] * 100}).is_success


@pytest.mark.slow
def test_simultaneous_large_bodies_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    head = HEAD + b"content-length: 100000\r\n\r\n"
    with server(tmp_path, max_body_bytes=100_000) as running, client_of(running) as client:
        with ExitStack() as stack:

            def begin(*hosts: str) -> list[socket.socket]:
                """Send a large body from each address, but for its end; return those refused."""
                made = [stack.enter_context(connected(running.port, host)) for host in hosts]
                for raw in made:
                    raw.sendall(head + bytes(99_999))
                time.sleep(1)
                return select.select(made, [], [], 0)[0]

            for hosts, text in (
                (["127.0.0.2"] * 3, b"bodies of 127.0.0.2 at once"),  # two of one client wait
                (["127.0.0.3"], b""),
                (["127.0.0.4", "127.0.0.5"], b"too many large bodies at once"),  # four of all
            ):
                refused = begin(*hosts)
                assert len(refused) == bool(text)
                for raw in refused:
                    answer = raw.recv(1000)
                    assert b"503" in answer.splitlines()[0]
                    assert b"retry-after" in answer.lower()
                    assert text in answer
        wait_for_no_sessions(client)
        assert client.post("/v1/recognize", content=PNG.read_bytes()).status_code == 200


def test_a_client_that_disconnects_within_its_body_is_no_longer_counted(
    client: httpx.Client, running: Running
) -> None:
    for _ in range(3):
        with connected(running.port) as raw:
            raw.sendall(HEAD + b"content-length: 1000\r\n\r\n12345")
            reset(raw)
    wait_for_no_sessions(client)
    assert client.post("/v1/recognize", content=PNG.read_bytes()).status_code == 200


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (9, b"1 bytes of the body came in 1.6 s, expected all of it in 1.6 s"),
        (900_000, b"and 16384 bytes every 0.5 s"),
    ],
)
def test_a_body_that_comes_too_slowly_is_a_408(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, text: bytes
) -> None:
    monkeypatch.setattr(bodies, "PACE_S", 5.0 if length == 9 else 0.5)
    with server(tmp_path, body_timeout_s=2) as running, connected(running.port) as raw:
        raw.sendall(HEAD + f"content-length: {length}\r\n\r\n".encode() + bytes(length // 9))
        answer = b""
        while b"}}" not in answer and (more := raw.recv(10_000)):
            answer += more
    assert b" 408 " in answer.splitlines()[0]
    assert b'"code":"idle"' in answer
    assert text in answer


# Other media, routes and methods


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "video/mp4", "x" * 999],
)
def test_the_error_of_an_unknown_content_type_names_those_allowed(
    client: httpx.Client, kind: str
) -> None:
    response = client.post(
        "/v1/recognize", content=PNG.read_bytes(), headers={"content-type": kind}
    )
    text = error(response, 415, "bad_image")
    assert kind[:100] in text
    assert "allowed: image/*" in text


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
def test_an_unknown_path_method_or_model_is_an_error_of_the_same_form(
    client: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    response = client.request(method, path)
    error(response, status, code)
    if status == 405:
        assert response.headers["allow"]

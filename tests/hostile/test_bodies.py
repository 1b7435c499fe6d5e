"""Attacks by REST bodies: stalled, dear to parse, and answered at length."""

import json
import socket
import time
from contextlib import ExitStack

import httpx
import pytest

from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.http import PNG
from tests.hostile.conftest import Unnoticed, post_all

pytestmark = pytest.mark.slow

JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%s\r\n--x--\r\n'
LARGEST = 16 * 1024 * 1024


def test_stalled_bodies_of_one_client_delay_nobody_else(unnoticed: Unnoticed) -> None:
    head = f"POST /v1/recognize HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {LARGEST}\r\n\r\n"
    with unnoticed.attack(settle_s=12) as target, ExitStack() as stack:
        for _ in range(6):
            there = ("127.0.0.1", target.port)
            raw = stack.enter_context(socket.create_connection(there, DEADLINE_S))
            raw.sendall(head.encode())
            try:
                raw.sendall(bytes(LARGEST - 1))
            except ConnectionError:  # too many large bodies of one client
                continue
        transport = httpx.HTTPTransport(local_address="127.0.0.9")
        with httpx.Client(base_url=target.http, transport=transport) as client:
            for _ in range(5):
                assert client.post("/v1/recognize", content=PNG.read_bytes()).status_code == 200
                assert client.post("/v1/recognize", content=bytes(LARGEST)).status_code == 415
        time.sleep(6)  # for longer than a body may bring nothing
        again = httpx.post(f"{target.http}/v1/recognize", content=bytes(LARGEST))
        assert again.status_code == 415


BODIES = {
    "strokes of one point": (
        JSON, json.dumps({"strokes": [[[1, 2]]] * 240_000}, separators=(",", ":")).encode(),
    ),
    "empty strokes": (JSON, b'{"strokes":[' + b"[]," * 690_000 + b"[]]}"),
    "empty columns": (JSON, b'{"columns":[' + b"[]," * 690_000 + b"[]]}"),
    "columns": (
        JSON, json.dumps({"columns": [[0] * 32] * 32_000}, separators=(",", ":")).encode(),
    ),
    "a number of a million digits": (JSON, b'{"columns":' + b"9" * 1_000_000 + b"}"),
    "a form of line ends": (FORM, PART % (b"\r" * 15_000_000)),
    "a form of boundaries": (FORM, PART % (b"\r\n--" * 3_700_000)),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_nobody_notices_bodies_that_are_dear_to_parse(unnoticed: Unnoticed, name: str) -> None:
    headers, content = BODIES[name]
    with unnoticed.attack(settle_s=12) as target:
        answers = post_all(target, "model=lines", 8, 4, content=content, headers=headers)
        assert {answer.status_code for answer in answers} <= {200, 400, 413, 415, 422, 503}


STROKES = {
    "columns": {"strokes": [[[0, 0], [65_500, 31]]], "height": 32},
    "a long way": {"strokes": [[[0, 0], [1, 50]] * 20], "height": 0.04},
    "a digit's long way": {"strokes": [[[0, 0], [25, 28]] * 180]},
    "as many columns as are allowed": {"strokes": [[[0, 0], [16_380, 31]]], "height": 32},
}


@pytest.mark.parametrize("model", ["lines", "digits"])
@pytest.mark.parametrize("name", STROKES)
def test_nobody_notices_small_bodies_of_long_strokes(
    unnoticed: Unnoticed, name: str, model: str
) -> None:
    count = 200 if name == "columns" else 50
    with unnoticed.attack(settle_s=12) as target:
        answers = post_all(target, f"model={model}", count, 50, json=STROKES[name])
        assert {answer.status_code for answer in answers} <= {200, 413, 503}


def test_nobody_notices_the_longest_curve(unnoticed: Unnoticed) -> None:
    column = [0] * 8 + [255] * 4 + [0] * 16
    content = json.dumps({"columns": [column] * 24_000}, separators=(",", ":")).encode()
    with unnoticed.attack(settle_s=12) as target:
        query = "model=digits&curve=true"
        (answer,) = post_all(target, query, 1, 1, content=content, headers=JSON)
        assert answer.status_code == 200
        assert len(answer.json()["curve"]) == 24_000

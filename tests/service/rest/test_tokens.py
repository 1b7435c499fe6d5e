"""Tokens for web pages: made with a key, accepted where a key is."""

import json
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from inkstream.model.checkpoint import Checkpoint
from tests.helpers.http import error
from tests.helpers.running_server import Running, server

KEY = {"Authorization": "Bearer good-key"}


@pytest.fixture(scope="module")
def running(tiny: Checkpoint) -> Iterator[Running]:
    with server(tiny.path.parent, api_keys="good-key", metrics_need_key=True) as running:
        yield running


@pytest.fixture
def token(client: httpx.Client) -> str:
    answer = client.post("/v1/tokens", headers=KEY)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"token", "expires_s"}
    assert answer.json()["expires_s"] == 300
    return str(answer.json()["token"])


def test_a_token_opens_a_stream(running: Running, token: str) -> None:
    offered = [Subprotocol("inkstream.v1"), Subprotocol(f"key.{token}")]
    header = {"Authorization": f"Bearer {token}"}
    for credentials in ({"subprotocols": offered}, {"additional_headers": header}):
        with connect(running.url, **credentials) as stream:
            assert json.loads(stream.recv())["type"] == "ready"


def test_a_token_is_accepted_by_rest_calls(client: httpx.Client, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/v1/models", headers=headers).status_code == 200
    assert client.get("/metrics", headers=headers).status_code == 200
    columns = {"columns": [[0] * 28, [255] * 28]}
    assert client.post("/v1/recognize", json=columns, headers=headers).status_code == 200


def test_only_a_key_makes_tokens_and_a_forged_one_opens_nothing(
    running: Running, client: httpx.Client, token: str
) -> None:
    forged = f"{token[:-2]}{'AA' if token[-2:] != 'AA' else 'BB'}"
    for credential in (None, "bad-key", forged, token):
        headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        error(client.post("/v1/tokens", headers=headers), 401, "unauthorized")
        if credential != token:
            error(client.get("/v1/models", headers=headers), 401, "unauthorized")
            with pytest.raises(InvalidStatus, match="401"):
                connect(running.url, additional_headers=headers)


def test_a_token_is_not_in_the_query(running: Running, client: httpx.Client, token: str) -> None:
    with pytest.raises(InvalidStatus):
        connect(f"{running.url}?key={token}")
    assert client.get("/v1/models", params={"key": token}).status_code == 401

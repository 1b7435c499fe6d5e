"""Tokens for web pages: made with a key, accepted where a key is."""

import json
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from inkstream.model.checkpoint import Checkpoint
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
    with connect(running.url, subprotocols=offered) as stream:
        assert json.loads(stream.recv())["type"] == "ready"
    with connect(running.url, additional_headers={"Authorization": f"Bearer {token}"}) as stream:
        assert json.loads(stream.recv())["type"] == "ready"


def test_a_token_is_accepted_by_rest_calls(client: httpx.Client, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/v1/models", headers=headers).status_code == 200
    assert client.get("/metrics", headers=headers).status_code == 200
    columns = {"columns": [[0] * 28, [255] * 28]}
    assert client.post("/v1/recognize", json=columns, headers=headers).status_code == 200


@pytest.mark.parametrize("authorization", [None, "Bearer bad-key", "Bearer token.AAAA"])
def test_only_a_key_makes_tokens(client: httpx.Client, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = client.post("/v1/tokens", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


def test_a_token_makes_no_token(client: httpx.Client, token: str) -> None:
    answer = client.post("/v1/tokens", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


def test_a_forged_token_opens_nothing(running: Running, client: httpx.Client, token: str) -> None:
    headers = {"Authorization": f"Bearer {token[:-2]}{'AA' if token[-2:] != 'AA' else 'BB'}"}
    assert client.get("/v1/models", headers=headers).status_code == 401
    with pytest.raises(InvalidStatus) as caught:
        connect(running.url, additional_headers=headers)
    assert caught.value.response.status_code == 401


def test_a_token_is_not_in_the_query(running: Running, client: httpx.Client, token: str) -> None:
    with pytest.raises(InvalidStatus):
        connect(f"{running.url}?key={token}")
    assert client.get("/v1/models", params={"key": token}).status_code == 401

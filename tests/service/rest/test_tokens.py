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


def test_a_token_opens_a_stream_and_is_accepted_by_rest_calls(
    running: Running, client: httpx.Client, token: str
) -> None:
    offered = [Subprotocol("inkstream.v1"), Subprotocol(f"key.{token}")]
    header = {"Authorization": f"Bearer {token}"}
    for credentials in ({"subprotocols": offered}, {"additional_headers": header}):
        with connect(running.url, **credentials) as stream:
            assert json.loads(stream.recv())["type"] == "ready"
    columns = {"columns": [[0] * 28, [255] * 28]}
    assert client.post("/v1/recognize", json=columns, headers=header).status_code == 200
    for path in ("/v1/models", "/metrics"):
        assert client.get(path, headers=header).status_code == 200
        assert client.get(path, params={"key": token}).status_code == 401  # in no query
    with pytest.raises(InvalidStatus, match="401"):
        connect(f"{running.url}?key={token}")


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

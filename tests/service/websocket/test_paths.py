"""Streams at other paths than theirs are refused, by HTTP and by an error message."""

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from inkstream.service.protocol.server_messages import PROTOCOL
from tests.helpers.running_server import Running


@pytest.mark.parametrize("path", ["/", "/v1/streams", "/v1/recognize", "/web", "/web/pad/app.js"])
async def test_the_error_at_another_path_names_the_path_of_the_stream(
    running: Running, path: str
) -> None:
    url = f"ws://127.0.0.1:{running.port}{path}"
    text = f"no WebSocket is at {path}, expected /v1/stream"
    with pytest.raises(InvalidStatus) as caught:
        await connect(url)
    assert caught.value.response.status_code == 404
    error = json.loads(caught.value.response.body)["error"]
    assert (error["code"], error["message"]) == ("not_found", text)
    async with connect(url, subprotocols=[Subprotocol(PROTOCOL)]) as stream:
        error = json.loads(await stream.recv())
        assert (error["code"], error["message"]) == ("not_found", text)
        await stream.wait_closed()
        assert stream.close_code == 4404

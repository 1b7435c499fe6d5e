"""An HTTP client of a running server, and checks of its errors."""

import time
from pathlib import Path
from typing import Final

import httpx

from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.running_server import Running

PNG: Final = Path(__file__).parents[2] / "examples" / "7.png"
AS_PNG: Final = {"content-type": "image/png"}


def client_of(running: Running) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{running.port}", timeout=30)


def error(response: httpx.Response, status: int, code: str) -> str:
    """Check an error's status, code and form; return its message."""
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


def wait_for_no_sessions(client: httpx.Client) -> None:
    """Wait until the server counts no sessions: each request gives its event loop time."""
    end_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < end_s:
        if "inkstream_sessions 0.0" in client.get("/metrics").text:
            return
    raise AssertionError("sessions are still counted")

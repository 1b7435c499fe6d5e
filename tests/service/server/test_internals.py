"""The parts of uvicorn and websockets that are used beyond their documented interfaces.

A version that changes one of them fails here; pyproject.toml bounds the versions.
"""

import inspect
from typing import Any

import pytest
import uvicorn
import websockets.frames
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.protocol import State
from websockets.server import ServerProtocol

from inkstream.service.server import Config, HttpConnection, Server, WebSocketConnection
from inkstream.service.settings import Settings

METHODS = [  # overridden or called, with the names of their parameters
    (HttpToolsProtocol, "connection_made", ["transport"]),
    (HttpToolsProtocol, "data_received", ["data"]),
    (HttpToolsProtocol, "on_message_begin", []),
    (HttpToolsProtocol, "on_headers_complete", []),
    (HttpToolsProtocol, "on_message_complete", []),
    (HttpToolsProtocol, "connection_lost", ["exc"]),
    (WebSocketsSansIOProtocol, "data_received", ["data"]),
    (WebSocketsSansIOProtocol, "handle_connect", ["event"]),
    (WebSocketsSansIOProtocol, "send_receive_event_to_app", []),
    (WebSocketsSansIOProtocol, "send", ["message"]),
    (WebSocketsSansIOProtocol, "shutdown", []),
    (WebSocketsSansIOProtocol, "keepalive_timeout", []),
    (WebSocketsSansIOProtocol, "handle_parser_exception", []),
    (uvicorn.Server, "startup", ["sockets"]),
    (uvicorn.Server, "shutdown", ["sockets"]),
    (uvicorn.Server, "handle_exit", ["sig", "frame"]),
    (ServerProtocol, "fail", ["code", "reason"]),
]
ATTRIBUTES = {  # of a new object
    HttpConnection: {"config", "loop", "transport"},
    WebSocketConnection: {
        *("close_sent", "close_timer", "conn", "curr_msg_data_type", "frames"),
        *("handshake_complete", "handshake_initiated", "initial_response", "loop"),
        *("ping_timeout", "pong_timer", "read_paused", "transport", "writable"),
    },
}


@pytest.mark.parametrize(("kind", "name", "parameters"), METHODS)
def test_a_method_has_the_parameters_that_are_used(
    kind: type, name: str, parameters: list[str]
) -> None:
    assert list(inspect.signature(getattr(kind, name)).parameters) == ["self", *parameters]


@pytest.mark.parametrize("kind", ATTRIBUTES)
async def test_a_connection_has_the_attributes_that_are_used(kind: Any) -> None:
    config = Config(lambda _: None, Settings.load())
    config.load()
    assert set(dir(kind(config, ServerState(), {}))) >= ATTRIBUTES[kind]


def test_the_extended_method_sets_response_scope_and_extensions() -> None:
    source = inspect.getsource(WebSocketsSansIOProtocol.handle_connect)
    assert "self.response = " in source
    assert "self.scope: " in source
    assert '"extensions": {' in source


def test_a_server_has_the_attributes_that_are_used() -> None:
    server = uvicorn.Server(Config(lambda _: None, Settings.load()))
    assert set(vars(server)) >= {"force_exit", "should_exit"}
    source = inspect.getsource(uvicorn.Server)
    assert "self.servers" in source
    assert "self.lifespan" in source


def test_our_classes_override_only_the_methods_named_here() -> None:
    named = {(kind, name) for kind, name, _ in METHODS}
    for our_class, base in (
        (HttpConnection, HttpToolsProtocol),
        (WebSocketConnection, WebSocketsSansIOProtocol),
        (Server, uvicorn.Server),
    ):
        overridden = {name for name in vars(our_class) if callable(getattr(base, name, None))}
        special = {name for name in overridden if name.startswith("__")}
        assert {(base, name) for name in overridden - special} <= named


def test_the_mask_is_applied_by_websockets() -> None:
    assert websockets.frames.apply_mask(b"abc", b"\1\2\3\4") == b"```"  # type: ignore[attr-defined]
    assert {State.CONNECTING, State.OPEN} <= set(State)

"""The parts of uvicorn and websockets that are used beyond their documented interfaces.

A version that changes one of them fails here; pyproject.toml bounds the versions.
"""

import asyncio
import inspect
from typing import Any

import pytest
import uvicorn
import websockets.frames
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from inkstream.service.server.http_connection import HttpConnection
from inkstream.service.server.run import CLIENT_FAULTS, Config, Server
from inkstream.service.settings import Settings

METHODS: dict[Any, dict[str, str]] = {  # overridden, with the names of their parameters
    HttpToolsProtocol: {
        **{"connection_made": "transport", "connection_lost": "exc", "data_received": "data"},
        **{"on_message_begin": "", "on_headers_complete": "", "on_body": "body"},
        **{"on_message_complete": "", "send_400_response": "msg", "handle_websocket_upgrade": ""},
        **{"pause_writing": "", "resume_writing": ""},
    },
    uvicorn.Server: {"startup": "sockets", "shutdown": "sockets", "handle_exit": "sig frame"},
}


@pytest.mark.parametrize(
    ("our_class", "base"), [(HttpConnection, HttpToolsProtocol), (Server, uvicorn.Server)]
)
def test_our_classes_override_only_these_methods_with_these_parameters(
    our_class: type, base: Any
) -> None:
    overridden = {name for name in vars(our_class) if callable(getattr(base, name, None))}
    assert {name for name in overridden if not name.startswith("__")} == METHODS[base].keys()
    for name, parameters in METHODS[base].items():
        signature = inspect.signature(getattr(base, name))
        assert list(signature.parameters) == ["self", *parameters.split()]


async def test_an_http_connection_has_the_attributes_that_are_used() -> None:
    config = Config(lambda _: None, Settings.load())
    config.load()
    connection = HttpConnection(config, ServerState(), {})
    used = {"config", "cycle", "flow", "headers", "loop", "parser", "pipeline", "transport"}
    assert set(dir(connection)) >= used
    assert {"read_paused", "write_paused"} <= set(vars(FlowControl(asyncio.Transport())))
    assert hasattr(FlowControl, "resume_writing")
    assert {"response_complete", "transport"} <= set(
        inspect.getsource(RequestResponseCycle.__init__).replace("self.", " ").split()
    )
    websocket = WebSocketsSansIOProtocol(config, ServerState(), {})
    assert set(dir(websocket)) >= {"conn", "handshake_initiated", "handshake_complete"}
    assert "current_size" in dir(websocket.conn)
    assert hasattr(websocket.conn.parser, "close")


def test_a_server_has_the_attributes_that_are_used() -> None:
    server = uvicorn.Server(Config(lambda _: None, Settings.load()))
    assert set(vars(server)) >= {"force_exit", "should_exit", "server_state"}
    source = inspect.getsource(uvicorn.Server)
    assert "self.servers" in source
    assert "self.lifespan" in source


def test_uvicorn_logs_the_faults_of_clients_in_the_words_that_are_left_out() -> None:
    source = inspect.getsource(WebSocketsSansIOProtocol) + inspect.getsource(HttpToolsProtocol)
    assert all(f'"{text}"' in source for text in CLIENT_FAULTS)


def test_the_mask_is_applied_by_websockets() -> None:
    assert websockets.frames.apply_mask(b"abc", b"\1\2\3\4") == b"```"  # type: ignore[attr-defined]

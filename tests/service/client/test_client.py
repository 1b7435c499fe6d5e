"""The Python clients against a real server."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkstream.model.errors import InkstreamError
from inkstream.model.runtime import Runtime
from inkstream.service.client.conversation import WINDOW_COLUMNS
from inkstream.service.client.stream import connect_sync
from inkstream.service.protocol.errors import (
    IdleError,
    ModelUnknownError,
    NoConnectionError,
    OverLimitError,
    ServerFullError,
    StreamEndedError,
    UnauthorizedError,
    ValueRefusedError,
)
from tests.helpers import builders
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import uninterrupted

# Sending


@pytest.mark.parametrize("kind", [bytes, memoryview, list, np.asfortranarray])
def test_every_column_of_bytes_buffers_arrays_and_lists_gets_its_result_in_order(
    running: Running, net: Runtime, kind: Any
) -> None:
    columns = builders.columns(300)
    of_kind = {bytes: columns.tobytes(), memoryview: columns.data, list: columns.tolist()}
    with connect_sync(running.url) as stream:
        results = list(stream.send(of_kind.get(kind, np.asfortranarray(columns))))
    assert [result.column for result in results] == list(range(300))
    probabilities = [list(result.probabilities.values()) for result in results]
    np.testing.assert_allclose(probabilities, uninterrupted(net, columns.tobytes()), atol=1e-5)
    assert results[-1].label == str(np.argmax(probabilities[-1]))


def test_leaving_a_send_early_sends_no_more_than_a_window(running: Running) -> None:
    with connect_sync(running.url) as stream:
        next(iter(stream.send(builders.columns(2_000))))
        assert stream.flush().columns <= 2 * WINDOW_COLUMNS


# Control messages


def test_configure_answers_with_the_values_in_force(running: Running) -> None:
    with connect_sync(running.url) as stream:
        values = stream.configure(characters="17", results="message")
        assert (values.characters, values.results) == ("17", "message")
        results = list(stream.send(builders.columns(100)))
        assert [result.column for result in results] == [63, 99]
        assert results[-1].label in "17"


def test_after_the_end_a_call_is_refused_at_once(running: Running) -> None:
    with connect_sync(running.url) as stream:
        stream.end()
        with pytest.raises(StreamEndedError, match="1000"):
            stream.ping()
        assert stream.reconnected is None


def test_a_line_goes_on_after_a_pause_that_was_too_long_for_the_server(tmp_path: Path) -> None:
    columns = builders.columns(6, 1)
    with server(tmp_path, idle_timeout_s=0.2) as running, connect_sync(running.url) as stream:
        assert len(list(stream.send(columns[:3]))) == 3
        running.wait_until_empty()
        assert [result.column for result in stream.send(columns[3:])] == [3, 4, 5]
        assert stream.reconnected is not None
        assert isinstance(stream.reconnected.reason, IdleError)


def test_a_message_that_is_too_long_is_not_sent_again(running: Running) -> None:
    with connect_sync(running.url) as stream:
        with pytest.raises(OverLimitError, match="exceeds limit"):
            stream.configure(words=["word"] * 100_000)
        assert stream.reconnected is None


# Errors


def test_a_refused_call_leaves_the_stream_usable(running: Running) -> None:
    with connect_sync(running.url) as stream:
        with pytest.raises(ValueRefusedError, match="results"):
            stream.configure(results="day")
        with pytest.raises(InkstreamError, match="5"):
            stream.rewind(5)
        assert len(list(stream.send(builders.columns(3)))) == 3


@pytest.mark.parametrize(
    ("settings", "options", "kind"),
    [
        ({}, {"model": "nosuch"}, ModelUnknownError),
        ({"api_keys": "sesame"}, {}, UnauthorizedError),
        ({"api_keys": "sesame"}, {"key": "wrong"}, UnauthorizedError),
        ({"max_sessions": 1, "api_keys": "sesame"}, {"key": "sesame"}, ServerFullError),
    ],
)
def test_a_refusal_is_a_typed_error(
    tmp_path: Path, settings: dict[str, Any], options: dict[str, Any], kind: type[InkstreamError]
) -> None:
    with server(tmp_path, **settings) as running, connect_sync(running.url, key="sesame") as stream:
        with pytest.raises(kind), connect_sync(running.url, **options):
            pass
        stream.ping()


def test_an_address_without_a_server_is_an_error_of_one_line() -> None:
    unreachable = pytest.raises(NoConnectionError, match=r"cannot reach ws://127\.0\.0\.1:9")
    with unreachable, connect_sync("ws://127.0.0.1:9"):
        pass


def test_the_client_needs_only_websockets_pydantic_and_tenacity() -> None:
    program = "import inkstream.service.client.stream, sys; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    heavy = {"numpy", "PIL", "onnxruntime", "torch", "onnx", "fastapi", "starlette", "uvicorn"}
    assert heavy.isdisjoint(loaded)

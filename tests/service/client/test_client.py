"""The Python clients against a real server."""

import asyncio
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkstream.model.errors import InkstreamError
from inkstream.model.runtime import Runtime
from inkstream.service.client.conversation import WINDOW_COLUMNS
from inkstream.service.client.stream import connect, connect_sync
from inkstream.service.protocol.errors import (
    CallError,
    ColumnsError,
    IdleError,
    InkError,
    ModelUnknownError,
    NoConnectionError,
    OverLimitError,
    ServerFullError,
    StreamEndedError,
    UnauthorizedError,
    ValueRefusedError,
)
from inkstream.service.protocol.server_messages import Pong
from tests.helpers import builders
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import uninterrupted


class program:  # noqa: N801
    """The calls of either kind of stream, in one form."""

    def __init__(self, kind: Any, running: Running) -> None:
        self._opened = kind(running.url)

    async def __aenter__(self) -> "program":
        is_sync = hasattr(self._opened, "__enter__")
        self._stream = self._opened.__enter__() if is_sync else await self._opened.__aenter__()
        self._is_sync = is_sync
        return self

    async def __aexit__(self, *raised: Any) -> None:
        if self._is_sync:
            self._opened.__exit__(*raised)
        else:
            await self._opened.__aexit__(*raised)

    async def __call__(self, name: str, *args: Any) -> Any:
        return getattr(self._stream, name)(*args)

    async def next(self, results: Any) -> Any:
        return next(results) if self._is_sync else await anext(results)

    async def result(self, name: str, *args: Any, **fields: Any) -> Any:
        answer = getattr(self._stream, name)(*args, **fields)
        return answer if self._is_sync else await answer


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


@pytest.mark.parametrize("n_read", [0, 1, 70, 300])
@pytest.mark.parametrize("kind", [connect_sync, connect])
async def test_all_columns_are_sent_whether_or_not_their_results_are_read(
    running: Running, kind: Any, n_read: int
) -> None:
    first, second = builders.columns(300), builders.columns(20, 1)
    async with program(kind, running) as call:
        results = await call("send", first)
        assert [(await call.next(results)).column for _ in range(n_read)] == list(range(n_read))
        following = await call("send", second)
        assert (await call.next(following)).column == 300
        assert (await call.result("flush")).columns == 320
        if n_read < 300:
            with pytest.raises(CallError, match="dropped by a later call: read them before it"):
                await call.next(results)


def test_a_send_has_sent_a_window_when_it_returns(running: Running) -> None:
    with connect_sync(running.url) as stream:
        stream.send(builders.columns(2_000))
        assert stream._n_unanswered == WINDOW_COLUMNS


async def test_calls_that_are_not_awaited_are_sent_in_order_by_the_next_that_is(
    running: Running,
) -> None:
    async with connect(running.url) as stream:
        columns = builders.columns(300)
        for start in range(0, 300, 100):
            stream.send(columns[start : start + 100])
        columns[:] = 0  # what was given is sent, whatever the program does with its array
        awaited = await stream.send(builders.columns(2))
        assert [result.column for result in awaited] == [300, 301]
        assert (await stream.flush()).columns == 302
        await stream.rewind(300)
        with connect_sync(running.url) as other:
            expected = list(other.send(builders.columns(300)))[-1].label
        assert (await stream.flush()).label == expected


async def test_a_cancelled_call_leaves_all_that_was_given_to_be_sent(running: Running) -> None:
    async with connect(running.url) as stream:
        for _ in range(20):
            stream.send(builders.columns(100))
        n_cancelled = 0
        for wait_s in (0.0, 0.001, 0.004, 0.016, 0.064):
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await stream.flush()
                continue
            n_cancelled += 1
        assert (await stream.flush()).columns == 2000
        assert n_cancelled > 0


@pytest.mark.parametrize("kind", [connect_sync, connect])
async def test_the_end_of_the_block_says_what_of_its_last_calls_was_refused(
    running: Running, kind: Any
) -> None:
    async def write(error: Exception | None) -> None:
        async with program(kind, running) as call:
            for height in (120, 60):
                await call("ink", [[(0, 0), (9, 9)]], height)
            if error:
                raise error

    with pytest.raises(InkError, match="height is 60"):
        await write(None)
    with pytest.raises(KeyError):  # an error of the program is the one that it gets
        await write(KeyError())


async def test_the_end_of_the_block_waits_until_all_is_sent(running: Running) -> None:
    async with connect(running.url) as stream:
        stream.send(builders.columns(300))
    assert stream._n_read == 300


# Misuse


@pytest.mark.parametrize("kind", [connect_sync, connect])
def test_a_stream_says_in_one_line_what_it_is_and_how_it_is_opened(
    running: Running, kind: Any
) -> None:
    stream = kind(running.url)
    assert repr(stream) == f"{type(stream).__name__}('{running.url}', is_open=False)"
    with pytest.raises(CallError, match=rf"with {kind.__name__}\(\.\.\.\) as stream:"):
        stream.send(builders.columns(1))


def test_a_stream_has_one_block_and_results_one_line(running: Running) -> None:
    with connect_sync(running.url) as stream:
        assert repr(stream).endswith("/v1/stream', model='tiny', is_open=True)")
        (result,) = stream.send(builders.columns(1))
    assert repr(result).startswith(f"Result(column=0, '{result.label}': 0.")
    assert len(repr(result)) < 100
    with pytest.raises(StreamEndedError, match="a stream has one block"), stream:
        pass


async def test_two_tasks_or_threads_on_one_stream_are_told_so(running: Running) -> None:
    async with connect(running.url) as stream:
        answers = await asyncio.gather(stream.ping(), stream.flush(), return_exceptions=True)
        assert [type(answer) for answer in answers] == [Pong, CallError]
        assert "another thread or task" in str(answers[1])
        assert (await stream.flush()).columns == 0
    with connect_sync(running.url) as blocked, ThreadPoolExecutor() as pool:
        receiving = threading.Event()
        receive = blocked._socket.recv

        def recv(timeout: float | None) -> Any:
            receiving.set()
            assert refused.wait(10)
            return receive(timeout)

        refused = threading.Event()
        blocked._socket.recv = recv  # type: ignore[assignment,method-assign]
        flushing = pool.submit(blocked.flush)
        assert receiving.wait(10)
        with pytest.raises(CallError, match="another thread or task"):
            blocked.send(builders.columns(1))
        refused.set()
        assert flushing.result(10).columns == 0


@pytest.mark.parametrize("kind", [connect_sync, connect])
@pytest.mark.parametrize(
    ("name", "args"),
    [("send", (bytes(28),)), ("ink", ([[(1, 2)]], 9)), ("undo", (1,)), ("end", ())],
)
async def test_a_call_after_the_block_is_refused_at_once(
    running: Running, kind: Any, name: str, args: Any
) -> None:
    async with program(kind, running) as call:
        await call.result("end")
        if name != "end":
            with pytest.raises(StreamEndedError, match=r"by `end`: open another one"):
                await call.result(name, *args)
    with pytest.raises(StreamEndedError, match=r"the stream is closed|by `end`"):
        await call.result(name, *args)


@pytest.mark.parametrize(
    ("name", "args", "error", "text"),
    [
        ("send", (np.zeros((2, 28)),), ColumnsError, "columns hold 'd' numbers, expected bytes"),
        ("send", (np.full((2, 28), np.nan, np.float32),), ColumnsError, "expected bytes"),
        ("send", (np.zeros((28, 28, 3), np.uint8),), ColumnsError, "shape (28, 28, 3)"),
        ("send", (None,), ColumnsError, "columns are NoneType"),
        ("send", ("text",), ColumnsError, "columns are str"),
        ("send", ([[float("nan")] * 28],), ColumnsError, "pixel 0 of column 0 is nan"),
        ("ink", (None, 120), InkError, "strokes is None"),
        ("ink", ("text", 120), InkError, "stroke 0 is 't'"),
        ("ink", ([[(float("nan"), 2)]], 120), InkError, "point 0 of stroke 0 is (nan, 2)"),
        ("ink", ([[(1, 2)]], None), ValueRefusedError, "height is None"),
        ("ink", ([[(1, 2)]], float("nan")), ValueRefusedError, "height is nan"),
        ("ink", ([[(1, 2)]], -3), ValueRefusedError, "height is -3"),
        ("undo", (None,), ValueRefusedError, "stroke is None"),
        ("undo", (1.5,), ValueRefusedError, "stroke is 1.5"),
        ("rewind", (None,), ValueRefusedError, "column is null"),
        ("rewind", (1.5,), ValueRefusedError, "column is 1.5"),
        ("rewind", (np.int64(0),), None, ""),
        ("configure", ({1, 2},), ValueRefusedError, "configure holds a value that JSON has not"),
    ],
)
async def test_wrong_values_are_named_by_the_call(
    running: Running, name: str, args: Any, error: type[InkstreamError] | None, text: str
) -> None:
    for kind in (connect_sync, connect):
        async with program(kind, running) as call:
            fields = {"top_k": args[0]} if name == "configure" else {}
            refused = pytest.raises(error, match=re.escape(text)) if error else nullcontext()
            with refused:
                await call.result(name, *(() if fields else args), **fields)
            assert (await call.result("flush")).columns == 0


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

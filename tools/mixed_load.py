"""Put a mixed load on a server, and compare what it answers with what it answers undisturbed.

Writers of several kinds write as `service.bench.pens` has measured people to write: ink and
columns, lines and digits, with and without a language model, in full and in lean results. Each
repeats its few lines, on a new connection after each time. Beside them there are requests over
REST, valid and invalid; streams of invalid messages; and strangers, whose connections say nothing,
break off in the middle, or are reset. Everything but the times follows from a seed.
"""

import asyncio
import itertools
import json
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import httpx
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import WebSocketException

from inkstream.model import checkpoint
from inkstream.model.errors import InkstreamError
from inkstream.service.bench.pens import Sent, column_messages, ink_messages
from inkstream.service.client.stream import AsyncStream, connect
from tests.helpers.invalid_messages import INVALID_MESSAGES
from tests.helpers.raw_http import BAD_HANDSHAKES, HANDSHAKE
from tools.writing import RESET, Line, Writer, compare

EXAMPLES = Path(__file__).parents[1] / "examples"
N_LINES = {"lines": 2, "digits": 12}  # of a writer, by model
Request = tuple[str, str, bytes, str]  # method, target, body, and its media type
Answer = tuple[Any, ...]  # what must be equal in an answer by REST: status, label, text, code
HEAD = b"POST /v1/recognize HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 9999\r\n\r\n"
STRANGERS = (  # what each of them sends
    b"",
    HANDSHAKE[:40],
    HANDSHAKE,
    HANDSHAKE + b"\x82\xfe\x04\x00",  # the head of a frame of 1,024 bytes
    HEAD,
    HEAD + bytes(99),
    b"nothing that is HTTP\r\n\r\n",
    *BAD_HANDSHAKES.values(),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of writer."""

    model: str
    sent: Literal["ink", "columns"]
    options: dict[str, Any]  # of `configure`


KINDS = (
    Kind("lines", "ink", {}),
    Kind("lines", "ink", {"language": "english"}),
    Kind("lines", "columns", {"results": "none"}),
    Kind("lines", "columns", {"language": "english", "top_k": 3}),
    Kind("digits", "ink", {"results": "message"}),
    Kind("digits", "columns", {}),
)


@dataclass
class Tally:
    """What a load has counted."""

    written: Counter[str] = field(default_factory=Counter)  # as `compare` counts
    lines_resumed: int = 0  # during which the connection was replaced
    connections_cut: int = 0  # by the load
    statuses: Counter[int] = field(default_factory=Counter)  # of REST
    answers_different: Counter[str] = field(default_factory=Counter)  # of REST
    requests_broken: int = 0  # without an answer
    errors: Counter[str] = field(default_factory=Counter)  # that invalid messages got, by code
    strangers: int = 0
    failures: Counter[str] = field(default_factory=Counter)  # of writers, by code


def lines_of(kind: Kind, number: int) -> Iterator[list[Sent]]:
    """Yield the lines of a writer, each with its reset at the end."""
    config = checkpoint.read(checkpoint.find(kind.model)).metadata.config
    if kind.sent == "ink":
        messages = ink_messages(number, config.kind)
    else:
        messages = column_messages(number, config.kind, config.column_height)
    for _ in range(N_LINES[kind.model]):
        line: list[Sent] = []
        while not line or line[-1].data != RESET:
            line.append(next(messages))
        yield line


def requests() -> list[Request]:
    """Return the requests over REST, the page last."""
    line = (EXAMPLES / "hello.png").read_bytes()
    columns = json.dumps({"columns": [[0] * 10 + [255] * 8 + [0] * 10] * 20}).encode()
    strokes = json.dumps({"strokes": [[[5, 2], [5, 30]], [[5, 16], [20, 16]]]}).encode()
    digits, lines = "/v1/recognize?model=digits", "/v1/recognize?model=lines"
    png, as_json = "image/png", "application/json"
    paths = ("/metrics", "/v1/models", "/healthz", "/readyz", "/openapi.json", "/", "/v1/nothing")
    return [
        *(("POST", digits, (EXAMPLES / f"{n}.png").read_bytes(), png) for n in range(10)),
        ("POST", f"{digits}&curve=true", columns, as_json),
        ("POST", lines, line, png),
        ("POST", f"{lines}&language=english", line, png),
        ("POST", lines, strokes, as_json),
        ("POST", "/v1/columns?model=lines", line, png),
        *(("GET", path, b"", "") for path in paths),
        ("DELETE", "/v1/models", b"", ""),
        ("POST", "/v1/tokens", b"", ""),
        ("POST", lines, line[:200], png),
        ("POST", digits, b'{"columns":', as_json),
        ("POST", digits, b'{"columns":[[0,1,2]]}', as_json),
        ("POST", "/v1/recognize?model=letters", line, png),
        ("POST", f"{lines}&pattern=(", line, png),
        ("POST", lines, b"a text", "text/plain"),
        ("POST", f"{lines}&page=true", line, png),
    ]


class Load:
    """Writers, requests, invalid messages and strangers."""

    def __init__(self, n_writers: int, *, pace: float, seed: int) -> None:
        """Prepare writers, which have the kinds by turns and write `pace` times as fast as people.

        The seed says what they write, what strangers and invalid messages come, and which
        connections are cut.
        """
        self.tally = Tally()
        self.scripts = [
            (kind, [*lines_of(kind, seed * n_writers + number)])
            for number, kind in zip(range(n_writers), itertools.cycle(KINDS))
        ]
        self._requests = requests()
        self._pace = pace
        self._rng = random.Random(seed)
        self._port = 0
        self._streams: list[AsyncStream] = []  # of writers, open now
        self._alone: list[list[Line]] = []  # what each writer hears of each line without load
        self._answers: list[Answer] = []  # to each request without load

    def digest(self) -> str:
        """Return the SHA-256 of all that writers send."""
        sha = sha256()
        for _, lines in self.scripts:
            for sent in itertools.chain.from_iterable(lines):
                sha.update(sent.data if isinstance(sent.data, bytes) else sent.data.encode())
        return sha.hexdigest()

    async def run_alone(self, port: int) -> None:
        """Keep how a server answers all lines and requests, one after the other."""
        self._port = port
        for kind, lines in self.scripts:
            async with self._connect(kind, reconnect=False) as stream:
                await stream.configure(**kind.options)
                self._alone.append([await self._write_line(stream, line, 0) for line in lines])
        async with self._client() as client:
            self._answers = [await self._ask(client, request) for request in self._requests]

    async def run(self, port: int, seconds: float) -> None:
        """Put the load on a server for so long, and until all writers have ended their lines."""
        self._port = port
        end_s = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(self._ask_for_ever()),
                group.create_task(self._repeat(self._send_invalid_messages)),
                group.create_task(self._repeat(self._cut_a_connection)),
                *(group.create_task(self._repeat(self._be_a_stranger)) for _ in range(8)),
            ]
            async with asyncio.TaskGroup() as writers:
                for (kind, lines), alone in zip(self.scripts, self._alone, strict=True):
                    writers.create_task(self._write(kind, lines, alone, end_s))
            for other in others:
                other.cancel()

    def _connect(self, kind: Kind, **options: Any) -> AbstractAsyncContextManager[AsyncStream]:
        return connect(f"ws://127.0.0.1:{self._port}", model=kind.model, **options)

    async def _repeat(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await self._pause()
            await step()

    async def _pause(self) -> None:
        await asyncio.sleep(self._rng.uniform(0, 1))

    async def _write(
        self, kind: Kind, lines: Sequence[Sequence[Sent]], alone: Sequence[Line], end_s: float
    ) -> None:
        """Write the lines again and again; one that has begun is ended."""
        while time.monotonic() < end_s:
            try:
                async with self._connect(kind) as stream:
                    self._streams.append(stream)
                    try:
                        await stream.configure(**kind.options)
                        for sent, expected in zip(lines, alone, strict=True):
                            if time.monotonic() < end_s:
                                before = stream.reconnected
                                line = await self._write_line(stream, sent, self._pace)
                                self.tally.lines_resumed += stream.reconnected is not before
                                self.tally.written.update(compare([line], [expected]))
                        await stream.end()
                    finally:
                        self._streams.remove(stream)
            except InkstreamError as error:
                self.tally.failures[error.code] += 1

    async def _write_line(self, stream: AsyncStream, line: Sequence[Sent], pace: float) -> Line:
        """Write a line, so many times as fast as its pen, or without waiting (0); return it."""
        writer, start_s, written = Writer(stream), time.monotonic(), None
        for sent in line:
            if pace:
                due_s = start_s + (sent.due_s - line[0].due_s) / pace
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            written = await writer.send(sent.data)
        assert written is not None  # The last message was the reset.
        return written

    async def _cut_a_connection(self) -> None:
        """Break the connection of a writer, which then resumes its line on another one."""
        if self._streams and (connection := self._rng.choice(self._streams)._socket) is not None:
            connection.transport.abort()
            self.tally.connections_cut += 1

    def _client(self) -> httpx.AsyncClient:
        """Return a client with a connection for each request: a kept one may just be closed."""
        limits = httpx.Limits(max_keepalive_connections=0)
        url = f"http://127.0.0.1:{self._port}"
        return httpx.AsyncClient(base_url=url, limits=limits, timeout=60)

    async def _ask(self, client: httpx.AsyncClient, request: Request) -> Answer:
        """Return what must be the same each time: probabilities may differ in their last digit."""
        method, target, body, media_type = request
        headers = {"Content-Type": media_type} if media_type else {}
        response = await client.request(method, target, content=body or None, headers=headers)
        try:
            fields = response.json()
        except ValueError:
            fields = {}
        code = fields.get("error", {}).get("code")
        return response.status_code, fields.get("label"), fields.get("text"), code

    async def _ask_for_ever(self) -> None:
        """Ask over REST, one request after the other."""
        async with self._client() as client:
            for request, expected in itertools.cycle(
                zip(self._requests, self._answers, strict=True)
            ):
                await self._pause()
                try:
                    answer = await self._ask(client, request)
                except httpx.TransportError:
                    self.tally.requests_broken += 1
                    continue
                self.tally.statuses[answer[0]] += 1
                if answer != expected:
                    method, target, *_ = request
                    name = f"{method} {target}: {answer}, alone: {expected}"
                    self.tally.answers_different[name] += 1

    async def _send_invalid_messages(self) -> None:
        """Send some on a connection of their own, and an end; read until the server hangs up."""
        with suppress(OSError, WebSocketException):
            async with open_socket(f"ws://127.0.0.1:{self._port}/v1/stream") as connection:
                # Many more in a row would close the connection.
                for message in self._rng.sample(INVALID_MESSAGES, 8):
                    await connection.send(message)
                await connection.send('{"type":"end"}')
                async for text in connection:
                    answer = json.loads(text)
                    if answer["type"] == "error":
                        self.tally.errors[answer["code"]] += 1

    async def _be_a_stranger(self) -> None:
        """Connect, send something or nothing, and hang up in one of three ways."""
        sent, open_s = self._rng.choice(STRANGERS), self._rng.choice((0.1, 1.0, 15.0, 60.0))
        way = self._rng.choice(("close", "close one side", "reset"))
        self.tally.strangers += 1
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(sent)
                if way == "close one side":
                    writer.write_eof()
                async with asyncio.timeout(open_s):
                    while await reader.read(65_536):
                        pass
            finally:
                if way == "reset":
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, linger
                    )
                writer.close()

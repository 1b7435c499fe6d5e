"""Put a mixed load on a server, and compare what it answers with what it answers undisturbed.

Writers of several kinds write as `service.bench.pens` has measured people to write: ink and
columns, lines and digits, with and without a language model, in full and in lean results. Each
repeats its few lines, on a new connection after each time. Beside them there are requests over
REST, valid and invalid; streams of invalid messages; and strangers, whose connections say nothing,
break off in the middle, or are reset. Everything follows from a seed but the times.
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
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

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

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
N_LINES: Final = {"lines": 2, "digits": 12}  # of a writer, which it repeats
AT_ONCE: Final = 8  # invalid messages on one connection; many more in a row close it
HELD_S: Final = (0.1, 1.0, 15.0, 60.0)  # for which a silent connection stays open
TIMEOUT_S: Final = 60.0  # of a request
PNG: Final = {"Content-Type": "image/png"}
JSON: Final = {"Content-Type": "application/json"}
N_STRANGERS: Final = 8  # at once
LONGEST_PAUSE_S: Final = 1.0  # between two requests, strangers, and so on
Essence = tuple[Any, ...]  # of an answer by REST: status, label, text, code of the error
HEAD: Final = b"POST /v1/recognize HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 9999\r\n\r\n"
STRANGERS: Final = (  # what each of them sends
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


KINDS: Final = (
    Kind("lines", "ink", {}),
    Kind("lines", "ink", {"language": "english"}),
    Kind("lines", "columns", {"results": "none"}),
    Kind("lines", "columns", {"language": "english", "top_k": 3}),
    Kind("digits", "ink", {"results": "message"}),
    Kind("digits", "columns", {}),
)


@dataclass(frozen=True, slots=True)
class Script:
    """What a writer sends: lines, each with its reset at the end."""

    kind: Kind
    lines: list[list[Sent]]


@dataclass(frozen=True, slots=True)
class Request:
    """A request over REST."""

    method: str
    target: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Tally:
    """What a load has counted."""

    written: Counter[str] = field(default_factory=Counter)  # as `compare` counts
    lines_resumed: int = 0  # during which the connection was replaced
    connections_cut: int = 0  # by us
    statuses: Counter[int] = field(default_factory=Counter)  # of REST
    answers_different: Counter[str] = field(default_factory=Counter)  # of REST
    requests_broken: int = 0  # without an answer
    errors: Counter[str] = field(default_factory=Counter)  # that invalid messages got, by code
    strangers: int = 0
    failures: Counter[str] = field(default_factory=Counter)  # of writers, by code


def scripts(n_writers: int, seed: int) -> list[Script]:
    """Return what writers send; they have the kinds by turns."""
    return [
        Script(kind, [*_lines(kind, seed * n_writers + number)])
        for number, kind in zip(range(n_writers), itertools.cycle(KINDS))
    ]


def _lines(kind: Kind, number: int) -> Iterator[list[Sent]]:
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


def digest(writers: Sequence[Script]) -> str:
    """Return the SHA-256 of all that writers send."""
    sha = sha256()
    for each in itertools.chain.from_iterable(line for it in writers for line in it.lines):
        sha.update(each.data if isinstance(each.data, bytes) else each.data.encode())
    return sha.hexdigest()


def requests() -> list[Request]:
    """Return the requests, the page last."""
    digits = [(EXAMPLES / f"{digit}.png").read_bytes() for digit in range(10)]
    line = (EXAMPLES / "hello.png").read_bytes()
    columns = json.dumps({"columns": [[0] * 10 + [255] * 8 + [0] * 10] * 20}).encode()
    strokes = json.dumps({"strokes": [[[5, 2], [5, 30]], [[5, 16], [20, 16]]]}).encode()
    of_digits, of_lines = "/v1/recognize?model=digits", "/v1/recognize?model=lines"
    return [
        *(Request("POST", of_digits, image, PNG) for image in digits),
        Request("POST", f"{of_digits}&curve=true", columns, JSON),
        Request("POST", of_lines, line, PNG),
        Request("POST", f"{of_lines}&language=english", line, PNG),
        Request("POST", of_lines, strokes, JSON),
        Request("POST", "/v1/columns?model=lines", line, PNG),
        *(
            Request("GET", path)
            for path in ("/metrics", "/v1/models", "/healthz", "/readyz", "/openapi.json", "/")
        ),
        Request("POST", "/v1/tokens"),
        Request("POST", of_lines, line[:200], PNG),
        Request("POST", of_digits, b'{"columns":', JSON),
        Request("POST", of_digits, b'{"columns":[[0,1,2]]}', JSON),
        Request("POST", "/v1/recognize?model=letters", line, PNG),
        Request("POST", f"{of_lines}&pattern=(", line, PNG),
        Request("POST", of_lines, b"a text", {"Content-Type": "text/plain"}),
        Request("GET", "/v1/nothing"),
        Request("DELETE", "/v1/models"),
        Request("POST", f"{of_lines}&page=true", line, PNG),
    ]


async def write_alone(port: int, writers: Sequence[Script]) -> list[list[Line]]:
    """Return all lines as they are heard without other load, without waiting for the pens."""
    heard = []
    for script in writers:
        async with connect(_url(port), model=script.kind.model, reconnect=False) as stream:
            await stream.configure(**script.kind.options)
            heard.append([await _written(stream, line) for line in script.lines])
    return heard


async def _written(stream: AsyncStream, sent: Sequence[Sent], pace: float = 0.0) -> Line:
    """Write one line, so many times as fast as its pen, or without waiting (0); return it."""
    writer, start_s, line = Writer(stream), time.monotonic(), None
    for each in sent:
        if pace:
            due_s = start_s + (each.due_s - sent[0].due_s) / pace
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        line = await writer.send(each.data)
    assert line is not None  # the last message was the reset
    return line


async def ask_alone(port: int) -> list[Essence]:
    """Return the answers to all requests without other load."""
    async with _http(port) as client:
        return [_essence(await _ask(client, each)) for each in requests()]


def _url(port: int) -> str:
    return f"ws://127.0.0.1:{port}"


def _http(port: int) -> httpx.AsyncClient:
    """Return a client with a connection for each request: a kept one may just be closed."""
    limits = httpx.Limits(max_keepalive_connections=0)
    url = f"http://127.0.0.1:{port}"
    return httpx.AsyncClient(base_url=url, limits=limits, timeout=TIMEOUT_S)


async def _ask(client: httpx.AsyncClient, each: Request) -> httpx.Response:
    return await client.request(
        each.method, each.target, content=each.body or None, headers=each.headers
    )


def _essence(answer: httpx.Response) -> Essence:
    """Return what must be equal in two answers: probabilities may differ in their last digit."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    code = body.get("error", {}).get("code")
    return answer.status_code, body.get("label"), body.get("text"), code


class Load:
    """A mixed load, until it is stopped."""

    def __init__(
        self,
        port: int,
        writers: Sequence[Script],
        alone: Sequence[Sequence[Line]],
        answers: Sequence[Essence],
        *,
        pace: float,
        seed: int,
    ) -> None:
        """Prepare.

        Args:
            port: of the server on this machine.
            writers: what they send.
            alone: what they hear of each line where nothing disturbs.
            answers: to each of the requests, the same.
            pace: how many times as fast as people the writers write.
            seed: of what strangers and invalid messages come when, and which connections are cut.
        """
        self.tally = Tally()
        self._port = port
        self._writers = list(zip(writers, alone, strict=True))
        self._requests = list(zip(requests(), answers, strict=True))
        self._pace = pace
        self._rng = random.Random(seed)
        self._streams: list[AsyncStream] = []  # of writers, open now

    async def run(self, seconds: float) -> None:
        """Put the load on the server for so long, and until all writers have ended their lines."""
        end_s = time.monotonic() + seconds
        async with asyncio.TaskGroup() as rest:
            others = [
                rest.create_task(self._ask_for_ever()),
                rest.create_task(self._again(self._send_invalid_messages)),
                rest.create_task(self._again(self._cut_a_connection)),
                *(rest.create_task(self._again(self._be_a_stranger)) for _ in range(N_STRANGERS)),
            ]
            async with asyncio.TaskGroup() as writers:
                for script, alone in self._writers:
                    writers.create_task(self._write(script, alone, end_s))
            for other in others:
                other.cancel()

    async def _again(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Take a step again and again."""
        while True:
            await self._pause()
            await step()

    async def _pause(self) -> None:
        await asyncio.sleep(self._rng.uniform(0, LONGEST_PAUSE_S))

    async def _write(self, script: Script, alone: Sequence[Line], end_s: float) -> None:
        """Write the lines again and again; one that has begun is ended."""
        while time.monotonic() < end_s:
            try:
                async with connect(_url(self._port), model=script.kind.model) as stream:
                    self._streams.append(stream)
                    try:
                        await stream.configure(**script.kind.options)
                        await self._write_lines(stream, script, alone, end_s)
                        await stream.end()
                    finally:
                        self._streams.remove(stream)
            except InkstreamError as error:
                self.tally.failures[error.code] += 1

    async def _write_lines(
        self, stream: AsyncStream, script: Script, alone: Sequence[Line], end_s: float
    ) -> None:
        for sent, other in zip(script.lines, alone, strict=True):
            if time.monotonic() >= end_s:
                return
            before = stream.reconnected
            line = await _written(stream, sent, self._pace)
            self.tally.lines_resumed += stream.reconnected is not before
            self.tally.written.update(compare([line], [other]))

    async def _cut_a_connection(self) -> None:
        """Break the connection of a writer, which then resumes its line on another one."""
        if self._streams and (socket := self._rng.choice(self._streams)._socket) is not None:
            socket.transport.abort()
            self.tally.connections_cut += 1

    async def _ask_for_ever(self) -> None:
        """Ask over REST, one request after the other."""
        async with _http(self._port) as client:
            for request, expected in itertools.cycle(self._requests):
                await self._pause()
                try:
                    answer = await _ask(client, request)
                except httpx.TransportError:
                    self.tally.requests_broken += 1
                else:
                    self.tally.statuses[answer.status_code] += 1
                    if (got := _essence(answer)) != expected:
                        name = f"{request.method} {request.target}: {got}, alone: {expected}"
                        self.tally.answers_different[name] += 1

    async def _send_invalid_messages(self) -> None:
        """Send some on a connection of their own, and an end; read until the server hangs up."""
        with suppress(OSError, WebSocketException):
            async with open_socket(f"ws://127.0.0.1:{self._port}/v1/stream") as connection:
                for message in self._rng.sample(INVALID_MESSAGES, AT_ONCE):
                    await connection.send(message)
                await connection.send('{"type":"end"}')
                async for text in connection:
                    answer = json.loads(text)
                    if answer["type"] == "error":
                        self.tally.errors[answer["code"]] += 1

    async def _be_a_stranger(self) -> None:
        """Connect, send something or nothing, and hang up in one of three ways."""
        sent, held_s = self._rng.choice(STRANGERS), self._rng.choice(HELD_S)
        way = self._rng.choice(("close", "close one side", "reset"))
        self.tally.strangers += 1
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(sent)
                if way == "close one side":
                    writer.write_eof()
                async with asyncio.timeout(held_s):
                    while await reader.read(65_536):
                        pass
            finally:
                if way == "reset":
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, linger
                    )
                writer.close()

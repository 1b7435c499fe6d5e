"""Put on a server what it gets beside writers: requests, invalid messages, strangers, breaks.

Requests over REST are valid and invalid, and their answers are compared with those that the server
gives undisturbed. Strangers open connections which say nothing, break off in the middle, or are
reset. Now and then the connection of a writer is cut. All but the times follows from a seed.
"""

import asyncio
import json
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import WebSocketException

from inkstream.service.client.stream import AsyncStream
from tests.helpers.invalid_messages import INVALID_MESSAGES
from tests.helpers.raw_http import BAD_HANDSHAKES, HANDSHAKE

EXAMPLES = Path(__file__).parents[1] / "examples"
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


class MixedLoad:
    """The load, and what it has counted."""

    def __init__(self, seed: int) -> None:
        self.connections_cut = 0
        self.statuses: Counter[int] = Counter()  # of REST
        self.answers_different: Counter[str] = Counter()  # of REST
        self.requests_broken = 0  # without an answer
        self.errors: Counter[str] = Counter()  # that invalid messages got, by code
        self.strangers = 0
        self._rng = random.Random(seed)
        self._answers: list[tuple[Request, Answer]] = []  # without load

    async def ask_alone(self, port: int) -> None:
        """Keep how a server answers all requests, one after the other."""
        async with _client(port) as client:
            self._answers = [(request, await _ask(client, request)) for request in requests()]

    async def put_during(
        self, writing: Coroutine[Any, Any, None], port: int, streams: Sequence[AsyncStream]
    ) -> None:
        """Put the load on a server while writers write, whose open streams are given."""
        steps = (
            self._ask_all,
            self._send_invalid_messages,
            lambda _: self._cut_one(streams),
            *[self._be_a_stranger] * 8,
        )
        async with asyncio.TaskGroup() as group:
            load = [group.create_task(self._repeat(step, port)) for step in steps]
            await writing
            for task in load:
                task.cancel()

    async def _repeat(self, step: Callable[[int], Coroutine[Any, Any, None]], port: int) -> None:
        while True:
            await self._pause()
            await step(port)

    async def _pause(self) -> None:
        await asyncio.sleep(self._rng.uniform(0, 1))

    async def _cut_one(self, streams: Sequence[AsyncStream]) -> None:
        """Break the connection of a writer, which then resumes its line on another one."""
        if streams and (connection := self._rng.choice(streams)._socket) is not None:
            connection.transport.abort()
            self.connections_cut += 1

    async def _ask_all(self, port: int) -> None:
        """Ask over REST, one request after the other."""
        async with _client(port) as client:
            for request, expected in self._answers:
                await self._pause()
                try:
                    answer = await _ask(client, request)
                except httpx.TransportError:
                    self.requests_broken += 1
                    continue
                self.statuses[answer[0]] += 1
                if answer != expected:
                    method, target, *_ = request
                    self.answers_different[f"{method} {target}: {answer}, alone: {expected}"] += 1

    async def _send_invalid_messages(self, port: int) -> None:
        """Send some on a connection of their own, and an end; read until the server hangs up."""
        with suppress(OSError, WebSocketException):
            async with open_socket(f"ws://127.0.0.1:{port}/v1/stream") as connection:
                # Many more in a row would close the connection.
                for message in self._rng.sample(INVALID_MESSAGES, 8):
                    await connection.send(message)
                await connection.send('{"type":"end"}')
                async for text in connection:
                    answer = json.loads(text)
                    if answer["type"] == "error":
                        self.errors[answer["code"]] += 1

    async def _be_a_stranger(self, port: int) -> None:
        """Connect, send something or nothing, and hang up in one of three ways."""
        sent, open_s = self._rng.choice(STRANGERS), self._rng.choice((0.1, 1.0, 15.0, 60.0))
        way = self._rng.choice(("close", "close one side", "reset"))
        self.strangers += 1
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
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
                    connection = writer.get_extra_info("socket")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.close()


def _client(port: int) -> httpx.AsyncClient:
    """Return a client with a connection for each request: a kept one may just be closed."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=60)


async def _ask(client: httpx.AsyncClient, request: Request) -> Answer:
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

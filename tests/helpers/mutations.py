"""Messages and requests that are nearly right: what a fuzzer sends, from a seed."""

import json
import random
from copy import deepcopy
from typing import Any, Final

from tests.helpers.raw_websocket import BINARY, TEXT, frame

STROKES: Final = [{"id": 1, "points": [[3.0, 4.0], [9.5, 20.0], [14.0, 7.0]], "last": True}]
MESSAGES: Final[list[dict[str, Any]]] = [
    {"type": "columns", "columns": [[0] * 32, [255] * 32]},
    {"type": "ink", "strokes": STROKES, "height": 32.0},
    {"type": "ink", "strokes": [{"id": "a", "points": [[1, 2]], "last": False}], "height": 32.0},
    {"type": "ink", "undo": 1, "pause": True, "fit": True},
    {"type": "configure", "results": "message", "top_k": 3, "snapshot_columns": 64},
    {"type": "configure", "characters": "abc", "line_end_columns": 20, "language": "english"},
    {
        "type": "configure",
        "words": ["paper", "ink"],
        "context": "a pen and ",
        "pattern": "[a-z]{3}",
    },
    {"type": "rewind", "column": 1},
    {"type": "flush", "id": 7},
    {"type": "reset"},
    {"type": "ping", "id": "p"},
    {"type": "end"},
    {"type": "resume", "heard": 4, "digest": "d", "options": {"top_k": 3}, "snapshot": None},
]
VALUES: Final[list[Any]] = [
    None, True, 0, -1, 2**53, 2**70, 1.5, -0.0, 1e308, -1e308, 5e-324, "", "\0", "a" * 200,
    "\ud800", "é" * 40, [], {}, [[]], [[1e308, -1e308]], [None], {"type": "ink"}, [[0] * 32] * 4,
    "(a|b)*", "[",
]  # fmt: skip
BYTES: Final = [b"", b"\0", b"\xff", b"{", b"}", b"[" * 50, b'"', b"\\u", b"1e999", b"NaN", b"\xc3"]

ROUTES: Final = [
    ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/v1/models"),
    ("POST", "/v1/recognize"), ("POST", "/v1/recognize?page=true"), ("POST", "/v1/columns"),
    ("GET", "/v1/stream"), ("GET", "/openapi.json"), ("GET", "/"), ("GET", "/no/such/path"),
]  # fmt: skip
HEADERS: Final = [
    "Content-Type: application/json", "Content-Type: image/png",
    "Content-Type: multipart/form-data", "Transfer-Encoding: chunked", "Content-Length: 5",
    "Content-Length: -1", "Content-Length: 99999999", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x", "Expect: 100-continue",
    "Host: elsewhere.example", "Origin: null", "Authorization: Bearer x",
    "X-Forwarded-For: ::1, garbage", "Cookie: " + "c" * 3000, "Range: bytes=0-", "Accept: */*",
]  # fmt: skip


class Mutator:
    """Makes one message or request after the other; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def frames(self) -> bytes:
        """Return what a client sends for one message, in one frame or several, right or not."""
        rng = self.random
        if rng.random() < 0.2:
            kind, payload = BINARY, rng.randbytes(rng.choice([0, 1, 28, 31, 32, 64, 28 * 32]))
        else:
            kind, payload = TEXT, self.text(rng.choice(MESSAGES))
        if rng.random() < 0.9:
            return frame(payload, kind)
        if rng.random() < 0.5:  # fragments, with control frames between them
            cut = rng.randrange(len(payload) + 1)
            middle = frame(b"", 0x89 if rng.random() < 0.5 else 0x00)
            return frame(payload[:cut], kind & 0x7F) + middle + frame(payload[cut:], 0x80)
        data = bytearray(
            frame(payload, rng.choice([kind, 0x88, 0x8A, 0x83, 0xC1, rng.randrange(256)]))
        )
        data[rng.randrange(min(6, len(data)))] ^= 1 << rng.randrange(8)
        return bytes(data)

    def text(self, message: Any) -> bytes:
        """Return a message as JSON with some of its values, or bytes, changed."""
        rng = self.random
        message = json.loads(json.dumps(message))
        for _ in range(rng.choice([0, 1, 1, 2])):
            self._change(message)
        data = json.dumps(message).encode("utf-8", "surrogatepass")
        return self.changed(data) if rng.random() < 0.3 else data

    def _change(self, value: Any) -> None:
        """Change one value somewhere inside an object or an array."""
        rng = self.random
        while isinstance(value, dict | list) and value:
            key: Any = (
                rng.choice([*value]) if isinstance(value, dict) else rng.randrange(len(value))
            )
            if not isinstance(value[key], dict | list) or not value[key] or rng.random() < 0.3:
                max_copies = 1 + 20_000 // len(json.dumps(value[key]))  # a frame stays below 64 KiB
                many = [value[key]] * rng.randrange(min(300, max_copies))
                value[key] = many if rng.random() < 0.3 else deepcopy(rng.choice(VALUES))
                return
            value = value[key]

    def changed(self, data: bytes) -> bytes:
        """Return bytes with something put in, left out, or turned."""
        rng = self.random
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.randrange(20))
        return data[:start] + rng.choice([*BYTES, data[:start], rng.randbytes(3)]) + data[end:]

    def request(self) -> bytes:
        """Return the bytes of an HTTP request, right or not."""
        rng = self.random
        method, path = rng.choice(ROUTES)
        if rng.random() < 0.1:
            method = rng.choice(["HEAD", "OPTIONS", "PUT", "TRACE", "X" * 30, ""])
        lines = [f"{method} {path} HTTP/1.{rng.choice('01110')}", "Host: 127.0.0.1"]
        lines += rng.sample(HEADERS, rng.randrange(5))
        body = rng.choice(
            [b"", rng.randbytes(5), b'{"strokes":[[[1,2]]]}', b"5\r\nhello\r\n0\r\n\r\n"]
        )
        if rng.random() < 0.5:
            lines.append(f"Content-Length: {len(body)}")
        data = "\r\n".join([*lines, "", ""]).encode() + body
        return self.changed(data) if rng.random() < 0.4 else data

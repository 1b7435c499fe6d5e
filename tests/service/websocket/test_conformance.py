"""Conformance to RFC 6455 on raw sockets: one case of each kind of the Autobahn testsuite.

`tests/service/server/test_connections.py` shows that any bytes have the effect that they have with
the library websockets, which passes that suite. The names of the cases begin with its numbers
(github.com/crossbario/autobahn-testsuite); where it expects an echo, our protocol's answer is
expected. Its groups 12 and 13 are about compressed messages: the server accepts no extension.
"""

import codecs
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from inkstream.model.checkpoint import Checkpoint
from tests.helpers.raw_websocket import RawClient, frame
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import INK

FIN: Final = 0x80
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10
MASK: Final = bytes([0x5A, 0x00, 0xFF, 0xC3])
MAX_FRAME_BYTES: Final = 256 * 1024

NORMAL, PROTOCOL_ERROR, INVALID_DATA, TOO_BIG = 1000, 1002, 1007, 1009
NO_STATUS: Final = None  # a close frame without a code

Answer = tuple[str, Any]  # type of a message and what tells it apart, or "PONG" and its payload


@dataclass(frozen=True)
class Case:
    """Bytes that a client writes, and what must come back."""

    name: str
    writes: tuple[bytes, ...]  # each in a write of its own
    answers: tuple[Answer, ...] = ()
    code: int | None = NORMAL  # of the server's close
    closes: bool = True  # whether the client closes at last, with 1000


def one(kind: int, payload: bytes = b"") -> bytes:
    """Return a frame that is a whole message."""
    return frame(payload, FIN | kind, MASK)


def close(code: int | None = NORMAL, reason: bytes = b"") -> bytes:
    return one(CLOSE, b"" if code is None else code.to_bytes(2) + reason)


def pieces(data: bytes, size: int) -> tuple[bytes, ...]:
    return tuple(data[start : start + size] for start in range(0, len(data), size))


def fragments(kind: int, *payloads: bytes) -> tuple[bytes, ...]:
    """Return the frames of a message in fragments."""
    last = len(payloads) - 1
    return tuple(
        frame(payload, (FIN * (i == last)) | (CONTINUATION if i else kind), MASK)
        for i, payload in enumerate(payloads)
    )


def ping_text(ref: str, n_bytes: int = 0) -> bytes:
    """Return our protocol's ping, with blanks behind it up to `n_bytes`."""
    return json.dumps({"type": "ping", "id": ref}, ensure_ascii=False).encode().ljust(n_bytes)


def fails(name: str, *writes: bytes, code: int = PROTOCOL_ERROR, heard: bool = False) -> Case:
    """Return a case in which the server closes for a fault, maybe after one good message."""
    return Case(name, writes, (HEARD,) if heard else (), code, closes=False)


HELLO: Final = ping_text("Hello-µ@ßöäüàá-UTF-8!!")
HEARD: Final[Answer] = ("pong", "Hello-µ@ßöäüàá-UTF-8!!")
PONG_A: Final[Answer] = ("pong", "a")
KOSME: Final = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"  # "kosme" in Greek
LARGEST: Final = ping_text("a", MAX_FRAME_BYTES)
HELLO_FRAME, HALVES = one(TEXT, HELLO), fragments(TEXT, HELLO[:20], HELLO[20:])
PING_FRAME, PONG_ANSWER = one(PING, b"payload"), ("PONG", b"payload")

CASES = [
    *(
        Case(f"1.1 of {size} bytes", (one(TEXT, ping_text("a", size)),), (PONG_A,))
        for size in (125, 126, 127, 65_535, 65_536)
    ),
    Case("1.1 in chops", pieces(one(TEXT, ping_text("a", 65_536)), 997), (PONG_A,)),
    Case("1.2", (one(BINARY, INK * 3),), tuple(("result", column) for column in range(3))),
    Case("2.1", (one(PING),), (("PONG", b""),)),
    Case("2.4", (one(PING, b"\xfe" * 125),), (("PONG", b"\xfe" * 125),)),
    fails("2.5", one(PING, b"\xfe" * 126)),
    Case("2.9", (one(PONG, b"unsolicited"), PING_FRAME), (PONG_ANSWER,)),
    Case("2.11", pieces(PING_FRAME * 10, 1), (PONG_ANSWER,) * 10),
    fails("3.1", frame(HELLO, FIN | RSV3 | TEXT, MASK)),
    fails("3.2", HELLO_FRAME + frame(HELLO, FIN | RSV2 | TEXT, MASK) + PING_FRAME, heard=True),
    fails("3.5", frame(INK, FIN | RSV1 | BINARY, MASK)),
    fails("3.7", frame(b"", FIN | RSV1 | RSV2 | RSV3 | CLOSE, MASK)),
    *(fails(f"4.1.{kind - 2}", HELLO_FRAME, one(kind, b"x"), heard=True) for kind in range(3, 8)),
    *(fails(f"4.2.{kind - 10}", one(kind)) for kind in range(11, 16)),
    fails("5.1", *fragments(PING, b"fragment1", b"fragment2")),
    Case("5.4", HALVES, (HEARD,)),
    Case("5.7", (HALVES[0], PING_FRAME, HALVES[1]), (PONG_ANSWER, HEARD)),
    Case("5.8", pieces(HALVES[0] + PING_FRAME + HALVES[1], 1), (PONG_ANSWER, HEARD)),
    fails("5.9", frame(HELLO, FIN | CONTINUATION, MASK), HELLO_FRAME),
    fails("5.15", *HALVES, frame(HELLO, CONTINUATION, MASK), HELLO_FRAME, heard=True),
    fails("5.18", HALVES[0], HELLO_FRAME),
    Case("5 of columns", fragments(BINARY, INK[:1], b"", INK[1:]), (("result", 0),)),
    Case("6.1.2", fragments(TEXT, b"", b"", b""), (("error", "bad_json"),)),
    Case("6.5", fragments(TEXT, *pieces(HELLO, 1)), (HEARD,)),
    fails("6.3.1", one(TEXT, KOSME + b"\xed\xa0\x80edited"), code=INVALID_DATA),
    fails("6.4.1", *fragments(TEXT, KOSME + b"\xf4\x90\x80\x80", b""), code=INVALID_DATA),
    fails("6.8.1", *pieces(one(TEXT, KOSME[:-1]), 1), code=INVALID_DATA),
    Case("7.1.1", (HELLO_FRAME, close()), (HEARD,), closes=False),
    Case("7.1.4", (close() + HELLO_FRAME,), closes=False),
    Case("7.1.5", (HALVES[0] + close() + HALVES[1],), closes=False),
    Case("7.1.6", (one(TEXT, LARGEST) + close() + PING_FRAME,), (PONG_A,), closes=False),
    Case("7.3.1", (close(NO_STATUS),), code=NO_STATUS, closes=False),
    fails("7.3.2", one(CLOSE, b"a")),
    Case("7.3.5", (close(NORMAL, b"*" * 123),), closes=False),
    fails("7.3.6", close(NORMAL, b"*" * 124)),
    fails("7.5.1", close(NORMAL, KOSME + b"\xed\xa0\x80edited"), code=INVALID_DATA),
    *(
        Case(f"7.7 with {code}", (close(code),), code=code, closes=False)
        for code in (1001, 1003, 1007, 1011, 3000, 4999)
    ),
    *(fails(f"7.9 with {code}", close(code)) for code in (0, 999, 1005, 1016, 2999, 5000)),
    Case("9.1.2", (one(TEXT, LARGEST),), (PONG_A,)),
    Case("9.2.2", (one(BINARY, bytes(MAX_FRAME_BYTES)),), (("error", "bad_columns"),)),
    fails("9.1 over", one(TEXT, LARGEST + b" "), code=TOO_BIG),
    fails("9.1 absurd", b"\x81\xff" + b"\x7f" + b"\xff" * 7 + MASK, code=TOO_BIG),
    fails("9.1 negative", b"\x81\xff" + b"\xff" * 8 + MASK, code=TOO_BIG),
    Case("9.3.2", fragments(TEXT, *pieces(LARGEST, 4096)), (PONG_A,)),
    fails("9.3.2 over", *fragments(TEXT, *pieces(LARGEST, 4096), b" "), code=TOO_BIG),
    Case("10.1.1", (b"".join(fragments(TEXT, *pieces(LARGEST, 1300))),), (PONG_A,)),
    fails("5.1 of RFC 6455: no mask", bytes([FIN | TEXT, 0])),
]


@pytest.fixture(scope="module")
def running(tiny: Checkpoint) -> Iterator[Running]:
    with server(tiny.path.parent, max_frame_bytes=MAX_FRAME_BYTES) as running:
        yield running


def answer_of(client: RawClient, payload: bytes) -> Answer:
    """Return what came by what tells it apart; every frame must be whole and of a known kind."""
    if client.kind == FIN | PONG:
        return "PONG", payload
    assert client.kind == FIN | TEXT, hex(client.kind)
    values = json.loads(payload)
    distinct = {"pong": "id", "result": "column", "error": "code"}
    return values["type"], values[distinct[values["type"]]]


def write(client: RawClient, writes: Iterable[bytes]) -> None:
    """Write all; what comes behind a close is not read any more."""
    try:
        for data in writes:
            client.send(data)
    except ConnectionError:
        pass


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_case_is_answered_as_the_standard_says(running: Running, case: Case) -> None:
    with RawClient(running.port) as client:
        assert json.loads(client.read())["type"] == "ready"
        write(client, case.writes)
        answers: list[Answer] = []
        while len(answers) < len(case.answers):
            answers.append(answer_of(client, client.read()))
            assert answers == list(case.answers[: len(answers)])
        if case.closes:
            client.send(close())
        closed = client.read()
        assert client.kind == FIN | CLOSE, (hex(client.kind), closed)
        assert (int.from_bytes(closed[:2]) if closed else None) == case.code
        codecs.decode(closed[2:], "utf-8")  # the reason
        if case.code not in (NORMAL, NO_STATUS):
            write(client, (close(case.code),))
        with pytest.raises((EOFError, ConnectionError)):  # the server ends the connection
            client.read()


def test_a_thousand_messages_one_after_the_other_are_answered(running: Running) -> None:
    with RawClient(running.port) as client:
        client.read()
        for number in range(1000):
            client.send(one(BINARY, INK))
            assert answer_of(client, client.read()) == ("result", number)


def test_no_extension_is_accepted(running: Running) -> None:
    offers = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    with RawClient(running.port, headers=offers) as client:
        assert b"extensions" not in client.head.lower()
        client.read()
        client.send(frame(INK, FIN | RSV1 | BINARY, MASK))  # "compressed"
        assert client.read()[:2] == PROTOCOL_ERROR.to_bytes(2)

"""Conformance to RFC 6455, by the cases of the Autobahn testsuite, on raw sockets.

The numbers of the cases are Autobahn's (github.com/crossbario/autobahn-testsuite), which needs
Python 2 and an echo server; where it expects an echo, our protocol's answer is expected. Its groups
12 and 13 are about compressed messages: the server accepts no extension, as a test says.
"""

import codecs
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inkstream.model.checkpoint import Checkpoint
from tests.helpers.raw_websocket import RawClient, frame
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import INK, message

FIN: Final = 0x80
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10
MASK: Final = bytes([0x5A, 0x00, 0xFF, 0xC3])
MAX_FRAME_BYTES: Final = 256 * 1024  # the default of the limit

NORMAL, PROTOCOL_ERROR, INVALID_DATA, TOO_BIG = 1000, 1002, 1007, 1009
NO_STATUS: Final = None  # a close frame without a code

Answer = tuple[str, Any]  # type of a message and what tells it apart, or "PONG" and its payload


@dataclass(frozen=True)
class Case:
    """Bytes that a client writes, and what must come back."""

    name: str  # Autobahn's number
    writes: tuple[bytes, ...]  # each in a write of its own
    answers: tuple[Answer, ...] = ()
    code: int | None = NORMAL  # of the server's close
    closes: bool = True  # whether the client closes at last, with 1000


def one(kind: int, payload: bytes = b"") -> bytes:
    """Return a frame that is a whole message."""
    return frame(payload, FIN | kind, MASK)


def first(kind: int, payload: bytes = b"") -> bytes:
    """Return a frame that does not end its message."""
    return frame(payload, kind, MASK)


def close(code: int | None = NORMAL, reason: bytes = b"") -> bytes:
    return one(CLOSE, b"" if code is None else code.to_bytes(2) + reason)


def octets(*frames: bytes) -> tuple[bytes, ...]:
    """Return writes of one byte each."""
    return pieces(b"".join(frames), 1)


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


HELLO: Final = ping_text("Hello-µ@ßöäüàá-UTF-8!!")
HEARD: Final[Answer] = ("pong", "Hello-µ@ßöäüàá-UTF-8!!")
RESULT: Final[Answer] = ("result", 0)
NOT_JSON: Final[Answer] = ("error", "bad_json")
NO_COLUMNS: Final[Answer] = ("error", "bad_columns")


def framing() -> Iterator[Case]:
    """Yield group 1: text and binary messages of lengths that need each kind of header."""
    for number, size in enumerate((0, 125, 126, 127, 128, 65_535, 65_536), 1):
        yield Case(f"1.1.{number}", (one(TEXT, b"*" * size),), (NOT_JSON,))
        if size:
            yield Case(f"1.1.{number}-ping", (one(TEXT, ping_text("a", size)),), (("pong", "a"),))
        yield Case(f"1.2.{number}", (one(BINARY, b"\xfe" * size),), (NO_COLUMNS,))
        if size and size < 65_535:
            whole = INK * (size // len(INK))
            yield Case(f"1.2.{number}-columns", (one(BINARY, whole),), results(len(whole)))
    in_chops = pieces(one(TEXT, ping_text("a", 65_536)), 997)
    yield Case("1.1.8", in_chops, (("pong", "a"),))
    yield Case("1.2.8", pieces(one(BINARY, b"\xfe" * 65_536), 997), (NO_COLUMNS,))


def results(n_bytes: int) -> tuple[Answer, ...]:
    return tuple(("result", column) for column in range(n_bytes // len(INK)))


def pings() -> Iterator[Case]:
    """Yield group 2: pings of all lengths, pongs that nobody asked for."""
    payloads = (b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125)
    for number, payload in enumerate(payloads, 1):
        yield Case(f"2.{number}", (one(PING, payload),), (("PONG", payload),))
    yield Case("2.5", (one(PING, b"\xfe" * 126),), code=PROTOCOL_ERROR, closes=False)
    yield Case("2.6", octets(one(PING, b"\xfe" * 125)), (("PONG", b"\xfe" * 125),))
    yield Case("2.7", (one(PONG),))
    yield Case("2.8", (one(PONG, b"unsolicited pong payload"),))
    asked = one(PONG, b"unsolicited pong payload"), one(PING, b"ping payload")
    yield Case("2.9", asked, (("PONG", b"ping payload"),))
    ten = [b"payload-%d" % number for number in range(10)]
    frames, answers = [one(PING, each) for each in ten], tuple(("PONG", each) for each in ten)
    yield Case("2.10", tuple(frames), answers)
    yield Case("2.11", octets(*frames), answers)


def reserved_bits() -> Iterator[Case]:
    """Yield group 3: reserved bits, which only extensions give a meaning."""
    text, ping = one(TEXT, HELLO), one(PING)

    def marked(kind: int, bits: int, payload: bytes = HELLO) -> bytes:
        return frame(payload, FIN | bits | kind, MASK)

    fails: dict[str, Any] = {"code": PROTOCOL_ERROR, "closes": False}
    yield Case("3.1", (marked(TEXT, RSV3),), **fails)
    behind = text, marked(TEXT, RSV2), ping
    yield Case("3.2", (b"".join(behind),), (HEARD,), **fails)
    yield Case("3.3", behind, (HEARD,), **fails)
    yield Case("3.4", octets(text, marked(TEXT, RSV2 | RSV3), ping), (HEARD,), **fails)
    yield Case("3.4-rsv1", octets(text, marked(TEXT, RSV1), ping), (HEARD,), **fails)
    yield Case("3.5", (marked(BINARY, RSV1 | RSV3, INK),), **fails)
    yield Case("3.6", (marked(PING, RSV1 | RSV2),), **fails)
    yield Case("3.7", (marked(CLOSE, RSV1 | RSV2 | RSV3, b""),), **fails)


def opcodes() -> Iterator[Case]:
    """Yield group 4: opcodes without a meaning."""
    text, ping = one(TEXT, HELLO), one(PING)
    fails: dict[str, Any] = {"code": PROTOCOL_ERROR, "closes": False}
    for group, kinds in ((1, range(3, 8)), (2, range(11, 16))):
        for number, kind in enumerate(kinds, 1):
            payload = b"" if number in (1, 3) else b"reserved opcode payload"
            yield Case(f"4.{group}.{number}", (one(kind, payload),), **fails)
            behind = text, one(kind, payload), ping
            yield Case(f"4.{group}.{number}-behind", behind, (HEARD,), **fails)
            yield Case(f"4.{group}.{number}-octets", octets(*behind), (HEARD,), **fails)


def fragmentation() -> Iterator[Case]:
    """Yield group 5: messages in fragments, control frames between them."""
    fails: dict[str, Any] = {"code": PROTOCOL_ERROR, "closes": False}
    half = len(HELLO) // 2
    parts = fragments(TEXT, HELLO[:half], HELLO[half:])
    ping, pong = one(PING, b"ping payload"), ("PONG", b"ping payload")
    yield Case("5.1", fragments(PING, b"fragment1", b"fragment2"), **fails)
    yield Case("5.2", fragments(PONG, b"fragment1", b"fragment2"), **fails)
    between = parts[0], ping, parts[1]
    for numbers, frames, answers in (
        (("5.3", "5.4", "5.5"), parts, (HEARD,)),
        (("5.6", "5.7", "5.8"), between, (pong, HEARD)),
    ):
        yield Case(numbers[0], (b"".join(frames),), answers)
        yield Case(numbers[1], frames, answers)
        yield Case(numbers[2], octets(*frames), answers)
    for numbers, kind in (
        (("5.9", "5.10", "5.11"), FIN | CONTINUATION),
        (("5.12", "5.13", "5.14"), CONTINUATION),
    ):
        lonely = frame(HELLO, kind, MASK), one(TEXT, HELLO)
        yield Case(numbers[0], (b"".join(lonely),), **fails)
        yield Case(numbers[1], lonely, **fails)
        yield Case(numbers[2], octets(*lonely), **fails)
    after = *parts, first(CONTINUATION, HELLO), one(TEXT, HELLO)
    yield Case("5.15", after, (HEARD,), **fails)
    for number, kind in (("5.16", CONTINUATION), ("5.17", FIN | CONTINUATION)):
        yield Case(number, (frame(HELLO, kind, MASK), one(TEXT, HELLO)) * 2, **fails)
    yield Case("5.18", (first(TEXT, HELLO[:half]), one(TEXT, HELLO[half:])), **fails)
    five = fragments(TEXT, *pieces(HELLO, -(-len(HELLO) // 5)))
    frames = *five[:2], ping, *five[2:4], ping, *five[4:]
    yield Case("5.19", frames, (pong, pong, HEARD))
    yield Case("5.20", octets(*frames), (pong, pong, HEARD))
    columns = fragments(BINARY, INK[:1], INK[1:20], b"", INK[20:])
    yield Case("5.21-columns", columns, (RESULT,))


KOSME: Final = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"  # "kosme" in Greek
# Of the first and last bytes of characters of each length, and of what is none: group 6.
EDGES: Final = bytes.fromhex(
    "00 61 7f 80 8f 90 9f a0 b9 bf c0 c1 c2 ce df e0 ed ef f0 f4 f5 f8 fc ff"
)
WAYS: Final[dict[str, Callable[[bytes], tuple[bytes, ...]]]] = {
    "at once": lambda data: (one(TEXT, data),),
    "in octets": lambda data: octets(one(TEXT, data)),
    "in fragments": lambda data: fragments(TEXT, *pieces(data, 1)),
}


def utf_8() -> Iterator[Case]:
    """Yield of group 6 what is no question of the bytes; see the test of any text."""
    yield Case("6.1.1", (one(TEXT),), (NOT_JSON,))
    yield Case("6.1.2", fragments(TEXT, b"", b"", b""), (NOT_JSON,))
    yield Case("6.1.3", fragments(TEXT, b"", HELLO, b""), (HEARD,))
    yield Case("6.7.1", (one(TEXT, b"\x00"),), (NOT_JSON,))
    yield Case("6.24-binary", (one(BINARY, b"\xff" * len(INK)),), (RESULT,))


def not_utf_8() -> Iterator[Case]:
    """Yield 6.4: what cannot become UTF-8 closes, at the latest with its last fragment.

    Autobahn's cases may fail at once or at the end; ours fails at the end.
    """
    fails: dict[str, Any] = {"code": INVALID_DATA, "closes": False}
    ends = (KOSME + b"\xf4\x90\x80\x80", b""), (KOSME + b"\xf4", b"\x90\x80\x80edited")
    for number, parts in enumerate(ends, 1):
        yield Case(f"6.4.{number}", fragments(TEXT, *parts), **fails)
        yield Case(f"6.4.{number + 2}", octets(*fragments(TEXT, *parts)), **fails)


def closing() -> Iterator[Case]:
    """Yield group 7: close frames, with codes and reasons that are allowed and that are not."""
    fails: dict[str, Any] = {"code": PROTOCOL_ERROR, "closes": False}
    text = one(TEXT, HELLO)
    yield Case("7.1.1", (text, close()), (HEARD,), closes=False)
    yield Case("7.1.2", (close() + close(),), closes=False)
    yield Case("7.1.3", (close() + one(PING, b"late"),), closes=False)
    yield Case("7.1.4", (close() + text,), closes=False)
    parts = fragments(TEXT, b"fragment1", b"fragment2")
    yield Case("7.1.5", (parts[0] + close() + parts[1],), closes=False)
    large = one(TEXT, ping_text("a", MAX_FRAME_BYTES))
    yield Case("7.1.6", (large + text + close() + one(PING),), (("pong", "a"), HEARD), closes=False)
    yield Case("7.3.1", (close(NO_STATUS),), code=NO_STATUS, closes=False)
    yield Case("7.3.2", (one(CLOSE, b"a"),), **fails)
    yield Case("7.3.3", (close(),), closes=False)
    yield Case("7.3.4", (close(NORMAL, b"Hello World!"),), closes=False)
    yield Case("7.3.5", (close(NORMAL, b"*" * 123),), closes=False)
    yield Case("7.3.6", (close(NORMAL, b"*" * 124),), **fails)
    yield Case(
        "7.5.1", (close(NORMAL, KOSME + b"\xed\xa0\x80edited"),), code=INVALID_DATA, closes=False
    )
    allowed = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for number, code in enumerate(allowed, 1):
        yield Case(f"7.7.{number}", (close(code),), code=code, closes=False)
    refused = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535)
    for number, code in enumerate(refused, 1):
        yield Case(f"7.9.{number}", (close(code),), **fails)
        yield Case(f"7.9.{number}-reason", (close(code, b"reason"),), **fails)


def limits() -> Iterator[Case]:
    """Yield group 9: messages as large as the limit and larger, in all kinds of pieces."""
    whole = ping_text("a", MAX_FRAME_BYTES)
    heard = (("pong", "a"),)
    fails: dict[str, Any] = {"code": TOO_BIG, "closes": False}
    yield Case("9.1.2", (one(TEXT, whole),), heard)
    yield Case("9.2.2", (one(BINARY, bytes(MAX_FRAME_BYTES)),), (NO_COLUMNS,))
    yield Case("9.1-over", (one(TEXT, whole + b" "),), **fails)
    yield Case("9.2-over", (one(BINARY, bytes(MAX_FRAME_BYTES + 1)),), **fails)
    yield Case("9.1-absurd", (b"\x81\xff" + b"\x7f" + b"\xff" * 7 + MASK,), **fails)
    yield Case("9.1-negative", (b"\x81\xff" + b"\xff" * 8 + MASK,), **fails)
    for number, size in enumerate((1024, 4096, 16_384, 65_536), 1):
        parts = pieces(whole, size)
        yield Case(f"9.3.{number}", fragments(TEXT, *parts), heard)
        yield Case(f"9.4.{number}", fragments(BINARY, *pieces(bytes(MAX_FRAME_BYTES), size)),
                   (NO_COLUMNS,))  # fmt: skip
        yield Case(f"9.3.{number}-over", (*fragments(TEXT, *parts, b" "),), **fails)
    for number, size in enumerate((64, 128, 256, 512, 1024, 2048), 1):
        yield Case(f"9.5.{number}", pieces(one(TEXT, whole), size), heard)
        yield Case(f"9.6.{number}", pieces(one(BINARY, bytes(MAX_FRAME_BYTES)), size),
                   (NO_COLUMNS,))  # fmt: skip
    many = fragments(TEXT, *[b" "] * 1100)
    yield Case("9.3-fragments", many, (NOT_JSON,))


def automatic_fragments() -> Iterator[Case]:
    """Yield group 10: a message that a client's library cuts into frames of 1,300 bytes."""
    text = fragments(TEXT, *pieces(ping_text("a", 65_536), 1300))
    yield Case("10.1.1", text, (("pong", "a"),))
    yield Case("10.1.1-once", (b"".join(text),), (("pong", "a"),))


GROUPS = (
    framing, pings, reserved_bits, opcodes, fragmentation, utf_8, not_utf_8, closing, limits,
    automatic_fragments,
)  # fmt: skip
CASES = [case for group in GROUPS for case in group()]


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


def check(running: Running, case: Case) -> None:
    """Check that a case is answered as the standard says."""
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


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_case_is_answered_as_the_standard_says(running: Running, case: Case) -> None:
    check(running, case)


@settings(max_examples=300)
@given(
    data=st.lists(st.sampled_from(EDGES), min_size=1, max_size=6).map(bytes),
    way=st.sampled_from([*WAYS]),
)
@example(data=KOSME, way="in fragments")
@example(data=KOSME[:-1], way="at once")
def test_a_text_is_taken_if_it_is_utf_8_and_else_closes(
    running: Running, data: bytes, way: str
) -> None:
    """Group 6; the text is no JSON object, which is told of what is UTF-8 alone."""
    try:
        data.decode()
    except UnicodeDecodeError:
        check(running, Case("6", WAYS[way](data), code=INVALID_DATA, closes=False))
    else:
        check(running, Case("6", WAYS[way](data), (NOT_JSON,)))


@pytest.mark.parametrize("name", ["9.7", "9.8"])
def test_a_thousand_messages_one_after_the_other_are_answered(running: Running, name: str) -> None:
    data = (
        one(BINARY, INK)
        if name == "9.8"
        else one(TEXT, message("columns", columns=[[*INK]]).encode())
    )
    with RawClient(running.port) as client:
        client.read()
        for number in range(1000):
            client.send(data)
            assert answer_of(client, client.read()) == ("result", number)


def test_a_frame_without_a_mask_is_refused(running: Running) -> None:
    for kind in (TEXT, BINARY, PING, PONG, CLOSE):
        with RawClient(running.port) as client:
            client.read()
            client.send(bytes([FIN | kind, 0]))
            assert client.read()[:2] == PROTOCOL_ERROR.to_bytes(2)


def test_no_extension_is_accepted(running: Running) -> None:
    offers = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    with RawClient(running.port, headers=offers) as client:
        assert b"extensions" not in client.head.lower()
        client.read()
        client.send(frame(INK, FIN | RSV1 | BINARY, MASK))  # "compressed"
        assert client.read()[:2] == PROTOCOL_ERROR.to_bytes(2)

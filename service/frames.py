"""WebSocket frames between a socket, the session and uvicorn's own WebSocket protocol.

A message of one frame goes to the session at once. Left to uvicorn are the handshake, the close,
what RFC 6455 forbids, and from the first fragment on all messages, which then keep their order.
What a client may make the server do in one turn of the event loop is bounded: the frames that are
left wait for the next turn, and nothing is read meanwhile.
"""

import asyncio
import codecs
import socket
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import InvalidMessage
from websockets.frames import CloseCode, apply_mask  # type: ignore[attr-defined]  # the mask in C

from inkstream.service.connections import END_S, FIRST_FRAMES_S, FRAMES_S, WRITING_S, Peer
from inkstream.service.settings import Settings
from inkstream.service.websocket import DIRECT

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A  # whole frames: RFC 6455, 5.2
FRAGMENTS: Final = (0x0, 0x1, 0x2)  # frames that do not end their message
TEXT_FRAGMENT: Final = 0x1  # the first of a text
OPCODES: Final = {0x0, 0x1, 0x2, 0x8, 0x9, 0xA}
SHORT_HEADER_BYTES: Final = 6  # of a client's frame up to 125 bytes long: kind, length, mask
MASK_BYTES: Final = 4
MAX_CONTROL_BYTES: Final = 125  # RFC 6455, 5.5
# The system takes it twice, and lets a client send so much ahead: what one turn may have to read.
RECEIVE_BYTES: Final = 16 * 1024
MAX_FRAGMENTS: Final = 1024  # of one message: an empty one takes memory too
PIECE_BYTES: Final = 512  # handed to uvicorn at once: less than 100 frames


class WebSocketConnection(asyncio.Protocol):
    """A `DirectConnection` of `websocket`, with the bounds of what its client may do."""

    peer: Peer
    listener: Callable[[str | bytes], None] | None = None
    _is_simple = True  # no fragment has come, and no fault
    _may_write = True
    _fragments = 0  # of the message that is not complete
    _decoder: codecs.IncrementalDecoder | None = None  # of that message, if it is a text
    _held_bytes = 0
    _pong: bytes | None = None  # to be written once the client has taken what was written
    _waits = False  # for its turn to go on with frames that have come
    _cut: asyncio.TimerHandle | None = None  # while writing has to wait

    def __init__(self, config: Any, server_state: ServerState, app_state: Any) -> None:
        # The application finds it in its scope; weak, as are all references that would make cycles:
        # to collect those of 500 sessions stops the event loop for 50 ms.
        state = {**app_state, DIRECT: weakref.ref(self)}
        self._uvicorn = WebSocketsSansIOProtocol(config, server_state, state)
        self._settings: Settings = config.settings
        self._most_bytes = self._settings.max_frame_bytes
        self._unread = bytearray()  # frames that wait, or the beginning of one
        self._paused: set[str] = set()  # who wants to read no more now
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._settings.ping_interval_s, self._ping)

    @property
    def refused_handshake(self) -> Exception | None:
        """Why uvicorn has no answer to the handshake, which has come whole; None if it has."""
        if self._uvicorn.handshake_initiated:
            return None
        return self._uvicorn.conn.handshake_exc or InvalidMessage("no handshake")

    def give_up(self) -> None:
        """Forget the handshake."""
        self._timer.cancel()
        self._uvicorn.connections.discard(self._uvicorn)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._uvicorn.connection_made(cast(asyncio.Transport, UvicornTransport(self)))

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._timer, self._cut):
            if timer is not None:
                timer.cancel()
        self.peer.hold(-self._held_bytes)
        self.peer.left()
        self.peer.run(partial(self._end, exc))

    def _end(self, exc: Exception | None) -> None:
        """Let uvicorn end the connection, and break its reference cycles."""
        self.peer.spend(END_S)
        self._uvicorn.connection_lost(exc)
        self._uvicorn.transport = self.transport
        self._uvicorn.conn.parser.close()

    def pause_writing(self) -> None:
        self._may_write = False
        self._cut = self._loop.call_later(self._settings.stall_timeout_s, self._cut_off)
        self._uvicorn.pause_writing()

    def resume_writing(self) -> None:
        self._may_write = True
        if self._cut is not None:
            self._cut.cancel()
        if self._pong is not None:
            self.transport.write(frame(PONG, self._pong))
            self._pong = None
        self.peer.run(self._go_on_writing)

    def _go_on_writing(self) -> None:
        """Let the session write what waits."""
        if self._may_write:
            self.peer.spend(WRITING_S)
            self._uvicorn.resume_writing()

    def pause_reading(self, user: str = "session") -> None:
        """Read no more until each user that has paused reading resumes it."""
        self._paused.add(user)
        self.transport.pause_reading()

    def resume_reading(self, user: str = "session") -> None:
        """Go on with the frames that wait, then with reading, unless another user has paused it."""
        self._paused.discard(user)
        if self._paused:
            return
        if self._unread:
            self._go_on_later()
        else:
            self.transport.resume_reading()

    def data_received(self, data: bytes | bytearray) -> None:
        is_late = self.listener is not None and not self.peer.has_time(FIRST_FRAMES_S)
        if self._unread or self._paused or is_late:
            self._unread += data
            data = self._unread
        if self._paused or self._waits:
            return
        if is_late:
            self._go_on_later()
            self._hold()
        else:
            self._work_off(data)

    def _work_off(self, data: bytes | bytearray) -> None:
        """Take the frames of what has come, and keep the rest."""
        rest = self._take_frames(data)
        if not self.listener:
            rest = self._pass_on(data, rest)
        if data is self._unread:
            del self._unread[:rest]
            self._hold()
        elif rest < len(data):
            self._unread += data[rest:]
            self._hold()

    def _take_frames(self, data: bytes | bytearray) -> int:
        """Take whole frames, as RFC 6455 describes them in 5.2; return where the rest begins."""
        start = 0
        while self.listener and len(data) >= start + 2:
            kind, length = data[start], data[start + 1] - 0x80  # below 0 without a mask
            payload = start + SHORT_HEADER_BYTES
            if length >= 126:
                payload += 2 if length == 126 else 8
                if len(data) < payload - MASK_BYTES:
                    break
                length = int.from_bytes(data[start + 2 : payload - MASK_BYTES])
            end = payload + length
            if kind & 0x0F not in OPCODES or not 0 <= length <= self._most_bytes:
                self._is_simple, end = False, len(data)  # uvicorn refuses the frame by its header
            elif end > len(data):
                break
            message = None
            if self._is_simple and kind in (TEXT, BINARY):
                mask = data[payload - MASK_BYTES : payload]
                message = read_message(kind, apply_mask(data[payload:end], mask))
            if message is not None:
                self.listener(message)
            elif kind == PING and 0 <= length <= MAX_CONTROL_BYTES:
                self._answer_ping(
                    apply_mask(data[payload:end], data[payload - MASK_BYTES : payload])
                )
            elif kind == PONG and 0 <= length <= MAX_CONTROL_BYTES:
                self._wait(self._settings.ping_interval_s, self._ping)
            else:
                self._leave_to_uvicorn(kind, bytes(data[start:end]), payload - start)
                if self.transport.is_closing():
                    return len(data)
            start = end
            if start < len(data) and self._must_wait():
                break
        return start

    def _leave_to_uvicorn(self, kind: int, data: bytes, payload: int) -> None:
        """Hand uvicorn a frame, whose payload begins at `payload`, and check a fragment."""
        if kind == CLOSE:  # it may come amid the fragments of a message
            self._uvicorn.conn.current_size = None
        self._uvicorn.data_received(data)
        self._is_simple = False
        if kind not in FRAGMENTS:
            self._fragments = 0
        elif not self.transport.is_closing():
            self._check_fragment(
                kind, apply_mask(data[payload:], data[payload - MASK_BYTES : payload])
            )

    def _check_fragment(self, kind: int, payload: bytes) -> None:
        """Close where a text is not UTF-8, or a message has more fragments than memory is for."""
        self._fragments += 1
        if kind:
            is_text = kind == TEXT_FRAGMENT
            self._decoder = codecs.getincrementaldecoder("utf-8")() if is_text else None
        try:
            if self._decoder is not None:
                self._decoder.decode(payload)
        except UnicodeDecodeError:
            self._write_close(CloseCode.INVALID_DATA, "")
            return
        if self._fragments > MAX_FRAGMENTS:
            self._close(CloseCode.POLICY_VIOLATION, "too_many_fragments")

    def _pass_on(self, data: bytes | bytearray, start: int) -> int:
        """Hand uvicorn what comes before and after the session; return where the rest begins."""
        if not self._may_write:  # it would answer pings that the client does not read
            return len(data)
        step = PIECE_BYTES if self._uvicorn.handshake_initiated else len(data)
        while start < len(data) and not self.transport.is_closing():
            self._uvicorn.data_received(bytes(data[start : start + step]))
            start += step
            if start < len(data) and self._must_wait():
                return start
        return len(data)

    def _must_wait(self) -> bool:
        """Whether what is left of a read has to wait: it is paused, or others have their turn."""
        if not self._paused and self.peer.has_time(FRAMES_S):
            return False
        if not self._paused:
            self._go_on_later()
        return True

    def _go_on_later(self) -> None:
        """Go on in the next turn of the event loop, and read nothing until then."""
        self.transport.pause_reading()
        if not self._waits:
            self._waits = True
            self.peer.run_later(self._go_on)

    def _go_on(self) -> None:
        """Take at least one of the frames that wait, then read on if no more do."""
        self._waits = False
        if self._paused or self.transport.is_closing():
            return
        self._work_off(self._unread)
        if not self._paused and not self._waits and not self.transport.is_closing():
            self.transport.resume_reading()

    def _hold(self) -> None:
        """Count what waits as held for the client; close if its unfinished frames are too much.

        Whole frames wait because of us, and nothing is read meanwhile.
        """
        grown = len(self._unread) - self._held_bytes
        self._held_bytes += grown
        if not self.peer.hold(grown) and not self._paused and not self._waits:
            self._close(CloseCode.POLICY_VIOLATION, "too_much_unread")

    @property
    def may_write(self) -> bool:
        """Whether writing need not wait."""
        return self._may_write and not self.transport.is_closing()

    def send_now(self, texts: Iterable[bytes]) -> bool:
        """Write texts, a frame for each, all at once, unless writing has to wait."""
        if not self.may_write:
            return False
        self.transport.write(b"".join([frame(TEXT, text) for text in texts]))
        return True

    def _answer_ping(self, payload: bytes) -> None:
        """Answer a ping; while writing has to wait, only the newest is kept (RFC 6455, 5.5.3)."""
        if self._may_write:
            self.transport.write(frame(PONG, payload))
        else:
            self._pong = payload

    def _wait(self, seconds: float, call: Callable[[], None]) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, call)

    def _ping(self) -> None:
        """Ask whether the client is still there; without a session the connection must end."""
        if self.transport.is_closing() or not self.listener:
            self._wait(self._settings.ping_timeout_s, self._end_without_session)
        else:
            self.transport.write(frame(PING, b""))
            self._wait(self._settings.ping_timeout_s, self._miss_pong)

    def _end_without_session(self) -> None:
        """Cut a connection off that still has no session, or none any more."""
        if self.listener and not self.transport.is_closing():
            self._ping()
        else:
            self._cut_off()

    def _miss_pong(self) -> None:
        """Close, or wait again while reading is paused: pongs are not read either.

        That ends, because the engine reaches the columns of every session, and a client that does
        not read is cut off.
        """
        if self.transport.is_closing() or not self.listener:
            self._wait(self._settings.ping_timeout_s, self._end_without_session)
        elif self._paused or self._waits:
            self._wait(self._settings.ping_timeout_s, self._miss_pong)
        else:
            self._close(CloseCode.INTERNAL_ERROR, "ping_timeout")

    def _close(self, code: CloseCode, reason: str) -> None:
        """Close by a rule of ours, which is counted."""
        self.peer.refused(reason)
        self._write_close(code, reason)

    def _write_close(self, code: CloseCode, reason: str) -> None:
        self.transport.write(frame(CLOSE, code.to_bytes(2) + reason.encode()))
        self.transport.close()

    def _cut_off(self) -> None:
        """Hang up on a client that does not take what is written, or does not close."""
        self.peer.refused("stalled")
        self.transport.abort()


class UvicornTransport:
    """A connection's transport as uvicorn has it: it pauses and resumes reading for itself."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection.transport, name)

    def pause_reading(self) -> None:
        """Pause for uvicorn."""
        self._connection.pause_reading("uvicorn")

    def resume_reading(self) -> None:
        """Resume for uvicorn."""
        self._connection.resume_reading("uvicorn")


def read_message(kind: int, data: bytes) -> str | bytes | None:
    """Return the message of a text or binary frame, None for text that is not UTF-8."""
    try:
        return data.decode() if kind == TEXT else data
    except UnicodeDecodeError:
        return None


def frame(kind: int, payload: bytes) -> bytes:
    """Return one whole frame of a server (RFC 6455, 5.2); `kind` is its first byte."""
    length = len(payload)
    if length < 126:
        return bytes((kind, length)) + payload
    if length < 65_536:
        return bytes((kind, 126)) + length.to_bytes(2) + payload
    return bytes((kind, 127)) + length.to_bytes(8) + payload

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
from functools import lru_cache, partial
from typing import Any, Final, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, apply_mask  # type: ignore[attr-defined]  # the mask in C

from inkstream.service.connections import END_S, FIRST_FRAMES_S, FRAMES_S, WRITING_S, Peer
from inkstream.service.settings import Settings
from inkstream.service.websocket import DIRECT

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A  # whole frames: RFC 6455, 5.2
FRAGMENTS: Final = (0x0, 0x1, 0x2)  # frames that do not end their message
TEXT_FRAGMENT: Final = 0x1  # the first of a text
OPCODES: Final = {0x0, 0x1, 0x2, 0x8, 0x9, 0xA}
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
    _is_direct = True  # messages go to the listener: no fragment has come, and no fault
    _may_write = True
    _n_fragments = 0  # of the message that is not complete
    _decoder: codecs.IncrementalDecoder  # of that message
    _held_bytes = 0
    _pong: bytes | None = None  # to be written once the client has taken what was written
    _is_waiting = False  # for the next turn, to go on with frames that have come
    _had_session: bool | None = None  # at the last check, if the client has not answered since
    _stall_timer: asyncio.TimerHandle | None = None  # while writing has to wait

    def __init__(self, config: Any, server_state: ServerState, app_state: Any) -> None:
        # The application gets it in its scope; weak, as are all references that would make cycles:
        # to collect those of 500 sessions stops the event loop for 50 ms.
        state = {**app_state, DIRECT: weakref.ref(self)}
        self._uvicorn = WebSocketsSansIOProtocol(config, server_state, state)
        self._settings: Settings = config.settings
        self._max_bytes = self._settings.max_frame_bytes
        self._unread = bytearray()  # frames that wait, or the beginning of one
        self._paused: set[str] = set()  # users that want to read no more now
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._settings.ping_interval_s, self._check)

    @property
    def has_handshake(self) -> bool:
        """Whether uvicorn answers the handshake, which has come whole."""
        return self._uvicorn.handshake_initiated

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._uvicorn.connection_made(cast(asyncio.Transport, UvicornTransport(self)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._stop_stall_timer()
        self.peer.hold(-self._held_bytes)
        self.peer.left()
        self.peer.run(partial(self._end, exc))

    def _end(self, exc: Exception | None) -> None:
        """Let uvicorn end the connection, and break its reference cycles."""
        self.peer.turn.spend(END_S)
        self._uvicorn.connection_lost(exc)
        self._uvicorn.transport = self.transport
        self._uvicorn.conn.parser.close()

    # In

    def data_received(self, data: bytes) -> None:
        if self.listener is None:
            has_time = True
        else:
            has_time = self.peer.has_time(FIRST_FRAMES_S)
            if has_time and not self._unread and not self._paused and self._take_message(data):
                return
        self._unread += data
        if not self._paused and not self._is_waiting:
            if has_time:
                self._work_off()
            else:
                self._go_on_later()
        self._hold()

    def _take_message(self, data: bytes) -> bool:
        """Take a read that is one whole message of less than 64 KiB, as nearly all are."""
        if len(data) < 8 or not self._is_direct:
            return False
        kind, length, start = data[0], data[1] - 0x80, 6
        if length == 126:
            length, start = data[2] << 8 | data[3], 8
        if start + length != len(data) or length > self._max_bytes:
            return False
        return self._hand_over(kind, apply_mask(data[start:], data[start - MASK_BYTES : start]))

    def _hand_over(self, kind: int, payload: bytes) -> bool:
        """Call the listener with the message of a frame; return False if it is none."""
        assert self.listener is not None
        if kind == BINARY:
            self.listener(payload)
            return True
        if kind != TEXT:
            return False
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            return False
        self.listener(text)
        return True

    def _work_off(self) -> None:
        """Take what has come, until a frame is not complete or others have their turn."""
        while self._unread and not self.transport.is_closing():
            n_bytes = self._take_frame() if self.listener else self._pass_on()
            del self._unread[:n_bytes]
            if not n_bytes or (self._unread and self._must_wait()):
                break

    def _take_frame(self) -> int:
        """Take a frame as in RFC 6455, 5.2; return its length, or 0 if it is not whole."""
        data = self._unread
        if len(data) < 2:
            return 0
        kind, length = data[0], data[1] - 0x80  # below 0 without a mask
        start = 2 + MASK_BYTES
        if length >= 126:
            start += 2 if length == 126 else 8
            if len(data) < start - MASK_BYTES:
                return 0
            length = int.from_bytes(data[2 : start - MASK_BYTES])
        end = start + length
        if kind & 0x0F not in OPCODES or not 0 <= length <= self._max_bytes:
            self._leave_to_uvicorn(kind, bytes(data))  # it refuses the frame by its header
            return len(data)
        if end > len(data):
            return 0
        payload = apply_mask(data[start:end], data[start - MASK_BYTES : start])
        if self._is_direct and self._hand_over(kind, payload):
            return end
        if kind == PING and length <= MAX_CONTROL_BYTES:
            self._answer_ping(payload)
        elif kind == PONG and length <= MAX_CONTROL_BYTES:
            self._had_session = None
            self._check_in(self._settings.ping_interval_s)
        else:
            self._leave_to_uvicorn(kind, bytes(data[:end]), payload)
        return end

    def _leave_to_uvicorn(self, kind: int, data: bytes, payload: bytes = b"") -> None:
        """Hand uvicorn a frame, and check a fragment."""
        self._is_direct = False
        if kind == CLOSE:  # it may come amid the fragments of a message
            self._uvicorn.conn.current_size = None
        self._uvicorn.data_received(data)
        if kind not in FRAGMENTS:
            self._n_fragments = 0
        elif not self.transport.is_closing():
            self._check_fragment(kind, payload)

    def _check_fragment(self, kind: int, payload: bytes) -> None:
        """Close where a text is not UTF-8, or a message has more fragments than memory is for."""
        self._n_fragments += 1
        if kind:
            encoding = "utf-8" if kind == TEXT_FRAGMENT else "latin-1"  # which allows any bytes
            self._decoder = codecs.getincrementaldecoder(encoding)()
        try:
            self._decoder.decode(payload)
        except UnicodeDecodeError:
            self._write_close(CloseCode.INVALID_DATA, "")
            return
        if self._n_fragments > MAX_FRAGMENTS:
            self._close(CloseCode.POLICY_VIOLATION, "too_many_fragments")

    def _pass_on(self) -> int:
        """Hand uvicorn what comes before and after the session; return how many bytes."""
        if not self._may_write:  # it would answer pings that the client does not read
            return len(self._unread)
        piece = self._unread[: PIECE_BYTES if self.has_handshake else None]
        self._uvicorn.data_received(bytes(piece))
        return len(piece)

    def _must_wait(self) -> bool:
        """Whether what has come has to wait: reading is paused, or others have their turn."""
        if not self._paused and self.peer.has_time(FRAMES_S):
            return False
        if not self._paused:
            self._go_on_later()
        return True

    def _go_on_later(self) -> None:
        """Go on in the next turn of the event loop, and read nothing until then."""
        self.transport.pause_reading()
        if not self._is_waiting:
            self._is_waiting = True
            self.peer.run_later(self._go_on)

    def _go_on(self) -> None:
        """Take at least one of the frames that wait, then read on if no more do."""
        self._is_waiting = False
        if self._paused or self.transport.is_closing():
            return
        self._work_off()
        self._hold()
        if not self._paused and not self._is_waiting and not self.transport.is_closing():
            self.transport.resume_reading()

    def _hold(self) -> None:
        """Count what waits as held for the client; close if its unfinished frames are too much.

        Whole frames wait because of us, and nothing is read meanwhile.
        """
        grown = len(self._unread) - self._held_bytes
        self._held_bytes += grown
        is_unfinished = not self._paused and not self._is_waiting
        if grown and not self.peer.hold(grown) and is_unfinished:
            self._close(CloseCode.POLICY_VIOLATION, "too_much_unread")

    def pause_reading(self, user: str = "session") -> None:
        """Read no more until each user that has paused reading resumes it."""
        self._paused.add(user)
        self.transport.pause_reading()

    def resume_reading(self, user: str = "session") -> None:
        """Go on with the frames that wait, then with reading, unless another user has paused it."""
        self._paused.discard(user)
        if not self._paused and self._unread:
            self._go_on_later()
        elif not self._paused:
            self.transport.resume_reading()

    # Out

    @property
    def may_write(self) -> bool:
        """Whether writing need not wait."""
        return self._may_write and not self.transport.is_closing()

    def send_now(self, texts: Iterable[bytes]) -> bool:
        """Write texts in UTF-8, a frame for each, all at once, unless writing has to wait."""
        if not self.may_write:
            return False
        parts: list[bytes] = []
        for text in texts:
            parts += header(TEXT, len(text)), text
        self.transport.write(b"".join(parts))
        return True

    def pause_writing(self) -> None:
        self._may_write = False
        self._stall_timer = self._loop.call_later(self._settings.stall_timeout_s, self._cut_off)
        self._uvicorn.pause_writing()

    def resume_writing(self) -> None:
        self._may_write = True
        self._stop_stall_timer()
        if self._pong is not None:
            self._write(PONG, self._pong)
            self._pong = None
        self.peer.run(self._go_on_writing)

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()

    def _go_on_writing(self) -> None:
        """Let the session write what waits."""
        if self._may_write:
            self.peer.turn.spend(WRITING_S)
            self._uvicorn.resume_writing()

    def _write(self, kind: int, payload: bytes) -> None:
        self.transport.write(header(kind, len(payload)) + payload)

    # Whether the client is there

    def _answer_ping(self, payload: bytes) -> None:
        """Answer a ping; while writing has to wait, only the newest is kept (RFC 6455, 5.5.3)."""
        if self._may_write:
            self._write(PONG, payload)
        else:
            self._pong = payload

    def _check_in(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._check)

    def _check(self) -> None:
        """Ping the client; end the connection if nothing has changed since the check before.

        While reading is paused, pongs are not read either. That ends, because the engine reaches
        the columns of every session, and a client that does not read is cut off.
        """
        has_session = self.listener is not None and not self.transport.is_closing()
        is_unchanged = has_session == self._had_session
        if is_unchanged and not has_session:
            self._cut_off()
        elif is_unchanged and not self._paused and not self._is_waiting:
            self._close(CloseCode.INTERNAL_ERROR, "ping_timeout")
        else:
            if has_session and not is_unchanged:
                self._write(PING, b"")
            self._had_session = has_session
            self._check_in(self._settings.ping_timeout_s)

    def _close(self, code: CloseCode, reason: str) -> None:
        """Close by a rule of ours, which is counted."""
        self.peer.refused(reason)
        self._write_close(code, reason)

    def _write_close(self, code: CloseCode, reason: str) -> None:
        self._write(CLOSE, code.to_bytes(2) + reason.encode())
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


@lru_cache(1024)
def header(kind: int, length: int) -> bytes:
    """Return the header of a whole frame of a server (RFC 6455, 5.2); `kind` is its first byte."""
    if length < 126:
        return bytes((kind, length))
    if length < 65_536:
        return bytes((kind, 126)) + length.to_bytes(2)
    return bytes((kind, 127)) + length.to_bytes(8)

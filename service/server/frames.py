"""WebSocket frames between a socket, the session and uvicorn's own WebSocket protocol.

Messages go to the session at once. Left to uvicorn are the handshake, the close, and what RFC 6455
forbids. What a client may make the server do in one turn of the event loop is bounded: the frames
that are left wait for the next turn, and nothing is read meanwhile.
"""

import asyncio
import socket
import weakref
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, Final, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, apply_mask  # type: ignore[attr-defined]  # the mask in C

from inkstream.service.server.connections import Peer
from inkstream.service.settings import Settings
from inkstream.service.websocket import DIRECT

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A  # whole frames: RFC 6455, 5.2
WHOLE: Final = 0x80  # set in the last frame of a message
FIRST, NEXT = {0x01, 0x02}, {0x80, 0x00}  # frames that begin a message of several, or continue it
MAX_CONTROL_BYTES: Final = 125  # RFC 6455, 5.5
# The system doubles it, and a client can send so much ahead, which one turn may have to read.
RECEIVE_BYTES: Final = 16 * 1024
MAX_UNREAD_BYTES: Final = 32 * 1024 * 1024  # of a client's WebSocket frames that are not whole
FRAMES_S: Final = 0.001  # a turn, for the frames of a client behind the first one of each read
FIRST_FRAMES_S: Final = 0.003  # a turn, for all frames of a client
WRITING_S: Final = 0.002  # to write the messages of a client that has begun to read again


class WebSocketConnection(asyncio.Protocol):
    """A `DirectConnection` of `websocket`, with the bounds of what its client may do."""

    peer: Peer

    def __init__(self, config: Any, server_state: ServerState, app_state: Any) -> None:
        # The application gets this connection in its scope. The reference is weak, as are all that
        # would make cycles: to collect those of 500 sessions stops the event loop for 50 ms.
        state = {**app_state, DIRECT: weakref.ref(self)}
        self.uvicorn = WebSocketsSansIOProtocol(config, server_state, state)
        self._settings: Settings = config.settings
        self._max_bytes = self._settings.max_frame_bytes
        self._unread = bytearray()  # frames that wait, or the beginning of one
        # A default of the class would take longer to look up.
        self.listener: Callable[[str | bytes], None] | None = None
        self._fragments: bytearray | None = None  # of the message that is not complete
        self._counted_bytes = 0  # of fragments and unread frames together, as the peer counts them
        self._is_paused = False  # by the session
        self._is_waiting = False  # for the next turn, to go on with frames that have come
        self._may_write = True
        self._pong: bytes | None = None  # to be written once the client took what was written
        self._had_session: bool | None = None  # what the last check saw; None after an answer
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._settings.ping_interval_s, self._check)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        accepted = transport.get_extra_info("socket")
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self.uvicorn.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self.peer.unread_bytes -= self._counted_bytes
        self.peer.left()
        self.peer.run(partial(self._end, exc))

    def _end(self, exc: Exception | None) -> None:
        """Let uvicorn end the connection, and break its reference cycles."""
        self.peer.turn.spend(0.0003)  # for the application to end a session, in later turns
        self.uvicorn.connection_lost(exc)
        self.uvicorn.conn.parser.close()

    # In

    def data_received(self, data: bytes) -> None:
        if self.listener is None and not self.uvicorn.handshake_initiated:
            self.uvicorn.data_received(data)
            return
        has_time = self.peer.has_time(FIRST_FRAMES_S)
        length = len(data) - 6
        if has_time and 0 <= length < 126 and data[0] == BINARY and data[1] == 0x80 + length:
            # One short message, as of one column: it need not wait among unread frames.
            is_next = not self._unread and self._fragments is None and not self._is_paused
            if is_next and self.listener is not None:
                self.listener(apply_mask(data[6:], data[2:6]))
                return
        self._unread += data
        if not self.uvicorn.handshake_complete:
            self.transport.pause_reading()  # until there is a session
        elif not has_time:
            self._go_on_later()
        elif not self._is_waiting:
            self._take_frames()

    def _count_unread(self) -> None:
        """Count the bytes of incomplete frames and messages; close if the client has too many."""
        n_bytes = len(self._unread) + len(self._fragments or b"")
        self.peer.unread_bytes += n_bytes - self._counted_bytes
        self._counted_bytes = n_bytes
        is_too_much = self.peer.unread_bytes > MAX_UNREAD_BYTES and not self.peer.is_proxy
        if is_too_much and not self.transport.is_closing():
            self.peer.refused("too_much_unread")
            self._close(CloseCode.POLICY_VIOLATION, b"too_much_unread")

    def _hand_over(self, kind: int, payload: bytes) -> None:
        """Give a message to the session unless it has ended; close if a text is not UTF-8."""
        try:
            message = payload.decode() if kind == TEXT else payload
        except UnicodeDecodeError:
            self._close(CloseCode.INVALID_DATA)
        else:
            if self.listener is not None:
                self.listener(message)

    def _take_frames(self) -> None:
        """Take what has come, until a frame is not complete or others have their turn."""
        while self._unread and not self._is_paused and (n_bytes := self._take_frame()):
            del self._unread[:n_bytes]
            if self.transport.is_closing():
                break
            if self._unread and not self.peer.has_time(FRAMES_S):
                self._go_on_later()
                break
        if self._unread or self._fragments or self._counted_bytes:
            self._count_unread()

    def _take_frame(self) -> int:
        """Take a frame as in RFC 6455, 5.2; return its length, or 0 if it is not whole."""
        data = self._unread
        if len(data) < 2:
            return 0
        kind, length, start = data[0], data[1] - 0x80, 6  # without a mask the length is below 0
        if length >= 126:
            start += 2 if length == 126 else 8
            if len(data) < start - 4:  # bytes of the mask
                return 0
            length = int.from_bytes(data[2 : start - 4])
        end = start + length
        n_before = len(self._fragments or b"")
        is_known = kind & 0x0F in {0x0, 0x1, 0x2, 0x8, 0x9, 0xA}
        if not is_known or not 0 <= length <= self._max_bytes - n_before:
            self._leave_to_uvicorn(kind, bytes(data))  # it refuses the frame by its header
            return len(data)
        if end > len(data):
            return 0
        payload = apply_mask(data[start:end], data[start - 4 : start])
        if kind in (TEXT, BINARY) and self._fragments is None:
            self._hand_over(kind, payload)
        elif kind in (FIRST if self._fragments is None else NEXT):
            self._take_fragment(kind, payload)
        elif kind == PING and length <= MAX_CONTROL_BYTES:
            self._answer_ping(payload)
        elif kind == PONG and length <= MAX_CONTROL_BYTES:
            self._had_session = None
            self._check_in(self._settings.ping_interval_s)
        else:
            self._leave_to_uvicorn(kind, bytes(data[:end]))
        return end

    def _take_fragment(self, kind: int, payload: bytes) -> None:
        """Keep a fragment of a message until the last one comes."""
        if self._fragments is None:
            self._fragments, self._kind = bytearray(), kind | WHOLE
        self._fragments += payload
        if kind & WHOLE:
            payload, self._fragments = bytes(self._fragments), None
            self._hand_over(self._kind, payload)

    def _leave_to_uvicorn(self, kind: int, data: bytes) -> None:
        """Hand uvicorn a close, or a frame that is not allowed, which it answers by a close."""
        is_amid = self._fragments is not None and kind != CLOSE  # a close may come amid fragments
        self.uvicorn.conn.current_size = len(self._fragments or b"") if is_amid else None
        self.uvicorn.data_received(data)

    def _go_on_later(self) -> None:
        """Go on in the next turn of the event loop, and read nothing until then."""
        self.transport.pause_reading()
        if not self._is_waiting:
            self._is_waiting = True
            self.peer.run_later(self._go_on)

    def _go_on(self) -> None:
        """Take at least one of the frames that wait, then read on if no more do."""
        self._is_waiting = False
        if self.transport.is_closing():
            return
        self._take_frames()
        if not self._is_waiting and not self._is_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def pause_reading(self) -> None:
        """Read no more."""
        self._is_paused = True
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on with the frames that wait, then with reading."""
        self._is_paused = False
        self._had_session = None  # its pong may wait among them: the next check pings once more
        if self._unread:
            self._go_on_later()
        else:
            self.transport.resume_reading()

    # Out

    def send_now(self, texts: Iterable[bytes]) -> bool:
        """Write texts in UTF-8, a frame for each, all at once, unless writing has to wait."""
        if not self._may_write or self.transport.is_closing():
            return False
        parts: list[bytes] = []
        for text in texts:
            parts += header(TEXT, len(text)), text
        self.transport.write(b"".join(parts))
        return True

    def pause_writing(self) -> None:
        self._check_in(self._settings.stall_timeout_s)
        self._may_write = False
        self.uvicorn.pause_writing()

    def resume_writing(self) -> None:
        self._may_write = True
        self._check_in(self._settings.ping_interval_s)
        if self._pong is not None:
            self._answer_ping(self._pong)
            self._pong = None
        self.peer.run(self._go_on_writing)

    def _go_on_writing(self) -> None:
        """Let the session write what waits."""
        if self._may_write:
            self.peer.turn.spend(WRITING_S)
            self.uvicorn.resume_writing()

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
        if self._may_write:  # else the client's time to take what was written goes on
            self._timer.cancel()
            self._timer = self._loop.call_later(seconds, self._check)

    def _check(self) -> None:
        """Ping the client; end the connection if nothing has changed since the check before.

        While reading is paused, pongs are not read either. That ends, because the engine reaches
        the columns of every session, and a client that does not read is cut off.
        """
        has_session = self.listener is not None and not self.transport.is_closing()
        is_unchanged = has_session == self._had_session
        if not self._may_write or (is_unchanged and not has_session):
            self.peer.refused("stalled")
            self.transport.abort()
        elif is_unchanged and not self._is_paused and not self._is_waiting:
            self.peer.refused("ping_timeout")
            self._close(CloseCode.INTERNAL_ERROR, b"ping_timeout")
        else:
            if not is_unchanged and has_session:
                self._write(PING, b"")
            self._had_session = has_session
            self._check_in(self._settings.ping_timeout_s)

    def _close(self, code: CloseCode, reason: bytes = b"") -> None:
        self._write(CLOSE, code.to_bytes(2) + reason)
        self.transport.close()


@lru_cache(1024)
def header(kind: int, length: int) -> bytes:
    """Return the header of a whole frame of a server (RFC 6455, 5.2); `kind` is its first byte."""
    if length < 126:
        return bytes((kind, length))
    if length < 65_536:
        return bytes((kind, 126)) + length.to_bytes(2)
    return bytes((kind, 127)) + length.to_bytes(8)

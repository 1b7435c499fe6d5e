"""A WebSocket client that may break the protocol: it writes any bytes and hangs up at any time."""

import base64
import contextlib
import os
import socket

from tests.helpers import raw_http
from tests.helpers.engine_sessions import DEADLINE_S

BINARY, TEXT, CLOSE = 0x82, 0x81, 0x88
MASK = bytes(4)  # zeros: the masked payload is the payload


def frame(payload: bytes, kind: int = BINARY, mask: bytes = MASK) -> bytes:
    """Return one frame of a client (RFC 6455, 5.2)."""
    length = len(payload)
    if length < 126:
        size = bytes([0x80 | length])
    elif length < 65_536:
        size = b"\xfe" + length.to_bytes(2)
    else:
        size = b"\xff" + length.to_bytes(8)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([kind]) + size + mask + masked


class RawClient:
    """A connection that has been upgraded."""

    def __init__(
        self,
        port: int,
        query: str = "",
        receive_buffer_bytes: int = 0,
        address: str = "127.0.0.1",  # the client's own
        headers: str = "",  # more of them, each with its line end
    ) -> None:
        self.socket = socket.socket()
        self.socket.bind((address, 0))
        self.socket.settimeout(DEADLINE_S)
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a packet for each write
        self.kind = 0  # first byte of the newest frame
        self._unread = b""
        try:
            self._open(port, query, headers)
        except BaseException:
            self.socket.close()
            raise

    def _open(self, port: int, query: str, headers: str) -> None:
        self.socket.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /v1/stream{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n{headers}\r\n".encode()
        )
        while b"\r\n\r\n" not in self._unread:
            if not (data := self.socket.recv(65_536)):
                raise EOFError
            self._unread += data
        self.head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        assert b" 101 " in self.head, self.head

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Write any bytes."""
        self.socket.sendall(data)

    def read(self) -> bytes:
        """Return the payload of the next frame and set `kind`; raise EOFError at the end."""
        self.kind, length = self._exactly(2)
        if length == 126:
            length = int.from_bytes(self._exactly(2))
        return self._exactly(length)

    def read_to_the_end(self) -> None:
        """Read until the server closes or hangs up."""
        with contextlib.suppress(EOFError, ConnectionError):
            while self.kind != CLOSE:
                self.read()

    def reset(self) -> None:
        """Hang up with a TCP reset, without a close frame."""
        raw_http.reset(self.socket)

    def _exactly(self, n_bytes: int) -> bytes:
        while len(self._unread) < n_bytes:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError
            self._unread += data
        data, self._unread = self._unread[:n_bytes], self._unread[n_bytes:]
        return data

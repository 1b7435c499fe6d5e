"""HTTP by a raw socket: any bytes, at any time."""

import contextlib
import socket
import struct

from tests.helpers.engine_sessions import DEADLINE_S

HANDSHAKE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: [::1]\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
BAD_HANDSHAKES = {  # which websockets does not parse
    "cookie": HANDSHAKE[:-2] + b"Cookie: " + b"c" * 9000 + b"\r\n\r\n",
    "url": HANDSHAKE.replace(b"stream", b"stream?x=" + b"u" * 9000),
    "fields": HANDSHAKE[:-2] + b"A: b\r\n" * 130 + b"\r\n",
    "body": HANDSHAKE[:-2] + b"Transfer-Encoding: chunked\r\n\r\n",
}


def connected(port: int, address: str = "127.0.0.1") -> socket.socket:
    """Return a connection to a server on this machine, from any of its addresses."""
    return socket.create_connection(("127.0.0.1", port), DEADLINE_S, (address, 0))


def read_all(connection: socket.socket) -> bytes:
    """Read until the server hangs up."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65_536):
            data += chunk
    return data


def reset(connection: socket.socket) -> None:
    """Hang up with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()

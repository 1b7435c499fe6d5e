"""Which clients are admitted, by WebSocket and REST: keys, web origins, and how many at once."""

import asyncio
import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from inkstream.service.metrics import Metrics
from inkstream.service.protocol.errors import (
    ClientFullError,
    OriginError,
    ServerFullError,
    StoppingError,
    UnauthorizedError,
)
from inkstream.service.protocol.server_messages import Limits
from inkstream.service.settings import Settings

BEARER: Final = "bearer "
KEY_SUBPROTOCOL: Final = "key."
ID_BYTES: Final = 9  # 72 random bits: ids of a server's whole life do not collide
CLOSING_S: Final = 1.0  # for the last messages and the close

SendGoaway = Callable[[float], None]  # called with the seconds that are left; 0: end now


class Access:
    """Check credentials and origins. Keys are kept as digests and compared in constant time."""

    def __init__(self, settings: Settings) -> None:
        self._digests = [_digest(key.get_secret_value()) for key in settings.api_keys]
        self._origins = frozenset(settings.origins)

    def check_key(self, authorization: str | None, subprotocols: Iterable[str] = ()) -> None:
        """Raise `UnauthorizedError` unless one of the keys came, or none is needed.

        Args:
            authorization: the header of that name; `Bearer KEY` counts.
            subprotocols: those offered for a WebSocket; `key.KEY` counts, for browsers.
        """
        if not self._digests:
            return
        keys = [
            name.removeprefix(KEY_SUBPROTOCOL)
            for name in subprotocols
            if name.startswith(KEY_SUBPROTOCOL)
        ]
        if authorization is not None and authorization.lower().startswith(BEARER):
            keys.append(authorization[len(BEARER) :].strip())
        if not keys:
            raise UnauthorizedError(
                "no key came, expected the header `Authorization: Bearer KEY`"
                " or the WebSocket subprotocols `inkstream.v1, key.KEY`"
            )
        digests = [_digest(key) for key in keys]
        matches = [
            hmac.compare_digest(digest, known) for digest in digests for known in self._digests
        ]
        if not any(matches):  # after all were compared
            raise UnauthorizedError("the key that came is not one of this server's")

    def check_origin(self, origin: str | None, host: str | None) -> None:
        """Raise `OriginError` for a web page of an origin that is not allowed.

        Args:
            origin: the header of that name; only browsers send it, so a missing one is allowed.
            host: the header of that name: the origin of the server's own pages.
        """
        if origin is None or "*" in self._origins or origin.lower() in self._origins:
            return
        if host and origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return
        raise OriginError(
            f"origin {origin[:100]} is not allowed; INKSTREAM_ORIGINS lists those that are"
        )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class Sessions:
    """The open sessions: how many are admitted, and how they end when the server stops.

    A session is counted inside a `with` block and nowhere else, so that it is no longer counted
    however it ends: by an error, a lost connection or a cancelled task.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._open: dict[str, SendGoaway] = {}
        self._per_client: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()
        self.stopping = False

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def admit(self, client: str, send_goaway: SendGoaway = lambda _: None) -> Iterator[str]:
        """Count one session of the address `client` while the block runs; yield its id.

        `send_goaway` is called when the server is about to stop, and again when it stops; a request
        needs none, since the server waits for its answer. Raises `ServerFullError`,
        `ClientFullError` or `StoppingError`; then nothing is counted.
        """
        if self.stopping:
            raise StoppingError("the server is about to stop")
        if len(self) >= self._limits.max_sessions:
            raise ServerFullError(f"{len(self)} sessions are connected, all that are allowed")
        own = self._per_client[client]
        if own >= self._limits.max_sessions_per_client:
            raise ClientFullError(f"{own} sessions of {client} are connected, all that are allowed")
        session_id = secrets.token_urlsafe(ID_BYTES)
        self._open[session_id] = send_goaway
        self._per_client[client] += 1
        self._empty.clear()
        self._metrics.sessions(len(self))
        try:
            yield session_id
        finally:
            del self._open[session_id]
            self._per_client[client] -= 1
            if not self._per_client[client]:
                del self._per_client[client]
            if not self._open:
                self._empty.set()
            self._metrics.sessions(len(self))

    async def emptied(self) -> None:
        """Wait until no session is open."""
        await self._empty.wait()

    async def drain(self, time_left_s: float) -> None:
        """Admit no more sessions and send `goaway` to all; return when they have ended.

        Sessions that are still open when the time is up are ended then.
        """
        self.stopping = True
        for left_s, patience_s in ((time_left_s, time_left_s), (0.0, CLOSING_S)):
            for send_goaway in list(self._open.values()):
                send_goaway(left_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self.emptied()

"""Which clients are admitted, by WebSocket and REST: names, keys, origins, and how many at once."""

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import product
from typing import Final

from inkstream.service.observe.metrics import Metrics
from inkstream.service.protocol.errors import (
    ClientFullError,
    ForwardedError,
    HostError,
    OriginError,
    ServerFullError,
    StoppingError,
    UnauthorizedError,
)
from inkstream.service.protocol.server_messages import Limits
from inkstream.service.sealing import Sealer, SealError
from inkstream.service.settings import Settings, host_name, is_loopback

KEY_SUBPROTOCOL: Final = "key."
SEAL_PREFIX: Final = "token."
# A client that goes on elsewhere has the server there read up to 512 columns again: 45 ms.
GOAWAY_EVERY_S: Final = 0.05
GOAWAY_SHARE: Final = 0.25  # of the time for the drain, after which all have got it

SendGoaway = Callable[[float], None]  # called with the seconds that are left; 0: end now


class Access:
    """Check names, keys and origins. Keys are kept as digests and compared in constant time."""

    def __init__(self, settings: Settings, tokens: Sealer) -> None:
        self._tokens = tokens  # seals them
        self._token_lifetime_s = settings.token_lifetime_s
        self._digests = [_digest(key.get_secret_value()) for key in settings.api_keys]
        self._origins = frozenset(settings.origins)
        self._hosts = frozenset(settings.allowed_hosts)
        self._domains = tuple(host[1:] for host in self._hosts if host.startswith("*."))
        self._behind_proxy = bool(settings.trusted_proxies)

    def check_addresses(self, host: str | None, client: str | None) -> None:
        """Raise unless the server is called by a name of its own, and the client has an address.

        A web page of another site whose name was made to lead here (DNS rebinding) is of the origin
        that it calls, for the browser and for `check_origin`. Only the name tells it apart.

        `host` is the header of that name; only old programs send none, and no browser. Raises
        `HostError`, or `ForwardedError` for a `client` from a trusted proxy that is no address.
        """
        if host is not None and not self._is_own(host_name(host)):
            raise HostError(
                f"host {host[:100]} is not allowed; INKSTREAM_HOSTS lists those that are"
            )
        if self._behind_proxy and client is not None and not _is_address(client):
            raise ForwardedError(f"X-Forwarded-For is {client[:100]}, expected an address")

    def _is_own(self, name: str | None) -> bool:
        return "*" in self._hosts or (
            name is not None
            and (is_loopback(name) or name in self._hosts or name.endswith(self._domains))
        )

    def check_key(
        self, authorization: str | None, subprotocols: Iterable[str] = (), *, tokens: bool = True
    ) -> bytes:
        """Return the digest of the key that came, or nothing where none is needed.

        It comes in the header `Authorization: Bearer KEY`, or, from browsers, as the WebSocket
        subprotocol `key.KEY`. With `tokens` a token counts as the key that it stands for. Raises
        `UnauthorizedError` if no key came, or another one.
        """
        if not self._digests:
            return b""
        prefix = KEY_SUBPROTOCOL
        keys = [name.removeprefix(prefix) for name in subprotocols if name.startswith(prefix)]
        scheme, space, key = (authorization or "").partition(" ")
        if scheme.lower() == "bearer" and space:
            keys.append(key.strip())
        if not keys:
            raise UnauthorizedError(
                "no key came, expected the header `Authorization: Bearer KEY`"
                " or the WebSocket subprotocols `inkstream.v1, key.KEY`"
            )
        matches = self._known(_digest(key) for key in keys)
        if tokens and not matches:
            matches = self._known(self._key_of(key) for key in keys if key.startswith(SEAL_PREFIX))
        if not matches:
            raise UnauthorizedError("the key that came is not one of this server's")
        return matches[0]

    def _known(self, digests: Iterable[bytes]) -> list[bytes]:
        """Return the digests that are of this server's keys; each is compared with all of them."""
        pairs = product(digests, self._digests)
        return [digest for digest, known in pairs if hmac.compare_digest(digest, known)]

    def new_token(self, credential: bytes) -> tuple[str, float]:
        """Return a token for whoever has no key, and for how many seconds it is good.

        It stands for the key whose digest `credential` is, and is void once that key is.
        """
        seal = self._tokens.seal(credential, b"", self._token_lifetime_s)
        base64url = str.maketrans("+/", "-_", "=")  # as a subprotocol needs
        return SEAL_PREFIX + seal.translate(base64url), self._token_lifetime_s

    def _key_of(self, token: str) -> bytes:
        """Return the digest of the key that a token stands for; raise `UnauthorizedError`."""
        seal = token.removeprefix(SEAL_PREFIX)
        try:
            return self._tokens.open(seal + "=" * (-len(seal) % 4), b"")
        except SealError as error:
            raise UnauthorizedError(f"the token that came cannot be used: {error}") from error

    def check_origin(self, origin: str | None, host: str | None) -> None:
        """Raise `OriginError` for a web page of an origin that is not allowed.

        Both are the headers of these names. Only browsers send `origin`, so it may be missing;
        `host` is the origin of the server's own pages.
        """
        if origin is None or "*" in self._origins or origin.lower() in self._origins:
            return
        if host and origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return
        raise OriginError(
            f"origin {origin[:100]} is not allowed; INKSTREAM_ORIGINS lists those that are"
        )


def _is_address(text: str) -> bool:
    """Return whether this is an address without a zone, which may be any text (RFC 4007, 11)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def network_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, a /64 network of IPv6 (RFC 6177).

    A text that is no address, of a proxy for example, is returned as it is.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


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
        self.stopping = False  # it drains: sessions that come now are told so at once
        self.stopped = False  # no session is admitted
        self._end_s = 0.0  # of the drain, on the loop's clock

    def __len__(self) -> int:
        return len(self._open)

    def check_room(self) -> None:
        """Raise `ServerFullError` if no session more is allowed."""
        if len(self) >= self._limits.max_sessions:
            raise ServerFullError(f"{len(self)} sessions are connected, all that are allowed")

    def check(self, client: str) -> None:
        """Raise what `admit` would raise for a session of the address `client`."""
        client = network_of(client)
        if self.stopped:
            raise StoppingError("the server has stopped")
        self.check_room()
        count = self._per_client[client]
        if count >= self._limits.max_sessions_per_client:
            raise ClientFullError(
                f"{count} sessions of {client} are connected, all that are allowed"
            )

    @contextmanager
    def admit(self, client: str, send_goaway: SendGoaway) -> Iterator[str]:
        """Count one session of the address `client` while the block runs; yield its id.

        The addresses of a network are one client. `send_goaway` is called when the server is about
        to stop, and again when it stops. Raises `ServerFullError`, `ClientFullError` or
        `StoppingError`; then nothing is counted.
        """
        self.check(client)
        client = network_of(client)
        session_id = secrets.token_urlsafe(9)  # ids of a server's whole life do not collide
        self._open[session_id] = send_goaway
        self._per_client[client] += 1
        self._empty.clear()
        self._metrics.sessions(len(self))
        if self.stopping:  # its connection was accepted before
            asyncio.get_running_loop().call_soon(self._send_goaway, session_id)
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

    @asynccontextmanager
    async def admit_request(self, client: str) -> AsyncIterator[None]:
        """Count one request as a session while the block runs.

        Raises as `admit` does, and `StoppingError` out of the block when the server stops, which
        has let it run for the drain timeout.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as until_stopped:

                def end_if_stopped(time_left_s: float) -> None:
                    if time_left_s <= 0:
                        until_stopped.reschedule(loop.time())

                with self.admit(client, end_if_stopped):
                    yield
        except TimeoutError:
            if not until_stopped.expired():
                raise
            raise StoppingError("the server has stopped") from None

    async def emptied(self) -> None:
        """Wait until no session is open."""
        await self._empty.wait()

    async def drain(self, time_left_s: float) -> None:
        """Send `goaway` to all sessions, one after the other; return when they have ended.

        Sessions that are still open when the time is up are ended then. A session that comes before
        gets its `goaway` at once: its client asked when this server still took connections.
        """
        loop = asyncio.get_running_loop()
        self.stopping = True
        self._end_s = loop.time() + time_left_s
        due_s = loop.time()
        pause_s = min(GOAWAY_EVERY_S, GOAWAY_SHARE * time_left_s / max(1, len(self)))
        for session_id in list(self._open):
            if session_id in self._open:
                self._send_goaway(session_id)
                due_s += pause_s
                if (early_s := due_s - loop.time()) > 0:  # else the loop is busy
                    await asyncio.sleep(early_s)
        await self._emptied_within(self._end_s - loop.time())
        self.stopped = True
        for send_goaway in list(self._open.values()):
            send_goaway(0.0)
        await self._emptied_within(0.25)  # for the last messages, or the answer to a request

    async def _emptied_within(self, patience_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self.emptied()

    def _send_goaway(self, session_id: str) -> None:
        if session_id in self._open:
            left_s = self._end_s - asyncio.get_running_loop().time()
            self._open[session_id](max(left_s, 0.0))

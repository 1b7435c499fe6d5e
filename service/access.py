"""Which clients are allowed: API keys and web origins, the same for WebSockets and REST."""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from inkstream.service.protocol.errors import OriginError, UnauthorizedError
from inkstream.service.settings import Settings

BEARER: Final = "bearer "
KEY_SUBPROTOCOL: Final = "key."


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
        if not any(self._is_known(_digest(key)) for key in keys):
            raise UnauthorizedError("the key that came is not one of this server's")

    def _is_known(self, digest: bytes) -> bool:
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches)  # after all were compared

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

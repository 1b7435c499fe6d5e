"""Who may come in: keys and origins, the same for WebSockets and REST."""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from inkstream.service.protocol.errors import OriginError, UnauthorizedError
from inkstream.service.settings import Settings

BEARER: Final = "bearer "
KEY_SUBPROTOCOL: Final = "key."


class Access:
    """Checks what a visitor shows. Keys are kept as digests and compared in constant time."""

    def __init__(self, settings: Settings) -> None:
        self._digests = [_digest(key.get_secret_value()) for key in settings.api_keys]
        self._origins = frozenset(settings.origins)

    def check_key(self, authorization: str | None, subprotocols: Iterable[str] = ()) -> None:
        """Raise `UnauthorizedError` unless one of the keys is shown, or none is needed.

        Args:
            authorization: the header of that name; `Bearer KEY` counts.
            subprotocols: those offered for a WebSocket; `key.KEY` counts, for browsers.
        """
        if not self._digests:
            return
        shown = [part.removeprefix(KEY_SUBPROTOCOL) for part in subprotocols if _is_key(part)]
        if authorization is not None and authorization.lower().startswith(BEARER):
            shown.append(authorization[len(BEARER) :].strip())
        if not shown:
            raise UnauthorizedError(
                "no key came, expected the header `Authorization: Bearer KEY`"
                " or the WebSocket subprotocols `inkstream.v1, key.KEY`"
            )
        if not any(self._is_known(key) for key in shown):
            raise UnauthorizedError("the key that came is not one of this server's")

    def _is_known(self, key: str) -> bool:
        digest = _digest(key)
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0  # all of them

    def check_origin(self, origin: str | None, host: str | None) -> None:
        """Raise `OriginError` if a web page of another origin asks, unless it is on the list.

        Args:
            origin: the header of that name; only browsers send it, so none is let in.
            host: the header of that name: where the server's own pages come from.
        """
        if origin is None or "*" in self._origins or origin.lower() in self._origins:
            return
        if host and origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return
        raise OriginError(
            f"origin {origin[:100]} is not allowed; INKSTREAM_ORIGINS lists those that are"
        )


def _is_key(subprotocol: str) -> bool:
    return subprotocol.startswith(KEY_SUBPROTOCOL)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()

"""Sealed texts: clients keep them, only servers with the same keys can read or make them.

A seal is the base64 text of a header and of an AES-256-GCM ciphertext (NIST SP 800-38D), which
authenticates both, and the credential of the client that it is for. The header holds the format,
the number of the key, the time of expiry and the nonce. The AES keys are derived from the
operator's texts by HKDF-SHA256 (RFC 5869), for each purpose another one.
"""

import secrets
import struct
import time
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from inkstream.model.errors import InputError

FORMAT: Final = 2
HEADER: Final = struct.Struct(">B4sQ12s")  # format, number of the key, expiry in seconds, nonce
AES_BYTES: Final = 32
NUMBER_BYTES: Final = 4  # of a key
MAX_CHARACTERS: Final = 1 << 20  # of a seal: a longer one is refused before it is decoded


class SealError(InputError):
    """A text is no seal that can be opened here; the message says why."""


class Sealer:
    """Seals content for one purpose, and opens it."""

    def __init__(
        self, keys: Sequence[str], purpose: str, clock: Callable[[], float] = time.time
    ) -> None:
        """Derive the AES keys from one or more texts of 32 random bytes: the first seals, all open.

        A seal for another `purpose` is refused.
        """
        self._ciphers: dict[bytes, AESGCM] = {}  # by the key's number, which says nothing of it
        for key in keys:
            size, info = NUMBER_BYTES + AES_BYTES, f"inkstream {purpose}".encode()
            derived = HKDF(SHA256(), size, salt=None, info=info).derive(key.encode())
            self._ciphers[derived[:NUMBER_BYTES]] = AESGCM(derived[NUMBER_BYTES:])
        self._first = next(iter(self._ciphers))
        self._clock = clock  # seconds since 1970

    def seal(self, content: bytes, client: bytes, lifetime_s: float) -> str:
        """Return content as a text that can be opened for so long, for this client's credential."""
        nonce = secrets.token_bytes(12)
        header = HEADER.pack(FORMAT, self._first, int(self._clock() + lifetime_s), nonce)
        sealed = self._ciphers[self._first].encrypt(nonce, content, header + client)
        return b64encode(header + sealed).decode()

    def open(self, text: str, client: bytes) -> bytes:
        """Return the content of a seal, also in base64url; raise `SealError` for any other text."""
        if len(text) > MAX_CHARACTERS:
            raise SealError(f"it has {len(text)} characters, allowed: {MAX_CHARACTERS}")
        try:
            data = urlsafe_b64decode(text)
            form, number, expiry_s, nonce = HEADER.unpack_from(data)
        except (ValueError, struct.error):
            raise SealError("it is no text that this service has sealed") from None
        if form != FORMAT:
            raise SealError("it is of another version of this service, or was never sealed by it")
        if number not in self._ciphers:
            raise SealError("it was sealed with a key that this server does not have")
        header, sealed = data[: HEADER.size], data[HEADER.size :]
        try:
            content = self._ciphers[number].decrypt(nonce, sealed, header + client)
        except InvalidTag:
            raise SealError("it is damaged, or was sealed for another client") from None
        if self._clock() >= expiry_s:
            raise SealError("it has expired")
        return content


def random_key() -> str:
    """Return a key for a server that was given none."""
    return secrets.token_urlsafe(AES_BYTES)

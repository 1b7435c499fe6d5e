"""Sealed texts: clients keep them, only servers with the same keys can read or make them.

A seal is the base64 text of a header and of an AES-256-GCM ciphertext (NIST SP 800-38D), which
authenticates both. The header holds the format, the number of the key, the time of expiry and the
nonce. In the ciphertext the digests of what the seal is bound to come first, then the content. The
AES keys are derived from the operator's texts by HKDF-SHA256 (RFC 5869), for each purpose its own.
"""

import hashlib
import secrets
import struct
import time
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from inkstream.model.errors import InkstreamError
from inkstream.service.protocol.errors import NotResumableError

FORMAT: Final = 1
HEADER: Final = struct.Struct(">B4sQ12s")  # format, number of the key, expiry in seconds, nonce
AES_BYTES: Final = 32
NUMBER_BYTES: Final = 4  # of a key
NONCE_BYTES: Final = 12
DIGEST_BYTES: Final = 16  # of each thing that a seal is bound to
MAX_CHARACTERS: Final = 1 << 20  # of a seal: a longer one is refused before it is decoded

Bound = Mapping[str, bytes]  # what a seal is bound to, each by its name in errors


class SealError(InkstreamError):
    """A text is no seal that can be opened here; the message says why."""


class Sealer:
    """Seals content for one purpose, and opens it."""

    def __init__(
        self, keys: Sequence[str], purpose: str, clock: Callable[[], float] = time.time
    ) -> None:
        """Derive the AES keys.

        Args:
            keys: the first seals, all open; at least one, of 32 random bytes or more.
            purpose: a seal for another purpose is refused.
            clock: seconds since 1970.
        """
        derived = [_derived(key, purpose) for key in keys]
        self._first = derived[0][0]
        self._ciphers = {number: AESGCM(key) for number, key in derived}
        self._clock = clock

    def seal(self, content: bytes, bound: Bound, lifetime_s: float) -> str:
        """Return content as a text that can be opened for so long."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        header = HEADER.pack(FORMAT, self._first, int(self._clock() + lifetime_s), nonce)
        cipher = self._ciphers[self._first]
        sealed = cipher.encrypt(nonce, _digests(bound) + content, header)
        return b64encode(header + sealed).decode()

    def open(self, text: str, bound: Bound) -> bytes:
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
        header, expected = data[: HEADER.size], _digests(bound)
        try:
            opened = self._ciphers[number].decrypt(nonce, data[HEADER.size :], header)
        except InvalidTag:
            raise SealError("it is damaged, or was sealed for something else") from None
        if self._clock() >= expiry_s:
            raise SealError("it has expired")
        for index, name in enumerate(bound):
            digest = slice(DIGEST_BYTES * index, DIGEST_BYTES * (index + 1))
            if not secrets.compare_digest(opened[digest], expected[digest]):
                raise SealError(f"it is of another {name}")
        return opened[len(expected) :]


def random_key() -> str:
    """Return a key for a server that was given none."""
    return secrets.token_urlsafe(AES_BYTES)


def _derived(key: str, purpose: str) -> tuple[bytes, bytes]:
    """Return the number of a key, which says nothing of it, and the key for AES."""
    kdf = HKDF(SHA256(), NUMBER_BYTES + AES_BYTES, salt=None, info=f"inkstream {purpose}".encode())
    derived = kdf.derive(key.encode())
    return derived[:NUMBER_BYTES], derived[NUMBER_BYTES:]


def _digests(bound: Bound) -> bytes:
    return b"".join(hashlib.sha256(value).digest()[:DIGEST_BYTES] for value in bound.values())


class SnapshotSealer:
    """Seals the snapshots of one model's sessions."""

    def __init__(self, sealer: Sealer, model: bytes) -> None:
        """Prepare; `model` is all that a state is of: the weights and the language models."""
        self._sealer = sealer
        self._model = model

    def seal(self, content: bytes, client: bytes, lifetime_s: float) -> str:
        """Return a snapshot for a client, by its credential, as a text."""
        return self._sealer.seal(content, self._bound(client), lifetime_s)

    def open(self, blob: str, client: bytes) -> bytes:
        """Return the content of a snapshot; raise `NotResumableError` with the reason."""
        try:
            return self._sealer.open(blob, self._bound(client))
        except SealError as error:
            raise NotResumableError(f"the blob cannot be used: {error}") from error

    def _bound(self, client: bytes) -> Bound:
        return {"model, or version of its weights": self._model, "client": client}

"""API keys and origins."""

import pytest

from inkstream.service.access import Access
from inkstream.service.protocol.errors import OriginError, UnauthorizedError
from inkstream.service.settings import Settings


def access(**settings: str) -> Access:
    return Access(Settings.load(**settings))


def test_without_keys_all_clients_are_allowed() -> None:
    access().check_key(None)
    access().check_key("Bearer whatever", ["key.whatever"])


@pytest.mark.parametrize("key", ["one", "two"])
def test_each_of_the_keys_is_accepted(key: str) -> None:
    access(api_keys="one,two").check_key(f"Bearer {key}")
    access(api_keys="one,two").check_key(None, ["inkstream.v1", f"key.{key}"])


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer on", "Bearer onetwo", "Basic one", "one"]
)
def test_nothing_else_is_accepted(authorization: str) -> None:
    with pytest.raises(UnauthorizedError):
        access(api_keys="one,two").check_key(authorization)


def test_a_key_is_never_repeated_in_an_error() -> None:
    with pytest.raises(UnauthorizedError) as caught:
        access(api_keys="right").check_key("Bearer wrong-key", ["key.another"])
    assert "wrong-key" not in str(caught.value)
    assert "another" not in str(caught.value)


def test_bytes_that_are_no_text_are_a_wrong_key() -> None:
    with pytest.raises(UnauthorizedError):
        access(api_keys="right").check_key(b"Bearer \xff\xfe".decode("latin-1"))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "ink.example"),
        ("https://a.example", "ink.example"),
        ("HTTPS://A.example", "ink.example"),
        ("http://ink.example:8000", "ink.example:8000"),
        ("https://ink.example", "Ink.Example"),
    ],
)
def test_listed_origins_and_the_servers_own_are_allowed(origin: str | None, host: str) -> None:
    access(origins="https://a.example").check_origin(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://b.example", "ink.example"),
        ("http://a.example", "ink.example"),
        ("https://a.example.evil.example", "ink.example"),
        ("http://ink.example:8001", "ink.example:8000"),
        ("null", "ink.example"),
        ("", ""),
        ("https://b.example", None),
        ("http://[", "ink.example"),
    ],
)
def test_other_origins_are_refused(origin: str, host: str | None) -> None:
    with pytest.raises(OriginError, match="is not allowed; INKSTREAM_ORIGINS lists"):
        access(origins="https://a.example").check_origin(origin, host)


def test_a_star_allows_all_origins() -> None:
    access(origins="*").check_origin("null", None)

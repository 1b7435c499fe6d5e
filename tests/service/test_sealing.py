"""Seals: what may be opened, where, by whom and until when, and the reason for all other texts."""

from base64 import b64decode, b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.service.sealing import MAX_CHARACTERS, Sealer, SealError, random_key

OLD, NEW = random_key(), random_key()
CLIENT = b"c"
NOW_S = 1_000_000.0


def sealer(*keys: str, purpose: str = "test", now_s: float = NOW_S) -> Sealer:
    return Sealer(keys or (OLD,), purpose, lambda: now_s)


def reason(text: str, by: Sealer, client: bytes = CLIENT) -> str:
    with pytest.raises(SealError) as caught:
        by.open(text, client)
    return str(caught.value)


@given(content=st.binary(max_size=500))
def test_what_was_sealed_is_opened_again_and_cannot_be_read(content: bytes) -> None:
    text = sealer().seal(content, CLIENT, 60)
    assert sealer().open(text, CLIENT) == content
    assert len(content) < 8 or content not in b64decode(text)
    assert text != sealer().seal(content, CLIENT, 60)


def test_the_first_key_seals_and_all_open() -> None:
    by_old, by_new = sealer(OLD).seal(b"x", CLIENT, 60), sealer(NEW, OLD).seal(b"x", CLIENT, 60)
    assert sealer(NEW, OLD).open(by_old, CLIENT) == b"x"
    assert sealer(NEW).open(by_new, CLIENT) == b"x"
    assert "with a key that this server does not have" in reason(by_new, sealer(OLD))
    assert "with a key that this server does not have" in reason(by_old, sealer(NEW))


def test_a_seal_holds_until_it_expires() -> None:
    text = sealer().seal(b"x", CLIENT, 60)
    assert sealer(now_s=NOW_S + 59).open(text, CLIENT) == b"x"
    assert reason(text, sealer(now_s=NOW_S + 60)) == "it has expired"


def test_a_seal_is_bound_to_a_client() -> None:
    text = sealer().seal(b"x", CLIENT, 60)
    for other in (b"", b"d", b"cc"):
        assert "for another client" in reason(text, sealer(), other)


def test_a_seal_for_another_purpose_is_refused() -> None:
    assert "does not have" in reason(sealer(purpose="other").seal(b"x", CLIENT, 60), sealer())


def test_every_changed_or_missing_byte_is_found() -> None:
    data = b64decode(sealer().seal(b"some content", CLIENT, 60))
    for at in range(len(data)):
        for changed in (bytes([*data[:at], data[at] ^ 1, *data[at + 1 :]]), data[:at]):
            assert reason(b64encode(changed).decode(), sealer()).startswith("it ")


def test_a_text_that_is_too_long_is_refused_unread() -> None:
    assert f"allowed: {MAX_CHARACTERS}" in reason("A" * (MAX_CHARACTERS + 1), sealer())


@given(text=st.text() | st.binary().map(lambda data: urlsafe_b64encode(data).decode()))
def test_any_other_text_is_refused(text: str) -> None:
    assert reason(text, sealer()).startswith("it ")

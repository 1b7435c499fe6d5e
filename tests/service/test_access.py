"""API keys, origins, and admission: exact counts of sessions, and `goaway` to each of them."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from inkstream.service.access import GOAWAY_EVERY_S, Access, Sessions
from inkstream.service.protocol.errors import (
    ClientFullError,
    ForwardedError,
    HostError,
    OriginError,
    ServerFullError,
    StoppingError,
    UnauthorizedError,
)
from inkstream.service.sealing import Sealer
from inkstream.service.settings import TOKEN_CHARACTERS, Settings
from tests.helpers.engine_sessions import DEADLINE_S, RecordingMetrics
from tests.helpers.single_session import LIMITS

FEW = LIMITS.model_copy(update={"max_sessions": 3, "max_sessions_per_client": 2})


KEY = "of the server, thirty-two characters"


def access(**settings: str) -> Access:
    return Access(Settings.load(**settings), Sealer([KEY], "token"))


def test_without_keys_all_clients_are_allowed() -> None:
    assert access().check_key(None) == b""
    assert access().check_key("Bearer whatever", ["key.whatever"]) == b""


@pytest.mark.parametrize("key", ["one", "two", "token.three"])
def test_each_of_the_keys_is_accepted(key: str) -> None:
    by_header = access(api_keys="one,two,token.three").check_key(f"Bearer {key}")
    by_subprotocol = access(api_keys="token.three,two,one").check_key(
        None, ["inkstream.v1", f"key.{key}"]
    )
    assert by_header == by_subprotocol == hashlib.sha256(key.encode()).digest()


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


# Tokens


def access_at(now_s: float, api_keys: str, sealing: Sequence[str] = (KEY,)) -> Access:
    """Return the access of a server that is asked at a time, with its keys."""
    return Access(Settings.load(api_keys=api_keys), Sealer(sealing, "token", lambda: now_s))


def test_a_token_counts_as_the_key_that_made_it() -> None:
    one = access(api_keys="one,two")
    credential = one.check_key("Bearer two", tokens=False)
    token, lifetime_s = one.new_token(credential)
    assert lifetime_s == 300
    assert one.check_key(f"Bearer {token}") == credential
    assert one.check_key(None, ["inkstream.v1", f"key.{token}"]) == credential
    assert set(token) <= TOKEN_CHARACTERS  # so it may be a subprotocol
    assert "two" not in token


def test_a_token_makes_no_tokens() -> None:
    one = access(api_keys="one")
    token, _ = one.new_token(one.check_key("Bearer one"))
    with pytest.raises(UnauthorizedError):
        one.check_key(f"Bearer {token}", tokens=False)


def test_a_token_expires() -> None:
    token, _ = access_at(1000.0, "one").new_token(access_at(1000.0, "one").check_key("Bearer one"))
    access_at(1298.0, "one").check_key(f"Bearer {token}")
    with pytest.raises(UnauthorizedError, match="it has expired"):
        access_at(1301.0, "one").check_key(f"Bearer {token}")


def test_a_token_is_void_once_its_key_is() -> None:
    before = access_at(0.0, "old,new")
    token, _ = before.new_token(before.check_key("Bearer old"))
    with pytest.raises(UnauthorizedError):
        access_at(1.0, "new").check_key(f"Bearer {token}")


def test_tokens_outlast_a_rotation_of_the_sealing_keys_until_the_old_one_is_gone() -> None:
    other = "another one, thirty-two characters"
    token, _ = access_at(0.0, "one").new_token(access_at(0.0, "one").check_key("Bearer one"))
    access_at(1.0, "one", [other, KEY]).check_key(f"Bearer {token}")
    with pytest.raises(UnauthorizedError, match="a key that this server does not have"):
        access_at(1.0, "one", [other]).check_key(f"Bearer {token}")


def test_forged_tokens_are_refused() -> None:
    one = access(api_keys="one")
    token, _ = one.new_token(one.check_key("Bearer one"))
    snapshot = Sealer([KEY], "snapshot").seal(one.check_key("Bearer one"), b"", 300)
    for forged in (
        *(f"{token[:i]}{'A' if token[i] != 'A' else 'B'}{token[i + 1 :]}" for i in range(6, 60)),
        *("token.", "token.x", "token." + "A" * 200, "token.ü", token + "A", token[:-4]),
        "token." + snapshot.rstrip("="),
    ):
        with pytest.raises(UnauthorizedError) as caught:
            one.check_key(f"Bearer {forged}")
        assert len(forged) < 20 or forged[6:] not in str(caught.value)


def test_bytes_that_are_no_text_are_a_wrong_key() -> None:
    with pytest.raises(UnauthorizedError):
        access(api_keys="right").check_key(b"Bearer \xff\xfe".decode("latin-1"))


def test_listed_origins_and_the_servers_own_are_allowed() -> None:
    listed = access(origins="https://a.example")
    for origin, host in (
        (None, "ink.example"),
        ("https://a.example", "ink.example"),
        ("HTTPS://A.example", "ink.example"),
        ("http://ink.example:8000", "ink.example:8000"),
        ("https://ink.example", "Ink.Example"),
    ):
        listed.check_origin(origin, host)
    access(origins="*").check_origin("null", None)


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


# Names and addresses

LOOPBACK = ["localhost", "LOCALHOST:8000", "a.localhost", "127.0.0.1", "127.8.0.1:80", "[::1]:8000"]


@pytest.mark.parametrize("host", [*LOOPBACK, "localhost.", None])
def test_names_of_this_machine_are_always_allowed(host: str | None) -> None:
    access().check_addresses(host, None)
    access(hosts="ink.example").check_addresses(host, None)
    access(host="0.0.0.0", hosts="ink.example").check_addresses(host, None)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "192.0.2.1", "[2001:db8::1]", "localhost.evil.example", "evillocalhost",
        "127.0.0.1.evil.example", "", ":8000", "[::1", "local host", "localhost@evil.example",
        "localhost/", "localhost:80:80", "a" * 60_000, "." * 60_000, "a." * 30_000,
    ],
)  # fmt: skip
def test_other_names_are_refused_on_loopback(host: str) -> None:
    with pytest.raises(HostError, match="is not allowed; INKSTREAM_HOSTS lists"):
        access().check_addresses(host, None)


def test_listed_names_and_those_below_listed_domains_are_allowed() -> None:
    listed = access(host="0.0.0.0", hosts="ink.example,*.Pad.example,192.0.2.1,[2001:db8::1]")
    for host in ("ink.example:80", "INK.example.", "a.b.pad.example", "192.0.2.1", "[2001:DB8::1]"):
        listed.check_addresses(host, None)
    for host in ("a.ink.example", "pad.example", "evilpad.example", "192.0.2.2", "*.pad.example"):
        with pytest.raises(HostError):
            listed.check_addresses(host, None)


@pytest.mark.parametrize("settings", [{"host": "0.0.0.0"}, {"hosts": "ink.example,*"}])
def test_any_name_is_allowed_off_loopback_and_by_a_star(settings: dict[str, str]) -> None:
    access(**settings).check_addresses("evil.example", None)


@pytest.mark.parametrize("client", ["192.0.2.1", "2001:db8::1", None])
def test_addresses_of_clients_are_accepted_from_a_proxy(client: str | None) -> None:
    access(trusted_proxies="10.0.0.0/8").check_addresses(None, client)


@pytest.mark.parametrize(
    "client", ["evil", "", "1.2.3.4.5", "x" * 10_000, "[::1", "unknown", "fe80::1%eth0"]
)
def test_a_proxy_that_forwards_no_address_is_refused(client: str) -> None:
    with pytest.raises(ForwardedError, match="expected an address"):
        access(trusted_proxies="10.0.0.0/8").check_addresses(None, client)


# Admission


class GoawayClient:
    """A client that keeps the times of its `goaway` messages."""

    def __init__(self) -> None:
        self.times_left_s: list[float] = []

    def goaway(self, time_left_s: float) -> None:
        self.times_left_s.append(time_left_s)


def ignore(_time_left_s: float) -> None:
    """Ignore a `goaway` message."""


async def test_a_session_counts_until_its_block_ends_however_it_ends() -> None:
    metrics = RecordingMetrics()
    sessions = Sessions(FEW, metrics)
    with sessions.admit("a", ignore) as one, sessions.admit("a", ignore) as other:
        assert len(sessions) == 2
        assert one != other  # their ids
    assert metrics.connected == [1, 2, 1, 0]
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), sessions.admit("a", ignore):
            raise ZeroDivisionError
    assert len(sessions) == 0

    async def stay() -> None:
        with sessions.admit("a", ignore):
            await asyncio.Event().wait()

    task = asyncio.create_task(stay())
    await asyncio.sleep(0)
    assert len(sessions) == 1
    task.cancel()
    await asyncio.wait([task])
    assert len(sessions) == 0


def test_the_sessions_of_a_client_and_of_all_are_bounded() -> None:
    sessions = Sessions(FEW, RecordingMetrics())
    with sessions.admit("a", ignore):
        with sessions.admit("a", ignore):
            with pytest.raises(ClientFullError, match="2 sessions of a are connected"):
                sessions.admit("a", ignore).__enter__()
            with (
                sessions.admit("b", ignore),
                pytest.raises(ServerFullError, match="3 sessions are connected, all that are all"),
            ):
                sessions.admit("c", ignore).__enter__()
        with sessions.admit("a", ignore):
            assert len(sessions) == 2


async def test_a_drain_ends_when_all_sessions_have_ended_and_then_none_is_admitted() -> None:
    sessions, client = Sessions(FEW, RecordingMetrics()), GoawayClient()
    with sessions.admit("a", client.goaway):
        drain = asyncio.create_task(sessions.drain(3600))
        await asyncio.sleep(0)
        assert sessions.stopping
        assert not drain.done()
    async with asyncio.timeout(DEADLINE_S):
        await drain
    assert client.times_left_s == pytest.approx([3600], abs=1)
    with pytest.raises(StoppingError):
        sessions.admit("b", ignore).__enter__()


async def test_a_session_that_comes_while_others_end_gets_its_goaway_at_once() -> None:
    sessions, late = Sessions(FEW, RecordingMetrics()), GoawayClient()
    with sessions.admit("a", ignore):
        drain = asyncio.create_task(sessions.drain(3600))
        await asyncio.sleep(0)
        with sessions.admit("b", late.goaway):
            await asyncio.sleep(0)
            (left_s,) = late.times_left_s
            assert 3590 < left_s <= 3600
        with sessions.admit("c", late.goaway):
            pass
        await asyncio.sleep(0)  # nobody is left to be told
    async with asyncio.timeout(DEADLINE_S):
        await drain
    assert late.times_left_s == [left_s]


async def test_sessions_that_stay_get_a_second_goaway_without_time_left() -> None:
    sessions, client = Sessions(FEW, RecordingMetrics()), GoawayClient()
    with sessions.admit("a", client.goaway):
        await sessions.drain(0.01)
        assert len(sessions) == 1
    assert client.times_left_s == pytest.approx([0.01, 0.0], abs=0.01)


@pytest.mark.parametrize("is_busy", [False, True])
async def test_goaways_come_one_after_the_other_within_a_share_of_the_time(is_busy: bool) -> None:
    limits = FEW.model_copy(update={"max_sessions": 8, "max_sessions_per_client": 8})
    sessions, clients = Sessions(limits, RecordingMetrics()), [GoawayClient() for _ in range(8)]

    async def work() -> None:
        while is_busy:
            time.sleep(0.05)  # noqa: ASYNC251 - as a flood takes the loop
            await asyncio.sleep(0)

    busy = asyncio.create_task(work())
    with ExitStack() as stack:
        for client in clients:
            stack.enter_context(sessions.admit("a", client.goaway))
        await sessions.drain(0.4)
    busy.cancel()
    first = [client.times_left_s[0] for client in clients]
    assert first == sorted(set(first), reverse=True)
    assert first[-1] > 0.2 or not is_busy
    assert all(client.times_left_s[1:] == [0.0] for client in clients)


async def test_a_session_that_has_ended_gets_no_goaway() -> None:
    sessions, clients = Sessions(FEW, RecordingMetrics()), [GoawayClient(), GoawayClient()]
    with sessions.admit("a", clients[0].goaway):
        with sessions.admit("b", clients[1].goaway):
            drain = asyncio.create_task(sessions.drain(3600))
            await asyncio.sleep(0)
        await asyncio.sleep(2 * GOAWAY_EVERY_S)
    async with asyncio.timeout(DEADLINE_S):
        await drain
    assert [len(client.times_left_s) for client in clients] == [1, 0]

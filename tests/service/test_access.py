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
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer on", "Bearer onetwo", "Basic one", "one", "Bearer \xff\xfe"],
)
def test_nothing_else_is_accepted_nor_repeated(authorization: str) -> None:
    with pytest.raises(UnauthorizedError) as caught:
        access(api_keys="one,two").check_key(authorization, ["key.another"])
    for word in ("another", "onetwo"):
        assert word not in str(caught.value)


@pytest.mark.parametrize("authorization", [None, "", "Basic one", "one"])
def test_the_error_where_no_key_came_says_how_one_comes(authorization: str | None) -> None:
    with pytest.raises(UnauthorizedError, match="no key came, expected the header"):
        access(api_keys="one").check_key(authorization)


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


def test_a_token_holds_for_its_time_while_its_key_and_what_sealed_it_do() -> None:
    other = "another one, thirty-two characters"
    then = access_at(1000.0, "one,two")
    token, _ = then.new_token(then.check_key("Bearer one"))
    for now_s, key, sealing in ((1298.0, "one", [KEY]), (1001.0, "one,three", [other, KEY])):
        access_at(now_s, key, sealing).check_key(f"Bearer {token}")
    for now_s, key, sealing, reason in (
        (1301.0, "one", [KEY], "it has expired"),
        (1001.0, "two", [KEY], "is not one of this server's"),
        (1001.0, "one", [other], "a key that this server does not have"),
    ):
        with pytest.raises(UnauthorizedError, match=reason):
            access_at(now_s, key, sealing).check_key(f"Bearer {token}")
    with pytest.raises(UnauthorizedError):  # a token makes no tokens
        then.check_key(f"Bearer {token}", tokens=False)


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


def test_an_address_must_come_from_a_trusted_proxy() -> None:
    behind = access(trusted_proxies="10.0.0.0/8")
    for client in ("192.0.2.1", "2001:db8::1", None):
        behind.check_addresses(None, client)
    for client in ("evil", "", "1.2.3.4.5", "x" * 10_000, "[::1", "unknown", "fe80::1%eth0"):
        with pytest.raises(ForwardedError, match="expected an address"):
            behind.check_addresses(None, client)


# Admission


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
    sessions, times_left_s = Sessions(FEW, RecordingMetrics()), list[float]()
    with sessions.admit("a", times_left_s.append):
        drain = asyncio.create_task(sessions.drain(3600))
        await asyncio.sleep(0)
        assert sessions.stopping
        assert not drain.done()
    async with asyncio.timeout(DEADLINE_S):
        await drain
    assert times_left_s == pytest.approx([3600], abs=1)
    with pytest.raises(StoppingError):
        sessions.admit("b", ignore).__enter__()


async def test_a_session_that_comes_while_others_end_gets_its_goaway_at_once() -> None:
    sessions, late_s = Sessions(FEW, RecordingMetrics()), list[float]()
    with sessions.admit("a", ignore):
        drain = asyncio.create_task(sessions.drain(3600))
        await asyncio.sleep(0)
        with sessions.admit("b", late_s.append):
            await asyncio.sleep(0)
            (left_s,) = late_s
            assert 3590 < left_s <= 3600
        with sessions.admit("c", late_s.append):
            pass
        await asyncio.sleep(0)  # nobody is left to be told
    async with asyncio.timeout(DEADLINE_S):
        await drain
    assert late_s == [left_s]


async def test_sessions_that_stay_get_a_second_goaway_without_time_left() -> None:
    sessions, times_left_s = Sessions(FEW, RecordingMetrics()), list[float]()
    with sessions.admit("a", times_left_s.append):
        await sessions.drain(0.01)
        assert len(sessions) == 1
    assert times_left_s == pytest.approx([0.01, 0.0], abs=0.01)


@pytest.mark.parametrize("is_busy", [False, True])
async def test_goaways_come_one_after_the_other_within_a_share_of_the_time(is_busy: bool) -> None:
    limits = FEW.model_copy(update={"max_sessions": 8, "max_sessions_per_client": 8})
    sessions = Sessions(limits, RecordingMetrics())
    times_left_s: list[list[float]] = [[] for _ in range(8)]

    async def work() -> None:
        while is_busy:
            time.sleep(0.05)  # noqa: ASYNC251 - as a flood takes the loop
            await asyncio.sleep(0)

    busy = asyncio.create_task(work())
    with ExitStack() as stack:
        for times_s in times_left_s:
            stack.enter_context(sessions.admit("a", times_s.append))
        await sessions.drain(0.4)
    busy.cancel()
    first = [times_s[0] for times_s in times_left_s]
    assert first == sorted(set(first), reverse=True)
    assert first[-1] > 0.2 or not is_busy
    assert all(times_s[1:] == [0.0] for times_s in times_left_s)


async def test_a_session_that_has_ended_gets_no_goaway() -> None:
    sessions = Sessions(FEW, RecordingMetrics())
    stays_s, leaves_s = list[float](), list[float]()
    with sessions.admit("a", stays_s.append):
        with sessions.admit("b", leaves_s.append):
            drain = asyncio.create_task(sessions.drain(3600))
            await asyncio.sleep(0)
        await asyncio.sleep(2 * GOAWAY_EVERY_S)
    async with asyncio.timeout(DEADLINE_S):
        await drain
    assert (len(stays_s), len(leaves_s)) == (1, 0)

"""A replica that listens itself, in this process and without a cluster."""

from collections.abc import Iterator

import pytest

from inkstream.model.errors import ConfigError
from inkstream.service.client.stream import connect_sync
from inkstream.service.settings import Settings

KEY = "of thirty-two characters or more"


@pytest.fixture(autouse=True)
def resume_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a key on this machine."""
    monkeypatch.setenv("INKSTREAM_RESUME_KEYS", KEY)


def settings(port: int, **values: object) -> str:
    """Return the settings of a replica, as it gets them."""
    from inkstream.service.ray_serve import without_keys

    given = {"models": "digits", "languages": "", "log_level": "error", "drain_timeout_s": 1.0}
    return without_keys(Settings.load(port=port, **given | values))


@pytest.fixture
def port() -> int:
    """Return a port that is free."""
    from inkstream.service.bench.processes import free_port

    return free_port()


@pytest.fixture
def replica(port: int) -> Iterator[object]:
    """Run a replica."""
    from inkstream.service.ray_serve import Replica

    replica = Replica(settings(port))
    yield replica
    replica.__del__()


def test_a_replica_answers_on_its_port_and_is_healthy(replica: object, port: int) -> None:
    with connect_sync(f"ws://127.0.0.1:{port}") as stream:
        assert len([*stream.send(bytes(28 * 4))]) == 4
        replica.check_health()  # type: ignore[attr-defined]
        stats = replica.record_autoscaling_stats()  # type: ignore[attr-defined]
        assert stats["sessions"] == 1
        assert 0 < stats["queue_wait_s"] < 5
        again = replica.record_autoscaling_stats()  # type: ignore[attr-defined]
        assert again["queue_wait_s"] == 0  # since then nothing was run


def test_replicas_share_a_port_and_a_session_moves_when_its_replica_drains(port: int) -> None:
    from inkstream.service.ray_serve import Replica

    first = Replica(settings(port))
    with connect_sync(f"ws://127.0.0.1:{port}") as stream:
        before = [result.column for result in stream.send(bytes(28 * 3))]
        second = Replica(settings(port))
        first.__del__()
        after = [result.column for result in stream.send(bytes(28 * 3))]
        assert before + after == [0, 1, 2, 3, 4, 5]
        assert stream.reconnected is not None
        assert second.record_autoscaling_stats()["sessions"] == 1
    second.__del__()
    with pytest.raises(Exception, match="ended"):
        second.check_health()


def test_a_replica_that_cannot_listen_says_why(port: int) -> None:
    from inkstream.model.errors import ConfigError
    from inkstream.service.ray_serve import Replica

    with pytest.raises(ConfigError, match="cannot listen"):
        Replica(settings(port, host="192.0.2.1"))


@pytest.mark.parametrize(
    ("sessions", "waits_s", "expected"),
    [
        ([], [], 0),
        ([10.0, 10.0], [0.0, 0.0], 2),
        ([10.0, 11.0], [0.0, 0.0], 3),
        ([1.0, 1.0], [0.3, 0.0], 3),  # few sessions, and the net is late
        ([1.0, 1.0], [0.1, 0.05], 1),
    ],
)
def test_more_replicas_are_wanted_for_more_sessions_or_a_longer_wait(
    sessions: list[float], waits_s: list[float], expected: int
) -> None:
    from inkstream.service.ray_serve import SessionsAndWait

    assert SessionsAndWait(10, 0.1).wanted(2, sessions, waits_s) == expected


def test_no_key_is_an_argument_of_a_replica(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    from ray import cloudpickle

    from inkstream.service.ray_serve import Arguments, app, proxied, with_keys

    monkeypatch.setenv("INKSTREAM_API_KEYS", "an-api-key")
    for build in (app, proxied):
        application = cloudpickle.dumps(build(Arguments()))
        assert b"an-api-key" not in application
        assert KEY.encode() not in application
    (key,) = with_keys(settings(port)).api_keys
    assert key.get_secret_value() == "an-api-key"


@pytest.mark.parametrize("name", ["INKSTREAM_API_KEYS", "INKSTREAM_RESUME_KEYS"])
def test_a_replica_whose_machine_lacks_the_keys_does_not_start(
    monkeypatch: pytest.MonkeyPatch, port: int, name: str
) -> None:
    from inkstream.service.ray_serve import Replica

    monkeypatch.setenv("INKSTREAM_API_KEYS", "an-api-key")
    handed_down = settings(port)
    monkeypatch.delenv(name)
    with pytest.raises(ConfigError, match=f"{name} has 0 keys on this machine, expected 1"):
        Replica(handed_down)


def test_replicas_without_a_key_in_common_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from inkstream.service.ray_serve import Arguments, app

    monkeypatch.delenv("INKSTREAM_RESUME_KEYS")
    with pytest.raises(ConfigError, match="INKSTREAM_RESUME_KEYS is not set"):
        app(Arguments())

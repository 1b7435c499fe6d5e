"""A replica that listens itself, in this process and without a cluster."""

from collections.abc import Iterator

import pytest

from inkstream.service.client import connect_sync
from inkstream.service.settings import Settings


def settings(port: int, **values: object) -> str:
    """Return the settings of a replica, as it gets them."""
    given = {"models": "digits", "languages": "", "log_level": "error", "drain_timeout_s": 1.0}
    return Settings.load(port=port, **given | values).export()


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

    keys = {"resume_keys": "of thirty-two characters or more"}
    first = Replica(settings(port, **keys))
    with connect_sync(f"ws://127.0.0.1:{port}") as stream:
        before = [result.column for result in stream.send(bytes(28 * 3))]
        second = Replica(settings(port, **keys))
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

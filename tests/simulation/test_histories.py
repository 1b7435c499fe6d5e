"""Whatever breaks where, a program hears what it hears alone: 1,000 histories of it.

`python -m tools.simulate --seed SEED --histories 1` runs one again, and without
`--seed` more of them.
"""

from collections.abc import Sequence

import pytest

from inkstream.model.runtime import Runtime
from inkstream.service.client.conversation import KeptLine
from tests.simulation import histories, network
from tests.simulation.histories import HistoryError

PER_TEST = 10  # so that pytest-xdist begins with this file, as one of many tests


@pytest.fixture(scope="module")
def nets() -> Sequence[Runtime]:
    return histories.nets()


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 1000, PER_TEST))
def test_histories_are_heard_as_alone(nets: Sequence[Runtime], first: int) -> None:
    outcomes = [histories.run(seed, nets) for seed in range(first, first + PER_TEST)]
    connections = sum(outcome.connections for outcome in outcomes)
    assert connections > PER_TEST  # faults do happen


@pytest.mark.parametrize("seed", [880, 6373, 7501, 11618, 21215, 302609, 910628])
def test_a_history_that_was_wrong_once_is_heard_as_alone(
    nets: Sequence[Runtime], seed: int
) -> None:
    histories.run(seed, nets)


def test_a_history_runs_again_as_it_did(nets: Sequence[Runtime]) -> None:
    for seed in range(10):
        assert histories.run(seed, nets) == histories.run(seed, nets)


def test_columns_in_another_order_are_found(
    nets: Sequence[Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    send = network.Connection.send_to_server

    def turn(connection: network.Connection, data: str | bytes) -> None:
        is_alone = connection.worker.service.settings is histories.SETTINGS[0]
        send(connection, data[::-1] if isinstance(data, bytes) and not is_alone else data)

    monkeypatch.setattr(network.Connection, "send_to_server", turn)
    with pytest.raises(HistoryError):
        run_some(nets, 20)


def test_what_comes_twice_is_found(
    nets: Sequence[Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    resume = KeptLine.resume

    def forgetful(line: KeptLine) -> str:
        line.heard = 0
        return resume(line)

    monkeypatch.setattr(KeptLine, "resume", forgetful)
    with pytest.raises(HistoryError):
        run_some(nets, 100)


def run_some(nets: Sequence[Runtime], n_histories: int) -> None:
    for seed in range(n_histories):
        histories.run(seed, nets)

"""Runs of the bench from different hours are summarised by their median and their range."""

from inkstream.service.bench import compare, writers
from inkstream.service.bench.load import Measured
from tools.figures import over_runs, tables


def compared(*server_us: float) -> str:
    figures = compare.Figures(
        model="lines",
        kind="transcriber",
        rates={"stream_1": [2.0, 3.0], "before_1": [1.0, 1.0]},
        server_us={"stream_1": [*server_us]},
    )
    return compare.Report(
        version="1", machine={}, sessions=1, seconds=1, rounds=2, models={"lines": figures}
    ).model_dump_json()


def counted(*found: int) -> str:
    measured = Measured(answered_per_s=1, p50_ms=1, p99_ms=1, load_cores=0.1, server_us=300)
    return writers.Report(
        version="1",
        machine={},
        model="lines",
        language="",
        sent="ink",
        seconds=1,
        writers=[*found],
        trials=[writers.Trial(repeat=1, writers=found[0], measured=measured)],
    ).model_dump_json()


def test_one_run_has_the_range_of_its_rounds_and_several_that_of_their_medians() -> None:
    assert over_runs([[1.0, 2.0, 9.0]]) == (2.0, 1.0, 9.0)
    assert over_runs([[1.0, 2.0, 9.0], [4.0, 4.0], [3.0, 6.0]]) == (4.0, 2.0, 4.5)


def test_tables_of_several_runs_have_median_and_range() -> None:
    text = tables([compared(50, 60, 90), compared(40), compared(70), counted(60, 80), counted(90)])
    assert (
        "WebSocket, 1 column a message / earlier version, 1 column | 2.50 | 2.50 | 2.50 |" in text
    )
    assert "| WebSocket, 1 column a message | 60 (40 to 70) |" in text
    assert "| `lines` | ink | 1 | 80 | 70 | 90 | 300 (300 to 300) |" in text

"""The chaos run's writers and its figures."""

from tools.chaos import messages_of, quantiles


def test_a_writer_ends_with_a_whole_line() -> None:
    sent = messages_of(3, 5.0)
    assert '"reset"' in str(sent[-1].data)
    assert sent[-1].due_s > 5


def test_quantiles_are_of_the_gaps() -> None:
    assert quantiles([]) == {"n": 0}
    assert quantiles([1.0, 2.0, 3.0]) == {"n": 3, "p50_ms": 2.0, "p99_ms": 3.0, "max_ms": 3.0}

"""Metrics: counts and times as Prometheus text."""

from prometheus_client.parser import text_string_to_metric_families

from inkstream.service.observe.metrics import Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    """Return every sample as `name{label=value}` -> value."""
    values = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            values[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return values


def test_what_is_counted_is_a_sample() -> None:
    metrics, other = Metrics(), Metrics()
    for count in (3, 1):
        metrics.sessions(count)
    metrics.ran(sessions=5, columns=12, run_s=0.002, wait_s=0.02)
    metrics.ran(sessions=1, columns=1, run_s=0.0001, wait_s=0.0)
    for code in ("bad_input", "bad_input", "bad_image"):
        metrics.error(code)
    metrics.refused("full")
    metrics.requested(200, 0.004)
    metrics.requested(415, 0.001)
    metrics.line_dropped()
    expected = {
        "sessions": 1,
        "columns_total": 13,
        "batch_sessions_count": 2,
        "batch_sessions_bucket{le=4.0}": 1,
        "batch_sessions_bucket{le=8.0}": 2,
        "run_seconds_sum": 0.0021,
        "queue_wait_seconds_sum": 0.02,
        "errors_total{code=bad_input}": 2,
        "errors_total{code=bad_image}": 1,
        "refused_total{reason=full}": 1,
        "request_seconds_count{status=200}": 1,
        "request_seconds_sum{status=415}": 0.001,
        "log_lines_dropped_total": 1,
    }
    assert {f"inkstream_{name}": value for name, value in expected.items()}.items() <= samples(
        metrics
    ).items()
    # Internal errors are 0 from the start, so that the first one is an increase; apps count apart.
    assert samples(other)["inkstream_errors_total{code=internal}"] == 0
    assert "inkstream_errors_total{code=bad_input}" not in samples(other)

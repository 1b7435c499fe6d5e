"""Metrics: counts and times as Prometheus text."""

from prometheus_client.parser import text_string_to_metric_families

from inkstream.service.observe.metrics import Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    """Return every sample as `name{label=value}` -> value."""
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_the_session_gauge_is_the_number_of_open_sessions() -> None:
    metrics = Metrics()
    metrics.sessions(3)
    metrics.sessions(1)
    assert samples(metrics)["inkstream_sessions"] == 1


def test_a_run_counts_its_columns_its_sessions_and_its_times() -> None:
    metrics = Metrics()
    metrics.ran(sessions=5, columns=12, run_s=0.002, wait_s=0.02)
    metrics.ran(sessions=1, columns=1, run_s=0.0001, wait_s=0.0)
    found = samples(metrics)
    assert found["inkstream_columns_total"] == 13
    assert found["inkstream_batch_sessions_count"] == 2
    assert found["inkstream_batch_sessions_bucket{le=4.0}"] == 1
    assert found["inkstream_batch_sessions_bucket{le=8.0}"] == 2
    assert found["inkstream_run_seconds_sum"] == 0.0021
    assert found["inkstream_queue_wait_seconds_sum"] == 0.02


def test_errors_are_counted_by_code_and_refusals_by_reason() -> None:
    metrics = Metrics()
    metrics.error("bad_input")
    metrics.error("bad_input")
    metrics.error("bad_image")
    metrics.refused("full")
    found = samples(metrics)
    assert found["inkstream_errors_total{code=bad_input}"] == 2
    assert found["inkstream_errors_total{code=bad_image}"] == 1
    assert found["inkstream_refused_total{reason=full}"] == 1


def test_internal_errors_are_0_from_the_start_so_that_the_first_one_is_an_increase() -> None:
    assert samples(Metrics())["inkstream_errors_total{code=internal}"] == 0


def test_requests_are_timed_by_status() -> None:
    metrics = Metrics()
    metrics.requested(200, 0.004)
    metrics.requested(415, 0.001)
    found = samples(metrics)
    assert found["inkstream_request_seconds_count{status=200}"] == 1
    assert found["inkstream_request_seconds_sum{status=415}"] == 0.001


def test_two_apps_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.error("bad_input")
    assert "inkstream_errors_total{code=bad_input}" not in samples(second)


def test_dropped_lines_of_the_log_are_counted() -> None:
    metrics = Metrics()
    metrics.line_dropped()
    assert samples(metrics)["inkstream_log_lines_dropped_total"] == 1

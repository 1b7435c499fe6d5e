"""Traces by OpenTelemetry's own command: a span for each connection and request."""

import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from inkstream.service.client.stream import connect_sync
from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.target import Target

COMMAND: Final = str(Path(sys.executable).parent / "opentelemetry-instrument")
TRACED: Final = (  # spans to the console, and nothing else
    "env",
    "OTEL_TRACES_EXPORTER=console",
    "OTEL_METRICS_EXPORTER=none",
    "OTEL_LOGS_EXPORTER=none",
    "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS=healthz,readyz,metrics",
    COMMAND,
)
IMAGE: Final = Path(__file__).parents[2] / "examples" / "7.png"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
MESSAGES = 5

pytestmark = [pytest.mark.slow, pytest.mark.needs(Path(COMMAND).exists())]


@contextmanager
def traced(path: Path) -> Iterator[Target]:
    """Run a server of `digits` behind OpenTelemetry's command, which prints spans into a file."""
    flags = "--models", "digits", "--languages", ""
    with path.open("wb") as output, Target(*flags, command=TRACED, stdout=output) as target:
        yield target


def spans(path: Path) -> list[dict[str, Any]]:
    """Return the spans that the exporter has printed."""
    text, found = path.read_text().lstrip(), []
    while text:
        try:
            span, end = json.JSONDecoder().raw_decode(text)
        except ValueError:  # it is being written
            break
        found.append(span)
        text = text[end:].lstrip()
    return found


def test_connections_and_requests_have_a_span_and_messages_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # ms
    path = tmp_path / "spans"
    with traced(path) as target:
        with connect_sync(target.url) as stream:
            for _ in range(MESSAGES):
                list(stream.send(bytes(28)))
        request = urllib.request.Request(
            f"{target.http}/v1/recognize",
            IMAGE.read_bytes(),
            {"content-type": "image/png", "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"},
        )
        urllib.request.urlopen(request, timeout=DEADLINE_S).close()
        end_s = time.monotonic() + DEADLINE_S
        while len(servers := [s for s in spans(path) if s["kind"] == "SpanKind.SERVER"]) < 2:
            assert time.monotonic() < end_s
            time.sleep(0.05)
    session, recognition = sorted(servers, key=lambda span: span["start_time"])
    assert session["attributes"]["http.scheme"] == "ws"
    parts = [span for span in spans(path) if span["parent_id"] == session["context"]["span_id"]]
    assert len(parts) < MESSAGES  # accepting, and the end
    assert recognition["name"] == "POST /v1/recognize"
    assert recognition["context"]["trace_id"] == f"0x{TRACE_ID}"

"""Write Grafana's dashboard: a panel for each metric that the service has.

    python -m tools.dashboard

Panels follow from the metrics themselves, by their types and help texts, so none is without a
panel: a gauge is summed, a counter is shown a second and by its labels, a histogram by its
quantiles and, where it has labels, by their counts. Writes `docker/observability/dashboard.json`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from inkstream.service.observe.metrics import Metrics

DASHBOARD: Final = Path(__file__).parent.parent / "docker" / "observability" / "dashboard.json"
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
SELECTED: Final = '{instance=~"$instance"}'
RATE: Final = f"{SELECTED}[$__rate_interval]"

Query = tuple[str, str]  # an expression, and the legend of its lines


def lines(metric: Metric, labels: tuple[str, ...]) -> Iterator[tuple[str, str, list[Query]]]:
    """Yield the panels of a metric: title, unit, and what is shown."""
    unit = "s" if metric.name.endswith("_seconds") else "short"
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    by = f" by ({', '.join(labels)})" if labels else ""
    if metric.type == "gauge":
        query = f"sum by (instance) ({metric.name}{SELECTED})", "{{instance}}"
        yield metric.documentation, unit, [query]
        return
    if metric.type == "histogram":
        buckets = f"sum by (le) (rate({metric.name}_bucket{RATE}))"
        quantiles = [(f"histogram_quantile({q}, {buckets})", f"{q:.0%}") for q in (0.5, 0.9, 0.99)]
        yield metric.documentation, unit, quantiles
    if metric.type == "counter" or labels:
        counted = f"{metric.name}_{'total' if metric.type == 'counter' else 'count'}"
        query = f"sum{by} (rate({counted}{RATE}))", legend or "all"
        yield f"{metric.documentation.rstrip('.')}: how many a second.", "short", [query]


def panels() -> Iterator[dict[str, Any]]:
    """Yield the panels, without their places."""
    for collector in vars(Metrics()).values():
        if isinstance(collector, MetricWrapperBase):
            for metric in collector.describe():
                for title, unit, shown in lines(metric, collector._labelnames):
                    yield {
                        "type": "timeseries",
                        "title": title,
                        "datasource": DATASOURCE,
                        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                        "targets": [
                            {"refId": letter, "expr": expression, "legendFormat": legend}
                            for letter, (expression, legend) in zip("ABC", shown, strict=False)
                        ],
                    }


def dashboard() -> dict[str, Any]:
    """Return the whole dashboard."""
    placed = [  # three in a row of Grafana's grid, which is 24 wide
        {
            "id": number + 1,
            "gridPos": {"x": number % 3 * 8, "y": number // 3 * 8, "w": 8, "h": 8},
            **panel,
        }
        for number, panel in enumerate(panels())
    ]
    return {
        "uid": "inkstream",
        "title": "inkstream",
        "schemaVersion": 39,  # Grafana 11 and newer take it.
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "10s",
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                {
                    "name": "instance",
                    "type": "query",
                    "datasource": DATASOURCE,
                    "query": "label_values(inkstream_workers, instance)",
                    "refresh": 2,  # whenever the time range changes
                    "multi": True,
                    "includeAll": True,
                    "allValue": ".*",
                },
            ]
        },
        "panels": placed,
    }


def render() -> str:
    """Return the file's text."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    DASHBOARD.write_text(render(), "utf-8")

"""Measure the columns a second that one and two workers read: `python -m tools.workers`.

64 sessions of `lines` send 16 columns a message, each its next one when the one before is answered.
The load comes from a process on the same machine, which takes its share of the cores. One and two
workers are measured in turn, so that other load hits both alike.
"""

import json
from pathlib import Path
from statistics import median
from typing import Any

from inkstream.model.checkpoint import find, read
from inkstream.service.bench.compare import ONE_RESULT
from inkstream.service.bench.kernels import MESSAGE_COLUMNS
from inkstream.service.bench.load import Load
from inkstream.service.bench.processes import describe_machine, put, serving

REPORT = Path(__file__).parent.parent / "docs" / "reports" / "workers.json"
MODEL = "lines"
WORKERS = (1, 2)
N_ROUNDS = 7
SECONDS = 4.0


def main() -> None:
    """Measure, print and write the report."""
    height = read(find(MODEL)).metadata.config.column_height
    rounds: list[dict[str, Any]] = []
    for _ in range(N_ROUNDS):
        for workers in WORKERS:
            with serving(MODEL, workers=workers) as server:
                load = Load(
                    port=server.port,
                    n_columns=MESSAGE_COLUMNS,
                    column_height=height,
                    configure=ONE_RESULT,
                    seconds=SECONDS,
                )
                measured = put(load)
            rounds.append({"workers": workers, **measured.model_dump(exclude_none=True)})
            print(json.dumps(rounds[-1]), flush=True)
    found = {
        str(workers): {
            name: median(each[name] for each in rounds if each["workers"] == workers)
            for name in ("answered_per_s", "p99_ms", "load_cores")
        }
        for workers in WORKERS
    }
    rates = [each["answered_per_s"] for each in rounds]
    ratio = median(two / one for one, two in zip(rates[::2], rates[1::2], strict=True))
    report = {"ratio": ratio, "medians": found, "rounds": rounds, "machine": describe_machine()}
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(found, indent=2), f"ratio, median of the rounds: {ratio:.2f}", sep="\n")


if __name__ == "__main__":
    main()

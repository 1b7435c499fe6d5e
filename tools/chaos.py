"""Let writers write while a service of three workers is deployed and killed again and again.

`make tools.chaos` runs this. By turns, at least eight seconds apart, all workers are replaced
(SIGHUP) and one worker, drawn at random, is killed (SIGKILL). Every line must be read as a server
reads it that nothing disturbs. A writer's gap is how late the answer comes to the message during
which its connection was replaced. Writes `docs/reports/chaos/report.json`; the exit code is 1 if
anything differs.
"""

import asyncio
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from inkstream.service.bench.processes import Server, describe_machine, serving
from tools.writing import MODEL, Writers, disturb

REPORT = Path(__file__).parent.parent / "docs" / "reports" / "chaos" / "report.json"
N_WORKERS = 3
PAUSE_S = 8.0  # before each disturbance, and after the last one


async def deploy_and_kill(server: Server, rounds: int) -> None:
    """Deploy and kill by turns, each so many times."""
    rng = random.Random(0)
    for kind in ("deploy", "kill") * rounds:
        await asyncio.sleep(PAUSE_S)
        print(kind, flush=True)
        await disturb(kind, server, N_WORKERS, rng)
    await asyncio.sleep(PAUSE_S)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return the number of values, and what they do not exceed in 50 % and in 99 %."""
    if not values:
        return {"n": 0}
    median, high = np.quantile(values, (0.5, 0.99)).round(1).tolist()
    return {"n": len(values), "p50_ms": median, "p99_ms": high, "max_ms": round(max(values), 1)}


@click.command()
@click.option("--writers", "n_writers", default=200, show_default=True)
@click.option("--rounds", default=10, show_default=True, help="Each is a deploy and a kill.")
def main(n_writers: int, rounds: int) -> None:
    """Write, deploy and kill; compare, and write the report."""
    writers = Writers(n_writers)
    with serving(MODEL) as server:
        asyncio.run(writers.read_alone(f"ws://127.0.0.1:{server.port}"))
    with serving(MODEL, workers=N_WORKERS) as server:
        url = f"ws://127.0.0.1:{server.port}"
        asyncio.run(writers.write_during(deploy_and_kill(server, rounds), [url]))
    report = {
        "writers": n_writers,
        "deploys": rounds,
        "kills": rounds,
        **writers.written,
        "gaps": {kind: quantiles(values) for kind, values in writers.gaps_ms.items()},
        "all_answers": quantiles(writers.late_ms),
        "machine": describe_machine(),
    }
    text = json.dumps(report, indent=2)
    REPORT.write_text(text + "\n")
    print(text)
    sys.exit(bool(writers.differences()))


if __name__ == "__main__":
    main()

"""Let writers write while a service of three workers is deployed and killed again and again.

`make chaos` runs this. By turns, at least eight seconds apart, all workers are replaced (SIGHUP)
and one worker, drawn at random, is killed (SIGKILL). Then every line is sent again to a server that
nothing disturbs: both must be the same. A writer's gap is how late the answer comes to the message
during which its connection was replaced. Writes `docs/reports/chaos/report.json`; the exit code is
1 if anything differs.
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
from tools.writing import MODEL, compare, differences, disturb, read_again, write_during

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
@click.option("--writers", default=200, show_default=True)
@click.option("--rounds", default=10, show_default=True, help="Each is a deploy and a kill.")
def main(writers: int, rounds: int) -> None:
    """Write, deploy and kill; compare, and write the report."""
    with serving(MODEL, workers=N_WORKERS) as server:
        url = f"ws://127.0.0.1:{server.port}"
        heard = asyncio.run(write_during(deploy_and_kill(server, rounds), [url], writers))
    with serving(MODEL) as server:
        alone = asyncio.run(read_again(f"ws://127.0.0.1:{server.port}", heard.lines))
    counts = compare(heard.lines, alone)
    report = {
        "writers": writers,
        "deploys": rounds,
        "kills": rounds,
        **counts,
        "gaps": {kind: quantiles(values) for kind, values in heard.gaps_ms.items()},
        "all_answers": quantiles(heard.late_ms),
        "machine": describe_machine(),
    }
    text = json.dumps(report, indent=2)
    REPORT.write_text(text + "\n")
    print(text)
    sys.exit(bool(differences(counts)))


if __name__ == "__main__":
    main()

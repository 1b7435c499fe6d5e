"""Run simulated histories of clients and a service that breaks, and compare each with a lone run.

    python -m tools.simulate --histories 100000
    python -m tools.simulate --seed 4711 --histories 1    # one again

Everything but the network, the clock and the net's weights is the real code; tests/simulation says
what must hold. The seeds of wrong histories are printed, with what was heard.
"""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256

import click

from inkstream.model.runtime import Runtime
from tests.simulation import histories

NETS: list[Runtime] = []  # of this process


def run_part(first: int, end: int) -> tuple[int, int, list[str], bytes]:
    """Run the histories of some seeds; return connections, steps, what was wrong, and a digest."""
    if not NETS:
        NETS.extend(histories.nets())
    connections, steps, wrong, digest = 0, 0, [], sha256()
    for seed in range(first, end):
        try:
            outcome = histories.run(seed, NETS)
        except Exception as error:  # Any error is a fault.
            wrong.append(f"seed {seed}: {type(error).__name__}: {error}")
        else:
            connections += outcome.connections
            steps += outcome.steps
            digest.update(outcome.digest)
    return connections, steps, wrong, digest.digest()


@click.command()
@click.option("--histories", "n_histories", default=2000, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the first; the others follow.")
@click.option("--processes", default=os.cpu_count() or 1, show_default=True)
def main(n_histories: int, seed: int, processes: int) -> None:
    """Run histories; exit with 1 if any is wrong."""
    start_s, end = time.monotonic(), seed + n_histories
    starts = range(seed, end, 50)
    connections, steps, n_wrong, digest = 0, 0, 0, sha256()
    with ProcessPoolExecutor(processes) as pool:
        ends = [min(start + 50, end) for start in starts]
        for n_connections, n_steps, wrong, part_digest in pool.map(run_part, starts, ends):
            connections, steps = connections + n_connections, steps + n_steps
            n_wrong += len(wrong)
            digest.update(part_digest)
            for text in wrong:
                print(text, flush=True)
    seconds = time.monotonic() - start_s
    print(
        f"{n_histories:,} histories from seed {seed}, {n_wrong} wrong; {steps:,} steps on"
        f" {connections:,} connections in {seconds:.0f} s; digest {digest.hexdigest()[:16]}"
    )
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main()

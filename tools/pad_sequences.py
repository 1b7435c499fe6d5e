"""Use the pad at random, and check that no stroke, text or image is lost.

`make tools.pad_sequences ARGS="--sequences 100"`. Each sequence writes, corrects, undoes, clears,
gives images, goes on in another window, reloads, fills the browser's storage, and loses its server.
"""

import tempfile
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from tests.service.web.pad.pad_page import Pad, chromium
from tests.service.web.pad.test_random import run_sequence, servers


@click.command()
@click.option("--sequences", default=20, help="how many, each from its seed")
@click.option("--seed", default=0, help="the first one")
def main(sequences: int, seed: int) -> None:
    """Run sequences one after the other; say which ones lost something."""
    lost = []
    with (
        chromium() as browser,
        tempfile.TemporaryDirectory() as folder,
        servers(Path(folder)) as (switch, url, ports),
    ):
        for number in tqdm(range(seed, seed + sequences), desc="sequences", mininterval=60):
            pads: list[Pad] = []

            def opened(url: str, script: str = "", pads: list[Pad] = pads, **options: Any) -> Pad:
                pads.append(Pad(browser, url, script, **options))
                return pads[-1]

            try:
                run_sequence(opened, switch, url, ports, number)
            except AssertionError as error:
                lost.append(number)
                tqdm.write(f"seed {number}: {str(error).splitlines()[0]}")
            for pad in pads:
                pad.page.close()
    click.echo(f"sequences that lost something: {len(lost)} of {sequences} {lost or ''}")


if __name__ == "__main__":
    main()

"""`inkstream bench`: measure the service on this machine, beside other servers."""

import os
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import click

from inkstream.service.cli import LINES, SEVERAL, outcome, this_command

FILE: Final = click.Path(dir_okay=False, writable=True, path_type=Path)
FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)
JSON: Final = click.option("--json", "json_path", type=FILE, help="JSON file for all figures")
PLOT: Final = click.option(
    "--plot", "plot_path", type=FILE, help="image file for a plot (needs matplotlib)"
)


@click.group()
def bench() -> None:
    """Measure how fast the service is on this machine.

    \b
    Examples:
      inkstream bench compare     columns a second, beside other servers
      inkstream bench writers     how many people can write at once
    """


@bench.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    default=("digits", LINES),
    help="name or path of a model; several times for several",
)
@click.option(
    "--sessions", default=64, type=click.IntRange(1, 1000), help="number of streams at once"
)
@click.option(
    "--writers", default=150, type=click.IntRange(1, 1000), help="people whose ink is measured"
)
@click.option(
    "--seconds", default=2.0, type=click.FloatRange(0.1, 60), help="seconds of each measurement"
)
@click.option(
    "--rounds", default=3, type=click.IntRange(1, 100), help="rounds; each measures everything once"
)
@click.option("--before", type=FOLDER, help="checkout of an earlier version, to measure it too")
@JSON
@PLOT
def compare(json_path: Path | None, plot_path: Path | None, **plan: Any) -> None:
    """Measure the service beside other servers, all in one run.

    They are an echo through FastAPI on the same uvicorn, and a simple server with PyTorch, which is
    left out without PyTorch. Each session comes from an address of its own.

    \b
    Examples:
      inkstream bench compare
      inkstream bench compare --model lines --rounds 5 --json bench.json --plot bench.png
      inkstream bench compare --before ../inkstream-0.1
    """
    from inkstream.service.bench.compare import compare, draw

    _show(lambda: compare(**plan), json_path, plot_path, draw)


@bench.command()
@click.option("--model", default=LINES, help="name or path of a model")
@click.option("--language", default="", help=f"language of each session: name or code, {SEVERAL}")
@click.option(
    "--columns",
    "sent",
    flag_value="columns",
    default="ink",
    help="send columns, 60 to 200 a second, instead of ink",
)
@click.option(
    "--workers",
    default=os.cpu_count() or 1,
    show_default="one a core",
    type=click.IntRange(1, 64),
    help="processes that serve",
)
@click.option(
    "--seconds", default=5.0, type=click.FloatRange(0.1, 600), help="seconds of each trial"
)
@click.option("--repeats", default=3, type=click.IntRange(1, 100), help="searches, each alone")
@JSON
@PLOT
def writers(json_path: Path | None, plot_path: Path | None, **plan: Any) -> None:
    """Find how many people can write at once, with answers within 50 ms at the 99th percentile.

    Writers have the pens of UNIPEN's donors: their speed, their points a second, their pauses. They
    send ink as the writing pad does. A time counts from when a message was due.

    \b
    Examples:
      inkstream bench writers
      inkstream bench writers --language english --json writers.json --plot writers.png
      inkstream bench writers --model digits --columns
    """
    from inkstream.service.bench.writers import count, draw

    _show(lambda: count(**plan), json_path, plot_path, draw)


def _show(
    measure: Callable[[], Any],
    json_path: Path | None,
    plot_path: Path | None,
    draw: Callable[[Any, Path], None],
) -> None:
    """Measure, show the figures and write the files."""
    if plot_path is not None and find_spec("matplotlib") is None:
        raise click.UsageError("a plot needs matplotlib: pip install matplotlib")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops the servers, as Ctrl-C does
    with outcome("the figures") as result:
        report = measure()
        click.echo(report.text())
        if json_path is not None:
            json_path.write_text(report.model_dump_json(indent=2) + "\n", "utf-8")
        if plot_path is not None:
            draw(report, plot_path)
        made = [path for path in (json_path, plot_path) if path is not None]
        more = "" if made else " --json bench.json"
        result.complete("the figures above", *made, next_command=this_command() + more)

"""`inkstream bench`: measure the service on this machine, beside its bounds and other servers."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import click

from inkstream.service.cli import outcome, this_command

FILE: Final = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command()
@click.option("--model", default="digits", help="name or path of a model")
@click.option("--sessions", default=64, type=click.IntRange(1, 1000), help="number of WebSockets")
@click.option(
    "--seconds", default=2.0, type=click.FloatRange(0.1, 60), help="seconds of each measurement"
)
@click.option(
    "--rounds", default=3, type=click.IntRange(1, 100), help="rounds; each measures everything once"
)
@click.option(
    "--pace",
    "paced_per_s",
    default=50.0,
    type=click.FloatRange(0.1, 10_000),
    help="columns a second of each session where latency is measured",
)
@click.option("--json", "json_path", type=FILE, help="JSON file for all figures")
@click.option("--plot", "plot_path", type=FILE, help="image file for a plot (needs matplotlib)")
def bench(json_path: Path | None, plot_path: Path | None, **plan: Any) -> None:
    """Measure the service beside its bounds and other servers, all in one run.

    Bounds: the matrix products of a step, ONNX Runtime, the engine without sockets. Other servers:
    an echo through FastAPI on the same uvicorn, and a simple server with PyTorch, if that is
    installed.

    \b
    Examples:
      inkstream bench
      inkstream bench --rounds 5 --json bench.json --plot bench.png
    """
    if plot_path is not None and find_spec("matplotlib") is None:
        raise click.UsageError("--plot needs matplotlib: pip install matplotlib")
    from inkstream.service.bench.compare import compare, draw

    with outcome("the figures") as result:
        report = compare(**plan)
        click.echo(report.text())
        if json_path is not None:
            json_path.write_text(report.model_dump_json(indent=2) + "\n", "utf-8")
        if plot_path is not None:
            draw(report, plot_path)
        made = [path for path in (json_path, plot_path) if path is not None]
        more = "" if made else " --json bench.json"
        result.complete("the figures above", *made, next_command=this_command() + more)

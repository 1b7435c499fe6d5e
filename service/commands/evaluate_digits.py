"""`inkstream evaluate digits`: the command line of the report on digits."""

from pathlib import Path
from typing import Final

import click

from service.commands.options import PATH, make_folders

REPORT: Final = Path("docs/reports/digits")


@click.command(name="digits")
@click.option(
    "--checkpoint",
    multiple=True,
    default=("digits",),
    show_default=True,
    help="name or path; the first is reported in full, others as seeds beside it",
)
@click.option("--data", type=PATH, help="a folder of MNIST's IDX files  [fetched once]")
@click.option("--out", type=PATH, default=REPORT, show_default=True)
def digits(checkpoint: tuple[str, ...], data: Path | None, out: Path) -> int:
    """Accuracy after each column, calibration, confusion and the worst mistakes, on MNIST's test.

    \b
    Examples:
      inkstream evaluate digits
      inkstream evaluate digits --checkpoint runs/a/digits.onnx --checkpoint runs/b/digits.onnx
    """
    from model.checkpoint import find
    from model.data import mnist
    from model.evaluate import report

    make_folders(out)
    made = report([find(name) for name in checkpoint], mnist.load("t10k", data))
    made.save(out)
    click.echo(f"{made.heading()}\n{made.table()}\nwritten: {out}")
    return 0

"""Options and names of nets that several commands share, and the folders that they write to."""

from pathlib import Path
from typing import Final

import click

DIGITS: Final = "digits"
LINES: Final = "lines"

PATH: Final = click.Path(path_type=Path)

CHECKPOINT: Final = click.option(
    "--checkpoint", default=LINES, show_default=True, help="name or path"
)
DATA: Final = click.option(
    "--data", type=PATH, help="UNIPEN's archive or folder  [what was kept of it]"
)
PART: Final = click.option(
    "--part",
    type=click.Choice(("choose", "report")),
    default="report",
    show_default=True,
    help="whose writing is read; choose while anything is still being chosen",
)


def make_folders(*folders: Path) -> None:
    """Make what results will be written to, so that an hour's work does not fail at its end."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)

"""Options that several evaluations share."""

from pathlib import Path
from typing import Final

import click

PATH: Final = click.Path(path_type=Path)

CHECKPOINT: Final = click.option(
    "--checkpoint", default="lines", show_default=True, help="name or path"
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

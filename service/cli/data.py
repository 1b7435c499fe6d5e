"""`inkstream data`: read labelled ink once, show what there is, and draw it."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inkstream.service.cli import PATH, outcome

if TYPE_CHECKING:
    from inkstream.model.data.ink_set import InkSet
    from inkstream.model.data.split import Parts
    from inkstream.model.data.statistics import Statistics

PLOTS = click.option("--plots", type=PATH, help="folder for pictures of samples, by donor")


@click.group()
def data() -> None:
    """Read labelled ink, and look at it.

    \b
    Examples:
      inkstream data unipen unipen-train.tar.xz     read the archive, once
      inkstream data unipen --plots plots/          draw some of what was read
      inkstream data ink ink.jsonl                  look at your own
    """


@data.command()
@click.argument("source", type=PATH, required=False)
@PLOTS
def unipen(source: Path | None, plots: Path | None) -> None:
    """Read UNIPEN's training release and keep it for training; without SOURCE, show what was kept.

    SOURCE is its archive or unpacked folder (Zenodo record 1195803).

    \b
    Examples:
      inkstream data unipen unipen-train.tar.xz
      inkstream data unipen --plots plots/
    """
    from inkstream.model.data import split
    from inkstream.model.data.sources import unipen as release

    folder = release.cache_folder()
    with outcome("the ink") as result:
        ink, counts = release.read(source)
        if source is not None:
            release.keep(ink, counts, folder)
        made = _show(ink, counts, split.parts(ink), plots)
        result.complete(folder, *made, next_command="inkstream train lines")


@data.command()
@click.argument("source", type=PATH)
@PLOTS
def ink(source: Path, plots: Path | None) -> None:
    """Look at your own labelled ink before you train on it.

    SOURCE is an .inkml file, a .jsonl file, or a folder of such files. A line of JSON is

    \b
      {"strokes": [[[x, y], ...], ...], "label": "the text", "writer": "a name"}

    x grows to the right and y downwards, in any unit; the writer may be left out.

    \b
    Example:
      inkstream data ink ink.jsonl --plots plots/
    """
    from inkstream.model.data import split
    from inkstream.model.data.sources import ink_files
    from inkstream.model.training.config import HAND

    with outcome("the counts") as result:
        read = ink_files.read(source)
        parts = split.split_own_ink(read.ink, read.groups, HAND.held_out)
        made = _show(read.ink, read.statistics, parts, plots)
        following = f"inkstream train hand --data {shlex.quote(str(source))}"
        result.complete("the counts above", *made, next_command=following)


def _show(ink: "InkSet", counts: "Statistics", parts: "Parts", plots: Path | None) -> list[Path]:
    """Print what there is, and draw samples of it into `plots`; return the pictures."""
    from inkstream.model.data.statistics import overview

    click.echo(overview(ink, counts, parts))
    if plots is None:
        return []
    from inkstream.model.plots import draw_ink

    return draw_ink(ink.take(parts["train"]), plots)

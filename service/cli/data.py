"""`inkstream data`: read labelled ink once, and show what there is."""

import shlex
from pathlib import Path

import click

from inkstream.service.cli import PATH, outcome


@click.group()
def data() -> None:
    """Read labelled ink, and look at it.

    \b
    Examples:
      inkstream data unipen unipen-train.tar.xz     read the archive, once
      inkstream data unipen                         show what was read
      inkstream data ink ink.jsonl                  look at your own
    """


@data.command()
@click.argument("source", type=PATH, required=False)
def unipen(source: Path | None) -> None:
    """Read UNIPEN's training release and keep it for training; without SOURCE, show what was kept.

    SOURCE is its archive or unpacked folder (Zenodo record 1195803).

    \b
    Example:
      inkstream data unipen unipen-train.tar.xz
    """
    from inkstream.model.data import split
    from inkstream.model.data.sources import unipen as release
    from inkstream.model.data.statistics import overview

    folder = release.cache_folder()
    with outcome("the ink") as result:
        ink, counts = release.read(source)
        if source is not None:
            release.keep(ink, counts, folder)
        click.echo(overview(ink, counts, split.parts(ink)))
        result.complete(folder, next_command="inkstream train lines")


@data.command()
@click.argument("source", type=PATH)
def ink(source: Path) -> None:
    """Look at your own labelled ink before you train on it.

    SOURCE is an .inkml file, a .jsonl file, or a folder of such files. A line of JSON is

    \b
      {"strokes": [[[x, y], ...], ...], "label": "the text", "writer": "a name"}

    x grows to the right and y downwards, in any unit; the writer may be left out.

    \b
    Example:
      inkstream data ink ink.jsonl
    """
    from inkstream.model.data import split
    from inkstream.model.data.sources import ink_files
    from inkstream.model.data.statistics import overview
    from inkstream.model.training.config import HAND

    with outcome("the counts") as result:
        read = ink_files.read(source)
        parts = split.split_own_ink(read.ink, read.groups, HAND.held_out)
        click.echo(overview(read.ink, read.statistics, parts))
        following = f"inkstream train hand --data {shlex.quote(str(source))}"
        result.complete("the counts above", next_command=following)

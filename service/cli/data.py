"""`inkstream data`: read labelled ink once, tell what there is, and draw it."""

from pathlib import Path

import click

from inkstream.model.data import split
from inkstream.model.data.ink_set import InkSet
from inkstream.model.data.sources import ink_files
from inkstream.model.data.sources import unipen as release
from inkstream.model.data.statistics import Statistics, overview
from inkstream.model.data.statistics import document as document_of_rules
from inkstream.service.cli.options import PATH


@click.group(name="data")
def data() -> None:
    """Read labelled ink, and look at it.

    \b
    Examples:
      inkstream data unipen unipen-train.tar.xz     read the archive, once
      inkstream data unipen --plots plots/          draw what was read
      inkstream data ink my_hand.jsonl              look at your own
    """


@data.command()
@click.argument("source", type=PATH, required=False)
@click.option("--plots", type=PATH, help="a folder for pictures: counts, samples, letters on ink")
@click.option("--writers", type=PATH, help="a file for the table of who trains and who reports")
@click.option("--rules", type=PATH, help="a file for the table of rules, and what each changed")
def unipen(
    source: Path | None, plots: Path | None, writers: Path | None, rules: Path | None
) -> None:
    """Read UNIPEN's training release and keep it for training; without SOURCE, what was kept.

    SOURCE is its archive or unpacked folder (Zenodo record 1195803).

    \b
    Examples:
      inkstream data unipen unipen-train.tar.xz
      inkstream data unipen --plots plots/ --writers writers.tsv
      inkstream data unipen --rules docs/data.md
    """
    ink, census = release.read(source)
    folder = release.cache_folder()
    if source is not None:
        release.keep(ink, census, folder)
    _tell(ink, census, split.parts(ink), plots)
    click.echo(f"kept in {folder}")
    if writers is not None:
        digest = split.write_table(split.part_of_writer(ink.writer_names), writers)
        click.echo(f"written: {writers} (SHA-256 {digest})")
    if rules is not None:
        rules.write_text(document_of_rules(census, ink.digest))
        click.echo(f"written: {rules}")


@data.command(name="ink")
@click.argument("source", type=PATH)
@click.option("--plots", type=PATH, help="a folder for pictures: counts and samples")
def any_ink(source: Path, plots: Path | None) -> None:
    """Look at your own labelled ink before you train on it.

    SOURCE is an .inkml file, a .jsonl file, or a folder of such files. A line of JSON is
    {"strokes": [[[x, y], ...], ...], "label": "text", "writer": "name, or left out"}.

    \b
    Example:
      inkstream data ink my_hand.jsonl --plots plots/
    """
    found = ink_files.read(source)
    _tell(found.ink, found.statistics, split.split_own_ink(found.ink, found.groups), plots)


def _tell(ink: InkSet, census: Statistics, parts: split.Parts, plots: Path | None) -> None:
    """Print what there is, and draw it when there is a folder for it."""
    click.echo(f"{census}\n\n{overview(ink, parts)}\nSHA-256 of the ink: {ink.digest}")
    if plots is not None:
        from inkstream.model.plots.ink import draw_ink  # needs matplotlib

        for path in draw_ink(ink, ink.take(parts["train"]), plots):
            click.echo(f"written: {path}")

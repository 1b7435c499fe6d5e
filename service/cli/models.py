"""`inkstream models`: list models and language models."""

import dataclasses
import json
from pathlib import Path

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line")
@click.option(
    "--weights",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="folder to look in  [default: inkstream's own]",
)
def models(as_json: bool, weights: Path | None) -> None:
    """List the models in a folder, what was measured of each, and the language models.

    \b
    Examples:
      inkstream models
      inkstream models --weights runs/ --json
    """
    from inkstream.model import checkpoint
    from inkstream.model.decoding import ngrams

    def show(path: Path, fields: dict[str, object], text: str) -> None:
        line = json.dumps({"path": str(path), **fields}, ensure_ascii=False) if as_json else text
        click.echo(line)

    folder = weights or checkpoint.WEIGHTS_FOLDER
    paths = sorted(folder.rglob(f"*{checkpoint.SUFFIX}"))
    if not paths:
        raise click.ClickException(f"no models in {folder}")
    for path in paths:
        read = checkpoint.read(path)
        metadata, config = read.metadata, read.metadata.config
        n_labels = len(config.labels)
        labels = " ".join(config.labels) if n_labels <= 12 else f"{n_labels} labels"
        lines = [
            f"{metadata.name} {metadata.version}: {config.kind} of {labels},"
            f" {metadata.parameters:,} parameters, trained on {metadata.data}  ({path})",
            *(f"  {name.replace('_', ' ')} {share:.2%}" for name, share in read.metrics.items()),
        ]
        show(path, checkpoint.describe(read), "\n".join(lines))
    for path in sorted(folder.rglob(f"*{ngrams.SUFFIX}")):
        language = ngrams.Language.load(path)
        about, n_grams = language.about, len(language)
        text = (
            f"{about.name}: language model of {len(about.characters)} characters,"
            f" {n_grams:,} n-grams up to {about.order} long  ({path})"
        )
        show(path, {**dataclasses.asdict(about), "n_grams": n_grams}, text)

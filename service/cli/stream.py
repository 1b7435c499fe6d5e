"""`inkstream stream`: send an image or ink through a server, and watch the answer grow."""

import math
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import click

from inkstream.service.cli import CHARACTERS, FILE, SEVERAL, complain, need_lines


@click.command()
@click.argument("image", type=FILE)
@click.option("--url", default="ws://127.0.0.1:8000", help="address of the server")
@click.option("--model", help="model of the server  [default: by the image, see above]")
@click.option("--key", help="API key, if the server requires one")
@CHARACTERS
@click.option("--language", help=f"language of the server to read lines in: {SEVERAL}")
@click.option("--pattern", metavar="REGEX", help="regular expression that lines match")
@click.option(
    "--pace",
    type=click.FloatRange(0, 10_000),
    metavar="MS",
    help="milliseconds between columns  [default: 60 in a terminal, 15 for lines, else 0]",
)
@click.option(
    "--plain",
    is_flag=True,
    help="print a line for each column and event, as into a pipe",
)
def stream(
    *,
    image: Path,
    url: str,
    model: str | None,
    key: str | None,
    pace: float | None,
    plain: bool,
    **hints: Any,
) -> None:
    """Send an image through a server, column by column, and watch the answer grow.

    IMAGE may be a file of ink, .jsonl or .inkml, whose strokes are sent. Without --model ink, an
    image at least twice as wide as high, and one with --language or --pattern are read by the model
    lines, if the server has it, all else by the server's first.

    \b
    Examples:
      inkstream stream digit.png
      inkstream stream line.png --language english
      inkstream stream ink.jsonl
      inkstream stream digit.png --pace 200
      inkstream stream scan.jpg --url wss://ink.example.org --key KEY
    """
    from inkstream.model.errors import ImageError
    from inkstream.model.preprocess.columns import LOOKS_LIKE_PAGE, SHIPPED, image_hint
    from inkstream.model.preprocess.image import read_image
    from inkstream.model.preprocess.ink_pieces import holds_ink
    from inkstream.service.cli.terminal import show
    from inkstream.service.client.stream import connect_sync
    from inkstream.service.protocol.errors import ModelUnknownError, NoConnectionError

    if pace is not None and math.isnan(pace):
        raise click.BadParameter("nan is no pace, expected a number", param_hint="--pace")
    given = {name: value for name, value in hints.items() if value is not None}
    hint = None
    if not holds_ink(image):
        with suppress(ImageError):  # which sending raises, with the name of the file
            hint = image_hint(read_image(image), "classifier")
    if hint == LOOKS_LIKE_PAGE:
        complain(
            f"{image} looks like a page, and a stream reads one line; to read the page:"
            f" inkstream recognize {image}"
        )
    is_line = need_lines(given) or holds_ink(image) or hint is not None
    suiting = SHIPPED["transcriber"] if model is None and is_line else None
    try:
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(connect_sync(url, model=suiting or model, key=key))
            except ModelUnknownError:
                if suiting is None:
                    raise
                stream = stack.enter_context(connect_sync(url, key=key))
            if given:
                stream.configure(**given)
            show(stream, image, pace, plain or not sys.stdout.isatty())
    except NoConnectionError as error:
        advice = "start one with `inkstream serve`, or name another with --url"
        raise click.ClickException(f"{error}: {advice}") from None

"""Measure what images are taken for, and which way up pages are read.

`make tools.contents ARGS="PAGES ARCHIVE..."`: PAGES is the folder of ruled pages, an ARCHIVE holds
lines or words on paper (docs/evaluation.md). The test part of each is used, spread evenly.
"""

from pathlib import Path

import click
import numpy as np

from inkstream.model.data.sources.paper import load_lines
from inkstream.model.evaluation.page_reading import spread
from inkstream.model.evaluation.ruled import load_pages
from inkstream.model.pages.content import content_of
from inkstream.model.preprocess.image import read_image
from inkstream.model.recognizer import load


@click.command()
@click.argument("pages", type=click.Path(path_type=Path))
@click.argument("archives", nargs=-1, type=click.Path(path_type=Path))
@click.option("--images", default=100, help="pages, and as many lines of all archives")
@click.option("--turned", default=34, help="pages that are turned three times each")
def main(pages: Path, archives: tuple[Path, ...], images: int, turned: int) -> None:
    """Print how many images are taken for what they are, and how many turned pages are righted."""
    listed = load_pages(pages)
    ruled = [listed.path(page) for page in listed.part("test")]
    right = sum(content_of(path) == "page" for path in spread(ruled, images))
    click.echo(f"pages taken for pages: {right} of {len(spread(ruled, images))}")
    for path in archives:
        lines = load_lines(path)
        indices = spread(lines.part("test").tolist(), images // len(archives))
        right = sum(content_of(lines.images[index]) == "line" for index in indices)
        click.echo(f"{path.name}, lines taken for lines: {right} of {len(indices)}")
    net = load("lines")
    for degrees in (90, 180, 270):
        chosen = spread(ruled, turned)
        upright = sum(
            net.read_page(
                np.rot90(read_image(path, max_side=8192, max_kept=1 << 22), degrees // 90)
            ).turned
            == degrees
            for path in chosen
        )
        click.echo(f"turned by {degrees}, read upright: {upright} of {len(chosen)}")


if __name__ == "__main__":
    main()

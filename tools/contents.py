"""Measure what images are taken for, and which way up pages are read.

`make tools.contents ARGS="PAGES ARCHIVE..."`: PAGES is the folder of ruled pages, an ARCHIVE holds
lines or words on paper (docs/evaluation.md). The test part of each is used, spread evenly. The
pages without rules are lines of an archive, one below the other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import numpy as np

from inkstream.model.data.sources.paper import load_lines
from inkstream.model.evaluation.page_reading import spread
from inkstream.model.evaluation.ruled import load_pages
from inkstream.model.pages.content import content_of
from inkstream.model.preprocess.image import Grey, read_image
from inkstream.model.recognizer import Recognizer, load

MAX_SIDE: Final = 8192  # pixels
MAX_KEPT: Final = 1 << 22  # the same, of an image as it is kept
PAGE_LINES: Final = 12  # of a page that is made of lines
MARGIN: Final = 80  # pixels around them


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
    chosen = [
        read_image(path, max_side=MAX_SIDE, max_kept=MAX_KEPT) for path in spread(ruled, turned)
    ]
    echo_righted(net, "ruled pages", chosen)
    for path in archives:
        lines = load_lines(path)
        test = lines.part("test").tolist()
        blocks = [test[start : start + PAGE_LINES] for start in range(0, len(test), PAGE_LINES)]
        blank = [blank_page([lines.images[index] for index in block]) for block in blocks[:-1]]
        echo_righted(net, f"{path.name} as blank pages", spread(blank, turned))


def blank_page(images: list[bytes]) -> Grey:
    """Return a page without rules that has these images of lines, one below the other."""
    lines = [read_image(image, max_side=MAX_SIDE, max_kept=MAX_KEPT) for image in images]
    ground = int(np.median(np.concatenate([line.ravel() for line in lines])))
    width = max(line.shape[1] for line in lines)
    edges = [((MARGIN // 4, MARGIN // 4), (0, width - line.shape[1])) for line in lines]
    rows = [
        np.pad(line, edge, constant_values=ground) for line, edge in zip(lines, edges, strict=True)
    ]
    return np.pad(np.concatenate(rows), MARGIN, constant_values=ground)


def echo_righted(net: Recognizer, name: str, pages: Sequence[Grey]) -> None:
    """Print how many pages are read upright, each turned three times."""
    for degrees in (90, 180, 270):
        turned = (net.read_page(np.rot90(page, degrees // 90)).turned for page in pages)
        upright = sum(angle == degrees for angle in turned)
        click.echo(f"{name} turned by {degrees}, read upright: {upright} of {len(pages)}")


if __name__ == "__main__":
    main()

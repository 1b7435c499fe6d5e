"""Sends one image through a server, column by column, and shows how the answer grows."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from model.columns import digit_columns
from service import terminal
from service.client import Stream, connect_sync
from service.messages import Result


def show(
    image: Path,
    url: str,
    *,
    model: str | None,
    key: str | None,
    pace_ms: float,
    plain: bool,
    output: TextIO,
) -> None:
    """Stream `image` to the server at `url` and write to `output` what it answers.

    Args:
        pace_ms: milliseconds between two columns.
        plain: one line of text for each column instead of a drawing.

    Raises `ImageError` if the image cannot be read, `ServiceError` as `connect_sync` does.
    """
    with connect_sync(url, model=model, key=key) as stream:
        columns = digit_columns(image, stream.ready.column_height)  # [T, H]
        results = _paced(stream, columns, pace_ms / 1000)
        if plain:
            leaders = _write(results, terminal.plain_line, output, "\n")
        else:
            drawing = terminal.Drawing(columns, stream.ready.labels)
            output.write(terminal.HIDE_CURSOR)
            try:
                leaders = _write(results, drawing.update, output, "")
            finally:
                output.write(terminal.SHOW_CURSOR)
    output.write(f"{terminal.summary(leaders)}\n")


def _paced(stream: Stream, columns: Iterable[bytes], pace_s: float) -> Iterable[Result]:
    """Results of all columns, each column sent `pace_s` after the one before was answered."""
    for column in columns:
        yield from stream.send(column)
        time.sleep(pace_s)


def _write(
    results: Iterable[Result],
    render: Callable[[int, dict[str, float]], str],
    output: TextIO,
    end: str,
) -> list[tuple[str, float]]:
    """Write each result as `render` says; returns the leading label and its probability of each."""
    leaders = []
    for result in results:
        output.write(render(result.column, result.probabilities) + end)
        output.flush()
        leaders.append(max(result.probabilities.items(), key=lambda item: item[1]))
    return leaders

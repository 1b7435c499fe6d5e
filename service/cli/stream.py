"""Sends an image or a file of ink through a server, and shows how the answer grows."""

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import ModelConfig
from inkstream.model.errors import DataError, InkstreamError
from inkstream.model.preprocess.columns import digit_columns, line_columns
from inkstream.model.preprocess.ink import flatten, rasterise
from inkstream.model.preprocess.strokes import framed, stroke_columns
from inkstream.service.cli import terminal
from inkstream.service.cli.inputs import Piece, holds_ink, holds_line, pieces
from inkstream.service.cli.options import LINES, are_of_lines
from inkstream.service.client import Stream, connect_sync
from inkstream.service.client.conversation import Result
from inkstream.service.protocol.errors import ModelUnknownError
from inkstream.service.protocol.server_messages import Ready

DIGIT_PACE_MS: Final = 60.0  # a digit is drawn in under two seconds: slow enough to follow
LINE_PACE_MS: Final = 15.0  # and a word in one or two

Columns = NDArray[np.uint8]  # [T, H]
Points = NDArray[np.float64]  # [P, 2], x to the right, y downwards


@dataclass(frozen=True, slots=True, eq=False)
class Writing:
    """One line or digit."""

    columns: Columns  # as they are drawn
    strokes: Sequence[Points] = ()  # that are sent, in pixels; if none, the columns are


def show(
    image: Path,
    url: str,
    model: str | None,
    key: str | None,
    hints: Mapping[str, Any],
    *,
    pace_ms: float | None,
    plain: bool,
    output: TextIO,
) -> None:
    """Stream `image` to the server at `url` and write to `output` what it answers.

    Args:
        image: or a file of ink, the pieces of which come one after the other.
        model: of the server; None takes what suits the image if the server has it, else its first.
        hints: what a `configure` tells of the line.
        pace_ms: milliseconds between two columns; None is a pace that can be followed, or none at
            all if plain.
        plain: one line of text for each column and event instead of a drawing, as where the
            terminal has no room for one.

    Raises `DataError`, which names it, if the image or a piece of ink cannot be read, and
    `ServiceError` as `connect_sync` does and for hints that the server refuses.
    """
    suiting = LINES if model is None and (are_of_lines(hints) or holds_line(image)) else None
    with _connected(url, key, model, suiting) as stream:
        if hints:
            stream.configure(**hints)
        transcribes = stream.ready.model.kind == "transcriber"
        screen, ready = shutil.get_terminal_size(), stream.ready
        plain = plain or not terminal.has_room(
            *screen, ready.column_height, ready.labels, is_line=transcribes
        )
        if pace_ms is None:
            pace_ms = 0.0 if plain else LINE_PACE_MS if transcribes else DIGIT_PACE_MS
        show_results = _show_line if transcribes else _show_digit
        for number, writing in enumerate(_writings(image, stream.ready)):
            if number:
                stream.reset()
            results = _paced(stream, writing, pace_ms / 1000)
            with _cursor_hidden(output, not plain):
                summary = show_results(stream, writing.columns, results, plain, output)
            output.write(f"{summary}\n")


def _writings(file: Path, ready: Ready) -> Iterator[Writing]:
    """What an image holds, or each piece of a file of ink, for a server's model."""
    for name, piece in pieces(file) if holds_ink(file) else [(str(file), None)]:
        try:
            if isinstance(piece, InkstreamError):
                raise piece
            yield _image(file, ready) if piece is None else _ink(piece, ready)
        except InkstreamError as error:
            raise DataError(f"{name}: {error}") from error


def _image(file: Path, ready: Ready) -> Writing:
    to_columns = line_columns if ready.model.kind == "transcriber" else digit_columns
    return Writing(to_columns(file, ready.column_height))


def _ink(piece: Piece, ready: Ready) -> Writing:
    if ready.model.kind == "classifier":  # ink of unknown frame goes the way of images
        config = ModelConfig(ready.labels, column_height=ready.column_height)
        return Writing(stroke_columns(piece.strokes, config, piece.height))
    strokes = framed(piece.strokes, ready.column_height, piece.height)
    return Writing(rasterise(*flatten(strokes), ready.column_height), strokes)


@contextmanager
def _connected(
    url: str, key: str | None, model: str | None, suiting: str | None
) -> Iterator[Stream]:
    """A stream to the model that suits, if the server has it, else to `model`."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(connect_sync(url, model=suiting or model, key=key))
        except ModelUnknownError:
            if suiting is None:
                raise
            stream = stack.enter_context(connect_sync(url, model=model, key=key))
        yield stream


def _show_digit(
    stream: Stream, columns: Columns, results: Iterable[Result], plain: bool, output: TextIO
) -> str:
    """Write the results of a classifier; gives its last word."""
    drawing = terminal.Drawing(columns, stream.ready.labels)
    leaders = []
    for result in results:
        column, probabilities = result.column, result.probabilities
        drawn = terminal.plain_line if plain else drawing.update
        _write(output, drawn(column, probabilities) + "\n" * plain)
        leaders.append((result.label, probabilities[result.label]))
    return terminal.summary(leaders)


def _show_line(
    stream: Stream, columns: Columns, results: Iterable[Result], plain: bool, output: TextIO
) -> str:
    """Write the results and events of a transcriber, and what a flush decides; gives the text."""
    drawing = terminal.LineDrawing(columns, shutil.get_terminal_size().columns)
    text, rewound = "", stream.rewound
    for result in results:
        text = result.text or ""
        if stream.rewound is not None and stream.rewound is not rewound:
            rewound = stream.rewound
            drawing.withdraw(rewound.letters)
            if plain:
                _write(output, f"{terminal.rewound_line(rewound.column, rewound.text or '')}\n")
        if plain:
            said = [*map(terminal.event_line, result.events), f"column {result.column:>4}  {text}"]
            _write(output, "".join(f"{line}\n" for line in said))
        else:
            _write(output, drawing.update(result.column + 1, text, result.events))
    flushed = stream.flush()
    if plain:
        _write(output, "".join(f"{terminal.event_line(event)}\n" for event in flushed.events))
    else:
        _write(output, drawing.update(flushed.columns, flushed.text or "", flushed.events))
    return f"{terminal.MARGIN}{flushed.text}"


def _paced(stream: Stream, writing: Writing, pace_s: float) -> Iterator[Result]:
    """Results of all columns, `pace_s` after each other; columns are sent only then."""
    sent: Iterable[Iterator[Result]] = map(stream.send, writing.columns)
    if writing.strokes:
        strokes = [stroke.tolist() for stroke in writing.strokes]
        sent = [stream.ink(strokes, stream.ready.column_height, pause=True)]
    for results in sent:
        for result in results:
            yield result
            time.sleep(pace_s)


def _write(output: TextIO, text: str) -> None:
    output.write(text)
    output.flush()


@contextmanager
def _cursor_hidden(output: TextIO, wanted: bool) -> Iterator[None]:
    """No cursor while the block draws."""
    if not wanted:
        yield
        return
    output.write(terminal.HIDE_CURSOR)
    try:
        yield
    finally:
        output.write(terminal.SHOW_CURSOR)

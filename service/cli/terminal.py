"""Draw in a terminal how an answer grows: the ink that was read, and what the model makes of it.

A view holds what is shown of a stream, as rows of cells. A `Screen` draws rows over the rows before
them, and writes only cells that changed: 4 MB of escapes for a line of writing are 30 kB then. Two
pixels share one cell by half blocks, so a pixel is about square. Below each column of a digit
stands the label that led when the column was read; below a line stands each letter where it was
found; both are coloured by their probability. `show` streams to a server and writes all this.
"""

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import ModelConfig
from inkstream.model.errors import DataError, InkstreamError
from inkstream.model.messages import Spelling
from inkstream.model.preprocess.columns import digit_columns, line_columns
from inkstream.model.preprocess.ink import flatten, framed, rasterise, stroke_columns
from inkstream.model.preprocess.ink_pieces import holds_ink, named_pieces
from inkstream.service.client.conversation import Result
from inkstream.service.client.stream import SyncStream
from inkstream.service.protocol.server_messages import Event, Letter, Ready, Word

Columns = NDArray[np.uint8]  # [T, H], 0 = paper, 255 = ink
Cell = tuple[str, str]  # SGR parameters, "" for none; one character
Row = Sequence[Cell]

HIDE_CURSOR: Final = "\x1b[?25l"
SHOW_CURSOR: Final = "\x1b[?25h"
RESET: Final = "\x1b[0m"

BLANK: Final = ("", " ")
LEADING: Final = "1;33"  # bold yellow: ahead, not yet settled
SETTLED: Final = "1;32"  # bold green
DIM: Final = "2"
SURE_FROM: Final = 0.95  # probability
BAR_CELLS: Final = 24
EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
MARGIN: Final = "  "


class Screen:
    """Rows of cells in a terminal. The cursor stands below them."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def draw(self, rows: Iterable[Row]) -> str:
        """Return what to write so that the terminal shows `rows` in the place of those before."""
        up = f"\x1b[{len(self._rows)}A\r" if self._rows else ""
        pairs = list(zip_longest(self._rows, rows, fillvalue=()))
        self._rows = [row for _, row in pairs]
        return up + "".join(f"{_changes(before, row)}\n" for before, row in pairs)


def _changes(before: Row, row: Row) -> str:
    """Return what turns one row of the terminal into another."""
    parts, position, style = [], 0, ""
    for x, (old, new) in enumerate(zip_longest(before, row, fillvalue=BLANK)):
        if old == new:
            continue
        if x != position:
            parts.append(f"\x1b[{x + 1}G")
        if new[0] != style:
            style = new[0]
            parts.append(f"\x1b[0;{style}m" if style else RESET)
        parts.append(new[1])
        position = x + 1
    return "".join(parts) + (RESET if style else "")


class DigitView:
    """The ink of a digit, a bar for each label, and the label that led after each column.

    `columns` are all that will be sent; of more labels than fit beside them, in a terminal of so
    many cells and rows, the most probable are shown.
    """

    def __init__(self, columns: Columns, labels: Sequence[str], size: tuple[int, int]) -> None:
        self._ink = ink_rows(columns)
        self._labels = labels
        self._label_cells = max(map(len, labels))
        width = 2 * len(MARGIN) + len(columns) + len(self._bar("", 0))
        self.fits = width <= size[0] and len(self._ink) + 4 <= size[1]  # with the cursor's row
        self._leaders: list[tuple[str, float]] = []
        self._probabilities: dict[str, float] = {}

    def add(self, result: Result) -> list[str]:
        """Take the next result; return it as one line: `column 17  7 97.21 %  9 1.90 %`."""
        self._probabilities = result.probabilities
        leader = result.label, result.probabilities[result.label]
        while len(self._leaders) <= result.column:  # a merged result stands for what it covers
            self._leaders.append(leader)
        best = sorted(result.probabilities.items(), key=lambda item: -item[1])[:3]
        return [f"column {result.column:>3}" + "".join(f"  {k} {p:7.2%}" for k, p in best)]

    def rows(self) -> list[Row]:
        """Return the ink so far with the bars beside it, and the leaders below."""
        n_columns, margin = len(self._leaders), cells(MARGIN)
        blank = [BLANK] * (len(self._ink[0]) - n_columns)
        picture = [
            [*margin, *ink[:n_columns], *blank, *margin, *bar]
            for ink, bar in zip(self._ink, self._bars(), strict=True)
        ]
        leaders = [(confidence_style(p), label[0]) for label, p in self._leaders]
        return [[], *picture, [*margin, *leaders], []]

    def _bars(self) -> list[Row]:
        """Return one bar for each label, in the middle of the rows of the ink."""
        n_rows, p = len(self._ink), self._probabilities
        best, *others = sorted(p, key=lambda label: -p[label])[:n_rows]
        styles = {best: confidence_style(p[best])} | dict.fromkeys(others, DIM)
        rows: list[Row] = [
            cells(self._bar(label, p[label]), styles[label])
            for label in self._labels
            if label in styles
        ]
        above = (n_rows - len(rows)) // 2
        return [[]] * above + rows + [[]] * (n_rows - above - len(rows))

    def _bar(self, label: str, probability: float) -> str:
        return f"{label:>{self._label_cells}} {bar(probability)} {probability:7.2%}"

    def summary(self) -> str:
        """Return the answer, and the column from which on it was settled."""
        label, probability = self._leaders[-1]
        text = f"{MARGIN}{label}  {probability:.2%} after {len(self._leaders)} columns"
        since = sure_since(self._leaders)
        return text if since is None else f"{text}, sure since column {since + 1}"


class LineView:
    """A line of writing, each letter below its ink, and the text.

    `columns` are all that will be sent. A line that is wider than the terminal, of so many cells
    and rows, is drawn smaller; where even that is too wide, its picture goes on at the left. The
    text goes over several rows.
    """

    def __init__(self, columns: Columns, size: tuple[int, int]) -> None:
        self._width = max(2, size[0] - 2 * len(MARGIN))
        # Letters remain legible where up to three pixels share one.
        self._scale = min(3, -(-len(columns) // self._width))
        self._ink = ink_rows(shrunk(columns, self._scale))
        self._text_rows = size[1] - len(self._ink) - 5  # beside the blank rows and the cursor's
        self.fits = self._text_rows >= 1
        self._letters: dict[int, tuple[int, Cell]] = {}  # by cell: a letter's id, how it is drawn
        self._n_columns, self.text = 0, ""

    def add(self, result: Result) -> list[str]:
        """Take the next result; return it and its events as lines."""
        lines = self.update(result.column + 1, result.text or "", result.events)
        return [*lines, f"column {result.column:>4}  {self.text}"]

    def update(self, n_columns: int, text: str, events: Iterable[Event]) -> list[str]:
        """Take what is known after `n_columns` columns; return the events as lines."""
        self._n_columns, self.text = n_columns, text
        lines = []
        for event in events:
            lines.append(event_line(event))
            if not isinstance(event, Word):
                x = (event.start + event.end - 1) // 2 // self._scale
                while x in self._letters:
                    x += 1
                self._letters[x] = event.id, (confidence_style(event.confidence), event.char)
        return lines

    def withdraw(self, n_letters: int) -> None:
        """Forget all letters but the first `n_letters`."""
        self._letters = {x: letter for x, letter in self._letters.items() if letter[0] < n_letters}

    def rows(self) -> list[Row]:
        """Return ink, letters and text."""
        end = -(-self._n_columns // self._scale)
        page = self._width // 2
        first = max(0, -(-(end - self._width) // page) * page)
        letters = [self._letters.get(x, (0, BLANK))[1] for x in range(first, end)]
        starts = range(0, max(1, len(self.text)), self._width)
        text = [cells(self.text[start : start + self._width]) for start in starts]
        ink = [row[first:end] for row in self._ink]
        rows = [[], *ink, letters, [], *text[-self._text_rows :], []]
        return [[*cells(MARGIN), *row] for row in rows]

    def summary(self) -> str:
        """Return the text."""
        return f"{MARGIN}{self.text}"


def ink_rows(columns: Columns) -> list[Row]:
    """Return columns [T, H] as rows of half blocks, two pixels in each cell."""
    if columns.shape[1] % 2:
        columns = np.pad(columns, ((0, 0), (0, 1)))
    # The 256-colour palette has 24 greys, 232..255.
    greys = (233 + columns.astype(int) * 22 // 255).T.tolist()  # [H, T]
    return [
        [(f"38;5;{above};48;5;{below}", "▀") for above, below in zip(*pair, strict=True)]
        for pair in zip(greys[::2], greys[1::2], strict=True)
    ]


def shrunk(columns: Columns, scale: int) -> Columns:
    """Return columns [T, H] `scale` times smaller both ways; thin strokes stay dark."""
    length, height = (-(-size // scale) for size in columns.shape)
    padding = ((0, length * scale - len(columns)), (0, height * scale - columns.shape[1]))
    blocks = np.pad(columns, padding).reshape(length, scale, height, scale)
    smaller: Columns = blocks.max(axis=(1, 3))
    return smaller


def cells(text: str, style: str = "") -> list[Cell]:
    """Return text as cells."""
    return [(style, character) for character in text]


def bar(probability: float) -> str:
    """Return a bar, exact to an eighth of a cell."""
    n_full, n_eighths = divmod(round(probability * BAR_CELLS * 8), 8)
    return ("█" * n_full + EIGHTHS[n_eighths].strip()).ljust(BAR_CELLS)


def confidence_style(probability: float) -> str:
    """Return green for a settled answer, yellow for one that leads, dim for less than half."""
    if probability >= SURE_FROM:
        return SETTLED
    return LEADING if probability >= 0.5 else DIM


def event_line(event: Event) -> str:
    """Return an event as a line: `letter   o  96.20%  columns 61..73  (a 2.10%)`.

    The confidence of a word is a product and no probability to read, so it is left out.
    """
    if isinstance(event, Word):
        shown = event.text
        others = [other.text for other in event.alternatives if isinstance(other, Spelling)]
    else:
        shown = f"{event.char}  {event.confidence:.2%}"
        others = [f"{other.char} {other.p:.2%}" for other in event.alternatives]
    kind = "mark" if isinstance(event, Letter) and event.mark else event.type
    line = f"{kind:<7}  {shown}  columns {event.start}..{event.end - 1}"
    return f"{line}  ({', '.join(others)})" if others else line


def sure_since(leaders: Sequence[tuple[str, float]]) -> int | None:
    """Return the column (0-based) from which on the last answer led with `SURE_FROM`, or None."""
    answer, _ = leaders[-1]
    is_sure = [label == answer and probability >= SURE_FROM for label, probability in leaders]
    since = len(leaders) - is_sure[::-1].index(False) if False in is_sure else 0
    return since if is_sure[-1] else None


def show(stream: SyncStream, image: Path, pace_ms: float | None, plain: bool) -> None:
    """Stream an image or each piece of ink of a file; write to standard output what comes back.

    Columns are sent `pace_ms` after each other: None is slow enough to follow, or 0 if `plain`,
    which writes lines of text, as where the terminal has no room for a picture. Raises `DataError`
    with the name of what cannot be read, and the server's errors.
    """
    transcribes, size = stream.ready.model.kind == "transcriber", shutil.get_terminal_size()
    for number, (columns, strokes) in enumerate(_writings(image, stream.ready)):
        if number:
            stream.reset()
        view: DigitView | LineView
        if transcribes:
            view = LineView(columns, size)
        else:
            view = DigitView(columns, stream.ready.labels, size)
        screen = None if plain or not view.fits else Screen()
        # A digit then takes less than two seconds, a word one or two.
        usual_ms = 0.0 if screen is None else 15.0 if transcribes else 60.0
        results: Iterable[Result] = chain.from_iterable(map(stream.send, columns))
        if strokes:
            points = [stroke.tolist() for stroke in strokes]
            results = stream.ink(points, stream.ready.column_height, pause=True)
        print(HIDE_CURSOR if screen else "", end="")
        try:
            _show_results(stream, results, view, screen, usual_ms if pace_ms is None else pace_ms)
        finally:
            print(SHOW_CURSOR if screen else "", end="")
        print(view.summary())


def _show_results(
    stream: SyncStream,
    results: Iterable[Result],
    view: DigitView | LineView,
    screen: Screen | None,
    pace_ms: float,
) -> None:
    """Write results `pace_ms` after each other: as pictures, or without a screen as text."""
    drawn_s, revised = 0.0, stream.revised
    for result in results:
        lines = []
        if isinstance(view, LineView) and stream.revised not in (None, revised):
            revised = stream.revised
            view.withdraw(revised.letters)
            lines = [f"{'revised':<7}  from column {revised.column}  {revised.text or ''}"]
        lines += view.add(result)
        if screen is None:
            print("\n".join(lines), flush=True)
        elif time.monotonic() - drawn_s >= 0.04:  # 25 pictures a second
            drawn_s = time.monotonic()
            print(screen.draw(view.rows()), end="", flush=True)
        time.sleep(pace_ms / 1000)
    if isinstance(view, LineView):
        flushed = stream.flush()
        lines = view.update(flushed.columns, flushed.text or "", flushed.events)
        if screen is None and lines:
            print("\n".join(lines), flush=True)
    if screen is not None:
        print(screen.draw(view.rows()), end="", flush=True)


def _writings(file: Path, ready: Ready) -> Iterator[tuple[Columns, Sequence[NDArray[np.float64]]]]:
    """Yield the columns of an image or of each piece of ink, and the strokes if these are sent."""
    height = ready.column_height
    for name, piece in named_pieces(file) if holds_ink(file) else [(str(file), None)]:
        strokes: Sequence[NDArray[np.float64]] = ()
        try:
            if isinstance(piece, InkstreamError):
                raise piece
            if piece is None:
                to_columns = line_columns if ready.model.kind == "transcriber" else digit_columns
                columns = to_columns(file, height)
            elif ready.model.kind == "classifier":  # which reads an image of the whole ink
                config = ModelConfig(ready.labels, column_height=height)
                columns = stroke_columns(piece.strokes, config, piece.height)
            else:
                strokes = framed(piece.strokes, height, piece.height)
                columns = rasterise(*flatten(strokes), height)
        except InkstreamError as error:
            raise DataError(f"{name}: {error}") from error
        yield columns, strokes

"""The ink of one line: strokes of the pen in, columns out, by the code that training used."""

from typing import Final

import numpy as np

from model.errors import InputError
from model.ink import Canvas, flatten
from service.errors import InkError
from service.messages import Limits
from service.requests import Ink

# Pixels that the pen may go in one message: forty words, drawn in 15 ms while everyone waits.
MAX_WAY: Final = 65_536
# So many pixels count as one message, and a point of the pen as so many pixels: drawing takes
# 0.1 us a pixel and 0.4 to 0.9 us a point. At 50 messages a second that is a fiftieth of the time.
MESSAGE_WAY: Final = 4096
POINT_WAY: Final = 8


def cost(ink: Ink, column_height: int) -> int:
    """As how many messages ink counts, by what it takes to draw; raises `InkError` if too much."""
    points, _ = flatten([stroke.points for stroke in ink.strokes])
    with np.errstate(over="ignore"):  # what is too large is too far
        way = float(abs(np.diff(points, axis=0)).max(1).sum()) * column_height / ink.height
    if way > MAX_WAY:
        raise InkError(f"the pen goes {way:.0f} pixels, allowed in one message: {MAX_WAY}", ink.id)
    return 1 + int(way + POINT_WAY * len(points)) // MESSAGE_WAY


class Pen:
    """Draws what a client writes; `lift` ends a line."""

    def __init__(self, column_height: int, limits: Limits) -> None:
        self._column_height = column_height
        self._limits = limits
        self.lift()

    def lift(self) -> None:
        """Begin a new line."""
        self.writes = False  # whether this line is written in ink
        self._canvas = Canvas(self._column_height)
        self._height = 0.0  # of the line's frame

    def draw(self, ink: Ink, oldest: int, read: int) -> tuple[int, bytes]:
        """Draw strokes.

        Args:
            ink: the message that brings them.
            oldest: the first column that may still change.
            read: columns of the line that were given before.

        Returns:
            Which of those still stand, and all columns from there on that the pen has left behind.

        Raises:
            InkError: they cannot be drawn; nothing of them is.
        """
        if self.writes and ink.height != self._height:
            got = f"height is {ink.height:g}, expected {self._height:g}"
            raise InkError(f"{got} as before in this line", ink.id)
        points, stroke_starts = flatten([stroke.points for stroke in ink.strokes])
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is found below
            points *= self._column_height / ink.height
        canvas = self._canvas.copy()
        canvas.forget(oldest)
        try:
            canvas.draw(points, stroke_starts)
        except InputError as error:
            raise InkError(str(error), ink.id) from error
        self._check_length(canvas.n_columns, read, ink)
        self.writes, self._height, self._canvas = True, ink.height, canvas
        start, columns = canvas.take()
        return start, columns.tobytes()

    def _check_length(self, n_columns: int, read: int, ink: Ink) -> None:
        """Raise `InkError` unless a message may make a line of `read` columns as long as this."""
        most = self._limits.max_line_columns
        if n_columns > most:
            raise InkError(f"ink reaches column {n_columns - 1}, allowed: 0..{most - 1}", ink.id)
        most = self._limits.max_message_columns
        if n_columns - read > most:
            got = f"ink brings {n_columns - read} new columns"
            raise InkError(f"{got}, allowed: up to {most}", ink.id)

    @property
    def holds_back(self) -> bool:
        """Whether there are columns that were not given, since the pen still touches them."""
        return self._canvas.n_taken < self._canvas.n_columns

    def rest(self) -> tuple[int, bytes]:
        """What `draw` gives, of the columns that the pen still touches."""
        start, columns = self._canvas.take(everything=True)
        return start, columns.tobytes()

    def wipe(self, column: int) -> None:
        """Take the ink off this column and all after it."""
        self._canvas.cut(column)

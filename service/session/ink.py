"""The ink of one line: strokes of the pen in, columns out, by the code that training used."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import InputError
from inkstream.model.preprocess.ink import MAX_COLUMNS, PEN_WIDTH, Canvas, flatten, touched
from inkstream.model.preprocess.strokes import misfit
from inkstream.service.limits import Limits
from inkstream.service.protocol.client_messages import Ink
from inkstream.service.protocol.errors import ColumnsError, InkError, Ref, quoted
from inkstream.service.protocol.events import Span
from inkstream.service.protocol.server_messages import Frame, ModelInfo

# Pixels that the pen may go in one message: forty words, drawn in 15 ms while everyone waits.
MAX_WAY: Final = 65_536
# So many pixels count as one message, and a point of the pen as so many pixels: drawing takes
# 0.1 us a pixel and 0.4 to 0.9 us a point. At 100 messages a second that is 1/25 of the time.
MESSAGE_WAY: Final = 4096
POINT_WAY: Final = 8
# Pixels of strokes that may still change: all of them may have to be drawn when one is taken back.
MAX_KEPT_WAY: Final = 24 * MAX_WAY
SAME_FRAME: Final = 1e-3  # of its height: frames that differ by less are one
MOST_SPANS: Final = 16  # of a stroke in one letter; who goes to and fro more often has one

Points = NDArray[np.float64]  # [n, 2], pixels


@dataclass(frozen=True, eq=False)
class Stroke:
    """What the pen wrote from its touching the paper on."""

    points: NDArray[np.float32]  # [n, 2], pixels
    complete: bool  # whether no more of them may come
    wiped_from: float = math.inf  # the column from which on its ink was wiped out

    @cached_property
    def columns(self) -> tuple[int, int]:
        """The first column that its ink touches, and the one after the last."""
        first, end = touched(self.points)
        return first, int(min(end, self.wiped_from))

    @cached_property
    def way(self) -> float:
        """Pixels that it takes to draw, a point being as good as some."""
        return _way(self.points) + POINT_WAY * len(self.points)

    def wiped(self, column: int) -> "Stroke":
        """The stroke without the ink on this column and all after it; it is complete then."""
        is_cut = column < self.columns[1]
        return replace(self, complete=True, wiped_from=column if is_cut else self.wiped_from)


NEW: Final = Stroke(np.zeros((0, 2), np.float32), complete=False)


@dataclass(frozen=True, slots=True, eq=False)
class Portion:
    """What one message of ink brings."""

    ink: Ink
    strokes: dict[Any, Stroke]  # all of the line's, once this is drawn
    pieces: list[Points]  # what is new of them, each from where its stroke stood
    undone: Stroke | None
    frame: Frame | None  # of the line; None before any ink
    refits: bool  # whether the frame is another one than before, so that all strokes are pieces

    @property
    def cost(self) -> int:
        """As how many messages it counts; raises `InkError` for a way that is too long."""
        way = sum(map(_way, self.pieces))
        if not way <= MAX_WAY:  # nor not a number
            got = f"the pen goes {way:g} pixels"
            raise InkError(f"{got}, allowed in one message: {MAX_WAY}", self.ink.id)
        way += POINT_WAY * sum(map(len, self.pieces))
        if self.ink.fit:  # all of them are looked at
            n_points = sum([len(stroke.points) for stroke in self.strokes.values()])
            way += n_points + POINT_WAY * len(self.strokes)
        if self.undone is not None:  # what crosses it is drawn anew
            way += sum([stroke.way for stroke in self.strokes.values()])
        return 1 + int(min(way, MAX_KEPT_WAY)) // MESSAGE_WAY


class Pen:
    """Draws what a client writes; `lift` ends a line."""

    def __init__(self, model: ModelInfo, limits: Limits) -> None:
        """Prepare; for a transcriber there is a margin between the pen and what is read."""
        self._column_height = model.column_height
        self._transcribes = model.kind == "transcriber"
        self._limits = limits
        self._margin = limits.ink_margin_columns if self._transcribes else 0
        self.lift()

    def lift(self) -> None:
        """Begin a new line."""
        self.writes = False  # whether this line is written in ink
        self._canvas = self._blank()
        self._height: float | None = None  # of the line's frame, as the client says
        self._frame: Frame | None = None  # the line's
        self.fitted: Frame | None = None  # the same, once it was fitted to the ink
        # Those whose ink may still change, in their order, by id; those without by a mere object.
        self._strokes: dict[Any, Stroke] = {}

    def _blank(self) -> Canvas:
        return Canvas(self._column_height, PEN_WIDTH, self._margin)

    def check_columns(self, ref: Ref) -> None:
        """Raise `ColumnsError` if columns that come in a message `ref` do not belong here."""
        if self.writes:
            raise ColumnsError("columns in a line of ink, allowed: after a reset", ref)

    def portion(self, ink: Ink, oldest: int, read: int) -> Portion:
        """See what a message brings; nothing is drawn yet. For the numbers see `draw`.

        Raises `InkError` if columns of the line came as such, for strokes that cannot go on, or one
        that cannot be taken back.
        """
        if read and not self.writes:
            raise InkError("ink in a line of columns, allowed: after a reset", ink.id)
        strokes, undone, pieces = dict(self._strokes), None, []
        if ink.undo is not None:
            undone = strokes.pop(ink.undo, None)
            if undone is None:
                got = f"undo is {quoted(ink.undo)}"
                raise InkError(f"{got}, allowed: the id of a stroke that may still change", ink.id)
        frame = self._frame_of(ink)
        for number, stroke in enumerate(ink.strokes):
            if stroke.id is None and not stroke.last:
                raise InkError(f"stroke {number} has no id, and is not complete", ink.id)
            key = object() if stroke.id is None else stroke.id
            before = strokes.get(key, NEW)
            if before.complete:
                raise InkError(f"stroke {quoted(key)} is complete, allowed: a new id", ink.id)
            with np.errstate(over="ignore", invalid="ignore"):  # what is too large is found later
                more = self._in_pixels(stroke.points, frame)
                points = np.concatenate([before.points, more.astype(np.float32)])
            strokes[key] = Stroke(points, stroke.last)
            if len(more):
                pieces.append(np.concatenate([before.points[-1:], more]))
        whole = Portion(ink, strokes, pieces, undone, frame, refits=False)
        return self._fit(whole) if ink.fit and not oldest else whole

    def _frame_of(self, ink: Ink) -> Frame | None:
        """The frame of its points."""
        if ink.height is None:
            if ink.strokes:
                raise InkError("ink with strokes has no height, expected a number above 0", ink.id)
        elif self._height not in (None, ink.height):
            got = f"height is {ink.height:g}, expected {self._height:g}"
            raise InkError(f"{got} as before in this line", ink.id)
        elif self._frame is None:
            return Frame(top=0.0, height=ink.height)
        return self._frame

    def _in_pixels(self, points: Any, frame: Frame | None) -> Points:
        places = np.array(points, np.float64).reshape(-1, 2)
        if frame is None:
            return places
        return (places - (0, frame.top)) * (np.float64(self._column_height) / frame.height)

    def _fit(self, whole: Portion) -> Portion:
        """The portion with all strokes in the frame that suits them, if they lie in another one.

        Which one that is depends on the ink alone, not on when it was asked for. Nothing changes
        where the line has become too long to be read anew at once.
        """
        strokes, old, rows = whole.strokes, whole.frame, self._column_height
        height = whole.ink.height or self._height
        if old is None or height is None or any(s.wiped_from < math.inf for s in strokes.values()):
            return whole
        written = {key: stroke for key, stroke in strokes.items() if len(stroke.points)}
        points, starts = flatten([stroke.points.astype(np.float64) for stroke in written.values()])
        if not _drawable(points):
            return whole
        new = self._suitable(points, starts, old, Frame(top=0.0, height=height))
        if abs(new.height - old.height) + abs(new.top - old.top) < SAME_FRAME * old.height:
            return whole
        points = _moved(points, old, new, rows)
        most = min(self._limits.max_message_columns, self._limits.max_line_columns)
        pieces = np.split(points, starts[1:-1]) if written else []
        if not _drawable(points) or touched(points)[1] > most or sum(map(_way, pieces)) > MAX_WAY:
            return whole
        moved = {
            key: replace(stroke, points=piece.astype(np.float32))
            for (key, stroke), piece in zip(written.items(), pieces, strict=True)
        }
        return replace(
            whole, strokes=strokes | moved, pieces=pieces, undone=None, frame=new, refits=True
        )

    def _suitable(
        self, points: Points, starts: NDArray[np.int64], frame: Frame, named: Frame
    ) -> Frame:
        """The frame that suits strokes in `frame`: the one that the client names, or their own."""
        if not len(points):
            return named
        rows = self._column_height
        # What is lost on the way to a frame and back, far less than a thousandth, decides nothing.
        there = np.round(_moved(points, frame, named, rows), 3)
        found = misfit(there, starts, rows, transcribes=self._transcribes)
        if found is None:
            return named
        zoom, middle = found
        top = named.height * (middle / rows - 0.5 / zoom)
        new = Frame(top=top, height=named.height / zoom)
        return new if math.isfinite(new.top) and math.isfinite(new.height) else frame

    def draw(self, portion: Portion, oldest: int, read: int) -> tuple[int, bytes]:
        """Draw what the newest message brings.

        Args:
            portion: of that message.
            oldest: the first column that may still change.
            read: columns of the line that were given before.

        Returns:
            How many of those still stand, and all from there on that the pen has left behind.

        Raises:
            InkError: it cannot be drawn; nothing of it is.
        """
        ink, canvas = portion.ink, self._blank() if portion.refits else self._canvas.copy()
        canvas.forget(oldest)
        try:
            canvas.draw(*flatten(portion.pieces))
            if portion.undone is not None:
                _take_back(portion.undone, portion.strokes, canvas)
        except InputError as error:
            raise InkError(str(error), ink.id) from error
        strokes = {
            key: stroke
            for key, stroke in portion.strokes.items()
            if stroke.columns[1] > oldest or not stroke.complete
        }
        self._check(canvas.n_columns, read, strokes, ink)
        self._canvas, self._strokes = canvas, strokes
        if ink.strokes:  # else nothing is written, and the line's frame is still open
            self.writes, self._height, self._frame = True, ink.height, portion.frame
        if portion.refits:
            self._frame = self.fitted = portion.frame
        # What was read is given again, be the pen still near or not.
        start, columns = canvas.take(everything=ink.pause or portion.refits)
        return start, columns.tobytes()

    def _check(self, n_columns: int, read: int, strokes: dict[Any, Stroke], ink: Ink) -> None:
        """Raise `InkError` unless a message may make a line of `read` columns become this one."""
        limits = self._limits
        most = limits.max_line_columns
        if n_columns > most:
            raise InkError(f"ink reaches column {n_columns - 1}, allowed: 0..{most - 1}", ink.id)
        n_points = sum([len(stroke.points) for stroke in strokes.values()])
        way = sum([stroke.way for stroke in strokes.values()])
        for name, got, most in (
            ("ink brings {} new columns", n_columns - read, limits.max_message_columns),
            ("{} strokes may still change", len(strokes), limits.max_ink_strokes),
            ("{} points of strokes may still change", n_points, limits.max_ink_points),
            ("{:.0f} pixels of strokes may still change", way, MAX_KEPT_WAY),
        ):
            if got > most:
                raise InkError(f"{name.format(got)}, allowed: up to {most}", ink.id)

    @property
    def holds_back(self) -> bool:
        """Whether there are columns that were not given, since the pen still touches them."""
        return self._canvas.n_taken < self._canvas.n_columns

    def rest(self) -> tuple[int, bytes]:
        """What `draw` gives, of the columns that the pen still touches."""
        start, columns = self._canvas.take(everything=True)
        return start, columns.tobytes()

    def wipe(self, column: int) -> None:
        """Take the ink off this column and all after it; no stroke goes on from there."""
        self._canvas.cut(column)
        wiped = {key: stroke.wiped(column) for key, stroke in self._strokes.items()}
        self._strokes = {key: own for key, own in wiped.items() if own.columns[0] < own.columns[1]}

    def spans(self, start: int, end: int) -> tuple[Span, ...] | None:
        """Which strokes' points lie on columns `start` to `end`; None in a line of columns."""
        if not self.writes:
            return None
        spans: list[Span] = []
        for key, stroke in self._strokes.items():
            first, after = stroke.columns
            if first < end and start < after and isinstance(key, int | str):
                places = np.floor(stroke.points[:, 0])
                inside = (places >= start) & (places < min(end, stroke.wiped_from))
                edges = np.flatnonzero(np.diff(inside, prepend=False, append=False)).tolist()
                if len(edges) > 2 * MOST_SPANS:
                    edges = [edges[0], edges[-1]]
                spans += [
                    Span(id=key, start=i, end=j)
                    for i, j in zip(edges[::2], edges[1::2], strict=True)
                ]
        return tuple(spans)


def _moved(points: Points, old: Frame, new: Frame, rows: int) -> Points:
    """Points [n, 2] in the pixels of another frame of so many rows."""
    return points * (old.height / new.height) + (0, rows * ((old.top - new.top) / new.height))


def _drawable(points: NDArray[Any]) -> bool:
    """Whether points [n, 2] lie where a canvas takes them; not a number does not."""
    return bool((abs(points) <= MAX_COLUMNS).all() and (points[:, 0] >= 0).all())


def _way(points: NDArray[Any]) -> float:
    """Pixels that the pen goes along points [n, 2]."""
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large is too far
        return float(abs(np.diff(points, axis=0)).max(1, initial=0).sum())


def _take_back(undone: Stroke, strokes: dict[Any, Stroke], canvas: Canvas) -> None:
    """Take the ink of a stroke off the canvas, and leave that of the others."""
    first, end = undone.columns
    if first < end:
        n_columns = max([stroke.columns[1] for stroke in strokes.values()], default=0)
        others = [(stroke.points, stroke.wiped_from) for stroke in strokes.values()]
        canvas.redraw(first, end, n_columns, others)

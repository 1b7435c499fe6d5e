"""The ink of one line: strokes of the pen in, columns out, drawn as in training.

A message of ink is handled in three steps: `changes` finds out what it changes and what that costs,
`draw_due` draws its strokes, a portion at a time, and `draw` lays them on the columns. Nothing is
changed if any of them raises an error.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from inkstream.model.config import ModelConfig
from inkstream.model.errors import InputError
from inkstream.model.preprocess import ink as drawing
from inkstream.model.preprocess.ink import Canvas, Drawn, Points
from inkstream.model.preprocess.strokes import POINT_PATH, PORTION_PATH, Piece, cut_in_runs, refit
from inkstream.service.protocol.client_messages import Ink
from inkstream.service.protocol.errors import ColumnsError, InkError, Ref, quoted
from inkstream.service.protocol.server_messages import Frame, Span
from inkstream.service.session.model import SessionModel

MAX_PATH: Final = 65_536  # of the pen in one message, pixels: forty words
# So many pixels count as one message: 250 such messages take 1/20 of each second to draw.
MESSAGE_PATH: Final = 2048
# Pixels of strokes that may still change: all of them may have to be drawn when one is undone.
MAX_KEPT_PATH: Final = 24 * MAX_PATH
NEVER_WIPED: Final = drawing.MAX_COLUMNS + 1  # no ink reaches this column
BEGUN_AGAIN: Final = "after a reset or a rewind to column 0"  # when the other kind may follow

StrokeKey = int | str | tuple[int]  # a stroke's id; those without one are numbered
Strokes = dict[StrokeKey, "KeptStroke"]  # of a line, in the order in which they came


class KeptStroke(msgspec.Struct, array_like=True, frozen=True, eq=False):
    """A stroke, or the part of it that has come."""

    coordinates: bytes  # x and y of each point, pixels, in 32 bits
    n_points: int
    cost: float  # what it costs to draw, pixels
    columns: tuple[int, int]  # the first that its ink touches, and the one after the last
    complete: bool  # whether no more of it may come
    wiped_from: int = NEVER_WIPED  # the first column from which a rewind wiped its ink

    @property
    def points(self) -> NDArray[np.float32]:
        """The points [n, 2], pixels."""
        return np.frombuffer(self.coordinates, np.float32).reshape(-1, 2)

    def may_change(self, oldest: int) -> bool:
        """Whether it may go on or be undone where the columns from `oldest` on may change."""
        return not self.complete or self.columns[1] > oldest

    def touches(self, first: int, end: int) -> bool:
        """Return whether it has ink on columns `first` to `end`."""
        return self.columns[0] < end and first < self.columns[1]

    def continued(self, piece: Piece, complete: bool) -> "KeptStroke":
        """Return the stroke with one more piece; its columns are right if that can be drawn."""
        first, end = piece.columns
        if self.coordinates:
            first, end = min(first, self.columns[0]), max(end, self.columns[1])
        coordinates = self.coordinates + piece.coordinates
        n_points = self.n_points + piece.n_points
        cost = self.cost + piece.path + POINT_PATH * piece.n_points
        return KeptStroke(coordinates, n_points, cost, (first, end), complete)

    def wiped(self, column: int) -> "KeptStroke":
        """Return the stroke, complete, without its ink on this column and all after it."""
        first, end = self.columns
        if column >= end:
            return replace(self, complete=True)
        return replace(self, complete=True, columns=(first, column), wiped_from=column)


NEW: Final = KeptStroke(b"", 0, 0.0, (0, 0), complete=False)


class Run(NamedTuple):
    """A part of a stroke that is to be drawn."""

    points: Points  # pixels
    cost: float  # of drawing it, pixels
    wiped_from: int | None = None  # of a stroke that the undone one crosses; None: of a new one


@dataclass(slots=True, eq=False)
class InkChanges:
    """What one message of ink changes, and how much of it is drawn: see `draw_due`."""

    ink: Ink
    strokes: Strokes  # all of the line, once this is drawn
    pieces: list[Piece]  # to draw
    undone: KeptStroke | None
    frame: Frame | None  # of the line; None before any ink
    refits: bool  # whether the frame is a new one, so that all strokes are drawn again
    runs: deque[Run] = field(default_factory=deque)  # not drawn yet
    drawn: list[Drawn] = field(default_factory=list)  # the ink of pieces
    beneath: Drawn | None = None  # the ink of other strokes on the columns of the undone one

    def prepare(self, column_size: int) -> None:
        """Check the pieces, and find out what is to be drawn; a column has so many bytes.

        Raises `InkError` if the pen's path is too long, or reaches where nothing is drawn.
        """
        path = sum([piece.path for piece in self.pieces])
        if not path <= MAX_PATH:  # NaN does not pass either
            got = f"the pen goes {path:g} pixels"
            raise InkError(f"{got}, allowed in one message: {MAX_PATH}", self.ink.id)
        try:
            for piece in self.pieces:
                drawing.check_bounds(*piece.bounds)
        except InputError as error:
            raise InkError(str(error), self.ink.id) from error
        for piece in self.pieces:
            self._add(piece.runs(), piece.cost)
        if self.undone is not None and self.undone.touches(*self.undone.columns):
            first, end = self.undone.columns
            self.beneath = Drawn(first, np.zeros((end - first, column_size), np.uint8), end)
            for stroke in self.strokes.values():
                if stroke.touches(first, end):
                    points = stroke.points.astype(np.float64)
                    self._add(cut_in_runs(points), stroke.cost, stroke.wiped_from)

    def _add(self, runs: list[Points], cost: float, wiped_from: int | None = None) -> None:
        self.runs += [Run(points, cost / len(runs), wiped_from) for points in runs]

    @property
    def is_drawn(self) -> bool:
        """Whether all ink is there."""
        return not self.runs

    @property
    def due_cost(self) -> float:
        """What it costs to draw what is not drawn yet, pixels."""
        return sum([run.cost for run in self.runs])

    def take(self, ink: Drawn) -> None:
        """Keep the ink of the next run."""
        wiped_from = self.runs.popleft().wiped_from
        if wiped_from is None:
            self.drawn.append(ink)
            return
        assert self.beneath is not None
        first, beneath = self.beneath.first, self.beneath.ink
        end = min(first + len(beneath), wiped_from, ink.first + len(ink.ink))
        start = max(first, ink.first)
        if start < end:
            here = beneath[start - first : end - first]
            np.maximum(here, ink.ink[start - ink.first :][: len(here)], out=here)

    @property
    def cost(self) -> int:
        """How many messages it counts as."""
        path = sum([piece.cost for piece in self.pieces])
        if self.ink.fit:  # the frame is computed from all of them
            n_points = sum([stroke.n_points for stroke in self.strokes.values()])
            path += n_points + POINT_PATH * len(self.strokes)
        if self.undone is not None:  # strokes that cross it are drawn again
            path += sum([stroke.cost for stroke in self.strokes.values()])
        return 1 + int(min(path, MAX_KEPT_PATH)) // MESSAGE_PATH


def draw_due(due: Sequence[InkChanges], config: ModelConfig) -> None:
    """Draw the next strokes of changes, about a portion: `is_drawn` says which have all their ink.

    The strokes of many are drawn in one pass; those of the first changes come first.
    """
    batch: list[tuple[InkChanges, Run]] = []
    cost_left = float(PORTION_PATH)
    for changes in due:
        for run in changes.runs:
            if cost_left <= 0:
                break
            batch.append((changes, run))
            cost_left -= run.cost
    points = [run.points for _, run in batch]
    drawn = drawing.draw_apart(points, config.column_height, directions=config.directions)
    for (changes, _), ink in zip(batch, drawn, strict=True):
        changes.take(ink)


class SavedInk(msgspec.Struct, array_like=True):
    """The ink of a line as a snapshot has it."""

    height: float | None  # as the client says
    frame: tuple[float, float] | None  # top and height
    is_fitted: bool
    n_pieces: int
    strokes: list[tuple[StrokeKey, KeptStroke]]
    first: int  # columns before this one are forgotten
    behind: int  # columns that the pen has left behind
    n_taken: int  # columns that were read
    waiting: bytes  # pixels of columns that were not read yet


class LineInk:
    """The strokes of one line and the columns that they make; `begin` starts the next line."""

    def __init__(self, model: SessionModel, given_size: int) -> None:
        """Begin a line; columns that are given to it have so many bytes."""
        self._model = model
        self._given_size = given_size
        self.begin()

    def begin(self) -> None:
        """Begin a new line."""
        self.has_strokes = False  # whether this line is written in ink
        self.column_size = self._given_size  # bytes; another one only where none has been read
        self._canvas = self._blank_canvas()
        self._height: float | None = None  # of the line's frame, as the client says
        self._frame: Frame | None = None  # the line's
        self.fitted: Frame | None = None  # the same, once it was fitted to the ink
        self._strokes: Strokes = {}  # whose ink may still change
        self._n_pieces = 0  # strokes and pieces of them that have come

    def _blank_canvas(self) -> Canvas:
        """Return a canvas; a transcriber has a margin between the pen and the columns it reads."""
        config = self._model.config
        margin = self._model.limits.ink_margin_columns if config.kind == "transcriber" else 0
        return Canvas(config.column_size, margin)

    def check_columns(self, ref: Ref) -> None:
        """Raise `ColumnsError` if columns that come in a message `ref` are not allowed here."""
        if self.has_strokes:
            raise ColumnsError(f"columns in a line of ink, allowed: {BEGUN_AGAIN}", ref)

    def changes(self, ink: Ink, oldest: int, read: int) -> InkChanges:
        """Return what a message changes; nothing is drawn yet. For the numbers see `draw`.

        Raises `InkError` if columns of the line came as such, for strokes that cannot go on or be
        drawn, or for an `undo` of a stroke that may no longer change.
        """
        if read and not self.has_strokes:
            raise InkError(f"ink in a line of columns, allowed: {BEGUN_AGAIN}", ink.id)
        strokes, undone = dict(self._strokes), None
        pieces: list[Piece] = []
        if ink.undo is not None:
            undone = strokes.pop(ink.undo, None)
            if undone is None or not undone.may_change(oldest):
                got = f"undo is {quoted(ink.undo)}"
                raise InkError(f"{got}, allowed: the id of a stroke that may still change", ink.id)
        frame = self._frame_of(ink)
        for number, stroke in enumerate(ink.strokes):
            if stroke.id is None and not stroke.last:
                raise InkError(f"stroke {number} has no id, and is not complete", ink.id)
            key: StrokeKey = (self._n_pieces + number,) if stroke.id is None else stroke.id
            before = strokes.get(key, NEW)
            if before is self._strokes.get(key) and not before.may_change(oldest):
                before = NEW  # it came earlier: the id is free again
            if before.complete:
                raise InkError(f"stroke {quoted(key)} is complete, allowed: a new id", ink.id)
            if frame is not None and stroke.points:
                scale = self._model.info.column_height / frame.height
                points = [(x * scale, (y - frame.top) * scale) for x, y, *_ in stroke.points]
                pieces.append(Piece(before.coordinates, points))
                strokes[key] = before.continued(pieces[-1], stroke.last)
            else:
                strokes[key] = replace(before, complete=stroke.last)
        changes = InkChanges(ink, strokes, pieces, undone, frame, refits=False)
        if ink.fit and not oldest:
            changes = self._fitted(changes)
        changes.prepare(self._model.config.column_size)
        return changes

    def _frame_of(self, ink: Ink) -> Frame | None:
        """Return the frame of a message's points; raise `InkError` for a missing or new height."""
        if ink.height is None:
            if ink.strokes:
                raise InkError("ink with strokes has no height, expected a number above 0", ink.id)
        elif self._height not in (None, ink.height):
            got = f"height is {ink.height:g}, expected {self._height:g}"
            raise InkError(f"{got} as before in this line", ink.id)
        elif self._frame is None:
            return Frame(top=0.0, height=ink.height)
        return self._frame

    def _fitted(self, changes: InkChanges) -> InkChanges:
        """Return the changes with all strokes in the frame that suits them, if that is a new one.

        The frame depends on the ink alone, not on when the fit was asked for. The old frame stays
        where the line has become too long to be read again at once.
        """
        strokes, old, info = changes.strokes, changes.frame, self._model.info
        height = changes.ink.height or self._height
        is_wiped = any(stroke.wiped_from < NEVER_WIPED for stroke in strokes.values())
        if old is None or height is None or is_wiped:
            return changes
        written = {key: stroke for key, stroke in strokes.items() if stroke.coordinates}
        all_points = [stroke.points.astype(np.float64) for stroke in written.values()]
        points, starts = drawing.flatten(all_points)
        band, reads_lines = (old.top, old.height), info.kind == "transcriber"
        refitted = refit(points, starts, band, height, info.column_height, transcribes=reads_lines)
        if refitted is None:
            return changes
        points, (top, new_height) = refitted
        parts = np.split(points, starts[1:-1]) if written else []
        pieces = [Piece(b"", [(x, y) for x, y in part.tolist()]) for part in parts]
        limits = self._model.limits
        max_end = min(limits.max_message_columns, limits.max_line_columns)
        end = max([piece.columns[1] for piece in pieces], default=0)
        if end > max_end or sum([piece.path for piece in pieces]) > MAX_PATH:
            return changes
        moved = {}
        for (key, stroke), piece in zip(written.items(), pieces, strict=True):
            moved[key] = NEW.continued(piece, stroke.complete)
        frame = Frame(top=top, height=new_height)
        return InkChanges(changes.ink, strokes | moved, pieces, None, frame, refits=True)

    def draw(self, changes: InkChanges, oldest: int, read: int) -> tuple[int, bytes]:
        """Lay what the newest message changes on the columns, once all its ink is drawn.

        `oldest` is the first column that may still change; `read` columns of the line were read
        before. Returns how many of those are unchanged, and the columns from there on that the pen
        has left. Raises `InkError` if it cannot be drawn; then nothing is changed.
        """
        ink, drawn, beneath = changes.ink, changes.drawn, changes.beneath
        canvas = self._blank_canvas() if changes.refits else self._canvas
        canvas.forget(oldest)
        firsts = [changed.first for changed in (*drawn, beneath) if changed is not None]
        try:
            canvas.check_known(min(firsts, default=oldest))
        except InputError as error:
            raise InkError(str(error), ink.id) from error
        kept = changes.strokes.items()
        strokes = {key: stroke for key, stroke in kept if stroke.may_change(oldest)}
        n_columns = max([canvas.n_columns, *[piece.first + len(piece.ink) for piece in drawn]])
        self._check(n_columns, read, strokes, ink)
        for piece in drawn:
            canvas.draw(piece)
        if beneath is not None:
            n_columns = max([stroke.columns[1] for stroke in changes.strokes.values()], default=0)
            canvas.replace(beneath.first, beneath.ink, n_columns)
        self._canvas, self._strokes = canvas, strokes
        self._n_pieces += len(ink.strokes)
        if ink.strokes:  # else nothing is written, and the line's frame is still open
            self.has_strokes, self.column_size = True, self._model.config.column_size
            self._height, self._frame = ink.height, changes.frame
        if changes.refits:
            self._frame = self.fitted = changes.frame
        # After a new fit all columns are read again, even those that the pen may still touch.
        start, columns = canvas.take(everything=ink.pause or changes.refits)
        return start, columns.tobytes()

    def _check(self, n_columns: int, read: int, strokes: Strokes, ink: Ink) -> None:
        """Raise `InkError` if a line of `read` columns would break a limit with these strokes."""
        limits = self._model.limits
        if n_columns > limits.max_line_columns:
            allowed = f"allowed: 0..{limits.max_line_columns - 1}"
            raise InkError(f"ink reaches column {n_columns - 1}, {allowed}", ink.id)
        n_points = sum([stroke.n_points for stroke in strokes.values()])
        cost = sum([stroke.cost for stroke in strokes.values()])
        for name, got, maximum in (
            ("ink brings {} new columns", n_columns - read, limits.max_message_columns),
            ("{} strokes may still change", len(strokes), limits.max_ink_strokes),
            ("{} points of strokes may still change", n_points, limits.max_ink_points),
            ("{:.0f} pixels of strokes may still change", cost, MAX_KEPT_PATH),
        ):
            if got > maximum:
                raise InkError(f"{name.format(got)}, allowed: up to {maximum}", ink.id)

    def held_back(self) -> tuple[int, bytes] | None:
        """Return what `draw` returns, for columns that wait for the pen; None if there are none."""
        if self._canvas.n_taken >= self._canvas.n_columns:
            return None
        start, columns = self._canvas.take(everything=True)
        return start, columns.tobytes()

    def saved(self) -> SavedInk | None:
        """Return the line's ink, if it has some; all columns that were taken were read."""
        if not self.has_strokes:
            return None
        frame = None if self._frame is None else (self._frame.top, self._frame.height)
        strokes, waiting = [*self._strokes.items()], self._canvas.waiting.tobytes()
        written = self._height, frame, self.fitted is not None, self._n_pieces, strokes
        return SavedInk(*written, *self._canvas.saved(), waiting)

    def resume(self, saved: SavedInk, start: int, columns: bytes) -> None:
        """Begin a line with ink that was `saved`; `columns` were read, all from `start` on."""
        self.begin()
        self.has_strokes, self.column_size = True, self._model.config.column_size
        self._height, self._n_pieces = saved.height, saved.n_pieces
        if saved.frame is not None:
            top, height = saved.frame
            self._frame = Frame(top=top, height=height)
        self.fitted = self._frame if saved.is_fitted else None
        self._strokes = dict(saved.strokes)
        first = max(saved.first, start)  # what was read before `start` can change no more
        pixels = np.frombuffer(columns + saved.waiting, np.uint8).reshape(-1, self.column_size)
        self._canvas.resume(first, saved.behind, saved.n_taken, pixels[first - start :].copy())

    def wipe(self, column: int) -> None:
        """Remove the ink on this column and all after it; no stroke goes on from there.

        A line of which nothing remains may become one of columns.
        """
        if not column:
            self.begin()
            return
        self._canvas.cut(column)
        wiped = {key: stroke.wiped(column) for key, stroke in self._strokes.items()}
        self._strokes = {key: left for key, left in wiped.items() if left.touches(*left.columns)}

    def spans(self, start: int, end: int) -> tuple[Span, ...] | None:
        """Return the parts of strokes on columns `start` to `end`; None in a line of columns.

        Strokes come by their first columns, and those of one column by their ids, numbers first:
        not in the order in which they were written or came.
        """
        if not self.has_strokes:
            return None
        near = [
            (stroke.columns[0], isinstance(key, str), key, stroke)
            for key, stroke in self._strokes.items()
            if stroke.touches(start, end) and not isinstance(key, tuple)
        ]
        near.sort(key=itemgetter(slice(3)))
        spans: list[Span] = []
        for _, _, key, stroke in near[:128]:  # a long word has half as many strokes
            columns = np.floor(stroke.points[:, 0])
            inside = (columns >= start) & (columns < min(end, stroke.wiped_from))
            edges = np.flatnonzero(np.diff(inside, prepend=False, append=False)).tolist()
            if len(edges) > 32:  # more than 16 spans: one covers them all
                edges = [edges[0], edges[-1]]
            pairs = zip(edges[::2], edges[1::2], strict=True)
            spans += [Span(id=key, start=first, end=after) for first, after in pairs]
        return tuple(spans)

"""The line that is being read: its columns, its decoder, and what is run before new columns.

New columns are taken by `read`. Two kinds of pieces are run before them: columns that a rewind
keeps, and the blank columns of a flush.

What is run is noted behind the newest snapshot, new columns and pieces alike.

The net's state cannot be computed backwards. So it is copied every `SNAPSHOT_SPACING` columns, with
the decoder; the columns since then are kept too, and where between them the line was flushed or the
labels that may be answered were changed. A rewind restores the nearest snapshot before its column
and runs again what came since. The memory is bounded by how far a rewind may go back, not by the
length of the line.
"""

from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding.base import PAPER, Allowed, Decoded, Decoder, Event
from inkstream.service.session.snapshot import (
    SavedBlank,
    SavedColumns,
    SavedLabels,
    SavedLine,
    SavedPiece,
)

# A state of the digits net takes 4.3 kB, 150 times its column. At one in 32 columns a session whose
# rewind may go back 512 columns keeps 95 kB, and a rewind costs at most one run of 32 columns.
SNAPSHOT_SPACING: Final = 32

# Ink goes back often, and seldom far: the pen returns for a crossbar or a dot, or a loop reaches
# back. So a line of ink keeps the ends of its newest runs too.
MOST_BETWEEN: Final = 8  # snapshots between those of the spacing

Scores = NDArray[np.float32]  # [n, S]
State = NDArray[np.uint8]  # [D]


@dataclass(frozen=True, slots=True)
class BlankColumns:
    """Blank columns that are no part of the line: a flush runs them."""

    n_columns: int


@dataclass(frozen=True, slots=True, eq=False)
class AllowLabels:
    """From here on these labels may be answered."""

    allowed: Allowed


Piece = bytes | BlankColumns | AllowLabels  # columns, one after another, or what came behind them


@dataclass(slots=True, eq=False)
class Snapshot:
    """The line after its first `column` columns, and what came since, up to the next snapshot."""

    column: int
    state: State | None  # None is the start of a line
    ink_end: int  # columns up to the last one with ink, this one included; 0 before any
    decoder: Decoder  # never stepped itself: copies of it are
    pieces: list[Piece] = field(default_factory=list)


class Sized(Protocol):
    """Knows the size of a line's columns."""

    @property
    def column_size(self) -> int:
        """Bytes of a column; another number only before the first column of a line."""


class Line:
    """The state of one line after the other: `begin` starts the next one."""

    def __init__(self, decoder: Decoder, ink: Sized, reach: int) -> None:
        """Begin the first line, whose ink knows the size of its columns.

        Rewinds go back at most `reach` columns from the furthest one.
        """
        self.epoch = 0  # rises with every rewind and every new line
        self.column = 0  # columns that were read: the number of the next one
        self.ink_end = 0  # columns up to the last one with ink; 0 before any
        self._ink = ink
        self._reach = reach
        self.letters_before = self.words_before = 0  # decided in earlier lines
        self._pieces: list[Piece] = []  # to run before new columns
        self._blank_left: int | None = None  # of the flush being run; None if none is
        self.set_decoder(decoder)

    def begin(self, decoder: Decoder) -> bool:
        """Begin a new line with a copy of this decoder.

        Returns whether the net's state must be set back to the start.
        """
        had_columns = self.column > 0
        self.letters_before += self.decoder.letters
        self.words_before += self.decoder.words
        self.epoch += 1
        self.column = self.ink_end = 0
        self.set_decoder(decoder)
        return had_columns

    def set_decoder(self, decoder: Decoder) -> None:
        """Use a copy of this decoder for a line of which no column has been read."""
        self.decoder = decoder.copy()
        self._snapshots = [Snapshot(0, None, 0, decoder)]
        self._furthest = 0  # columns before a rewind, at the most

    @property
    def column_size(self) -> int:
        """Bytes of a column of this line."""
        return self._ink.column_size

    @property
    def oldest(self) -> int:
        """The first column that a rewind may go back to."""
        # A line that was resumed may have begun with a server where rewinds go back less far.
        return max(self._snapshots[0].column, max(self.column, self._furthest) - self._reach)

    def allow(self, allowed: Allowed) -> None:
        """Change which labels may be answered from the next column on."""
        before = self.decoder.allowed
        if allowed is None or before is None:
            is_same = allowed is before
        else:
            is_same = np.array_equal(allowed, before)
        if not is_same:
            self.decoder.allowed = allowed
            pieces = self._snapshots[-1].pieces
            if pieces and isinstance(pieces[-1], AllowLabels):
                pieces.pop()  # a client may change them any number of times between two columns
            pieces.append(AllowLabels(allowed))

    def read(
        self, scores: Scores, state: State, data: bytes, *, goes_back_often: bool = False
    ) -> Decoded:
        """Take the scores of new columns, whose pixels are `data`, and the state after them."""
        decoded = self._decode(scores, data)
        _add_columns(self._snapshots[-1].pieces, data)
        if goes_back_often or not self.column % SNAPSHOT_SPACING:
            self.keep(state)
        return decoded

    def keep(self, state: State) -> None:
        """Keep a snapshot of the line as it is, and drop those that are no longer needed."""
        own = self._snapshots
        if own[-1].column == self.column:
            return
        own.append(Snapshot(self.column, state.copy(), self.ink_end, self.decoder.copy()))
        between = [i for i, each in enumerate(own) if i and each.column % SNAPSHOT_SPACING]
        if len(between) > MOST_BETWEEN:
            first, *others = own.pop(between[0]).pieces
            _add_columns(own[between[0] - 1].pieces, first)
            own[between[0] - 1].pieces += others
        oldest = self.oldest
        while len(own) > 1 and own[1].column <= oldest:
            own.pop(0)

    def _decode(self, scores: Scores, data: bytes) -> Decoded:
        ink_bytes = len(data.rstrip(PAPER))
        if ink_bytes:
            self.ink_end = self.column + -(-ink_bytes // self.column_size)  # rounded up
        self.column += len(scores)
        columns = np.frombuffer(data, np.uint8).reshape(len(scores), -1)
        return self.decoder.step(scores, columns)

    # Pieces that are run before new columns

    def flush(self) -> None:
        """Add the blank columns that make the net give all that it holds back."""
        self._pieces.append(BlankColumns(self.decoder.flush_columns))

    def rewind(self, column: int) -> State | None:
        """Forget `column` and all after it, which must be within reach.

        What came right before `column` stays. Returns the state from which the pieces are run.
        """
        self._furthest = max(self.column, self._furthest)
        while self._snapshots[-1].column > column:
            self._snapshots.pop()
        snapshot = self._snapshots[-1]
        left = (column - snapshot.column) * self.column_size
        kept: list[Piece] = []
        for piece in snapshot.pieces:
            if not isinstance(piece, bytes):
                kept.append(piece)
                continue
            if left:
                kept.append(piece[:left])
            left -= len(piece)
            if left < 0:
                break
        return self._go_on_from(snapshot, kept)

    def _go_on_from(self, snapshot: Snapshot, pieces: list[Piece]) -> State | None:
        """Let pieces be run from a snapshot on, the newest now; return its state."""
        snapshot.pieces = []
        self._pieces = pieces
        self.column, self.ink_end = snapshot.column, snapshot.ink_end
        self.decoder = snapshot.decoder.copy()
        self._apply_marks()
        return snapshot.state

    @property
    def piece_columns(self) -> int:
        """Columns of the piece to run next; 0 if there is none."""
        for piece in self._pieces:
            if isinstance(piece, bytes):
                return len(piece) // self.column_size
            if isinstance(piece, BlankColumns):
                return piece.n_columns
        return 0

    def take_piece(self, max_columns: int) -> bytes:
        """Remove and return the first columns of the pieces, of which there is one at least."""
        n_columns = min(self.piece_columns, max_columns)
        if isinstance(self._pieces[0], bytes):
            n_columns = min(n_columns, SNAPSHOT_SPACING - self.column % SNAPSHOT_SPACING)
        size, rest = n_columns * self.column_size, self.piece_columns - n_columns
        piece = self._pieces.pop(0)
        if isinstance(piece, bytes):
            self._blank_left = None
            if rest:
                self._pieces.insert(0, piece[size:])
            return piece[:size]
        self._blank_left = rest
        if rest:
            self._pieces.insert(0, BlankColumns(rest))
        return bytes(size)

    def read_piece(self, scores: Scores, state: State, data: bytes) -> list[Event]:
        """Take the scores of columns of a piece, and the state after them; return the events."""
        if self._blank_left is None:
            events = self.read(scores, state, data).events
        else:
            is_last = not self._blank_left
            events = self.decoder.flush(scores, last=is_last)
            if is_last:
                self._snapshots[-1].pieces.append(BlankColumns(self.decoder.flush_columns))
        self._apply_marks()
        return events

    def _apply_marks(self) -> None:
        """Allow the labels again that were allowed at this place of the line."""
        while self._pieces and isinstance(mark := self._pieces[0], AllowLabels):
            self.decoder.allowed = mark.allowed
            self._snapshots[-1].pieces.append(mark)
            self._pieces.pop(0)

    # To go on elsewhere

    def saved(self) -> tuple[SavedLine, bytes]:
        """Return the line as its oldest snapshot and all that came since; nothing is being run.

        The pixels of all columns that came since are apart from the rest.
        """
        first = self._snapshots[0]
        pieces: list[SavedPiece] = []
        pixels: list[bytes] = []
        for piece in chain.from_iterable([snapshot.pieces for snapshot in self._snapshots]):
            if isinstance(piece, BlankColumns):
                pieces.append(SavedBlank(piece.n_columns))
            elif isinstance(piece, AllowLabels):
                pieces.append(_saved_labels(piece.allowed))
            else:
                pixels.append(piece)
                n_columns = len(piece) // self.column_size
                if pieces and isinstance(pieces[-1], SavedColumns):
                    pieces[-1].n_columns += n_columns
                else:
                    pieces.append(SavedColumns(n_columns))
        saved = SavedLine(
            epoch=self.epoch,
            letters_before=self.letters_before,
            words_before=self.words_before,
            furthest=self._furthest,
            column=first.column,
            ink_end=first.ink_end,
            state=None if first.state is None else first.state.tobytes(),
            decoder=first.decoder.to_dict(),
            labels=_saved_labels(first.decoder.allowed),
            pieces=pieces,
        )
        return saved, b"".join(pixels)

    def resume(self, saved: SavedLine, pixels: bytes, decoder: Decoder) -> State | None:
        """Begin a line as it was `saved`, with the pixels of its columns and its decoder.

        Returns the state from which its pieces are run.
        """
        decoder.allowed = _allowed(saved.labels)
        self.epoch, self._furthest = saved.epoch, saved.furthest
        self.letters_before, self.words_before = saved.letters_before, saved.words_before
        state = None if saved.state is None else np.frombuffer(saved.state, np.uint8)
        snapshot = Snapshot(saved.column, state, saved.ink_end, decoder)
        self._snapshots = [snapshot]
        return self._go_on_from(snapshot, self._resumed_pieces(saved, pixels))

    def _resumed_pieces(self, saved: SavedLine, pixels: bytes) -> list[Piece]:
        """Return the pieces of a line that was saved."""
        pieces: list[Piece] = []
        start = 0
        for piece in saved.pieces:
            if isinstance(piece, SavedColumns):
                stop = start + piece.n_columns * self.column_size
                _add_columns(pieces, pixels[start:stop])
                start = stop
            elif isinstance(piece, SavedBlank):
                pieces.append(BlankColumns(piece.n_columns))
            else:
                pieces.append(AllowLabels(_allowed(piece)))
        return pieces


def _saved_labels(allowed: Allowed) -> SavedLabels:
    return SavedLabels(None if allowed is None else allowed.tobytes())


def _allowed(saved: SavedLabels) -> Allowed:
    return None if saved.allowed is None else np.frombuffer(saved.allowed, np.float32)


def _add_columns(pieces: list[Piece], more: Piece) -> None:
    """Add columns to pieces: one piece with the columns right before them."""
    if pieces and isinstance(pieces[-1], bytes) and isinstance(more, bytes):
        pieces[-1] += more
    else:
        pieces.append(more)

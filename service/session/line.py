"""The line that is being read: its columns, its decoder, and what is run before new columns.

New columns are taken by `read`. Two kinds of pieces are run before them: columns that a rewind
keeps, and the blank columns of a flush.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding.base import Allowed, Decoded, Decoder, Event
from inkstream.service.session.rewind import (
    SNAPSHOT_SPACING,
    AllowLabels,
    BlankColumns,
    ColumnLog,
    Piece,
    Snapshot,
)

Scores = NDArray[np.float32]  # [n, S]
State = NDArray[np.float32]  # [D]


class Line:
    """The state of one line after the other: `begin` starts the next one."""

    def __init__(self, decoder: Decoder, column_height: int, reach: int) -> None:
        """Begin the first line; rewinds go back at most `reach` columns."""
        self.epoch = 0  # rises with every rewind and every new line
        self.column = 0  # columns that were read: the number of the next one
        self.ink_end = 0  # columns up to the last one with ink; 0 before any
        self._column_height = column_height
        self.letters_before = self.words_before = 0  # decided in earlier lines
        self._pieces: deque[Piece] = deque()  # to run before new columns
        self._blank_left: int | None = None  # of the flush being run; None if none is
        self._log = ColumnLog(column_height, reach)
        self.set_decoder(decoder)

    @property
    def oldest(self) -> int:
        """The first column that a rewind may go back to."""
        return self._log.oldest

    def begin(self, decoder: Decoder) -> bool:
        """Begin a new line; return whether the net's state must be set back to the start."""
        had_columns = self.column > 0
        self.letters_before += self.decoder.letters
        self.words_before += self.decoder.words
        self.epoch += 1
        self.column = self.ink_end = 0
        self.set_decoder(decoder)
        return had_columns

    def set_decoder(self, decoder: Decoder) -> None:
        """Use this decoder for a line of which no column has been read."""
        self.decoder = decoder
        self._log.begin(decoder)

    def allow(self, allowed: Allowed) -> None:
        """Change which labels may be answered from the next column on."""
        before = self.decoder.allowed
        if allowed is None or before is None:
            is_same = allowed is before
        else:
            is_same = np.array_equal(allowed, before)
        if not is_same:
            self.decoder.allowed = allowed
            self._log.mark(self.column, AllowLabels(allowed))

    def read(self, scores: Scores, state: State, data: bytes) -> Decoded:
        """Take the scores of new columns, whose pixels are `data`, and the state after them."""
        decoded = self._decode(scores, data)
        self._log.append(data, self.column)
        if not self.column % SNAPSHOT_SPACING:
            snapshot = Snapshot(self.column, state.copy(), self.ink_end, self.decoder.copy())
            self._log.keep(snapshot)
        return decoded

    def _decode(self, scores: Scores, data: bytes) -> Decoded:
        ink_bytes = len(data.rstrip(b"\0"))
        if ink_bytes:
            self.ink_end = self.column + -(-ink_bytes // self._column_height)  # rounded up
        self.column += len(scores)
        columns = np.frombuffer(data, np.uint8).reshape(len(scores), -1)
        return self.decoder.step(scores, columns)

    # Pieces that are run before new columns

    def flush(self) -> None:
        """Add the blank columns that make the net give all that it holds back."""
        blank = BlankColumns(self.decoder.flush_columns)
        self._pieces.append(blank)
        self._log.mark(self.column, blank)

    def rewind(self, column: int) -> State | None:
        """Forget `column` and all after it; return the state from which the pieces are run."""
        snapshot, self._pieces = self._log.rewind(column)
        self.column, self.ink_end = snapshot.column, snapshot.ink_end
        self.decoder = snapshot.decoder.copy()
        self._apply_marks()
        return snapshot.state

    @property
    def piece_columns(self) -> int:
        """Columns of the piece to run next; 0 if there is none."""
        for piece in self._pieces:
            if isinstance(piece, bytes):
                return len(piece) // self._column_height
            if isinstance(piece, BlankColumns):
                return piece.n_columns
        return 0

    def take_piece(self, max_columns: int) -> bytes:
        """Remove and return the first columns of the pieces, of which there is one at least."""
        n_columns = min(self.piece_columns, max_columns)
        size, rest = n_columns * self._column_height, self.piece_columns - n_columns
        piece = self._pieces.popleft()
        if isinstance(piece, bytes):
            self._blank_left = None
            if rest:
                self._pieces.appendleft(piece[size:])
            return piece[:size]
        self._blank_left = rest
        if rest:
            self._pieces.appendleft(BlankColumns(rest))
        return bytes(size)

    def read_piece(self, scores: Scores, data: bytes) -> list[Event]:
        """Take the scores of the columns of a piece; return the events that a flush decided."""
        events: list[Event] = []
        if self._blank_left is None:
            self._decode(scores, data)
        else:
            events = self.decoder.flush(scores, last=not self._blank_left)
        self._apply_marks()
        return events

    def _apply_marks(self) -> None:
        """Allow the labels again that were allowed at this place of the line."""
        while self._pieces and isinstance(mark := self._pieces[0], AllowLabels):
            self.decoder.allowed = mark.allowed
            self._pieces.popleft()

"""The line that is being read: how far it is, what a rewind needs, and what is run beside it.

New columns are read by `read`. Two things are run aside, in pieces: the blank columns of a flush,
and what a rewind has to go through once more.
"""

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding.base import Allowed
from inkstream.service.session.effects import Effect
from inkstream.service.session.outputs import Voice
from inkstream.service.session.rewind import (
    SNAPSHOT_SPACING,
    Allow,
    Flush,
    History,
    Piece,
    Snapshot,
)

Scores = NDArray[np.float32]  # [n, S]
State = NDArray[np.float32]  # [D]


class Line:
    """One line after the other: `begin` starts the next one."""

    def __init__(self, new_voice: Callable[[], Voice], column_height: int, reach: int) -> None:
        """Begin the first line; rewinds go back at most `reach` columns."""
        self._new_voice = new_voice  # hears a line from its beginning
        self.epoch = 0  # rises whenever what was said is not the line's any more
        self.column = 0  # columns that were read: the number of the next one
        self.ink_end = 0  # columns up to the last one with ink; 0 before any
        self._column_height = column_height
        self._history = History(column_height, reach)
        self.listen_anew()
        self._before = dict(self.voice.counts)  # of the lines before this one
        self._aside: deque[Piece] = deque()
        self._flush_left: int | None = None  # blank columns still to come; None if none are run

    @property
    def oldest(self) -> int:
        """The first column that a rewind may go back to."""
        return self._history.oldest

    @property
    def until_snapshot(self) -> int:
        """Columns up to where the next snapshot is due."""
        return SNAPSHOT_SPACING - self.column % SNAPSHOT_SPACING

    @property
    def totals(self) -> dict[str, int]:
        """How many letters and words were decided, in this line and those before."""
        return {name: self._before[name] + n for name, n in self.voice.counts.items()}

    def begin(self) -> bool:
        """Begin a new line; gives whether there were columns that the net's state must forget."""
        begun = self.column > 0
        self._before = self.totals
        self.epoch += 1
        self.column = self.ink_end = 0
        self.listen_anew()
        return begun

    def listen_anew(self) -> None:
        """Hear the line with a new voice, if nothing of it was read; else the next one has it."""
        if not self.column:
            self.voice = self._new_voice()
            self._history.begin(self.voice)

    def allow(self, allowed: Allowed) -> None:
        """Change what may be answered from the next column on."""
        decoder = self.voice.decoder
        if allowed is not decoder.allowed:
            decoder.allowed = allowed
            self._history.mark(self.column, Allow(allowed))

    def read(self, scores: Scores, state: State, data: bytes) -> None:
        """Take the scores of new columns, whose pixels are `data`, and the state after them."""
        self._hear(scores, data)
        self._history.append(data, self.column)
        if not self.column % SNAPSHOT_SPACING:
            voice = self.voice.copy()
            self._history.keep(Snapshot(self.column, state.copy(), self.ink_end, voice))

    def _hear(self, scores: Scores, data: bytes) -> None:
        self.voice.hear(scores, data)
        ink_bytes = len(data.rstrip(b"\0"))
        if ink_bytes:
            self.ink_end = self.column + -(-ink_bytes // self._column_height)  # rounded up
        self.column += len(scores)

    # Aside

    def flush(self) -> None:
        """Have the blank columns run that make the net say what it holds back."""
        self._aside.append(Flush(self.voice.flush_columns))
        self._history.mark(self.column, Flush(self.voice.flush_columns))

    def rewind(self, column: int) -> State | None:
        """Forget `column` and all after it; gives the state from which what stands is run again."""
        snapshot, self._aside = self._history.rewind(column)
        self.column, self.ink_end = snapshot.column, snapshot.ink_end
        self.voice = snapshot.voice.copy()
        self._pass_marks()
        return snapshot.state

    @property
    def aside_columns(self) -> int:
        """Columns to run aside next; 0 if there are none."""
        for piece in self._aside:
            if isinstance(piece, bytes):
                return len(piece) // self._column_height
            if isinstance(piece, Flush):
                return piece.n_columns
        return 0

    def take_aside(self, max_columns: int) -> bytes:
        """The first columns to run aside, of which there are some."""
        n_columns = min(self.aside_columns, max_columns)
        size, rest = n_columns * self._column_height, self.aside_columns - n_columns
        piece = self._aside.popleft()
        if isinstance(piece, bytes):
            self._flush_left = None
            if rest:
                self._aside.appendleft(piece[size:])
            return piece[:size]
        self._flush_left = rest
        if rest:
            self._aside.appendleft(Flush(rest))
        return bytes(size)

    def read_aside(self, scores: Scores, data: bytes) -> list[Effect]:
        """Take the scores of what was taken aside; gives what a flush decided."""
        effects: list[Effect] = []
        if self._flush_left is None:
            self._hear(scores, data)
        else:
            effects = self.voice.hear_beyond(scores, last=not self._flush_left)
        self._pass_marks()
        return effects

    def _pass_marks(self) -> None:
        """Allow again what was allowed at this place of the line."""
        while self._aside and isinstance(mark := self._aside[0], Allow):
            self.voice.decoder.allowed = mark.allowed
            self._aside.popleft()

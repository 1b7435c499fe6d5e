"""The line that is being read: its columns, its decoder, and the states to which it can go back.

The net's state cannot be computed backwards. So it is kept every `KEPT_SPACING` columns, with the
decoder, and with it all that was read since: columns, blank columns of a flush, changes of the
labels that may be answered. To go back, the session restores the newest kept state before a column
and reads again what follows it. The memory is bounded by how far a rewind may go back, not by the
length of the line.
"""

from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding.base import PAPER, Allowed, Decoded, Decoder, Event, Scores

# A state of the digits net takes 4.3 kB, 150 times its column. At one in 32 columns a session whose
# rewind may go back 512 columns keeps 95 kB, and a rewind costs at most one run of 32 columns.
KEPT_SPACING: Final = 32

State = NDArray[np.uint8]  # [D]


class BlankColumns(msgspec.Struct, array_like=True, tag="blank", frozen=True):
    """Blank columns that are no part of the line: a flush reads them."""

    n_columns: int


class AllowLabels(msgspec.Struct, array_like=True, tag="labels", frozen=True):
    """From here on these labels may be answered."""

    packed: bytes | None

    @classmethod
    def of(cls, allowed: Allowed) -> Self:
        """Return the labels that are allowed, packed."""
        return cls(None if allowed is None else allowed.tobytes())

    @property
    def allowed(self) -> Allowed:
        """The labels, as decoders take them."""
        return None if self.packed is None else np.frombuffer(self.packed, np.float32)


Piece = bytes | BlankColumns | AllowLabels  # columns, one after another, or what came behind them
# What a line that goes back needs: the net's state to restore, and what to read again from there.
Restart = tuple[State | None, list[Piece]]


@dataclass(slots=True, eq=False)
class KeptState:
    """The line after its first `column` columns, and what was read since, up to the next one."""

    column: int
    state: State | None  # None is the start of a line
    ink_end: int  # columns up to the last one with ink, this one included; 0 before any
    decoder: Decoder  # never stepped; its copies are
    pieces: list[Piece] = field(default_factory=list)


class SavedLine(msgspec.Struct, array_like=True):
    """A line as a snapshot has it: its oldest kept state, and what was read since."""

    furthest: int
    column: int
    ink_end: int
    state: bytes | None
    decoder: dict[str, Any]  # see `Decoder.to_dict`
    labels: AllowLabels
    pieces: list[Piece]


class Line:
    """The state of one line after the other: `begin` starts the next one."""

    def __init__(self, decoder: Decoder, reach: int) -> None:
        """Begin the first line; rewinds go back at most `reach` columns from the furthest one."""
        self._reach = reach
        self.begin(decoder)

    def begin(self, decoder: Decoder) -> None:
        """Begin a line with a copy of this decoder."""
        self.column = 0  # columns that were read: the number of the next one
        self.ink_end = 0  # columns up to the last one with ink; 0 before any
        self.decoder = decoder.copy()
        self._kept = [KeptState(0, None, 0, decoder)]
        self._furthest = 0  # the largest number of columns before any rewind
        self._column_size = 0  # bytes of a column, once one was read

    @property
    def oldest(self) -> int:
        """The first column that a rewind may go back to."""
        # A line that was resumed may have begun with a server where rewinds go back less far.
        return max(self._kept[0].column, max(self.column, self._furthest) - self._reach)

    def allow(self, allowed: Allowed) -> None:
        """Change which labels may be answered from the next column on."""
        labels = AllowLabels.of(allowed)
        if labels == AllowLabels.of(self.decoder.allowed):
            return
        self.decoder.allowed = allowed
        pieces = self._kept[-1].pieces
        if pieces and isinstance(pieces[-1], AllowLabels):
            pieces.pop()  # a client may change them any number of times between two columns
        pieces.append(labels)

    def read(self, scores: Scores, state: State, data: bytes, *, keep: bool = False) -> Decoded:
        """Take the scores of columns, whose pixels are `data`, and the state after them.

        The state is kept at each multiple of the spacing, or wherever `keep` is true.
        """
        n_columns = len(scores)
        self._column_size = size = len(data) // n_columns
        columns = np.frombuffer(data, np.uint8).reshape(-1, size) if n_columns > 1 else [data]
        if ink_bytes := len(data.rstrip(PAPER)):
            self.ink_end = self.column + -(-ink_bytes // size)  # rounded up
        self.column += n_columns
        decoded = self.decoder.step(scores, columns)
        _add(self._kept[-1].pieces, data)
        if keep or not self.column % KEPT_SPACING:
            self.keep(state)
        return decoded

    def flush(self, scores: Scores, *, last: bool) -> list[Event]:
        """Take the scores of blank columns, which are no part of the line; decide at the last."""
        events = self.decoder.flush(scores, last=last)
        if last:
            self._kept[-1].pieces.append(BlankColumns(self.decoder.flush_columns))
        return events

    def keep(self, state: State) -> None:
        """Keep the line as it is, with the net's state, and drop what is no longer needed."""
        kept = self._kept
        if kept[-1].column == self.column:
            return
        kept.append(KeptState(self.column, state.copy(), self.ink_end, self.decoder))
        self.decoder = self.decoder.copy()  # faster than the one that was copied
        # Ink goes back often, and seldom far: the pen returns for a crossbar or a dot, or a loop
        # reaches back. So of a line of ink the eight newest states between those of the spacing
        # are kept too.
        between = [i for i, before in enumerate(kept) if i and before.column % KEPT_SPACING]
        if len(between) > 8:
            for piece in kept.pop(between[0]).pieces:
                _add(kept[between[0] - 1].pieces, piece)
        oldest = self.oldest
        while len(kept) > 1 and kept[1].column <= oldest:
            kept.pop(0)

    def go_back(self, column: int) -> Restart:
        """Forget `column`, within reach, and all after it; return what to restore and read again.

        A flush or a change of labels right before the column stays.
        """
        self._furthest = max(self.column, self._furthest)
        while self._kept[-1].column > column:
            self._kept.pop()
        kept = self._kept[-1]
        pieces: list[Piece] = []
        n_left = column - kept.column
        for piece in kept.pieces:
            if not isinstance(piece, bytes):
                pieces.append(piece)
                continue
            if n_left:
                pieces.append(piece[: n_left * self._column_size])
            n_left -= len(piece) // self._column_size
            if n_left < 0:
                break
        return self._restore(kept, pieces)

    def _restore(self, kept: KeptState, pieces: list[Piece]) -> Restart:
        """Go to a kept state, now the newest; return its net's state, and what to read again."""
        kept.pieces = []
        self.column, self.ink_end = kept.column, kept.ink_end
        self.decoder = kept.decoder.copy()
        return kept.state, pieces

    def saved(self) -> SavedLine:
        """Return the line for a snapshot."""
        first = self._kept[0]
        pieces: list[Piece] = []
        for piece in chain.from_iterable([kept.pieces for kept in self._kept]):
            _add(pieces, piece)
        state = None if first.state is None else first.state.tobytes()
        decoder, labels = first.decoder.to_dict(), AllowLabels.of(first.decoder.allowed)
        counts = self._furthest, first.column, first.ink_end
        return SavedLine(*counts, state, decoder, labels, pieces)

    def resume(self, saved: SavedLine, decoder: Decoder, column_size: int) -> Restart:
        """Begin a line as it was `saved`, with its decoder and columns of so many bytes."""
        decoder.allowed = saved.labels.allowed
        self._furthest, self._column_size = saved.furthest, column_size
        state = None if saved.state is None else np.frombuffer(saved.state, np.uint8)
        self._kept = [KeptState(saved.column, state, saved.ink_end, decoder)]
        return self._restore(self._kept[0], saved.pieces)


def _add(pieces: list[Piece], more: Piece) -> None:
    """Add to pieces; columns become one piece with the columns right before them."""
    if pieces and isinstance(more, bytes) and isinstance(before := pieces[-1], bytes):
        pieces[-1] = before + more
    else:
        pieces.append(more)

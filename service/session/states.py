"""The states of a session, and which transition leads from which state to which.

`TRANSITIONS` is the whole rule: a transition without a cell in the row of the present state raises
`IllegalTransitionError` and changes nothing.

New columns of a session are run (`RUNNING`) while it is `OPEN`. A rewind restores an earlier state
of the net; the columns that were kept since then are run again before anything else, in one or
several pieces, and no results are sent for them (`PIECES_DUE`, `PIECE_RUNNING`). A flush runs blank
columns in the same way, until the decoder has nothing left to decide. Ink is drawn together with
that of other sessions (`INK_DUE`) before its columns are there.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, Literal

from inkstream.model.errors import InkstreamError


class State(IntEnum):
    """Where a session stands."""

    NEW = 0  # not opened yet
    OPEN = 1  # nothing is being run
    RUNNING = 2  # new columns are being run
    PIECES_DUE = 3  # columns of a rewind or a flush wait to be run
    PIECE_RUNNING = 4  # some of them are being run
    INK_DUE = 5  # strokes wait to be drawn
    CLOSED = 6


class Transition(IntEnum):
    """What happens to a session."""

    OPEN = 0
    RECEIVE = 1  # a frame came, or the client is to be told something
    TAKE = 2  # columns went to the engine
    STEP = 3  # their scores came back
    FINISH = 4  # the same, for the last columns of a rewind or a flush
    INSERT = 5  # columns of a rewind or a flush are to be run
    WRITE = 6  # strokes are to be drawn
    DRAW = 7  # they were drawn


class IllegalTransitionError(InkstreamError):
    """The caller did what the session's state does not allow; nothing was changed."""


STAY: Final = "STAY"  # in the same state
NO: Final = None  # not allowed
Cell = State | Literal["STAY"] | None


class Row(dict[Transition, State]):
    """The cells of one state; looking up a transition without a cell raises the error."""

    def __init__(self, state: State, cells: Sequence[Cell]) -> None:
        self.state = state
        for transition, cell in zip(Transition, cells, strict=True):
            if cell is not NO:
                self[transition] = state if cell == STAY else cell

    def __missing__(self, transition: Transition) -> State:
        allowed = ", ".join(possible.name for possible in self)
        raise IllegalTransitionError(
            f"{transition.name} in state {self.state.name}, allowed: {allowed}"
        )


NEW, OPEN, RUNNING, PIECES_DUE, PIECE_RUNNING, INK_DUE, CLOSED = State

# fmt: off
TABLE: Final[dict[State, Sequence[Cell]]] = {
    #               OPEN  RECEIVE TAKE           STEP        FINISH INSERT      WRITE    DRAW
    NEW:           (OPEN, NO,     NO,            NO,         NO,    NO,         NO,      NO),
    OPEN:          (NO,   STAY,   RUNNING,       NO,         NO,    PIECES_DUE, INK_DUE, NO),
    RUNNING:       (NO,   STAY,   NO,            OPEN,       NO,    NO,         NO,      NO),
    PIECES_DUE:    (NO,   STAY,   PIECE_RUNNING, NO,         NO,    NO,         NO,      NO),
    PIECE_RUNNING: (NO,   STAY,   NO,            PIECES_DUE, OPEN,  NO,         NO,      NO),
    INK_DUE:       (NO,   STAY,   NO,            NO,         NO,    NO,         NO,      OPEN),
    # It may be closed at any time. What comes afterwards is dropped.
    CLOSED:        (NO,   STAY,   STAY,          STAY,       STAY,  NO,         NO,      STAY),
}
# fmt: on
TRANSITIONS: Final = {state: Row(state, cells) for state, cells in TABLE.items()}

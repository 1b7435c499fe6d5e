"""The states of a session, and which transition leads from which state to which.

`TRANSITIONS` is the whole rule: a transition without a cell in the row of the present state raises
`IllegalTransitionError` and changes nothing.

At most one piece of a session's columns is being run at a time (`RUNNING`). A rewind restores an
earlier state of the net; the columns that were kept since then are run again before anything else,
in one or several pieces, and no results are sent for them (`REPLAY_DUE`, `REPLAYING`). A
flush runs blank columns in the same way, until the decoder has nothing left to decide
(`FLUSH_DUE`, `FLUSHING`).
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
    REPLAY_DUE = 3  # kept columns wait to be run again
    REPLAYING = 4  # kept columns are being run again
    FLUSH_DUE = 5  # blank columns wait to be run
    FLUSHING = 6  # blank columns are being run
    CLOSED = 7


class Transition(IntEnum):
    """What happens to a session."""

    OPEN = 0
    RECEIVE = 1  # a frame came
    TAKE = 2  # columns went to the engine
    STEP = 3  # their scores came back
    FINISH = 4  # the same, for the last columns of a replay or a flush
    REWIND = 5  # an earlier state is restored
    FLUSH = 6  # blank columns are to be run
    NOTIFY = 7  # the client is sent what it did not ask for
    CLOSE = 8


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


NEW, OPEN, RUNNING, REPLAY_DUE, REPLAYING, FLUSH_DUE, FLUSHING, CLOSED = State

# fmt: off
TABLE: Final[dict[State, Sequence[Cell]]] = {
    #            OPEN  RECEIVE TAKE       STEP        FINISH REWIND      FLUSH      NOTIFY CLOSE
    NEW:        (OPEN, NO,     NO,        NO,         NO,    NO,         NO,        NO,    CLOSED),
    OPEN:       (NO,   STAY,   RUNNING,   NO,         NO,    REPLAY_DUE, FLUSH_DUE, STAY,  CLOSED),
    RUNNING:    (NO,   STAY,   NO,        OPEN,       NO,    NO,         NO,        STAY,  CLOSED),
    REPLAY_DUE: (NO,   STAY,   REPLAYING, NO,         NO,    NO,         NO,        STAY,  CLOSED),
    REPLAYING:  (NO,   STAY,   NO,        REPLAY_DUE, OPEN,  NO,         NO,        STAY,  CLOSED),
    FLUSH_DUE:  (NO,   STAY,   FLUSHING,  NO,         NO,    NO,         NO,        STAY,  CLOSED),
    FLUSHING:   (NO,   STAY,   NO,        FLUSH_DUE,  OPEN,  NO,         NO,        STAY,  CLOSED),
    # What comes after the close is dropped.
    CLOSED:     (NO,   STAY,   STAY,      STAY,       STAY,  NO,         NO,        STAY,  CLOSED),
}
# fmt: on
TRANSITIONS: Final = {state: Row(state, cells) for state, cells in TABLE.items()}

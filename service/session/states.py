"""The states of a session, and which transition leads from which state to which.

`TRANSITIONS` is the whole rule: a transition without a cell in the row of the present state raises
`IllegalTransitionError` and changes nothing.

At most one piece of a session's columns is being run at a time (`RUNNING`). A rewind restores an
earlier state of the net; the columns that were kept since then are run again before anything else,
in one or several pieces, and no results are sent for them (`REPLAY_DUE`, `REPLAYING`). A
flush runs blank columns in the same way, until the decoder has nothing left to decide
(`FLUSH_DUE`, `FLUSHING`).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

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
    LAST_STEP = 4  # the same, and these were the last columns of a replay or a flush
    REWIND = 5  # an earlier state is restored
    FLUSH = 6  # blank columns are to be run
    NOTIFY = 7  # the client is sent what it did not ask for
    CLOSE = 8


class IllegalTransitionError(InkstreamError):
    """The caller did what the session's state does not allow; nothing was changed."""


class Row(dict[Transition, State]):
    """The cells of one state; looking up a transition without a cell raises the error."""

    def __init__(self, state: State, cells: Mapping[Transition, State]) -> None:
        super().__init__(cells)
        self.state = state

    def __missing__(self, transition: Transition) -> State:
        allowed = ", ".join(possible.name for possible in self)
        raise IllegalTransitionError(
            f"{transition.name} in state {self.state.name}, allowed: {allowed}"
        )


_CELLS: Final[dict[State, dict[Transition, State]]] = {
    State.NEW: {Transition.OPEN: State.OPEN, Transition.CLOSE: State.CLOSED},
    State.OPEN: {
        Transition.RECEIVE: State.OPEN,
        Transition.TAKE: State.RUNNING,
        Transition.REWIND: State.REPLAY_DUE,
        Transition.FLUSH: State.FLUSH_DUE,
        Transition.NOTIFY: State.OPEN,
        Transition.CLOSE: State.CLOSED,
    },
    State.RUNNING: {
        Transition.RECEIVE: State.RUNNING,
        Transition.STEP: State.OPEN,
        Transition.NOTIFY: State.RUNNING,
        Transition.CLOSE: State.CLOSED,
    },
    State.REPLAY_DUE: {
        Transition.RECEIVE: State.REPLAY_DUE,
        Transition.TAKE: State.REPLAYING,
        Transition.NOTIFY: State.REPLAY_DUE,
        Transition.CLOSE: State.CLOSED,
    },
    State.REPLAYING: {
        Transition.RECEIVE: State.REPLAYING,
        Transition.STEP: State.REPLAY_DUE,
        Transition.LAST_STEP: State.OPEN,
        Transition.NOTIFY: State.REPLAYING,
        Transition.CLOSE: State.CLOSED,
    },
    State.FLUSH_DUE: {
        Transition.RECEIVE: State.FLUSH_DUE,
        Transition.TAKE: State.FLUSHING,
        Transition.NOTIFY: State.FLUSH_DUE,
        Transition.CLOSE: State.CLOSED,
    },
    State.FLUSHING: {
        Transition.RECEIVE: State.FLUSHING,
        Transition.STEP: State.FLUSH_DUE,
        Transition.LAST_STEP: State.OPEN,
        Transition.NOTIFY: State.FLUSHING,
        Transition.CLOSE: State.CLOSED,
    },
    State.CLOSED: {  # what was under way may still arrive, and is dropped
        Transition.RECEIVE: State.CLOSED,
        Transition.TAKE: State.CLOSED,
        Transition.STEP: State.CLOSED,
        Transition.LAST_STEP: State.CLOSED,
        Transition.NOTIFY: State.CLOSED,
        Transition.CLOSE: State.CLOSED,
    },
}
TRANSITIONS: Final = {state: Row(state, cells) for state, cells in _CELLS.items()}

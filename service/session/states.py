"""The states of a session and what may happen in each.

`TRANSITIONS` is the whole rule: an event without a cell in the row of the present state raises
`IllegalEventError` and changes nothing.

A session runs at most one piece of columns at a time (`RUNNING`). A rewind puts an earlier state
back; the kept columns since then are read once more, silently and before anything else, in one or
several pieces (`REWINDING`, `REPLAYING`). A flush has blank columns run, likewise, until the net
has said all that it held back (`FLUSHING`, `SETTLING`).
"""

from enum import IntEnum
from typing import Final

from inkstream.model.errors import InkstreamError


class State(IntEnum):
    """Where a session stands."""

    NEW = 0  # not opened yet
    OPEN = 1  # nothing is being run
    RUNNING = 2  # new columns are being run
    REWINDING = 3  # kept columns wait for being run once more
    REPLAYING = 4  # kept columns are being run once more
    FLUSHING = 5  # blank columns wait for being run
    SETTLING = 6  # blank columns are being run
    CLOSED = 7


class Event(IntEnum):
    """What happens to a session."""

    OPEN = 0
    RECEIVE = 1  # a frame came
    TAKE = 2  # columns went to the engine
    STEP = 3  # their scores came back
    LAST_STEP = 4  # the same, and these were the last columns of a rewind or a flush
    REWIND = 5  # an earlier state is put back
    FLUSH = 6  # the net is to say what it holds back
    NOTIFY = 7  # the client is told what it did not ask for
    CLOSE = 8


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.NEW: {Event.OPEN: State.OPEN, Event.CLOSE: State.CLOSED},
    State.OPEN: {
        Event.RECEIVE: State.OPEN,
        Event.TAKE: State.RUNNING,
        Event.REWIND: State.REWINDING,
        Event.FLUSH: State.FLUSHING,
        Event.NOTIFY: State.OPEN,
        Event.CLOSE: State.CLOSED,
    },
    State.RUNNING: {
        Event.RECEIVE: State.RUNNING,
        Event.STEP: State.OPEN,
        Event.NOTIFY: State.RUNNING,
        Event.CLOSE: State.CLOSED,
    },
    State.REWINDING: {
        Event.RECEIVE: State.REWINDING,
        Event.TAKE: State.REPLAYING,
        Event.NOTIFY: State.REWINDING,
        Event.CLOSE: State.CLOSED,
    },
    State.REPLAYING: {
        Event.RECEIVE: State.REPLAYING,
        Event.STEP: State.REWINDING,
        Event.LAST_STEP: State.OPEN,
        Event.NOTIFY: State.REPLAYING,
        Event.CLOSE: State.CLOSED,
    },
    State.FLUSHING: {
        Event.RECEIVE: State.FLUSHING,
        Event.TAKE: State.SETTLING,
        Event.NOTIFY: State.FLUSHING,
        Event.CLOSE: State.CLOSED,
    },
    State.SETTLING: {
        Event.RECEIVE: State.SETTLING,
        Event.STEP: State.FLUSHING,
        Event.LAST_STEP: State.OPEN,
        Event.NOTIFY: State.SETTLING,
        Event.CLOSE: State.CLOSED,
    },
    State.CLOSED: {  # what was under way may still arrive, and is dropped
        Event.RECEIVE: State.CLOSED,
        Event.TAKE: State.CLOSED,
        Event.STEP: State.CLOSED,
        Event.LAST_STEP: State.CLOSED,
        Event.NOTIFY: State.CLOSED,
        Event.CLOSE: State.CLOSED,
    },
}


class IllegalEventError(InkstreamError):
    """The caller did what the session's state does not allow; nothing was changed."""


def after(state: State, event: Event) -> State:
    """The state that `event` leads to from `state`; raises `IllegalEventError` if to none."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        allowed = ", ".join(possible.name for possible in TRANSITIONS[state])
        raise IllegalEventError(f"{event.name} in state {state.name}, allowed: {allowed}") from None

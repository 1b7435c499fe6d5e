"""The states of a session: every cell of the table, and every call in every state."""

from collections.abc import Callable

import numpy as np
import pytest

from inkstream.model.errors import InkstreamError
from inkstream.model.runtime import Runtime
from inkstream.service.session import Session
from inkstream.service.session.states import TRANSITIONS, IllegalTransitionError, State, Transition
from tests.helpers.single_session import LINE_INK, SessionClient, message, only, step_alone

STROKE = [(3.0, 4.0), (9.0, 8.0)]

# States: every cell of the table

TABLE = """
                OPEN RECEIVE       TAKE          STEP       FINISH INSERT     WRITE   DRAW
  NEW           OPEN -             -             -          -      -          -       -
  OPEN          -    OPEN          RUNNING       -          -      PIECES_DUE INK_DUE -
  RUNNING       -    RUNNING       -             OPEN       -      -          -       -
  PIECES_DUE    -    PIECES_DUE    PIECE_RUNNING -          -      -          -       -
  PIECE_RUNNING -    PIECE_RUNNING -             PIECES_DUE OPEN   -          -       -
  INK_DUE       -    INK_DUE       -             -          -      -          -       OPEN
  CLOSED        -    CLOSED        CLOSED        CLOSED     CLOSED -          -       CLOSED
"""
HEADER, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
CELLS = [
    (State[row[0]], Transition[event], None if cell == "-" else State[cell])
    for row in ROWS
    for event, cell in zip(HEADER, row[1:], strict=True)
]
INK = message("ink", strokes=[{"points": STROKE}], height=16.0)
CALLS: list[tuple[Transition, Callable[[Session, Runtime], object]]] = [
    (Transition.OPEN, lambda session, net: session.open()),
    (Transition.RECEIVE, lambda session, net: session.receive(LINE_INK, 0.0)),
    (Transition.RECEIVE, lambda session, net: session.goaway(1.0)),
    (Transition.TAKE, lambda session, net: session.take(1)),
    (
        Transition.STEP,
        lambda session, net: step_alone(
            session, np.zeros((1, 7), np.float32), net.initial_state(1)[0]
        ),
    ),
    (Transition.DRAW, lambda session, net: session.draw()),
]


def in_state(state: State, net: Runtime, insert: str = message("flush")) -> Session:
    """Return a session in `state`, with waiting columns where the state allows them.

    `insert` is the message after which pieces are run.
    """
    client = SessionClient(net)
    session = client.session
    match state:
        case State.NEW:
            return Session("new", client.model)
        case State.OPEN:
            client.send(LINE_INK)
        case State.RUNNING:
            client.send(LINE_INK * 2)
            session.take(1)
        case State.PIECES_DUE:
            client.ask(LINE_INK * 9)
            client.send(insert)
        case State.PIECE_RUNNING:
            client.ask(LINE_INK * 9)
            client.send(insert)
            session.take(1)
        case State.INK_DUE:
            session.receive(INK, 0.0)
            session.receive(LINE_INK, 0.0)
        case State.CLOSED:
            session.fail(InkstreamError("no luck"))
    assert session.state is state
    return session


def test_the_table_names_every_state_and_event() -> None:
    assert [row[0] for row in ROWS] == [state.name for state in State]
    assert [event.name for event in Transition] == HEADER


@pytest.mark.parametrize(("state", "event", "then"), CELLS)
def test_every_cell_of_the_table_holds(state: State, event: Transition, then: State | None) -> None:
    if then is None:
        with pytest.raises(
            IllegalTransitionError, match=f"{event.name} in state {state.name}, allowed"
        ):
            TRANSITIONS[state][event]
    else:
        assert TRANSITIONS[state][event] is then


@pytest.mark.parametrize("insert", [message("flush"), message("rewind", column=7)])
@pytest.mark.parametrize(("state", "event", "then"), CELLS)
def test_every_call_in_every_state_follows_the_table(
    line_net: Runtime, state: State, event: Transition, then: State | None, insert: str
) -> None:
    for call in [call for own, call in CALLS if own is event]:
        check_call(call, in_state(state, line_net, insert), line_net, then)


def check_call(
    call: Callable[[Session, Runtime], object], session: Session, net: Runtime, then: State | None
) -> None:
    before = session.state, session.waiting_columns
    if then is None:
        with pytest.raises(IllegalTransitionError):
            call(session, net)
        assert (session.state, session.waiting_columns) == before
    else:
        call(session, net)
        assert session.state is then


@pytest.mark.parametrize("state", State)
def test_every_state_may_be_closed(line_net: Runtime, state: State) -> None:
    session = in_state(state, line_net)
    session.fail(InkstreamError("no luck"))
    assert session.state is State.CLOSED


def test_a_replay_in_two_runs_waits_between_them(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.ask(LINE_INK * 9)
    client.send(message("rewind", column=7))
    states = [client.session.state]
    while client.step(max_columns=4):
        states.append(client.session.state)
    assert states == [State.PIECES_DUE, State.PIECES_DUE, State.OPEN]
    assert only(client.new_messages()).type == "rewound"

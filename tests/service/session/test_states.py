"""The states of a session: every cell of the table, and every call in every state."""

from collections.abc import Callable

import numpy as np
import pytest

from inkstream.model.errors import InkstreamError
from inkstream.model.runtime import Runtime
from inkstream.service.session import Portion, Session
from inkstream.service.session.session import TRANSITIONS, IllegalTransitionError, State, after
from tests.helpers.single_session import LINE_INK, SessionClient, message, only, step_alone

TABLE = """
           OPEN RECEIVE NEED_RUN NEED_INK TAKE    STEP   DRAW
  NEW      OPEN -       -        -        -       -      -
  OPEN     -    OPEN    RUN_DUE  INK_DUE  RUNNING -      -
  RUN_DUE  -    RUN_DUE -        -        RUNNING -      -
  RUNNING  -    RUNNING -        -        -       OPEN   -
  INK_DUE  -    INK_DUE -        -        -       -      OPEN
  CLOSED   -    CLOSED  -        -        CLOSED  CLOSED CLOSED
"""
HEADER, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
CELLS = [
    (State[row[0]], transition, None if cell == "-" else State[cell])
    for row in ROWS
    for transition, cell in zip(HEADER, row[1:], strict=True)
]
INK = message("ink", strokes=[{"points": [(3.0, 4.0), (9.0, 8.0)]}], height=16.0)
PORTION = Portion(bytes(16), n_columns=1, cost=1, picked=[0])
CALLS: list[tuple[str, Callable[[Session, Runtime], object]]] = [
    ("OPEN", lambda session, net: session.open()),
    ("RECEIVE", lambda session, net: session.receive(LINE_INK, 0.0)),
    ("RECEIVE", lambda session, net: session.goaway(1.0)),
    ("TAKE", lambda session, net: session.take(1)),
    (
        "STEP",
        lambda session, net: step_alone(
            session, PORTION, np.zeros((1, 7), np.float32), net.initial_state(1)[0]
        ),
    ),
    ("DRAW", lambda session, net: session.draw()),
]


def in_state(state: State, net: Runtime, due: str = message("flush")) -> Session:
    """Return a session in `state`, with columns where the state allows them.

    `due` is the message after which columns are due to be run.
    """
    client = SessionClient(net)
    session = client.session
    match state:
        case State.NEW:
            return Session("new", client.model)
        case State.OPEN:
            client.send(LINE_INK)
        case State.RUN_DUE:
            client.ask(LINE_INK * 9)
            client.send(due)
        case State.RUNNING:
            client.send(LINE_INK * 2)
            session.take(1)
        case State.INK_DUE:
            session.receive(INK, 0.0)
            session.receive(LINE_INK, 0.0)
        case State.CLOSED:
            session.fail(InkstreamError("no luck"))
    assert session.state is state
    return session


def test_the_table_names_every_state_and_transition() -> None:
    assert [row[0] for row in ROWS] == [state.name for state in State]
    assert {name for row in TRANSITIONS.values() for name in row} == {*HEADER}


@pytest.mark.parametrize("due", [message("flush"), message("rewind", column=7)])
@pytest.mark.parametrize(("state", "transition", "then"), CELLS)
def test_every_cell_of_the_table_and_every_call_is_as_it_says(
    line_net: Runtime, state: State, transition: str, then: State | None, due: str
) -> None:
    if then is not None:
        assert after(state, transition) is then
    else:
        text = f"{transition} in state {state.name}, allowed"
        with pytest.raises(IllegalTransitionError, match=text):
            after(state, transition)
    for call in [call for its_transition, call in CALLS if its_transition is transition]:
        session = in_state(state, line_net, due)
        before = session.inbox.waiting_columns
        if then is not None:
            call(session, line_net)
            assert session.state is then
        else:
            with pytest.raises(IllegalTransitionError):
                call(session, line_net)
            assert (session.state, session.inbox.waiting_columns) == (state, before)


@pytest.mark.parametrize("state", State)
def test_every_state_may_be_closed(line_net: Runtime, state: State) -> None:
    session = in_state(state, line_net)
    session.fail(InkstreamError("no luck"))
    assert session.state is State.CLOSED


def test_what_is_read_again_in_two_runs_waits_between_them(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.ask(LINE_INK * 9)
    client.send(message("rewind", column=7))
    states = [client.session.state]
    while client.step(max_columns=4):
        states.append(client.session.state)
    assert states == [State.RUN_DUE, State.RUN_DUE, State.OPEN]
    assert only(client.new_messages()).type == "rewound"

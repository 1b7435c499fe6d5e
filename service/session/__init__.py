"""One client's stream: its messages go in, and effects come out.

session -> inbox, states, rate_limit   messages in their order, and what is allowed when
        -> options                     what `configure` chose
        -> ink                         strokes to columns
        -> line -> rewind              a line's columns and decoder, its snapshots, rewind and flush
        -> outputs                     scores and decisions as results and events
        -> revisions                   which events ink changed after they were sent
        -> model, effects              what is handed in, and what comes out

The engine and the endpoints import the names below and nothing further in.
"""

from inkstream.service.session.effects import Close, Effect, Restore
from inkstream.service.session.model import NO_LANGUAGES, SessionModel
from inkstream.service.session.outputs import message_of, probabilities_shown
from inkstream.service.session.session import Session

__all__ = [
    "NO_LANGUAGES",
    "Close",
    "Effect",
    "Restore",
    "Session",
    "SessionModel",
    "message_of",
    "probabilities_shown",
]

"""One client's stream: its messages go in, and effects come out.

session -> inbox           messages in their order
        -> options         what `configure` chose
        -> ink             strokes to columns
        -> line            a line's columns and decoder, and the states that it can go back to
        -> outputs         scores and decisions as results, events and other effects
        -> revisions       which events ink changed after they were sent
        -> snapshot        what a client keeps to go on elsewhere with a long line
        -> model           what all sessions of a model share

The engine and the endpoints import the names below and nothing further in.
"""

from inkstream.service.session.ink import MESSAGE_PATH, InkChanges, draw_due
from inkstream.service.session.model import ANSWERS, Seals, SessionModel, kind_error
from inkstream.service.session.options import Options
from inkstream.service.session.outputs import Close, Effect, Restore, message_of, shown_of
from inkstream.service.session.session import INK_DUE, Portion, Ran, Session

__all__ = ["ANSWERS", "INK_DUE", "MESSAGE_PATH", "Close", "Effect", "InkChanges", "Options"]
__all__ += ["Portion", "Ran", "Restore", "Seals", "Session", "SessionModel"]
__all__ += ["draw_due", "kind_error", "message_of", "shown_of"]

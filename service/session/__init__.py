"""One client's stream: what it says goes in, and what is to be done comes out.

machine -> inbox, pace, states    messages in their order, and what may happen when
        -> choices, hints         what holds: the model, `configure`, what is known of a line
        -> pen                    strokes to columns
        -> line -> history        a line's columns, its snapshots, rewind and flush
                -> voices         what the net's scores say, as results and events
        -> told                   which letters and words strokes became
        -> effects                what the rooms around it shall do

The rooms around it import the names below and nothing further in.
"""

from inkstream.service.session.effects import Close, Effect, Restore, Send
from inkstream.service.session.options import NO_LANGUAGES, decoders_of
from inkstream.service.session.outputs import message_of
from inkstream.service.session.session import Session

__all__ = [
    "NO_LANGUAGES",
    "Close",
    "Effect",
    "Restore",
    "Send",
    "Session",
    "decoders_of",
    "message_of",
]

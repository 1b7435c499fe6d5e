"""The events of a line of ink that the client has, and what is sent when ink changes columns.

A late stroke turns an l into a t, and most letters after it stay as they were. Withdrawing and
sending them all again would make a display flicker. So nothing is sent about changed columns until
they have been read again. Then an event is sent if it differs from the one with its id: in its
text, its columns or strokes, or its confidence. An id that has no event any more is withdrawn.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from inkstream.service.protocol.server_messages import Decided, Event, Rewound, Word
from inkstream.service.session.outputs import Effect

NEGLIGIBLE: Final = 0.01  # of a confidence: in batches of other sizes its last digits differ

Numbering = Literal["letters", "words"]  # ids count within each; marks are among the letters


@dataclass(slots=True)
class Rereading:
    """Columns that are being read again."""

    rewound: Rewound
    until: int  # the column after the last of them
    withdrawn: dict[Numbering, list[Event]]  # the events that the client has of them
    effects: list[Effect]  # of reading them again, not sent yet


class Revisions:
    """The events of a line of ink that may still be withdrawn."""

    def __init__(self, reach: int) -> None:
        """Prepare for lines whose rewinds go back at most `reach` columns."""
        self._reach = reach
        self.begin()

    def begin(self) -> None:
        """Begin a new line."""
        self._sent: dict[Numbering, deque[Event]] = {"letters": deque(), "words": deque()}
        self._rereading: Rereading | None = None

    def rewind(self, rewound: Rewound, until: int) -> list[Effect]:
        """Return `rewound` to send now, or keep it until columns up to `until` are read again."""
        withdrawn: dict[Numbering, list[Event]] = {
            "letters": _cut(self._sent["letters"], rewound.letters),
            "words": _cut(self._sent["words"], rewound.words),
        }
        if until <= rewound.column:
            return [rewound]
        self._rereading = Rereading(rewound, until, withdrawn, [])
        return []

    def filter(self, effects: list[Effect], column: int) -> list[Effect]:
        """Return the effects to send now, of those about columns before `column`.

        While columns are read again, hold all effects until reading reaches the last of them.
        """
        rereading = self._rereading
        if rereading is None:
            for event in effects:
                if isinstance(event, Decided):
                    sent = self._sent[_numbering(event)]
                    sent.append(event)
                    while sent and sent[0].column < column - self._reach:
                        sent.popleft()  # no rewind withdraws it
            return effects
        rereading.effects += effects
        if column < rereading.until:
            return []
        self._rereading = None
        return self._differences(rereading)

    def _differences(self, rereading: Rereading) -> list[Effect]:
        """Return what to send about columns that were read again: `rewound`, then what differs."""
        stands: dict[str, int] = {}
        unchanged: set[int] = set()  # the `id()` of events that need not be sent
        for numbering, withdrawn in rereading.withdrawn.items():
            new = [
                event
                for event in rereading.effects
                if isinstance(event, Decided) and _numbering(event) == numbering
            ]
            pairs = zip(withdrawn, new, strict=False)
            unchanged |= {id(after) for before, after in pairs if _is_like(before, after)}
            stands[numbering] = getattr(rereading.rewound, numbering) + min(
                len(withdrawn), len(new)
            )
            self._sent[numbering].extend(new)
        rewound = rereading.rewound.model_copy(update=stands)
        return [rewound, *(each for each in rereading.effects if id(each) not in unchanged)]


def _numbering(event: Event) -> Numbering:
    return "words" if isinstance(event, Word) else "letters"


def _cut(sent: deque[Event], n: int) -> list[Event]:
    """Remove and return the events from id `n` on."""
    cut: list[Event] = []
    while sent and sent[-1].id >= n:
        cut.append(sent.pop())
    return cut[::-1]


def _is_like(before: Event, after: Event) -> bool:
    """Return whether an event need not be sent in place of the one that had its id."""
    ignored = {"confidence": 0.0, "alternatives": ()}
    is_close = abs(before.confidence - after.confidence) < NEGLIGIBLE
    return is_close and before.model_copy(update=ignored) == after.model_copy(update=ignored)

"""What a client knows of a line's events, and what of it stands when ink changes columns.

A late bar makes a t of an l, and most letters behind it come out as they were. To withdraw and tell
them all again would flicker. So nothing is said of changed columns until they are read anew; then
an event that differs from the one with its id is told in its place, whether it says something else
or only lies on other columns or strokes, or is more or less sure. What has none in its place is
withdrawn.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from inkstream.service.protocol.events import Decided, Event, Word
from inkstream.service.protocol.server_messages import Rewound
from inkstream.service.session.effects import Effect, Send

NEGLIGIBLE: Final = 0.01  # of a confidence: in batches of other sizes its last digits differ

Row = Literal["letters", "words"]  # whose ids count together; marks are among the letters


@dataclass(slots=True)
class _Again:
    """Columns that are being read anew."""

    rewound: Rewound
    until: int  # the column after the last of them
    gone: dict[Row, list[Event]]  # what was known of them
    effects: list[Effect]  # what is to be said of them


class Told:
    """The events of a line of ink that may still be withdrawn."""

    def __init__(self, reach: int) -> None:
        """Prepare for lines whose rewinds go back at most `reach` columns."""
        self._reach = reach
        self.begin()

    def begin(self) -> None:
        """Begin a new line."""
        self._known: dict[Row, deque[Event]] = {"letters": deque(), "words": deque()}
        self._again: _Again | None = None

    def go_back(self, rewound: Rewound, until: int) -> list[Effect]:
        """Say that columns are forgotten, at once or when they are read anew up to `until`."""
        gone: dict[Row, list[Event]] = {
            "letters": _cut(self._known["letters"], rewound.letters),
            "words": _cut(self._known["words"], rewound.words),
        }
        if until <= rewound.column:
            return [Send(rewound)]
        self._again = _Again(rewound, until, gone, [])
        return []

    def pass_on(self, effects: list[Effect], column: int) -> list[Effect]:
        """What is to be said now, of what is to be said of columns before `column`."""
        again = self._again
        if again is None:
            self._note(effects, column - self._reach)
            return effects
        again.effects += effects
        if column < again.until:
            return []
        self._again = None
        return self._compared(again)

    def _note(self, effects: list[Effect], oldest: int) -> None:
        """Remember events, and forget those that nothing withdraws any more."""
        for effect in effects:
            if isinstance(effect, Send) and isinstance(effect.message, Decided):
                known = self._known[_row(effect.message)]
                known.append(effect.message)
                while known and known[0].column < oldest:
                    known.popleft()

    def _compared(self, again: _Again) -> list[Effect]:
        """What is to be said of columns that were read anew: what differs."""
        stands: dict[str, int] = {}
        unchanged: set[int] = set()  # what need not be said
        for row, gone in again.gone.items():
            new = [
                effect.message
                for effect in again.effects
                if isinstance(effect, Send)
                and isinstance(effect.message, Decided)
                and _row(effect.message) == row
            ]
            pairs = zip(gone, new, strict=False)
            unchanged |= {id(after) for before, after in pairs if _is_like(before, after)}
            stands[row] = getattr(again.rewound, row) + min(len(gone), len(new))
            self._known[row].extend(new)
        rewound = again.rewound.model_copy(update=stands)
        said = [
            effect
            for effect in again.effects
            if not (isinstance(effect, Send) and id(effect.message) in unchanged)
        ]
        return [Send(rewound), *said]


def _row(event: Event) -> Row:
    return "words" if isinstance(event, Word) else "letters"


def _cut(known: deque[Event], n: int) -> list[Event]:
    """Remove the events from number `n` on."""
    gone: list[Event] = []
    while known and known[-1].id >= n:
        gone.append(known.pop())
    return gone[::-1]


def _says(event: Event) -> str:
    return event.text if isinstance(event, Word) else event.char


def _is_like(before: Event, after: Event) -> bool:
    """Whether an event need not be told in the place of the one that had its id."""
    return (
        _says(before) == _says(after)
        and abs(before.confidence - after.confidence) < NEGLIGIBLE
        and all(
            getattr(before, name) == getattr(after, name)
            for name in ("type", "start", "end", "column", "strokes")
        )
    )

"""The events of a line of ink that the client has, and what is sent when ink changes columns.

A late stroke turns an l into a t, and most letters after it stay as they were. Withdrawing and
sending them all again would make a display flicker. So nothing is sent about changed columns until
they have been read again. Then an event is sent if it differs from the one with its id: in its
text, its columns or strokes, or its confidence. An id that has no event any more is withdrawn.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from inkstream.service.protocol.server_messages import (
    Decided,
    Event,
    Rewound,
    Span,
    Word,
    is_like,
)
from inkstream.service.session.outputs import Effect
from inkstream.service.session.snapshot import SavedSpans

Key = tuple[bool, int]  # whether an event is a word, and its id: words have their own ids


class Sent(NamedTuple):
    """An event that the client has."""

    event: Event
    saved: SavedSpans  # made once: while a snapshot is made, no other session is served


@dataclass(slots=True)
class Rereading:
    """Columns that are being read again."""

    rewound: Rewound
    until: int  # the column after the last of them
    withdrawn: dict[Key, Event]  # the events that the client has of them
    effects: list[Effect]  # of reading them again, not sent yet


class Revisions:
    """The events of a line of ink that may still be withdrawn."""

    def __init__(self, reach: int) -> None:
        """Prepare for lines whose rewinds go back at most `reach` columns."""
        self._reach = reach
        self.begin()

    def begin(self) -> None:
        """Begin a new line."""
        self._sent: dict[Key, Sent] = {}  # in the order in which they were decided
        self._rereading: Rereading | None = None

    @property
    def is_rereading(self) -> bool:
        """Whether effects are held until columns are read again."""
        return self._rereading is not None

    def saved(self) -> list[SavedSpans]:
        """Return what the events that may still be withdrawn say of strokes.

        The rest of them comes out again when their columns are read again.
        """
        return [sent.saved for sent in self._sent.values()]

    def resume(self, events: Iterable[Event], saved: Sequence[SavedSpans]) -> None:
        """Take events that were sent and are decided again, with what they said of strokes."""
        strokes = {
            (own.is_word, own.id): tuple(Span(id=i, start=j, end=k) for i, j, k in own.spans)
            for own in saved
        }
        self._add(
            {
                key: event.model_copy(update={"strokes": strokes.get(key, ())})
                for key, event in _events([*events]).items()
            }
        )

    def _add(self, events: Mapping[Key, Event]) -> None:
        """Note events that the client has from now on."""
        for key, event in events.items():
            spans = [(own.id, own.start, own.end) for own in event.strokes or ()]
            self._sent[key] = Sent(event, SavedSpans(*key, spans))

    def rewind(self, rewound: Rewound, until: int) -> list[Effect]:
        """Return `rewound` to send now, or keep it until columns up to `until` are read again."""
        withdrawn: dict[Key, Event] = {}
        for is_word, number in [*self._sent]:
            if number >= (rewound.words if is_word else rewound.letters):
                withdrawn[is_word, number] = self._sent.pop((is_word, number)).event
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
            if new := _events(effects):
                self._add(new)
                for key, sent in [*self._sent.items()]:
                    if sent.event.column >= column - self._reach:
                        break
                    del self._sent[key]  # no rewind withdraws it
            return effects
        rereading.effects += effects
        if column < rereading.until:
            return []
        self._rereading = None
        return self._differences(rereading)

    def _differences(self, rereading: Rereading) -> list[Effect]:
        """Return what to send about columns that were read again: `rewound`, then what differs."""
        rewound, withdrawn, new = rereading.rewound, rereading.withdrawn, _events(rereading.effects)
        stand = new.keys() & withdrawn.keys()
        words = sum(is_word for is_word, _ in stand)
        stands = {"letters": rewound.letters + len(stand) - words, "words": rewound.words + words}
        unchanged = {key for key in stand if is_like(withdrawn[key], new[key])}
        # What the client has: else small differences of many revisions would add up.
        self._add({key: (withdrawn if key in unchanged else new)[key] for key in new})
        left_out = {id(new[key]) for key in unchanged}
        changed = [each for each in rereading.effects if id(each) not in left_out]
        return [rewound.model_copy(update=stands), *changed]


def _events(effects: list[Effect]) -> dict[Key, Event]:
    """Return the events among effects."""
    return {(isinstance(e, Word), e.id): e for e in effects if isinstance(e, Decided)}

"""The events of a line of ink that the client has, and what is sent when ink changes columns.

A late stroke turns an l into a t, and most letters after it stay as they were. Withdrawing and
sending them all again would make a display flicker. So nothing is sent about changed columns until
they have been read again. Then an event is sent if it differs from the one with its id: in its
text, its columns or strokes, or its confidence. An id that has no event any more is withdrawn.
"""

from collections.abc import Iterable, Mapping, Sequence

from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.server_messages import Event, Revised, Rewound
from inkstream.service.session.outputs import Effect

Key = tuple[bool, int]  # whether an event is a word, and its id: words have their own ids
Events = Mapping[Key, Event]


class Revisions:
    """The events of a line of ink that may still be withdrawn."""

    def __init__(self, reach: int) -> None:
        """Prepare for lines whose rewinds go back at most `reach` columns."""
        self._reach = reach
        self.begin()

    def begin(self, sent: Iterable[Event] = ()) -> None:
        """Begin a line of which the client has these events."""
        self.sent = _events(sent)  # what may still be withdrawn, in the order of decision

    def add(self, effects: Iterable[Effect], column: int) -> None:
        """Note the events among effects that are sent, of columns before `column`."""
        if new := _events(effects):
            self.sent |= new
            for key, event in [*self.sent.items()]:
                if event.column >= column - self._reach:
                    break
                del self.sent[key]  # no rewind withdraws it

    def withdraw(self, message: Rewound | Revised) -> Events:
        """Withdraw the events whose ids are not below the message's counts, and return them."""
        withdrawn: dict[Key, Event] = {}
        for is_word, number in [*self.sent]:
            if number >= (message.words if is_word else message.letters):
                withdrawn[is_word, number] = self.sent.pop((is_word, number))
        return withdrawn

    def differences(
        self, revised: Revised, withdrawn: Events, effects: Sequence[Effect]
    ) -> list[Effect]:
        """Return what to send about columns that were read again: `revised`, then what differs.

        `effects` came from reading them again; the client has all events of `withdrawn`.
        """
        new = _events(effects)
        common = new.keys() & withdrawn.keys()
        words = sum(is_word for is_word, _ in common)
        unchanged = {key for key in common if messages.is_like(withdrawn[key], new[key])}
        # Events are noted as the client has them: else small differences would add up.
        self.sent |= {key: (withdrawn if key in unchanged else new)[key] for key in new}
        left_out = {id(new[key]) for key in unchanged}
        revised.letters += len(common) - words
        revised.words += words
        return [revised, *[effect for effect in effects if id(effect) not in left_out]]


def _events(effects: Iterable[Effect]) -> dict[Key, Event]:
    """Return the events among effects."""
    return {
        (isinstance(effect, messages.Word), effect.id): effect
        for effect in effects
        if isinstance(effect, messages.Decided)
    }

"""What a client that resumes has heard before: it is read again in silence."""

from dataclasses import dataclass, field

from inkstream.service.protocol.errors import Ref
from inkstream.service.protocol.server_messages import (
    Event,
    Letter,
    Punctuation,
    Result,
    Resumed,
    Rewound,
    Word,
)
from inkstream.service.session.line import Line
from inkstream.service.session.outputs import Effect
from inkstream.service.session.revisions import Key


@dataclass(slots=True)
class Silence:
    """Reading up to a column of whose results the client has heard; then comes `resumed`.

    A client hears messages in their order. So all that was said up to that column was heard, but
    for events of higher ids than it has heard: these are kept until then.
    """

    ref: Ref  # of the message that asked for it
    columns: int
    letters: int  # that were heard
    words: int
    unheard: dict[Key, Event] = field(default_factory=dict)

    def keep(self, effects: list[Effect]) -> list[Effect]:
        """Return the effects that are carried out nevertheless; keep events that were not heard."""
        others: list[Effect] = []
        for effect in effects:
            match effect:
                case Result():
                    pass
                case Rewound():  # of ink
                    stand = {True: effect.words, False: effect.letters}
                    self.unheard = {
                        key: event for key, event in self.unheard.items() if key[1] < stand[key[0]]
                    }
                case Letter() | Punctuation() | Word():
                    is_word = isinstance(effect, Word)
                    if effect.id >= (self.words if is_word else self.letters):
                        self.unheard[is_word, effect.id] = effect
                case _:
                    others.append(effect)
        return others

    def end(self, line: Line) -> list[Effect]:
        """Return `resumed`, and the events that the client has not heard."""
        letters = [line.decoder.letters, *(n for is_word, n in self.unheard if not is_word)]
        words = [line.decoder.words, *(n for is_word, n in self.unheard if is_word)]
        resumed = Resumed(
            id=self.ref,
            epoch=line.epoch,
            column=line.column,
            letters=min(letters),
            words=min(words),
        )
        return [resumed, *self.unheard.values()]

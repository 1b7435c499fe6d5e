"""JSON of long lists, without a long step on the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from inkstream.service.pages import answer_of
from inkstream.service.protocol.server_messages import Event

STEP_VALUES: Final = 64  # values that are encoded at once: less than a millisecond

T = TypeVar("T")


def encoded_event(event: Event) -> bytes:
    """Return the JSON of an event as answers have it."""
    return answer_of(event).model_dump_json().encode()


class Encoder:
    """Encodes long lists on the event loop in steps, one step of all lists in a turn of the loop.

    In a thread it would take the interpreter from the loop for 5 ms at a time.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def encode(self, values: Sequence[T], encode: Callable[[T], bytes]) -> list[msgspec.Raw]:
        """Return the JSON of each value."""
        made: list[msgspec.Raw] = []
        for start in range(0, len(values), STEP_VALUES):
            async with self._turn:
                made += [
                    msgspec.Raw(encode(value)) for value in values[start : start + STEP_VALUES]
                ]
                if len(values) > STEP_VALUES:
                    await asyncio.sleep(0)
        return made

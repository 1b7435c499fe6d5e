"""What a client sent and its session has not processed yet, in the order in which it came.

Columns are limited by what waits, all other messages by a token bucket.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, cast

from inkstream.service.protocol import client_messages as requests
from inkstream.service.protocol.client_messages import Configure, Ink
from inkstream.service.protocol.errors import InkError, MessageError, Ref, ValueRefusedError
from inkstream.service.protocol.server_messages import Limits

PATTERN_COST: Final = 50  # the dearest pattern takes as long as so many ordinary messages
CONTROL_WEIGHT: Final = 64  # a message counts as so many columns: all may be answered at once


@dataclass(frozen=True, slots=True)
class PackedColumns:
    """Columns that came as JSON, or behind ink: whether they are allowed is known in their turn."""

    data: bytes
    id: Ref


# All but binary columns; an error is what is wrong with a message that cannot be used.
Control = requests.ClientMessage | PackedColumns | MessageError


def check_hints(chosen: Configure, limits: Limits) -> int:
    """Return the characters of hints, an empty word as one; raise an error for too many."""
    words = sum([len(word) or 1 for word in chosen.words])
    texts = chosen.context, chosen.pattern or "", chosen.characters or ""
    n, allowed = words + sum(map(len, texts)), limits.max_hint_characters
    if n > allowed:
        got = f"words, context, pattern and characters have {n} characters"
        raise ValueRefusedError(f"{got}, allowed: up to {allowed}", chosen.id)
    return n


def check_points(ink: Ink, limits: Limits) -> int:
    """Return the points, an empty stroke's as one; raise `InkError` for too many, or strokes."""
    n_points = sum([len(stroke.points) or 1 for stroke in ink.strokes])
    points = "points", n_points, limits.max_message_points
    strokes = "strokes", len(ink.strokes), limits.max_ink_strokes
    for name, n, allowed in (points, strokes):
        if n > allowed:
            raise InkError(f"{n} {name} in one message, allowed: up to {allowed}", ink.id)
    return n_points


class Inbox:
    """One queue of columns and control messages, with the counts that every column needs."""

    def __init__(self, column_size: int, limits: Limits) -> None:
        self.newest_s = 0.0  # when the newest message came
        # Not taken yet; a control message counts as several. At the limit the client is paused.
        self.waiting_columns = 0
        self.head_columns = 0  # at the head, up to the next control message
        # An entry is one message: columns, or another with its weight (ink perhaps as it came).
        self._queue: deque[bytes | tuple[Control | str, int]] = deque()
        self._n_controls = 0  # in the queue
        self.after_ink = False  # whether ink has come since the newest reset
        self._ping_is_free = False  # whether ink has come since the newest ping
        # On the clock of `newest_s`, when all tokens are paid back: nothing is read before.
        self.paid_s = -math.inf
        self._column_size = column_size
        self._limits = limits

    @property
    def n_messages(self) -> int:
        """Messages in the queue."""
        return len(self._queue)

    def spend(self, cost: int) -> None:
        """Spend tokens; `max_control_per_s` come a second, those of five seconds wait at most."""
        seconds = cost / self._limits.max_control_per_s
        self.paid_s = max(self.newest_s - 5, self.paid_s) + seconds

    def add_columns(self, data: bytes) -> None:
        """Queue the columns of one binary message."""
        n_columns = len(data) // self._column_size
        self._queue.append(data)
        self.waiting_columns += n_columns
        if not self._n_controls:
            self.head_columns += n_columns

    def _price(self, message: Control) -> tuple[int, int]:
        """Return how many columns a message counts as while it waits, and how many tokens it costs.

        Ink counts again when it is drawn. It is not answered: a client that needs an answer sends
        a ping after it, which is free.
        """
        weight, cost, limits = CONTROL_WEIGHT, 1, self._limits
        match message:
            case PackedColumns():
                weight, cost = len(message.data) // self._column_size, 0
            case Ink():
                weight += 4 * check_points(message, limits)  # the memory of four columns each
            case Configure():
                weight += check_hints(message, limits)
                cost = 1 if message.pattern is None else PATTERN_COST
            case requests.Resume():  # which may bring a pattern
                cost = PATTERN_COST
            case requests.Ping() if self._ping_is_free:
                self._ping_is_free, cost = False, 0
        return weight, cost

    def add_control(self, message: Control, frame: str | bytes) -> None:
        """Queue another message, which came as `frame`, and spend its tokens.

        Ink that waits behind others is kept as it came, and read again in its turn: as numbers of
        Python it would take seven times as much memory, in small pieces that a flood leaves behind.
        Raises a `MessageError`, and queues nothing, if it has too many points, strokes or hints.
        """
        weight, cost = self._price(message)
        self.spend(cost)
        waiting: Control | str = message
        if isinstance(message, Ink):
            self.after_ink = self._ping_is_free = True
            if self._queue and isinstance(frame, str):
                waiting = frame
        elif isinstance(message, requests.Reset):
            self.after_ink = False
        self._queue.append((waiting, weight))
        self._n_controls += 1
        self.waiting_columns += weight

    def next_control(self) -> Control | None:
        """Remove and return the control message at the head, if one is there."""
        if not self._n_controls or isinstance(head := self._queue[0], bytes):
            return None
        self._queue.popleft()
        message, weight = head
        self._n_controls -= 1
        self.waiting_columns -= weight
        behind = takewhile(lambda queued: isinstance(queued, bytes), self._queue)
        size = sum(map(len, cast(Iterator[bytes], behind)))
        self.head_columns = size // self._column_size
        if isinstance(message, str):  # its size was checked when it came
            return requests.parse_client(message, len(message), len(message))
        return message

    def take_columns(self, n_columns: float) -> tuple[bytes, list[int]]:
        """Remove messages of columns from the head, whole ones, until they have so many columns.

        Returns their columns, and after how many of them each message ends.
        """
        size = self._column_size
        data = cast(bytes, self._queue.popleft())
        ends = [len(data) // size]
        while ends[-1] < n_columns and ends[-1] < self.head_columns:
            data += cast(bytes, self._queue.popleft())
            ends.append(len(data) // size)
        self.waiting_columns -= ends[-1]
        self.head_columns -= ends[-1]
        return data, ends

    def clear(self) -> None:
        """Remove everything."""
        self._queue.clear()
        self.waiting_columns = self.head_columns = self._n_controls = 0

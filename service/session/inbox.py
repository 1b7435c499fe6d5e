"""What a client sent and its session has not processed yet, in the order in which it came.

Columns are limited by what waits, all other messages by a token bucket.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Self, cast

import msgspec

from inkstream.service.protocol.client_messages import (
    ClientMessage,
    Columns,
    Configure,
    Ink,
    Ping,
    Reset,
    Resume,
    Stroke,
)
from inkstream.service.protocol.columns import unpack_columns
from inkstream.service.protocol.errors import (
    InkError,
    Ref,
    ValueRefusedError,
)
from inkstream.service.protocol.server_messages import Limits

BURST_S: Final = 5  # tokens of so many seconds may be spent at once
PATTERN_COST: Final = 50  # ordinary messages that take as long as the dearest pattern
POINT_WEIGHT: Final = 4  # columns that take the memory of a point
CONTROL_WEIGHT: Final = 64  # columns, for each message: all that wait may be answered at once


@dataclass(frozen=True, slots=True)
class HeldColumns:
    """Columns that came after ink: whether they are allowed is known once the ink is drawn."""

    data: bytes
    id: Ref


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a message that cannot be used."""

    code: str
    text: str
    id: Ref


@dataclass(frozen=True, slots=True)
class Control:
    """A message other than columns, columns that are held, or the fault of a message."""

    index: int  # of all messages of this client, from 0
    message: ClientMessage | HeldColumns | Fault
    weight: int = CONTROL_WEIGHT  # as how many columns it counts while it waits


_POINTS: Final = msgspec.msgpack.Decoder(list[list[tuple[float, float]]])


@dataclass(frozen=True, slots=True)
class PackedInk:
    """Ink that waits behind other messages: as numbers of Python it would take seven times as much.

    That memory would come in small pieces, and after a flood be kept for the few still in use.
    """

    control: Control  # its strokes have no points
    strokes: tuple[Stroke, ...]
    points: bytes

    @classmethod
    def of(cls, control: Control, ink: Ink) -> Self:
        """Pack the points of the strokes of `ink`, which is the control's message."""
        points = [stroke.points for stroke in ink.strokes]
        packed = msgspec.msgpack.encode(points)
        for own in points:
            own.clear()
        return cls(control, tuple(ink.strokes), packed)

    @property
    def weight(self) -> int:
        """As how many columns it counts while it waits."""
        return self.control.weight

    def unpacked(self) -> Control:
        """Return the message as it came."""
        for stroke, points in zip(self.strokes, _POINTS.decode(self.points), strict=True):
            stroke.points.extend(points)
        return self.control


def check_hints(chosen: Configure, limits: Limits) -> int:
    """Return the characters that are given together; an empty word counts as one.

    Raises `ValueRefusedError` for too many.
    """
    words = sum([len(word) or 1 for word in chosen.words])
    texts = chosen.context, chosen.pattern or "", chosen.characters or ""
    n, most = words + sum(map(len, texts)), limits.max_hint_characters
    if n > most:
        got = f"words, context, pattern and characters have {n} characters"
        raise ValueRefusedError(f"{got}, allowed: up to {most}", chosen.id)
    return n


class Inbox:
    """One queue of columns and control messages, with the counts that every column needs."""

    def __init__(self, column_height: int) -> None:
        self.taken = 0  # columns taken, ever
        self.waiting_columns = 0  # not taken yet, wherever they stand
        self.head_columns = 0  # at the head, up to the next control message
        self.begun_columns = 0  # of these, the rest of a message of which some were taken
        # Columns of one message, or another message.
        self._queue: deque[bytes | Control | PackedInk] = deque()
        self._refs: list[tuple[int, Ref]] = []  # index and id of messages of columns in JSON
        self.n_controls = 0  # control messages in the queue
        self._after_ink = False  # whether ink has come since the newest reset
        self._ping_is_free = False  # whether ink has come since the newest ping
        self._column_height = column_height
        self._size = column_height  # bytes of a column at the head

    @property
    def n_messages(self) -> int:
        """Messages in the queue, with one of which some columns were taken."""
        return len(self._queue)

    def resume(self, taken: int, after_ink: bool) -> None:
        """Go on where another inbox was, which had taken so many columns."""
        self.taken, self._after_ink = taken, after_ink

    def add_columns(self, index: int, message: bytes | Columns, limits: Limits) -> None:
        """Queue the columns of one message; raise `ColumnsError` for bad ones.

        In a line with ink they are held, as a control message.
        """
        rows, ref = (message, None) if isinstance(message, bytes) else (message.columns, message.id)
        data = unpack_columns(rows, self._column_height, limits.max_message_columns, ref)
        n_columns = len(data) // self._column_height
        if self._after_ink:
            self.add_control(Control(index, HeldColumns(data, ref), n_columns))
            return
        if ref is not None:
            while self._refs and self._refs[0][0] < index - len(self._queue):
                self._refs.pop(0)  # it was read
            self._refs.append((index, ref))
        self._queue.append(data)
        self.waiting_columns += n_columns
        if not self.n_controls:
            self.head_columns += n_columns

    def head(self, next_index: int) -> tuple[int, Ref]:
        """Return the index and the id of the message of columns that is at the head.

        Every message from there on is in the queue; `next_index` is that of the one to come.
        """
        index = next_index - len(self._queue)
        return index, dict(self._refs).get(index)

    def checked(self, index: int, message: ClientMessage, limits: Limits) -> Control:
        """Return a control message as it is queued, and note whether ink has come.

        It weighs a column more for each character and four for each point. Raises `InkError` for
        too many points or strokes, `ValueRefusedError` for too many hints.
        """
        weight = 0
        if isinstance(message, Ink):
            # An empty stroke counts as one point.
            weight = sum([len(stroke.points) or 1 for stroke in message.strokes])
            if weight > limits.max_message_points:
                got = f"{weight} points in one message"
                raise InkError(f"{got}, allowed: up to {limits.max_message_points}", message.id)
            if len(message.strokes) > limits.max_ink_strokes:
                got = f"{len(message.strokes)} strokes in one message"
                raise InkError(f"{got}, allowed: up to {limits.max_ink_strokes}", message.id)
            weight *= POINT_WEIGHT
            self._after_ink = self._ping_is_free = True
        elif isinstance(message, Reset):
            self._after_ink = False
        elif isinstance(message, Configure):
            weight = check_hints(message, limits)
        return Control(index, message, CONTROL_WEIGHT + weight)

    def cost(self, control: Control) -> int:
        """Return as how many messages it counts now; ink counts again when it is drawn.

        Ink is not answered. A client that needs one sends a ping after it, which is free.
        """
        match control.message:
            case Configure() as chosen if chosen.pattern is not None:
                return PATTERN_COST
            case Resume():  # which may bring a pattern
                return PATTERN_COST
            case Ping() if self._ping_is_free:
                self._ping_is_free = False
                return 0
        return 1

    def add_control(self, control: Control, *, waits: bool = True) -> None:
        """Queue a control message; ink is packed if it `waits`, or others are before it."""
        if isinstance(control.message, Ink) and (waits or self._queue):
            self._queue.append(PackedInk.of(control, control.message))
        else:
            self._queue.append(control)
        self.n_controls += 1
        self.waiting_columns += control.weight

    def next_control(self) -> Control | None:
        """Remove and return the control message at the head, if one is there."""
        if not self.n_controls or isinstance(head := self._queue[0], bytes):
            return None
        self._queue.popleft()
        self._size = self._column_height
        self.n_controls -= 1
        self.waiting_columns -= head.weight
        if self._queue:
            messages = takewhile(lambda message: isinstance(message, bytes), self._queue)
            size = sum(map(len, cast(Iterator[bytes], messages)))
            self.head_columns = size // self._column_height
        return head.unpacked() if isinstance(head, PackedInk) else head

    def put_back(self, control: Control) -> None:
        """Put the control message that was removed last back at the head."""
        self._queue.appendleft(control)
        self.n_controls += 1
        self.waiting_columns += control.weight
        self.head_columns = 0

    def insert(self, data: bytes, size: int) -> None:
        """Put the columns that a control message brings at the head, each of so many bytes."""
        if not data:
            return
        self._size = size
        n_columns = len(data) // size
        self._queue.appendleft(data)
        self.waiting_columns += n_columns
        self.head_columns += n_columns
        self.begun_columns = n_columns

    def peek(self, n_columns: int) -> bytes:
        """Return the first columns, at most `head_columns` of them, and leave them in the queue."""
        size, data = n_columns * self._size, b""
        for message in cast(Iterator[bytes], iter(self._queue)):
            data += message[: size - len(data)]
            if len(data) == size:
                break
        return data

    def up_to_message(self, n_columns: int) -> int:
        """Return so many columns, or fewer that end with a message; at most `head_columns`."""
        size, end = n_columns * self._size, 0
        for message in cast(Iterator[bytes], iter(self._queue)):
            if end + len(message) > size:
                break
            end += len(message)
            if end == size:
                break
        return end // self._size or n_columns

    def take(self, n_columns: int) -> tuple[bytes, list[int]]:
        """Remove and return the first columns, at most `head_columns` of them.

        The second value says which of them, counted from 0, were the last of a message.
        """
        self.taken += n_columns
        self.waiting_columns -= n_columns
        self.head_columns -= n_columns
        size = n_columns * self._size
        data = self._queue.popleft()
        assert isinstance(data, bytes)
        self.begun_columns = 0
        if len(data) == size:  # the usual case: one message of one column
            return data, [n_columns - 1]
        last = []
        while len(data) < size:
            last.append(len(data) // self._size - 1)
            following = self._queue.popleft()
            assert isinstance(following, bytes)
            data += following
        if len(data) == size:
            last.append(n_columns - 1)
        else:
            self._queue.appendleft(data[size:])
            self.begun_columns = len(data) // self._size - n_columns
        return data[:size], last

    def clear(self) -> None:
        """Remove everything."""
        self._queue.clear()
        self.waiting_columns = self.head_columns = self.begun_columns = self.n_controls = 0


class TokenBucket:
    """Holds tokens, of which `rate_per_s` a second come, up to those of `BURST_S` seconds.

    More may be spent: then `paid_s` says when what is owed will have come.
    """

    def __init__(self, rate_per_s: int) -> None:
        self._rate_per_s = rate_per_s
        self._full_s = 0.0  # when the bucket is full, if no more is spent

    @property
    def paid_s(self) -> float:
        """When no tokens are owed."""
        return self._full_s - BURST_S

    def spend(self, now_s: float, cost: int) -> None:
        """Spend `cost` tokens at `now_s`."""
        self._full_s = max(now_s, self._full_s) + cost / self._rate_per_s

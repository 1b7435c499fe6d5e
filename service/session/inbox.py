"""What a client sent and its session has not worked off yet, in the order in which it came."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, cast

from inkstream.service.limits import Limits
from inkstream.service.protocol.client_messages import (
    ClientMessage,
    Columns,
    Configure,
    Ink,
    Ping,
    Reset,
)
from inkstream.service.protocol.columns import unpack_columns
from inkstream.service.protocol.errors import (
    InkError,
    MessageError,
    Ref,
    ValueRefusedError,
)

PATTERN_COST: Final = 25  # ordinary messages that take as long as the dearest pattern


@dataclass(frozen=True, slots=True)
class Held:
    """Columns behind ink: only once that is drawn, or refused, is it known if they may come."""

    data: bytes
    n_columns: int
    id: Ref


@dataclass(frozen=True, slots=True)
class Control:
    """Any message but columns, unless they are held, or the fault of one that cannot be used."""

    index: int  # of all messages of this client, from 0
    message: ClientMessage | Held | MessageError

    @property
    def ref(self) -> Ref:
        """The id that the client gave the message."""
        message = self.message
        return message.ref if isinstance(message, MessageError) else message.id

    @property
    def source(self) -> dict[str, Any]:
        """What an error says of where it comes from."""
        return {"index": self.index, "ref": self.ref}

    @property
    def weight(self) -> int:
        """How many columns it counts for while it waits: as many as it brings points or letters."""
        match self.message:
            case Held() as held:
                return held.n_columns
            case Ink() as ink:
                return n_points(ink)
            case Configure() as chosen:
                return n_hinted(chosen) + len(chosen.characters or "")
        return 0


def n_hinted(chosen: Configure) -> int:
    """Characters of what is told of lines before they are written; a word without any counts."""
    words = sum([len(word) or 1 for word in chosen.words])
    return words + len(chosen.context) + len(chosen.pattern or "")


def n_points(ink: Ink) -> int:
    """Points of all strokes of a message; a stroke without any counts for one."""
    return sum([len(stroke.points) or 1 for stroke in ink.strokes])


class Inbox:
    """One queue of columns and control messages; what is asked for with every column is counted."""

    def __init__(self, column_height: int) -> None:
        self.taken = 0  # columns taken, ever
        self.waiting_columns = 0  # not taken yet, wherever they stand
        self.head_columns = 0  # at the head, up to the next control message
        self._queue: deque[bytes | Control] = deque()  # columns of one message, or another message
        self._controls = 0  # in the queue
        self._after_ink = False  # whether ink has come since the newest reset
        self._ping_is_free = False  # whether ink has come since the newest ping
        self._column_height = column_height

    def add_columns(self, index: int, message: bytes | Columns, limits: Limits) -> None:
        """Queue the columns of one message, held behind ink; raises `ColumnsError`."""
        rows, ref = (message, None) if isinstance(message, bytes) else (message.columns, message.id)
        data = unpack_columns(rows, self._column_height, limits.max_message_columns, ref)
        n_columns = len(data) // self._column_height
        if self._after_ink:
            self.add_control(Control(index, Held(data, n_columns, ref)))
            return
        self._queue.append(data)
        self.waiting_columns += n_columns
        if not self._controls:
            self.head_columns += n_columns

    def expect(self, message: ClientMessage, limits: Limits) -> None:
        """Look at a message before it is queued.

        Raises `InkError` for ink that cannot be taken, `ValueRefusedError` for too many hints.
        """
        if isinstance(message, Reset):
            self._after_ink = False
        elif isinstance(message, Ink):
            if n_points(message) > limits.max_message_points:
                got = f"{n_points(message)} points in one message"
                raise InkError(f"{got}, allowed: up to {limits.max_message_points}", message.id)
            self._after_ink = self._ping_is_free = True
        elif isinstance(message, Configure) and n_hinted(message) > limits.max_hint_characters:
            got = f"words, context and pattern have {n_hinted(message)} characters"
            most = limits.max_hint_characters
            raise ValueRefusedError(f"{got}, allowed: up to {most}", message.id)

    def cost(self, control: Control) -> int:
        """As how many messages it counts at once; what ink costs is told when it is drawn.

        Ink has no answer, so who needs one sends a ping behind it: that is a part of the ink.
        """
        match control.message:
            case Configure() as chosen if chosen.pattern is not None:
                return PATTERN_COST
            case Ping() if self._ping_is_free:
                self._ping_is_free = False
                return 0
        return 1

    def add_control(self, control: Control) -> None:
        """Queue anything else."""
        self._queue.append(control)
        self._controls += 1
        self.waiting_columns += control.weight

    def next_control(self) -> Control | None:
        """Take the control message at the head, if one stands there."""
        if not self._controls or not isinstance(head := self._queue[0], Control):
            return None
        self._queue.popleft()
        self._controls -= 1
        self.waiting_columns -= head.weight
        messages = takewhile(lambda message: isinstance(message, bytes), self._queue)
        self.head_columns = sum(map(len, cast(Iterator[bytes], messages))) // self._column_height
        return head

    def put_back(self, control: Control) -> None:
        """Put the control message that was taken last at the head again."""
        self._queue.appendleft(control)
        self._controls += 1
        self.waiting_columns += control.weight
        self.head_columns = 0

    def insert(self, data: bytes) -> None:
        """Put columns at the head: those that a control message stands for."""
        if not data:
            return
        n_columns = len(data) // self._column_height
        self._queue.appendleft(data)
        self.waiting_columns += n_columns
        self.head_columns += n_columns

    def peek(self, n_columns: int) -> bytes:
        """The first columns of the head, at most `head_columns` of them."""
        size, data = n_columns * self._column_height, b""
        for message in cast(Iterator[bytes], iter(self._queue)):
            data += message[: size - len(data)]
            if len(data) == size:
                break
        return data

    def take(self, n_columns: int) -> tuple[bytes, list[int]]:
        """Remove the first columns of the head, at most `head_columns` of them.

        Gives them, and which of them, counted from 0, were the last of a message.
        """
        self.taken += n_columns
        self.waiting_columns -= n_columns
        self.head_columns -= n_columns
        size = n_columns * self._column_height
        data = cast(bytes, self._queue.popleft())
        if len(data) == size:  # the usual case: one message of one column
            return data, [n_columns - 1]
        last = []
        while len(data) < size:
            last.append(len(data) // self._column_height - 1)
            data += cast(bytes, self._queue.popleft())
        if len(data) == size:
            last.append(n_columns - 1)
        else:
            self._queue.appendleft(data[size:])
        return data[:size], last

    def clear(self) -> None:
        """Forget everything that waits."""
        self._queue.clear()
        self.waiting_columns = self.head_columns = self._controls = 0

"""What a client sent and its session has not worked off yet, in the order in which it came."""

from collections import deque
from dataclasses import dataclass

from service.errors import ColumnsError, MessageError
from service.messages import ClientMessage, Columns


@dataclass(frozen=True, slots=True)
class Control:
    """A message that is not columns, or the fault of one that cannot be used."""

    index: int  # of all messages of this client, from 0
    message: ClientMessage | MessageError


def unpack(message: bytes | Columns, column_height: int, max_columns: int) -> bytes:
    """The columns of one message, one after another; raises `ColumnsError`."""
    if isinstance(message, bytes):
        data, ref = message, None
    else:
        ref = message.id
        for number, column in enumerate(message.columns):
            if len(column) != column_height:
                got = f"column {number} has {len(column)} pixels"
                raise ColumnsError(f"{got}, expected {column_height}", ref)
        data = b"".join(map(bytes, message.columns))
    n_columns, rest = divmod(len(data), column_height)
    if rest or not data:
        raise ColumnsError(f"{len(data)} bytes, expected {column_height} for each column", ref)
    if n_columns > max_columns:
        raise ColumnsError(f"{n_columns} columns in one message, allowed: 1..{max_columns}", ref)
    return data


class Inbox:
    """One queue of columns and control messages.

    Columns that follow one another lie in one row of bytes, whatever messages brought them; only
    where each message ends is remembered.
    """

    def __init__(self, column_height: int) -> None:
        self.taken = 0  # columns taken, ever
        self._received = 0  # columns received, ever
        self._ends: deque[int] = deque()  # `_received` after each message that is not taken whole
        self._queue: deque[bytearray | Control] = deque()
        self._column_height = column_height

    @property
    def waiting_columns(self) -> int:
        """Columns not taken yet, wherever they stand."""
        return self._received - self.taken

    @property
    def head_columns(self) -> int:
        """Columns at the head, up to the next control message."""
        queue = self._queue
        if queue and isinstance(head := queue[0], bytearray):
            return len(head) // self._column_height
        return 0

    def add_columns(self, data: bytes) -> None:
        """Queue the columns of one message."""
        self._received += len(data) // self._column_height
        self._ends.append(self._received)
        queue = self._queue
        if queue and isinstance(tail := queue[-1], bytearray):
            tail += data
        else:
            queue.append(bytearray(data))

    def add_control(self, control: Control) -> None:
        """Queue anything else."""
        self._queue.append(control)

    def next_control(self) -> Control | None:
        """Take the control message at the head, if one stands there."""
        queue = self._queue
        if queue and isinstance(head := queue[0], Control):
            queue.popleft()
            return head
        return None

    def peek(self, n_columns: int) -> bytes:
        """The first columns of the head, at most `head_columns` of them."""
        head = self._queue[0]
        assert isinstance(head, bytearray)
        return bytes(head[: n_columns * self._column_height])

    def take(self, n_columns: int) -> list[int]:
        """Remove what `peek` showed; gives which of these columns were the last of a message."""
        head = self._queue[0]
        assert isinstance(head, bytearray)
        del head[: n_columns * self._column_height]
        if not head:
            self._queue.popleft()
        first = self.taken
        self.taken += n_columns
        last = []
        while self._ends and self._ends[0] <= self.taken:
            last.append(self._ends.popleft() - first - 1)
        return last

    def clear(self) -> None:
        """Forget everything that waits."""
        self._queue.clear()
        self._ends.clear()
        self._received = self.taken

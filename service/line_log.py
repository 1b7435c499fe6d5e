"""What a client keeps of its line, to go on with it on another connection; without I/O.

`LineLog` keeps every message since the line's beginning and the newest snapshot. On another
connection it gives the messages that the session there lacks, and leaves out of the answers what
was heard before: every result once for its epoch and column, every event once for its id and
content. docs/protocol.md describes how a line is resumed.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from inkstream.service.protocol import server_messages as messages

SNAPSHOT_COLUMNS: Final = 512  # between two snapshots, unless the program chooses otherwise
MAX_LOG_BYTES: Final = 8 * 1024 * 1024  # of messages; the oldest are forgotten
OWN_ID: Final = "resume"  # of the log's own messages; the program's ids are numbers
ANSWERED: Final = frozenset(("configure", "rewind", "flush", "reset", "ping", "end"))

NOT_SENT: Final = 2**53  # an index beyond that of any message

Key = tuple[bool, int]  # whether an event is a word, and its id: words have their own ids
Events = dict[Key, messages.Event]


@dataclass(slots=True)
class Entry:
    """A message that was sent."""

    kind: str
    id: int | None
    data: str | bytes
    index: int  # among the messages of the present connection, as the server counts


class LineLog:
    """The messages of a line, its newest snapshot, and what was heard about it."""

    def __init__(self, column_height: int) -> None:
        self.snapshot: messages.Snapshot | None = None
        self.is_whole = True  # whether the messages reach back to the line's beginning
        self._column_height = column_height
        self._entries: list[Entry] = []
        self._n_covered = 0  # of the entries, by the snapshot
        self._n_bytes = 0  # of the entries
        self._n_sent = 0  # messages on the present connection
        self._is_resumed = True  # whether its session has the line
        self._unanswered: set[int] = set()  # ids of requests
        self._options: dict[str, Any] = {"snapshot_columns": SNAPSHOT_COLUMNS, "text": "tail"}
        self._line_options = self._options  # at the line's beginning
        self._line_epoch = 0
        self._earlier_epochs = 0  # of the client's line, before epoch 0 of the session
        self._heard = (0, -1)  # epoch and column of what was heard about columns
        self._told: Events = {}  # the events of the line that stand, as the program knows them
        self._replaceable: set[Key] = set()  # of them, told before ink caused the newest rewind
        self._again: Events | None = None  # the same by a resumed session, until it has caught up
        self._text: str | None = None  # the newest
        self._frame: messages.Frame | None = None
        self._epoch_start = 0  # the epoch's first column
        self._n_read = 0  # columns, up to this epoch
        self._earlier = (0, 0, 0)  # columns, letters and words of the lines before
        self._missing = (0, 0, 0)  # those of them that the session does not know

    # To the server

    def options(self) -> str:
        """Return the message that sets the options at the line's beginning."""
        return self._own("configure", **self._line_options)

    def ping(self) -> str:
        """Return a message whose answer says that everything before it is answered."""
        return self._own("ping")

    def add(self, kind: str, data: str | bytes, message_id: int | None = None) -> None:
        """Keep a message that is sent now."""
        self._entries.append(Entry(kind, message_id, data, self._n_sent))
        self._n_sent += 1
        self._n_bytes += len(data)
        if message_id is not None and kind in ANSWERED:
            self._unanswered.add(message_id)
        n_dropped = 0
        while self._n_bytes > MAX_LOG_BYTES:
            self._n_bytes -= len(self._entries[n_dropped].data)
            n_dropped += 1
        if n_dropped:
            self.is_whole = False
            del self._entries[:n_dropped]
            if n_dropped > self._n_covered:
                self.snapshot = None
            self._n_covered = max(self._n_covered - n_dropped, 0)

    @property
    def can_resume(self) -> bool:
        """Whether the line can go on elsewhere."""
        return self.is_whole or self.snapshot is not None

    def begin_again(self) -> None:
        """Count the messages of another connection, and take what comes as heard before."""
        self._n_sent = 0
        self._is_resumed = False
        self._again = {}
        for entry in self._entries:
            entry.index = NOT_SENT

    def resume(self) -> str:
        """Return the message that resumes from the snapshot, or else from the beginning."""
        blob, (_, column) = None, self._heard
        letters = sum(not is_word for is_word, _ in self._told)
        if self.snapshot is not None:
            blob = self.snapshot.blob
        else:
            self._earlier_epochs = self._line_epoch
            self._missing = self._earlier
            column -= 1  # the newest result comes again: another model has another text
        return self._own(
            "resume",
            blob=blob,
            columns=max(column + 1, 0),
            letters=letters,
            words=len(self._told) - letters,
        )

    def forget_snapshot(self) -> None:
        """Go on from the line's beginning: the server has refused the snapshot."""
        self.snapshot = None
        self._n_covered = 0

    def newer(self) -> Iterator[str | bytes]:
        """Yield the messages that the session lacks, to be sent in this order."""
        for entry in self._entries[self._n_covered :]:
            entry.index = self._n_sent
            self._n_sent += 1
            yield entry.data

    def _own(self, kind: str, **fields: Any) -> str:
        self._n_sent += 1
        return json.dumps({"type": kind, "id": OWN_ID, **fields})

    # From the server

    def receive(self, message: messages.ServerMessage) -> list[messages.ServerMessage]:
        """Return what the program is to be told: nothing if it has heard the message before."""
        message = self._numbered(message)
        match message:
            case messages.Snapshot():
                # Before `resumed` it is of the empty line of a new session. If it covers no
                # message, it lacks the options that were sent first.
                if self._is_resumed and message.messages:
                    self.snapshot = message
                    self._n_covered += sum(
                        entry.index < message.messages for entry in self._entries[self._n_covered :]
                    )
                return []
            case messages.Resumed():
                self._is_resumed = True
                self._again = _standing(self._told, message.letters, message.words)
                return []
            case messages.Error(ref=ref) if ref == OWN_ID:
                return []
        if getattr(message, "id", None) == OWN_ID:
            return []
        differences: list[messages.ServerMessage] = []
        if self._again is not None and not isinstance(message, messages.Goaway):
            if not self._is_new(message):
                self._follow(message, self._again)
                return []
            differences = self.catch_up()
        return [*differences, self._note(message)]

    def catch_up(self) -> list[messages.ServerMessage]:
        """Compare the events of the resumed session with those that the program knows.

        Returns the new ones; if others have changed, behind a `rewound` that withdraws them.
        """
        told, again, self._again = self._told, self._again, None
        if again is None:
            return []
        self._told = again
        changed = [
            event
            for key, event in again.items()
            if key not in told or not messages.is_like(told[key], event)
        ]
        stand = again.keys() & told.keys()
        revised = {_key(event) for event in changed} & told.keys()
        if len(stand) == len(told) and revised <= self._replaceable:
            return [*changed]
        words = sum(is_word for is_word, _ in stand)
        epoch, column = self._heard
        rewound = messages.Rewound(
            epoch=epoch,
            column=column + 1,
            text=self._text,
            letters=len(stand) - words,
            words=words,
            frame=self._frame,
        )
        return [rewound, *changed]

    def _numbered(self, message: messages.ServerMessage) -> messages.ServerMessage:
        """Return the message with the epoch that the line has for the program."""
        epoch = getattr(message, "epoch", None)
        if epoch is None or not self._earlier_epochs:
            return message
        if isinstance(message, messages.Result):
            message.epoch += self._earlier_epochs
            return message
        return message.model_copy(update={"epoch": epoch + self._earlier_epochs})

    def _is_new(self, message: messages.ServerMessage) -> bool:
        """Whether a resumed session says something that was not heard before."""
        match message:
            case messages.Result():
                return (message.epoch, message.column) > self._heard
            case messages.Rewound(id=None):
                return message.epoch > self._heard[0]
            case messages.Rewound() | messages.Flushed() | messages.Configured():
                return message.id is None or message.id in self._unanswered
            case messages.ResetDone() | messages.Pong():
                return message.id in self._unanswered
        return not isinstance(message, messages.Event)

    def _follow(self, message: messages.ServerMessage, again: Events) -> None:
        """Note what a resumed session says about columns that were heard before."""
        match message:
            case messages.Result():
                self._text = message.text
            case messages.Rewound():
                self._again = _standing(again, message.letters, message.words)
            case messages.Letter() | messages.Punctuation() | messages.Word():
                again.pop(_key(message), None)  # the order is that in which they were decided
                again[_key(message)] = message

    def _note(self, message: messages.ServerMessage) -> messages.ServerMessage:
        """Keep what the program is told now, and return it."""
        match message:
            case messages.Result():
                self._heard = message.epoch, message.column
                self._text = message.text
            case messages.Letter() | messages.Punctuation() | messages.Word():
                self._told[_key(message)] = message
                self._replaceable.discard(_key(message))
                # Results before it that were not heard have been merged into a later one.
                self._heard = max(self._heard, (self._heard[0], message.column - 1))
            case messages.Rewound():
                self._answer(message.id)
                self._n_read += self._heard[1] + 1 - self._epoch_start
                self._epoch_start = message.column
                self._heard = message.epoch, message.column - 1
                self._told = _standing(self._told, message.letters, message.words)
                self._replaceable = {
                    key for key, event in self._told.items() if event.column >= message.column
                }
                self._text, self._frame = message.text, message.frame
            case messages.Flushed():
                self._answer(message.id)
                self._heard = message.epoch, message.columns - 1
                self._text = message.text
                if message.id is None:
                    self._cut(message.epoch, message.columns)
                    self._begin_line(message.epoch + 1)
            case messages.ResetDone():
                self._answer(message.id)
                ids = [entry.id for entry in self._entries]
                self.is_whole = message.id in ids
                if self.is_whole:
                    self._drop(ids.index(message.id) + 1)  # type: ignore[arg-type]
                self._begin_line(message.epoch)
            case messages.Configured():
                self._answer(message.id)
                self._options = message.model_dump(exclude={"type", "id"})
            case messages.Pong():
                self._answer(message.id)
                self._remove(message.id, None)
            case messages.Error():
                self._answer(message.ref)
                self._remove(message.ref, message.index)
            case messages.Done():
                columns, letters, words = self._missing
                message = message.model_copy(
                    update={
                        "columns": message.columns + columns,
                        "letters": message.letters + letters,
                        "words": message.words + words,
                    }
                )
        return message

    def _begin_line(self, epoch: int) -> None:
        """Forget the line before; its messages are dropped."""
        words = sum(is_word for is_word, _ in self._told)
        self._n_read += self._heard[1] + 1 - self._epoch_start
        _, earlier_letters, earlier_words = self._earlier
        letters = earlier_letters + len(self._told) - words
        self._earlier = self._n_read, letters, earlier_words + words
        self._epoch_start = 0
        self.snapshot, self._n_covered = None, 0
        self._line_options = self._options
        self._line_epoch = epoch
        self._heard = epoch, -1
        self._told, self._replaceable = {}, set()
        self._text = self._frame = None

    # Entries

    def _answer(self, message_id: Any) -> None:
        self._unanswered.discard(message_id)

    def _remove(self, message_id: Any, index: int | None) -> None:
        """Remove the message with this id or else index: it has no effect on the line."""
        for place in reversed(range(len(self._entries))):
            entry = self._entries[place]
            if entry.id == message_id if message_id is not None else entry.index == index:
                del self._entries[place]
                self._n_bytes -= len(entry.data)
                self._n_covered -= place < self._n_covered
                return

    def _drop(self, n_entries: int) -> None:
        """Remove the oldest messages."""
        self._n_bytes -= sum(len(entry.data) for entry in self._entries[:n_entries])
        del self._entries[:n_entries]

    def _cut(self, epoch: int, n_columns: int) -> None:
        """Remove the messages of a line that has ended by itself, in this epoch.

        It may have ended within a message of columns, of which the rest stays.
        """
        column, n_rewinds = 0, epoch - self._line_epoch
        for place, entry in enumerate(self._entries):
            if entry.kind == "rewind" and n_rewinds:
                column, n_rewinds = json.loads(entry.data)["column"], n_rewinds - 1
            elif isinstance(entry.data, bytes) and not n_rewinds:
                column += len(entry.data) // self._column_height
                if column >= n_columns:
                    n_rest = (column - n_columns) * self._column_height
                    self._n_bytes -= len(entry.data) - n_rest
                    entry.data = entry.data[len(entry.data) - n_rest :]
                    self._drop(place if n_rest else place + 1)
                    self.is_whole = True
                    return
        self.is_whole = False


def _key(event: messages.Event) -> Key:
    return isinstance(event, messages.Word), event.id


def _standing(events: Events, letters: int, words: int) -> Events:
    """Return the events that stand where so many letters and words do."""
    return {
        (is_word, number): event
        for (is_word, number), event in events.items()
        if number < (words if is_word else letters)
    }

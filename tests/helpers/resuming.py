"""A session that goes on elsewhere, and what its client must hear of that."""

from collections.abc import Sequence
from typing import Any

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import (
    Done,
    Error,
    Event,
    Goaway,
    Limits,
    Pong,
    ResetDone,
    Result,
    Resumed,
    Rewound,
    ServerMessage,
    Snapshot,
    Word,
)
from inkstream.service.sealing import Sealer, SnapshotSealer
from tests.helpers.session_machine import TOLERANCE, as_json
from tests.helpers.single_session import LANGUAGES, LIMITS, SessionClient, message

SEALER = Sealer(["a key for tests, 32 characters or more"], "snapshot")
SEALS = SnapshotSealer(SEALER, b"the model")
PATIENT = LIMITS.model_copy(update={"max_control_per_s": 1000, "max_bad_messages": 1000})

Frame = str | bytes


class SnapshotClient(SessionClient):
    """A client of a server with snapshots, with all that it sends and hears."""

    def __init__(self, runtime: Runtime, limits: Limits = PATIENT, credential: bytes = b"") -> None:
        languages = LANGUAGES if runtime.config.kind == "transcriber" else {}
        super().__init__(runtime, limits, languages, SEALS, credential)
        self.new_messages()
        self.sent: list[Frame] = []

    def send(self, *frames: Frame, interval_s: float = 1.0) -> None:
        self.sent += frames
        super().send(*frames, interval_s=interval_s)

    def snapshot(self) -> Snapshot | None:
        """Have the server go away; return its snapshot, or None where the session is closed."""
        self.apply(self.session.goaway(5.0))
        self.drain()
        found = [each for each in self.received if isinstance(each, Snapshot)]
        return found[-1] if found else None


class Heard:
    """What a client knows of its line after the messages that it heard."""

    def __init__(self, messages: Sequence[ServerMessage]) -> None:
        self.columns = self.letters = self.words = 0
        for each in messages:
            match each:
                case Result():
                    self.columns = each.column + 1
                case Rewound():
                    self.columns, self.letters, self.words = each.column, each.letters, each.words
                case ResetDone():
                    self.columns = self.letters = self.words = 0
                case Snapshot():
                    self.columns, self.letters, self.words = each.column, each.letters, each.words
                case Word():
                    self.words = each.id + 1
                case _ if isinstance(each, Event):
                    self.letters = each.id + 1


def resume(blob: str | None, heard: Heard) -> str:
    """Return the message that resumes a line after what was heard."""
    counts = {"columns": heard.columns, "letters": heard.letters, "words": heard.words}
    return message("resume", id="again", blob=blob, **counts)


def comparable(messages: Sequence[ServerMessage], first_index: int) -> list[dict[str, Any]]:
    """Return what a session says of its line, without what another connection changes.

    `first_index` is the index of the client's first message that both connections have.
    """
    plain = []
    for each in messages:
        if isinstance(each, Goaway | Pong | Snapshot):
            continue
        values = as_json(each)
        if isinstance(each, Error) and each.index is not None:
            values["index"] -= first_index
        elif isinstance(each, Done):
            del values["seconds"]
        plain.append(values)
    return plain


def after_resumed(messages: list[ServerMessage]) -> tuple[Resumed, list[ServerMessage]]:
    """Return `resumed`, before which nothing but pongs came, and what follows."""
    others: list[ServerMessage] = [each for each in messages if each.type != "pong"]
    first = others.pop(0)
    assert isinstance(first, Resumed), messages
    return first, others


def check_alike(found: Any, expected: Any) -> None:
    """Check that values are equal but for the last digits, which depend on the runs of the net."""
    if isinstance(expected, float):
        assert abs(found - expected) < TOLERANCE
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            check_alike(one, other)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), (found, expected)
        for name, value in expected.items():
            if name != "alternatives":  # near ties may fall either way
                check_alike(found[name], value)
    else:
        assert found == expected

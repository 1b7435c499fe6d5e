"""What a client keeps of its line, and what it sends of it on another connection."""

import json
from typing import Any

import pytest

from inkstream.service.client import conversation
from inkstream.service.client.conversation import Conversation, Io, KeptLine
from inkstream.service.protocol.errors import NotResumableError
from inkstream.service.protocol.server_messages import (
    Configured,
    Pong,
    ResetDone,
    Result,
    Resumed,
    Revised,
    Rewound,
    ServerMessage,
    Snapshot,
    encode,
)
from tests.service.client.test_conversation import READY, opened, run

H = 16  # pixels of a column


def kept(*frames: str | bytes) -> KeptLine:
    line = KeptLine()
    for frame in frames:
        line.add(frame)
    return line


def hear(line: KeptLine, *heard: ServerMessage) -> None:
    for message in heard:
        line.hear(message, H)


def result(column: int, seq: int) -> Result:
    return Result(column, [("a", 1.0)], seq=seq)


def test_a_line_that_is_too_long_is_resumed_by_its_newest_snapshot_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversation, "MAX_KEPT_BYTES", 3 * H)
    line = kept(*[bytes([number] * H) for number in range(5)])
    assert not line.can_resume
    hear(line, Snapshot(messages=3, blob="b"))
    assert line.can_resume
    assert line.after(3) == [bytes([3] * H), bytes([4] * H)]
    with pytest.raises(NotResumableError, match="too long"):
        line.after(0)
    assert not line.can_resume
    line.add('{"type": "reset", "id": 1}')
    hear(line, ResetDone(seq=1, id=1))
    assert line.can_resume


def moved(conversation: Conversation, digest: str, *heard: ServerMessage) -> list[Any]:
    """Go on over another connection where this is heard; return the messages that were sent."""
    model = READY.model.model_copy(update={"digest": digest})
    _, sent = run(conversation._resume(), READY.model_copy(update={"model": model}), *heard)
    return sent


def test_other_weights_read_the_whole_line_and_are_remembered_once_they_do() -> None:
    talk = opened(reconnect=True)
    columns = talk._columns(bytes(28))
    next(columns)
    columns.send(None)
    columns.send(encode(Configured(seq=1)))
    given = columns.send(encode(result(0, 2)))
    assert isinstance(given, conversation.Result)
    resumed, caught_up = Resumed(id="resume", messages=0), Pong(id="resume")
    again = Configured(seq=1), result(0, 2)
    sent = moved(talk, "other", resumed, Revised(seq=0, column=0), *again, caught_up)
    assert (json.loads(sent[0])["digest"], json.loads(sent[0])["heard"]) == ("d", 2)
    sent = moved(talk, "other", resumed, caught_up)
    assert (json.loads(sent[0])["digest"], json.loads(sent[0])["heard"]) == ("other", 2)
    with pytest.raises(StopIteration):
        next(columns)
    ping = talk._ask(Pong, "ping")
    next(ping)
    assert ping.send(None) is Io.RECEIVE
    assert talk.revised is not None


def test_columns_that_were_taken_back_are_not_given_when_other_weights_read_the_line() -> None:
    talk = opened(reconnect=True)
    first = [result(column, column + 2) for column in range(3)]
    rewound = Rewound(id=2, seq=5, column=1)
    run(talk._columns(bytes(3 * 28)), Configured(seq=1), *first)
    run(talk._ask(Rewound, "rewind", column=1), rewound)
    columns = talk._columns(bytes(28))
    next(columns)
    assert columns.send(None) is Io.RECEIVE
    again: list[ServerMessage] = [Revised(seq=0, column=0), Configured(seq=1), *first, rewound]
    resumed, caught_up = Resumed(id="resume", messages=0), Pong(id="resume")
    moved(talk, "other", resumed, *again, result(1, 6), caught_up)
    given = columns.send(encode(Pong(id=3)))
    assert isinstance(given, conversation.Result)
    assert given.column == 1
    with pytest.raises(StopIteration):
        next(columns)
    results, _ = run(talk._columns(bytes(28)), result(2, 7))
    assert [given.column for given in results] == [2]

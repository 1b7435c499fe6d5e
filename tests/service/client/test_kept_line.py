"""What a client keeps of its line, and what it sends of it on another connection."""

import json
from typing import Any

import pytest

from inkstream.service.client import conversation
from inkstream.service.client.conversation import Conversation, Io, KeptLine
from inkstream.service.protocol.errors import NotResumableError
from inkstream.service.protocol.server_messages import (
    Configured,
    Error,
    LineEnd,
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
from tests.service.client.test_conversation import run
from tests.service.client.test_reconnecting import READY

H = 16  # pixels of a column


def kept(*frames: str | bytes) -> KeptLine:
    line = KeptLine()
    for frame in frames:
        line.add(frame)
    return line


def hear(line: KeptLine, *heard: ServerMessage) -> None:
    for message in heard:
        line.hear(message, H)


def asked(line: KeptLine) -> dict[str, Any]:
    """Return what the client asks for on another connection."""
    message: dict[str, Any] = json.loads(line.resume())
    return message


def result(column: int, seq: int) -> Result:
    return Result(column, [("a", 1.0)], seq=seq)


def test_all_messages_of_the_line_follow_and_nothing_that_was_heard_is_asked_for() -> None:
    line = kept(bytes(H), '{"type":"flush"}')
    hear(line, result(0, 1), Pong(id=3))
    line.digest = "d"
    assert asked(line) == {
        "type": "resume",
        "id": "resume",
        "heard": 1,
        "digest": "d",
        "options": {},
        "snapshot": None,
    }
    assert line.after(0) == [bytes(H), '{"type":"flush"}']


def test_an_error_has_a_number_if_it_follows_from_the_line() -> None:
    line = kept(bytes(H + 1))
    hear(line, Error(seq=1, code="bad_columns", message="", fatal=False, index=0))
    assert asked(line)["heard"] == 1
    hear(line, Error(code="idle", message="", fatal=True))
    assert asked(line)["heard"] == 1


def test_a_line_begins_behind_a_reset_with_the_options_of_then() -> None:
    reset, later = '{"type": "reset", "id": 2}', '{"type": "configure", "id": 3}'
    line = kept(bytes(H), reset, bytes(2 * H), later)
    hear(line, Configured(seq=1, top_k=3), ResetDone(seq=2, id=2), Configured(seq=1, top_k=1))
    assert (asked(line)["heard"], asked(line)["options"]["top_k"]) == (1, 3)
    assert asked(line)["options"].keys() == {*conversation.OPTIONS}
    assert line.after(0) == [bytes(2 * H), later]


@pytest.mark.parametrize(
    ("n_columns", "left"), [(0, []), (3, [bytes(range(13 * H, 16 * H))])], ids=["whole", "within"]
)
def test_a_line_that_ends_by_itself_leaves_the_rest_of_its_last_message(
    n_columns: int, left: list[bytes]
) -> None:
    line = kept(bytes(H), bytes(range(16 * H)), "later")
    end = LineEnd(seq=17, columns=17 - n_columns, messages=2, rest_columns=n_columns, text="")
    hear(line, Snapshot(messages=1, blob="old"), end)
    assert (asked(line)["heard"], asked(line)["snapshot"]) == (0, None)
    assert line.after(0) == [*left, "later"]


def test_messages_that_a_snapshot_covers_are_sent_only_if_it_is_refused() -> None:
    line = kept("a", "b", "c")
    hear(line, Snapshot(messages=1, blob="older"), Snapshot(messages=2, blob="newest"))
    assert asked(line)["snapshot"] == "newest"
    assert line.after(2) == ["c"]
    assert line.after(0) == ["a", "b", "c"]
    assert asked(line)["snapshot"] is None


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
    incoming = iter([READY.model_copy(update={"model": model}), *heard])
    resumption, reply = conversation._resume(), None
    sent: list[Any] = []
    while True:
        try:
            step = resumption.send(reply)
        except StopIteration:
            return sent
        reply = encode(next(incoming)) if isinstance(step, Io) and step is not Io.OPEN else None
        if not isinstance(step, Io):
            sent.append(step)


def begun() -> Conversation:
    talk = Conversation(reconnect=True)
    begin = talk._begin()
    next(begin)
    begin.send(None)
    begin.send(encode(READY))
    return talk


def test_other_weights_read_the_whole_line_and_are_remembered_once_they_do() -> None:
    talk = begun()
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
    talk = begun()
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

"""What a client keeps of its line, with messages as a server sends them."""

import json
from typing import Any

import pytest

from inkstream.service import line_log
from inkstream.service.line_log import LineLog
from inkstream.service.protocol.server_messages import (
    Configured,
    Done,
    Error,
    Flushed,
    Letter,
    Pong,
    ResetDone,
    Result,
    Resumed,
    Rewound,
    ServerMessage,
    Snapshot,
    Word,
)

H = 16  # pixels of a column


def letter(number: int, char: str = "a", column: int = 0, confidence: float = 0.9) -> Letter:
    return Letter(
        id=number, start=0, end=1, column=column, confidence=confidence, char=char, alternatives=()
    )


def result(column: int, epoch: int = 0, text: str = "") -> Result:
    return Result(epoch, column, {"a": 1.0}, 0.5, text)


def snapshot(messages: int, letters: int = 0) -> Snapshot:
    return Snapshot(
        epoch=0,
        column=1,
        messages=messages,
        letters=letters,
        words=0,
        blob=f"after {messages}",
        lifetime_s=60.0,
    )


def ask(log: LineLog, kind: str, message_id: int, **fields: Any) -> str:
    frame = json.dumps({"type": kind, "id": message_id, **fields})
    log.add(kind, frame, message_id)
    return frame


def told(log: LineLog, *messages: ServerMessage) -> list[ServerMessage]:
    """Return what the program is told of the server's messages."""
    return [each for message in messages for each in log.receive(message)]


def resumed(log: LineLog, *, letters: int = 0, epoch: int = 0) -> dict[str, Any]:
    """Resume on another connection, whose server says `resumed`; return what the client asked."""
    log.begin_again()
    asked: dict[str, Any] = json.loads(log.resume())
    assert told(log, Resumed(id="resume", epoch=epoch, column=0, letters=letters, words=0)) == []
    return asked


def test_messages_that_a_snapshot_covers_are_not_sent_again() -> None:
    log = LineLog(H)
    log.options()  # the first message on the connection
    for number in range(4):
        log.add("columns", bytes([number] * H))
    assert told(log, result(0), result(1), snapshot(3), result(2)) == [
        result(0),
        result(1),
        result(2),
    ]
    assert resumed(log) == {
        "type": "resume",
        "id": "resume",
        "blob": "after 3",
        "columns": 3,
        "letters": 0,
        "words": 0,
    }
    assert [*log.newer()] == [bytes([2] * H), bytes([3] * H)]
    log.receive(snapshot(2))  # `resume` and one of the two
    log.begin_again()
    log.resume()
    assert [*log.newer()] == [bytes([3] * H)]


def test_without_a_snapshot_all_messages_of_the_line_are_sent_with_its_options() -> None:
    log = LineLog(H)
    ask(log, "configure", 1, top_k=3)
    told(log, Configured(id=1, top_k=3, snapshot_columns=512))
    ask(log, "reset", 2)
    log.add("columns", bytes(H))
    later = ask(log, "configure", 3, top_k=1)
    told(log, ResetDone(id=2, epoch=1), result(0, 1))
    told(log, Configured(id=3, top_k=1, snapshot_columns=512))
    assert resumed(log)["blob"] is None
    assert json.loads(log.options())["top_k"] == 3
    assert [*log.newer()] == [bytes(H), later]


def test_what_was_heard_is_not_told_again_and_epochs_go_on() -> None:
    log = LineLog(H)
    ask(log, "reset", 1)
    told(log, ResetDone(id=1, epoch=4))
    ask(log, "flush", 2)
    heard: list[ServerMessage] = [
        letter(0, column=0),
        result(0, 4),
        Flushed(id=2, epoch=4, columns=1, text="a"),
    ]
    assert told(log, *heard) == heard
    ask(log, "rewind", 3, column=0)
    resumed(log)
    again: list[ServerMessage] = [
        letter(0, column=0),
        result(0),
        Flushed(id=2, epoch=0, columns=1, text="a"),
    ]
    assert told(log, *again) == []
    rewound = Rewound(id=3, epoch=1, column=0, text="", letters=0, words=0)
    assert told(log, rewound) == [rewound.model_copy(update={"epoch": 5})]
    assert told(log, result(0, 1)) == [result(0, 5)]


def test_results_that_were_merged_away_do_not_come_later() -> None:
    log = LineLog(H)
    told(log, result(3), letter(0, column=9))
    resumed(log)
    again: list[ServerMessage] = [*map(result, range(4, 9)), letter(0, column=9), result(9)]
    assert told(log, *again) == [result(9)]


def test_events_that_come_out_differently_are_told_as_revisions_are() -> None:
    log = LineLog(H)
    told(log, letter(0, "l"), letter(1, "a"), letter(2, "p"), result(9, text="lap"))
    resumed(log)
    again: list[ServerMessage] = [
        letter(0, "l", confidence=0.899),
        letter(1, "o"),
        result(9, text="lo"),
    ]
    assert told(log, *again) == []
    rewound = Rewound(epoch=0, column=10, text="lo", letters=2, words=0)
    assert told(log, result(10, text="lo")) == [rewound, letter(1, "o"), result(10, text="lo")]


def test_events_that_replace_others_after_a_rewind_that_was_heard_need_no_other_rewind() -> None:
    log = LineLog(H)
    rewound = Rewound(epoch=1, column=3, text="", letters=1, words=0)
    told(log, letter(0, "l", 5), result(6), rewound, result(3, 1), result(4, 1))
    resumed(log)
    again = letter(0, "l", 5), result(6), rewound, result(3, 1), result(4, 1)
    assert told(log, *again) == []
    news: list[ServerMessage] = [letter(0, "t", 5), result(5, 1)]
    assert told(log, *news) == news


def test_events_that_were_decided_and_not_heard_are_told_once_all_is_answered() -> None:
    log = LineLog(H)
    told(log, letter(0), snapshot(1))
    resumed(log, letters=1)
    assert told(log, letter(1, column=1)) == []
    assert log.catch_up() == [letter(1, column=1)]
    assert log.catch_up() == []


def test_events_of_an_earlier_epoch_are_not_told_again() -> None:
    log = LineLog(H)
    ask(log, "rewind", 1, column=2)
    rewound = Rewound(id=1, epoch=1, column=2, text="", letters=0, words=0)
    told(log, letter(0, "l"), result(5), rewound, letter(0, "t", 3), result(3, 1))
    resumed(log)
    assert told(log, letter(0, "l"), result(5), rewound, letter(0, "t", 3), result(3, 1)) == []
    assert told(log, result(4, 1)) == [result(4, 1)]


def test_a_pong_or_an_error_is_told_once_and_its_message_not_sent_again() -> None:
    log = LineLog(H)
    ask(log, "ping", 1)
    ask(log, "ink", 2)
    log.add("columns", bytes(H + 1))
    stays = ask(log, "ping", 3)
    told(
        log,
        Pong(id=1),
        Error(code="bad_ink", message="", fatal=False, index=1, ref=2),
        Error(code="bad_columns", message="", fatal=False, index=2),
    )
    resumed(log)
    assert [*log.newer()] == [stays]
    assert told(log, Pong(id=3)) == [Pong(id=3)]


def test_a_line_that_ends_within_a_message_leaves_the_rest_of_it() -> None:
    log = LineLog(H)
    pixels = bytes(range(10 * H))
    log.add("columns", pixels[: 6 * H])
    ask(log, "rewind", 1, column=4)
    told(log, Rewound(id=1, epoch=1, column=4, text="", letters=0, words=0))
    log.add("columns", pixels)
    later = ask(log, "ping", 2)
    told(log, snapshot(2), Flushed(epoch=1, columns=7, text=""))
    assert resumed(log)["blob"] is None
    assert [*log.newer()] == [pixels[3 * H :], later]


def test_a_log_that_is_too_long_can_be_resumed_by_a_snapshot_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(line_log, "MAX_LOG_BYTES", 3 * H)
    log = LineLog(H)
    for number in range(4):
        log.add("columns", bytes([number] * H))
    assert (log.is_whole, log.can_resume) == (False, False)
    told(log, snapshot(3))
    log.add("columns", bytes([4] * H))
    assert (log.is_whole, log.can_resume) == (False, True)
    resumed(log)
    assert [*log.newer()] == [bytes([3] * H), bytes([4] * H)]
    for _ in range(2):
        log.add("columns", bytes(H))
    assert not log.can_resume
    ask(log, "reset", 1)
    told(log, ResetDone(id=1, epoch=1))
    assert log.can_resume


def test_the_sums_at_the_end_are_those_of_all_lines() -> None:
    log = LineLog(H)
    ask(log, "rewind", 1, column=2)
    told(log, *map(result, range(5)), letter(0))
    told(log, Rewound(id=1, epoch=1, column=2, text="", letters=1, words=0), result(2, 1))
    word = Word(
        id=0, start=0, end=1, column=2, confidence=1.0, text="a", alternatives=(), strokes=None
    )
    ask(log, "reset", 2)
    told(log, word, ResetDone(id=2, epoch=2))
    ask(log, "end", 3)
    told(log, result(4, 2), Rewound(epoch=3, column=0, text="", letters=0, words=0))
    resumed(log)
    done = Done(columns=7, letters=2, words=1, text="", seconds=1.0)
    assert told(log, done) == [Done(columns=13, letters=3, words=2, text="", seconds=1.0)]


def test_a_snapshot_before_resumed_is_of_an_empty_line_and_not_kept() -> None:
    log = LineLog(H)
    log.add("columns", bytes(H))
    told(log, result(0), snapshot(1))
    log.begin_again()
    log.resume()
    log.receive(snapshot(0))  # the server is about to stop, and has not read `resume` yet
    assert resumed(log)["blob"] == "after 1"


def test_a_snapshot_without_the_options_that_were_sent_first_is_not_kept() -> None:
    log = LineLog(H)
    log.options()
    log.receive(snapshot(0))  # made before the server has read them
    assert log.snapshot is None
    log.receive(snapshot(1))
    assert log.snapshot is not None


def test_a_snapshot_covers_no_message_that_was_not_sent_on_its_connection() -> None:
    log = LineLog(H)
    for number in range(3):
        log.add("columns", bytes([number] * H))
    resumed(log)
    newer = log.newer()
    assert next(newer) == bytes(H)
    log.receive(snapshot(2))  # `resume` and the first columns
    resumed(log)
    assert [*log.newer()] == [bytes([1] * H), bytes([2] * H)]


def test_done_counts_the_columns_before_a_rewind_once() -> None:
    log = LineLog(H)
    ask(log, "reset", 1)
    told(log, result(0), ResetDone(id=1, epoch=1), result(0, 1), result(1, 1))
    ask(log, "rewind", 2, column=1)
    told(log, Rewound(id=2, epoch=2, column=1, text="", letters=0, words=0), result(1, 2))
    resumed(log)
    done = Done(id=3, columns=3, letters=0, words=0, text="", seconds=1.0)
    assert told(log, done) == [done.model_copy(update={"columns": 4})]

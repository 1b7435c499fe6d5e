"""What servers of two versions of the protocol answer is the same where it means the same."""

from typing import Any

from tools.read_answers import Heard

DECIDED = {"start": 0, "end": 3, "column": 4, "confidence": 0.9, "alternatives": []}
BEFORE: list[dict[str, Any]] = [
    {"type": "result", "epoch": 0, "column": 0, "probabilities": {"h": 0.9}, "text": "h"},
    {
        "type": "result",
        "epoch": 0,
        "column": 1,
        "probabilities": {"i": 0.8, "l": 0.1},
        "text": "hi",
    },
    {"type": "letter", "id": 0, "char": "h", **DECIDED},
    {"type": "punctuation", "id": 1, "char": "!", **DECIDED},
    {"type": "word", "id": 0, "text": "h!", **DECIDED},
    {"type": "rewound", "id": None, "epoch": 1, "column": 1, "text": "h", "letters": 1, "words": 0},
    {"type": "result", "epoch": 1, "column": 1, "probabilities": {"o": 0.8}, "text": "ho"},
    {"type": "punctuation", "id": 1, "char": ",", **DECIDED},
    {"type": "flushed", "id": None, "epoch": 1, "columns": 2, "text": "ho"},
]


def numbered(seq: int) -> dict[str, Any]:
    """Return what a result has beside what it says."""
    return {"type": "result", "seq": seq}


AFTER: list[dict[str, Any]] = [
    {"column": 0, "probabilities": [["h", 0.9]], "stable": 0, "text": "h", **numbered(1)},
    {
        "column": 1,
        "probabilities": [["i", 0.8], ["l", 0.1]],
        "stable": 1,
        "text": "i",
        **numbered(2),
    },
    {"type": "letter", "seq": 3, "id": 0, "char": "h", "mark": False, **DECIDED},
    {"type": "letter", "seq": 4, "id": 1, "char": "!", "mark": True, **DECIDED},
    {"type": "word", "seq": 5, "id": 0, "text": "h!", **DECIDED},
    {"type": "revised", "seq": 6, "column": 1, "text": "h", "letters": 1, "words": 0},
    {"column": 1, "probabilities": [["o", 0.8]], "stable": 1, "text": "o", **numbered(7)},
    {"type": "letter", "seq": 8, "id": 1, "char": ",", "mark": True, **DECIDED},
    {"type": "flushed", "seq": 9, "id": None, "columns": 2, "text": "ho"},
]


def heard(messages: list[dict[str, Any]]) -> dict[str, Any]:
    line = Heard()
    for message in messages:
        line.add(message)
    return line.answer


def test_a_line_is_the_same_in_both_versions_of_the_protocol() -> None:
    assert heard(BEFORE) == heard(AFTER)
    assert [event.get("char") for event in heard(AFTER)["events"]] == ["h", ","]


def test_any_value_on_the_way_makes_a_difference() -> None:
    for index, name, value in ((1, "column", 2), (1, "text", "j"), (5, "column", 0), (7, "end", 4)):
        changed = [*AFTER[:index], AFTER[index] | {name: value}, *AFTER[index + 1 :]]
        assert heard(changed) != heard(AFTER), name

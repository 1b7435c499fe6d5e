"""Frames of all kinds to a small transcriber, each by a name, for conversations of any order."""

from typing import Any

from tests.helpers.single_session import LINE_BLANK, LINE_INK, line, message

HINTS = {"language_model": "little", "words": ["cab"], "pattern": "[abc. ]*", "characters": "abc "}


def ink(name: int, x: float, **fields: Any) -> str:
    """Return a message with a stroke across the rows, a few columns wide, and a short one."""
    points = [[x + step, 3.0 + 2 * step] for step in range(5)]
    strokes = [{"id": name, "points": points}, {"points": points[:2]}]
    return message("ink", height=16, strokes=strokes, **fields)


FRAMES: dict[str, str | bytes] = {
    "columns": line(9),
    "many columns": line(90, seed=3),
    "blank columns": LINE_BLANK * 4,
    "JSON columns": message("columns", columns=[list(LINE_INK)]),
    "flush": message("flush", id="f"),
    "rewind": message("rewind", column=5),
    "far rewind": message("rewind", column=40),
    "configure": message("configure", every="message", top_k=2, line_end_columns=3),
    "hints": message("configure", **HINTS),
    "no hints": message("configure", language_model=None, words=[], pattern=None),
    "ink": ink(1, 2.0),
    "ink with a pause": ink(2, 20.0, pause=True),
    "late ink": ink(3, 4.0, fit=True),
    "undo": message("ink", undo=1),
    "begun stroke": message(
        "ink", height=16, strokes=[{"id": "b", "points": [[30, 2], [36, 9]], "last": False}]
    ),
    "more of it": message(
        "ink", height=16, strokes=[{"id": "b", "points": [[24, 14], [29, 3]], "last": False}]
    ),
    "far ink": ink(4, 150.0, pause=True),
    "snapshots": message("configure", snapshot_columns=64),
    "reset": message("reset"),
    "ping": message("ping", id=1),
    "no JSON": "nonsense",
    "half a column": b"x",
}

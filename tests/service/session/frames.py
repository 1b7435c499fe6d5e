"""Frames of all kinds to a small transcriber, each by a name, for conversations of any order."""

import json
from typing import Any

import numpy as np

from tests.helpers.single_session import LINE_BLANK, LINE_INK, line, message
from tests.service.session.resuming import Frame

HINTS = {"language": "little", "words": ["cab"], "pattern": "[abc. ]*", "characters": "abc "}
ENDS_TWICE = (LINE_INK * 5 + LINE_BLANK * 3) * 2 + LINE_INK * 4


def ink(name: int, x: float, **fields: Any) -> str:
    """Return a message with a stroke across the rows, a few columns wide, and a short one."""
    points = [[x + step, 3.0 + 2 * step] for step in range(5)]
    strokes = [{"id": name, "points": points}, {"points": points[:2]}]
    return message("ink", height=16, strokes=strokes, **fields)


def part(x: float, y: float) -> str:
    """Return a message with two points of a stroke that goes on."""
    stroke = {"id": "b", "points": [[x, y], [x + 6, y + 7]], "last": False}
    return message("ink", height=16, strokes=[stroke])


def as_json(frame: Frame) -> Frame:
    """Return binary columns as a JSON message; any other frame as it is."""
    if isinstance(frame, str) or not frame or len(frame) % len(LINE_INK):
        return frame
    columns = np.frombuffer(frame, np.uint8).reshape(-1, len(LINE_INK)).tolist()
    return json.dumps({"type": "columns", "columns": columns})


FRAMES: dict[str, Frame] = {
    "columns": line(9),
    "many columns": line(90, seed=3),
    "blank columns": LINE_BLANK * 4,
    "JSON columns": as_json(LINE_INK),
    "two line ends": ENDS_TWICE,
    "two line ends in JSON": as_json(ENDS_TWICE),
    "flush": message("flush", id="f"),
    "rewind": message("rewind", column=5),
    "far rewind": message("rewind", column=40),
    "configure": message("configure", results="message", top_k=2, line_end_columns=3),
    "no results": message("configure", results="none"),
    "mask": message("configure", results="column", top_k=None, characters="ac"),
    "hints": message("configure", **HINTS),
    "languages": message("configure", language="auto"),
    "no hints": message("configure", language=None, words=[], pattern=None, characters=None),
    "ink": ink(1, 2.0),
    "ink with a pause": ink(2, 20.0, pause=True),
    "late ink": ink(3, 4.0, fit=True),
    "undo": message("ink", undo=1),
    "begun stroke": part(30, 2),
    "more of it": part(24, 3),
    "far ink": ink(4, 150.0, pause=True),
    "snapshots": message("configure", snapshot_columns=64),
    "reset": message("reset"),
    "ping": message("ping", id=1),
    "no JSON": "nonsense",
    "half a column": b"x",
}

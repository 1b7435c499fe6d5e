"""What `recognize` and `read_ink` take, and what they say of anything else."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkstream import (
    BlankImageError,
    InkPiece,
    InputError,
    Recognizer,
    ink_pieces,
    line_columns,
    load,
)
from inkstream.model.checkpoint import Checkpoint
from inkstream.model.errors import DataError, ImageError

EXAMPLES = Path(__file__).parents[2] / "examples"
IMAGE = EXAMPLES / "hello.png"
WAVE = [(float(x), 80 + 70 * float(np.sin(x / 30))) for x in range(30, 900, 9)]
BAR = [(950.0, 10.0), (960.0, 150.0)]
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def lines(tiny_lines: Checkpoint) -> Recognizer:
    return load(tiny_lines.path)


IMAGES: dict[str, Callable[[], Any]] = {
    "text": lambda: str(IMAGE),
    "bytes": IMAGE.read_bytes,
    "bytearray": lambda: bytearray(IMAGE.read_bytes()),
    "memoryview": lambda: memoryview(IMAGE.read_bytes()),
    "open file": lambda: io.BytesIO(IMAGE.read_bytes()),
    "PIL": lambda: Image.open(IMAGE),
    "array": lambda: np.asarray(Image.open(IMAGE).convert("L")),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_may_come_in_any_form(lines: Recognizer, kind: str) -> None:
    expected = lines.recognize(IMAGE)
    assert lines.recognize(IMAGES[kind]()).to_dict() == expected.to_dict()


STROKES: dict[str, Callable[[], Any]] = {
    "lists": lambda: [list(map(list, WAVE)), BAR],
    "a tuple of arrays": lambda: (np.array(WAVE), np.array(BAR, np.float32)),
    "mappings": lambda: [{"points": WAVE, "id": 7}, {"points": np.array(BAR)}],
    "with pressure": lambda: [[(*point, 0.5, None) for point in WAVE], np.array(BAR)],
    "with pressure at some points": lambda: [[(*WAVE[0], 0.5), *WAVE[1:]], BAR],
    "an array with pressure": lambda: [np.c_[WAVE, np.ones(len(WAVE))], BAR],
    "arrays of points": lambda: [[np.array(point, np.float32) for point in WAVE], BAR],
    "a piece": lambda: InkPiece([WAVE, BAR]),
}


@pytest.mark.parametrize("kind", STROKES)
def test_strokes_may_come_in_any_form(lines: Recognizer, kind: str) -> None:
    expected, given = lines.read_ink([WAVE, BAR]).to_dict(), STROKES[kind]()
    assert lines.recognize(given).to_dict() == expected
    if not isinstance(given, InkPiece):
        assert lines.read_ink(given).to_dict() == expected


def test_a_file_of_one_piece_of_ink_is_read_and_one_of_several_is_explained(
    lines: Recognizer, tmp_path: Path
) -> None:
    piece, path = {"strokes": [WAVE, BAR], "height": 200}, tmp_path / "mine.jsonl"
    path.write_text(json.dumps(piece))
    expected = lines.read_ink([WAVE, BAR], 200).text
    assert lines.recognize(path).text == lines.recognize(str(path)).text == expected
    path.write_text(f"{json.dumps(piece)}\n{json.dumps(piece)}\n")
    with pytest.raises(InputError, match=r"holds 2 pieces of ink, expected one: .*ink_pieces"):
        lines.recognize(path)
    assert [lines.recognize(piece).text for piece in ink_pieces(path)] == [expected] * 2


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("none.jsonl", None, "none.jsonl: cannot be read: No such file"),
        ("a.jsonl", b'{"strokes": [[[1, 2]]], "label": "\xc3', "a.jsonl:1: no JSON"),
        ("a.jsonl", b'{"strokes": [[[1, NaN]]]}', "a.jsonl:1: point 0 of stroke 0 is [1, nan]"),
        ("a.inkml", b"<ink>", "a.inkml: line 1"),
    ],
)
def test_a_file_of_ink_that_cannot_be_read_is_named(
    lines: Recognizer, tmp_path: Path, name: str, content: bytes | None, text: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((DataError, InputError), match=re.escape(text)):
        lines.recognize(tmp_path / name)


@pytest.mark.parametrize("name", ["digits", "lines"])
def test_of_a_blank_image_the_answer_is_empty_and_the_hint_says_why(name: str) -> None:
    answer = load(name).recognize(np.full((80, 200), 250, np.uint8))
    assert (answer.text, answer.confidence, answer.columns) == ("", 0, 0)
    assert answer.to_dict()["hint"] == "no writing found"
    assert "<img" in answer._repr_html_()
    with pytest.raises(BlankImageError, match="no writing found: the image is blank"):
        line_columns(np.full((80, 200), 250, np.uint8), 32)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "None came, expected an image (a path, "),
        (3, "3 came, expected an image"),
        ("", "'' came, expected the path of a file"),
        ("https://example.org/a.png", "'https://example.org/a.png' came, expected the path of a"),
        ("https://example.org/a.jsonl", "nothing is downloaded"),
        ([], "[] came, expected an image (a path, the bytes of a file, an open file, a PIL image"),
        ({}, "or an array) or a list of strokes"),
        (io.StringIO("text"), "a file that is open as text came"),
        ([3], "stroke 0 is 3, expected an array of points"),
        (["ink"], "stroke 0 is 'ink', expected an array of points"),
        ([BAR, {"id": 3}], "stroke 1 is {'id': 3}, expected an array of points"),
        ([BAR, [1, 2]], "point 0 of stroke 1 is 1, expected [x, y], two finite numbers"),
        ([[(1, 2), (3,)]], "point 1 of stroke 0 is (3,)"),
        ([[(1, "2")]], "point 0 of stroke 0 is (1, '2')"),
        ([[(1, NAN)]], "point 0 of stroke 0 is (1, nan)"),
        ([BAR, np.array([[1, 2], [NAN, 4]])], "point 1 of stroke 1 is [nan, 4.0]"),
        ([[(1, INF)]], "point 0 of stroke 0 is (1, inf)"),
        (np.array([[1, NAN], [3, 4]]), "array holds nan, expected finite numbers"),
        (np.array([[1, INF], [3, 4]]), "array holds inf, expected finite numbers"),
    ],
)
def test_the_error_names_what_cannot_be_read(lines: Recognizer, given: Any, text: str) -> None:
    with pytest.raises(InputError, match=re.escape(text)):
        lines.recognize(given)


@pytest.mark.parametrize("height", ["high", 0, NAN, -1])
def test_the_error_names_a_height_that_is_none(lines: Recognizer, height: Any) -> None:
    with pytest.raises(InputError, match=f"height is {height!r}, allowed: a number above 0"):
        lines.read_ink([BAR], height)


def test_a_missing_image_is_named(lines: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.png cannot be read: No such file"):
        lines.recognize(tmp_path / "none.png")

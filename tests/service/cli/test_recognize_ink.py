"""Files of ink that `inkstream recognize` reads: JSON lines and InkML."""

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from inkstream.model.recognizer import load
from tests.helpers.command_line import run_here

pytestmark = pytest.mark.slow

Stroke = list[tuple[float, float]]
WAVE: Stroke = [(float(x), 80 + 70 * float(np.sin(x / 30))) for x in range(30, 900, 9)]
BAR: Stroke = [(950, 10), (960, 150)]

PIECE = json.dumps({"strokes": [WAVE, BAR], "label": "a wave"})


def traces(*strokes: Stroke) -> str:
    """Return strokes in the format of InkML."""
    lines = (", ".join(f"{x} {y}" for x, y in stroke) for stroke in strokes)
    return "".join(f"<trace>{line}</trace>" for line in lines)


FILES: dict[str, tuple[str, str, dict[int, tuple[list[Stroke], float | None]]]] = {
    "JSON": (
        "a.jsonl",
        f"{PIECE}\n\n{json.dumps({'strokes': [WAVE, BAR], 'height': 200})}",
        {1: ([WAVE, BAR], None), 3: ([WAVE, BAR], 200.0)},
    ),
    "a labelled group": (
        "a.inkml",
        '<ink xmlns="http://www.w3.org/2003/InkML"><traceGroup>\n<annotation type="truth">a wave'
        f"</annotation>\n{traces(WAVE, BAR)}\n</traceGroup></ink>",
        {1: ([WAVE, BAR], None)},
    ),
    "no group": ("a.inkml", f"<ink>{traces(WAVE, BAR)}</ink>", {1: ([WAVE, BAR], None)}),
    "groups without labels": (
        "a.inkml",
        f"<ink>\n<traceGroup>{traces(WAVE)}</traceGroup>\n<traceGroup><traceGroup>{traces(BAR)}"
        "</traceGroup></traceGroup>\n<traceGroup/></ink>",
        {2: ([WAVE], None), 3: ([BAR], None)},
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_recognize_reads_files_of_ink(line_weights: Path, tmp_path: Path, kind: str) -> None:
    name, content, pieces = FILES[kind]
    (tmp_path / name).write_text(content)
    model = line_weights / "tiny_lines.onnx"
    done = run_here("recognize", tmp_path, "--model", model)
    assert (done.returncode, done.stderr) == (0, "")
    for shown, (line, piece) in zip(done.stdout.splitlines(), pieces.items(), strict=True):
        expected = load(model).read_ink(*piece).text
        assert shown.startswith(f"{tmp_path / name}:{line}  {expected}  ")


def test_recognize_reads_packed_lines_and_tells_of_damaged_ones(
    line_weights: Path, tmp_path: Path
) -> None:
    packed = lzma.compress(PIECE.encode())
    (tmp_path / "a.jsonl.xz").write_bytes(packed)
    (tmp_path / "b.jsonl.xz").write_bytes(packed[:-20])
    model = line_weights / "tiny_lines.onnx"
    done = run_here("recognize", tmp_path, "--model", model)
    expected = load(model).read_ink([WAVE, BAR]).text
    assert done.stdout.startswith(f"{tmp_path}/a.jsonl.xz:1  {expected}  ")
    assert done.returncode == 1
    assert "b.jsonl.xz: is incomplete or damaged" in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "{", "a.jsonl:1: no JSON"),
        ("a.jsonl", "[]", "a.jsonl:1: a JSON list, expected an object with strokes"),
        ("a.jsonl", "{}", "a.jsonl:1: an object without strokes"),
        ("a.jsonl", '{"strokes": [[[1]]]}', "a.jsonl:1: point 0 of stroke 0 is [1]"),
        ("a.jsonl", '{"strokes": [[[1, NaN]]]}', "a.jsonl:1: point 0 of stroke 0 is [1, nan]"),
        ("a.jsonl", '{"strokes": []}', "a.jsonl:1: there is no ink"),
        ("a.jsonl", '{"strokes": [[[1, 2]]], "height": 0}', "a.jsonl:1: height is 0"),
        ("a.jsonl", "", "a.jsonl: there is no ink in it"),
        ("a.jsonl", "\n \n", "a.jsonl: there is no ink in it"),
        ("b.inkml", "<ink>", "b.inkml: line 1"),
        ("b.inkml", "<ink><traceGroup/></ink>", "b.inkml: there is no ink in it"),
    ],
)
def test_recognize_names_invalid_ink_and_reads_the_rest(
    line_weights: Path, tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    (tmp_path / "z.jsonl").write_text(json.dumps({"strokes": [WAVE]}))
    done = run_here("recognize", tmp_path, "--model", line_weights / "tiny_lines.onnx")
    assert done.returncode == 1
    named, summary = done.stderr.splitlines()
    assert message in named
    assert summary == "inkstream: 1 of 2 could not be read"
    assert len(done.stdout.splitlines()) == 1

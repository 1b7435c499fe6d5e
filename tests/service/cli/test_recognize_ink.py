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

INKML = """<ink xmlns="http://www.w3.org/2003/InkML"><traceGroup>
<annotation type="truth">a wave</annotation>
<trace>{wave}</trace><trace>{bar}</trace>
</traceGroup></ink>"""


def trace(stroke: Stroke) -> str:
    """Return a stroke in the format of InkML."""
    return ", ".join(f"{x} {y}" for x, y in stroke)


def test_recognize_reads_files_of_ink(line_weights: Path, tmp_path: Path) -> None:
    model = str(line_weights / "tiny_lines.onnx")
    expected = load(model).read_ink([WAVE, BAR])
    framed = load(model).read_ink([WAVE, BAR], 200.0)
    lines = [
        json.dumps({"strokes": [WAVE, BAR], "label": "a wave"}),
        "",
        json.dumps({"strokes": [WAVE, BAR], "height": 200}),
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "b.inkml").write_text(INKML.format(wave=trace(WAVE), bar=trace(BAR)))
    done = run_here("recognize", tmp_path, "--model", model)
    assert (done.returncode, done.stderr) == (0, "")
    first, second, third = done.stdout.splitlines()
    assert first.startswith(f"{tmp_path}/a.jsonl:1  {expected.text}  ")
    assert second.startswith(f"{tmp_path}/a.jsonl:3  {framed.text}  ")
    assert third.startswith(f"{tmp_path}/b.inkml:1  {expected.text}  ")


def test_recognize_reads_packed_lines_and_tells_of_damaged_ones(
    line_weights: Path, tmp_path: Path
) -> None:
    model = str(line_weights / "tiny_lines.onnx")
    packed = lzma.compress(json.dumps({"strokes": [WAVE, BAR]}).encode())
    (tmp_path / "a.jsonl.xz").write_bytes(packed)
    (tmp_path / "b.jsonl.xz").write_bytes(packed[:-20])
    done = run_here("recognize", tmp_path, "--model", model)
    assert done.stdout.startswith(
        f"{tmp_path}/a.jsonl.xz:1  {load(model).read_ink([WAVE, BAR]).text}  "
    )
    assert done.returncode == 1
    assert "b.jsonl.xz: is incomplete or damaged" in done.stderr


def test_recognize_reads_ink_without_labels(line_weights: Path, tmp_path: Path) -> None:
    model = str(line_weights / "tiny_lines.onnx")
    wave, bar = (f"<trace>{trace(stroke)}</trace>" for stroke in (WAVE, BAR))
    (tmp_path / "a.inkml").write_text(f"<ink>{wave}{bar}</ink>")
    (tmp_path / "b.inkml").write_text(
        f"<ink>\n<traceGroup>{wave}</traceGroup>\n<traceGroup><traceGroup>{bar}</traceGroup>"
        "</traceGroup>\n<traceGroup/></ink>"
    )
    done = run_here("recognize", tmp_path, "--model", model)
    assert (done.returncode, done.stderr) == (0, "")
    texts = [load(model).read_ink(strokes).text for strokes in ([WAVE, BAR], [WAVE], [BAR])]
    names = [tmp_path / name for name in ("a.inkml:1", "b.inkml:2", "b.inkml:3")]
    for line, name, text in zip(done.stdout.splitlines(), names, texts, strict=True):
        assert line.startswith(f"{name}  {text}  ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "{", "a.jsonl:1: no JSON"),
        ("a.jsonl", "[]", "a.jsonl:1: a JSON list, expected an object with strokes"),
        ("a.jsonl", "{}", "a.jsonl:1: strokes is null, expected an array of strokes"),
        ("a.jsonl", '{"strokes": [[[1]]]}', "a.jsonl:1: point 0 of stroke 0 is [1]"),
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

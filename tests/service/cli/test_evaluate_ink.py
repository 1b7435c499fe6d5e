"""Ink that is replayed as it was written: what is counted, and the command line of its report."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from inkstream.model.runtime import Runtime
from inkstream.service.cli.evaluate import ink as evaluate_ink
from inkstream.service.cli.main import cli
from inkstream.service.cli.replay import replay
from tests.helpers import builders
from tests.helpers.single_session import SessionClient, message
from tests.helpers.small_ink_set import ALL_KINDS, ink

pytestmark = pytest.mark.slow

Points = list[tuple[float, float]]

WAVE: Points = [(10 + x, 8 + 6 * float(np.sin(x / 3))) for x in range(60)]
BAR: Points = [(24, 3), (28, 12), (32, 3)]
BLOT: Points = [(12 + x, 1 + 13 * (x % 2)) for x in range(50)]
FAR: Points = [(90, 2), (95, 14), (110, 8)]


def strokes(*points: Points) -> list[NDArray[np.float32]]:
    return [np.array(stroke, np.float32) for stroke in points]


def test_what_stands_in_the_end_is_what_ink_in_one_piece_says(line_net: Runtime) -> None:
    written = strokes(WAVE, FAR, BAR)
    client = SessionClient(line_net)
    pieces = [{"points": stroke.astype(float).tolist()} for stroke in written]
    client.ask(message("ink", strokes=pieces, height=16))
    expected = client.ask(message("flush"))[-1]
    for margin in (0, 7):
        told = replay(line_net, written, margin)
        assert told.text == expected.text  # type: ignore[union-attr]
        assert told.letters == len(told.text.replace(" ", ""))


def test_a_late_stroke_withdraws_letters_and_one_in_its_turn_does_not(line_net: Runtime) -> None:
    moving, blotting, in_turn = (
        replay(line_net, strokes(WAVE, FAR, *each), 8) for each in ([BAR], [BLOT], [])
    )
    assert moving.withdrawn > moving.gone
    assert blotting.withdrawn >= blotting.gone > 0
    assert in_turn.withdrawn == in_turn.gone == 0


def test_a_margin_keeps_letters_back_by_so_many_columns(line_net: Runtime) -> None:
    near, far = (replay(line_net, strokes(WAVE, FAR), margin) for margin in (0, 12))
    assert len(far.ahead) <= len(near.ahead)
    assert min(far.ahead) >= 12
    assert np.median(far.ahead) > np.median(near.ahead) + 8


def test_evaluating_ink_prints_the_figures_and_writes_report_and_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkstream.model.data.sources.unipen.read", lambda source: (ink(), None))
    net = builders.line_checkpoint(tmp_path / "net.onnx", labels=ALL_KINDS).path
    chosen = ["--checkpoint", str(net), "--part", "validation", "--words", "3", "--lines", "2"]
    margins = ["--margin", "0", "--margin", "6", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, ["evaluate", "ink", *chosen, *margins])
    assert result.exception is None, result.output
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written["part"] == "validation"
    assert written["pieces"] == {"words": 3, "lines": 2}
    assert written["margins"].keys() == {"0", "6"}
    for found in written["margins"]["6"].values():
        assert f"{found['withdrawn_per_100']:.1f} %" in result.output
    assert (tmp_path / "out" / "margin.png").stat().st_size > 1000


def test_report_writers_are_replayed_unless_others_are_asked_for() -> None:
    defaults = {option.name: option.default for option in evaluate_ink.params}
    assert (defaults["part"], defaults["checkpoint"]) == ("test", "lines")

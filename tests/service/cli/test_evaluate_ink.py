"""The replay of ink as it was written, and the command that reports it."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inkstream.model.runtime import Runtime
from inkstream.service.cli.replay import replay
from tests.helpers.command_line import run_here
from tests.helpers.single_session import SessionClient, message

pytestmark = pytest.mark.slow

Points = list[tuple[float, float]]

WAVE: Points = [(10 + x, 8 + 6 * float(np.sin(x / 3))) for x in range(60)]
BAR: Points = [(24, 3), (28, 12), (32, 3)]
BLOT: Points = [(12 + x, 1 + 13 * (x % 2)) for x in range(50)]
FAR: Points = [(90, 2), (95, 14), (110, 8)]


def strokes(*points: Points) -> list[NDArray[np.float32]]:
    return [np.array(stroke, np.float32) for stroke in points]


def test_the_final_text_is_that_of_ink_sent_at_once(line_net: Runtime) -> None:
    ink_strokes = strokes(WAVE, FAR, BAR)
    client = SessionClient(line_net)
    pieces = [{"points": stroke.astype(float).tolist()} for stroke in ink_strokes]
    client.ask(message("ink", strokes=pieces, height=16))
    expected = client.ask(message("flush"))[-1]
    for margin in (0, 7):
        replayed = replay(line_net, ink_strokes, margin)
        assert replayed.text == expected.text  # type: ignore[union-attr]
        assert replayed.letters == len(replayed.text.replace(" ", ""))


def test_a_late_stroke_withdraws_letters_and_a_stroke_in_order_does_not(line_net: Runtime) -> None:
    moving, blotting, in_turn = (
        replay(line_net, strokes(WAVE, FAR, *each), 8) for each in ([BAR], [BLOT], [])
    )
    assert moving.withdrawn > moving.gone
    assert blotting.withdrawn >= blotting.gone > 0
    assert in_turn.withdrawn == in_turn.gone == 0


def test_a_margin_delays_letters_by_its_columns(line_net: Runtime) -> None:
    without_margin, with_margin = (
        replay(line_net, strokes(WAVE, FAR), margin) for margin in (0, 12)
    )
    assert len(with_margin.ahead) <= len(without_margin.ahead)
    assert min(with_margin.ahead) >= 12
    assert np.median(with_margin.ahead) > np.median(without_margin.ahead) + 8


@pytest.mark.usefixtures("small_unipen")
def test_evaluating_ink_prints_the_figures_and_writes_report_and_plot(
    tmp_path: Path, net_of_all_kinds: Path
) -> None:
    options = ["--checkpoint", net_of_all_kinds, "--part", "validation", "--words", 3]
    options += ["--lines", 2, "--margin", 0, "--margin", 6, "--out", tmp_path / "out"]
    done = run_here("evaluate", "ink", *options)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["part"] == "validation"
    assert report["pieces"] == {"words": 3, "lines": 2}
    assert report["margins"].keys() == {"0", "6"}
    for figures in report["margins"]["6"].values():
        assert f"{figures['withdrawn_per_100']:.1f} %" in done.stdout
    assert (tmp_path / "out" / "margin.png").stat().st_size > 1000

"""Plots of the training curve."""

import numpy as np

from inkstream.model.plots import training_curve


def test_a_curve_has_the_error_of_each_round() -> None:
    figure = training_curve(
        [{"step": 10 * k, "held_out": {"words": error}} for k, error in enumerate((0.5, 0.25))]
    )
    (axes,) = figure.axes
    (line,) = axes.lines
    assert np.array_equal(line.get_xdata(), [0, 10])
    assert np.array_equal(line.get_ydata(), [50, 25])


def test_a_curve_has_a_line_for_each_named_error() -> None:
    figure = training_curve([{"step": 1, "held_out": {"words": 0.3, "lines": 0.0}}])
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["words", "lines"]
    assert [np.asarray(line.get_ydata()).item() for line in axes.lines] == [30, 0.01]

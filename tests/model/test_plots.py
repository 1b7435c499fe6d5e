"""The curve of a training run."""

import numpy as np

from inkstream.model.plots import training_curve


def test_a_curve_has_the_error_after_some_columns_of_each_round() -> None:
    accuracies = [0.1] * 27 + [0.5], [0.2] * 27 + [0.75]
    figure = training_curve(
        [{"step": 10 * k, "held_out": values} for k, values in enumerate(accuracies)]
    )
    (axes,) = figure.axes
    last = axes.lines[-1]
    assert last.get_label() == "after 28 columns"
    assert np.array_equal(last.get_xdata(), [0, 10])
    assert np.array_equal(last.get_ydata(), [50, 25])


def test_a_curve_has_a_line_for_each_named_error() -> None:
    figure = training_curve([{"step": 1, "held_out": {"words": 0.3, "lines": 0.0}}])
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["words", "lines"]
    assert [np.asarray(line.get_ydata()).item() for line in axes.lines] == [30, 0.01]

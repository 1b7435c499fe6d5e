"""Make the files of the net that finds lines from upstream's: `python -m tools.detector FILE`.

Upstream's net takes a plane for each of red, green and blue. Ours takes one plane of grey: the
first convolution's weights are summed over the three, which are equal. The weights lie in a file of
their own, so that ONNX Runtime maps it and its pages are in memory once for all processes.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from inkstream.model.pages.detector import DETECTOR, WEIGHTS


def convert(upstream: Path, detector: Path) -> None:
    """Write our graph as `detector`, and its weights beside it."""
    model = onnx.load(upstream)
    (plane,) = model.graph.input
    plane.type.tensor_type.shape.dim[1].dim_value = 1
    (first,) = (node for node in model.graph.node if plane.name in node.input)
    (weights,) = (array for array in model.graph.initializer if array.name == first.input[1])
    summed = numpy_helper.to_array(weights).sum(1, keepdims=True, dtype=np.float64)
    weights.CopyFrom(numpy_helper.from_array(summed.astype(np.float32), weights.name))
    detector.with_name(WEIGHTS).unlink(missing_ok=True)  # it would be appended to
    onnx.save(
        model,
        detector,
        save_as_external_data=True,
        location=WEIGHTS,
        size_threshold=1024,
    )


if __name__ == "__main__":
    convert(Path(sys.argv[1]), DETECTOR)

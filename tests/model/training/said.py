"""Answers of a net that knows what it says, and lines of any length for it to say them of."""

import numpy as np
import torch
from torch import Tensor

from model.data.line_batches import LineBatch
from tests.model.little_ink import HEIGHT


def sure_of(*lines: list[int]) -> Tensor:
    """Log-probabilities [lines, n, 3] of a net that is nearly sure of these symbols."""
    scores = torch.zeros(len(lines), len(lines[0]), 3)
    for line, symbols in enumerate(lines):
        scores[line, range(len(symbols)), symbols] = 8.0
    return scores.log_softmax(2)


def batch_of(*steps: int, width: int | None = None) -> LineBatch:
    """Lines of two letters and of so many steps, padded to `width` steps or the most of theirs."""
    columns = np.zeros((len(steps), 2 * (width or max(steps)), HEIGHT), np.uint8)
    return LineBatch(columns, np.array(steps), ("ab",) * len(steps), np.full((len(steps), 2), 1.0))

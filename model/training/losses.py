"""Losses of a net for lines: CTC, letter ends, framewise labels of single letters.

All are in nats per character (or letter), so that their shares can be compared.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from inkstream.model.config import END_DELAY, STEP_COLUMNS
from inkstream.model.data.batches import LineBatch

LABELLED_STEPS: Final = 2  # after a letter's end, whose framewise label is its symbol
BLANK_WEIGHT: Final = 0.15  # of a blank step in the framewise loss: most steps are blank
IGNORED: Final = -100  # as a target

Indices = NDArray[np.int64]


def step_mask(batch: LineBatch) -> NDArray[np.bool_]:
    """Return the mask [B, T/2] of steps that are no padding."""
    n_steps = batch.columns.shape[1] // STEP_COLUMNS
    mask: NDArray[np.bool_] = np.arange(n_steps) < batch.steps[:, None]
    return mask


def ctc_loss(log_probabilities: Tensor, batch: LineBatch, labels: Sequence[str]) -> Tensor:
    """Return the CTC loss of log-probabilities [B, T/2, 1 + K], the blank first."""
    index = {label: number for number, label in enumerate(labels, 1)}
    targets = torch.tensor([index[letter] for label in batch.labels for letter in label])
    lengths = torch.tensor([len(label) for label in batch.labels])
    total: Tensor = functional.ctc_loss(
        log_probabilities.transpose(0, 1),
        targets,
        torch.from_numpy(batch.steps),
        lengths,
        reduction="sum",
        zero_infinity=True,  # a line with more letters than steps is left out
    )
    return total / len(targets)


def end_steps(batch: LineBatch, delay: int) -> tuple[Indices, Indices, NDArray[np.bool_]]:
    """Find the letter ends of the lines that have all of theirs.

    Returns:
        Row and step of each end, `delay` steps later; and a mask [B] of those lines.
    """
    known = np.isfinite(batch.letters)
    padded = (label.ljust(known.shape[1]) for label in batch.labels)
    is_letter = np.array([[letter != " " for letter in label] for label in padded])
    has_ends = (known | ~is_letter).all(1) & known.any(1)
    rows, places = np.nonzero(known & has_ends[:, None])
    steps = batch.letters[rows, places].astype(np.int64) // STEP_COLUMNS + delay
    last = batch.columns.shape[1] // STEP_COLUMNS - 1
    return rows, np.minimum(steps, last), has_ends


def end_loss(ends: Tensor, batch: LineBatch) -> Tensor:
    """Return the cross entropy of letter ends [B, T/2] per letter, of lines that have them."""
    rows, steps, has_ends = end_steps(batch, END_DELAY)
    counted = (step_mask(batch) & has_ends[:, None]).astype(np.float32)
    wanted = np.zeros(counted.shape, np.float32)
    wanted[rows, steps] = 1
    total: Tensor = functional.binary_cross_entropy_with_logits(
        ends,
        torch.from_numpy(wanted).to(ends.device),
        torch.from_numpy(counted).to(ends.device),
        reduction="sum",
    )
    return total / float(wanted.sum() + 1)


def framewise_loss(
    log_probabilities: Tensor, batch: LineBatch, labels: Sequence[str], *, eager: bool
) -> Tensor:
    """Return the cross entropy of each step of lines with letter ends; 0 without any.

    A letter's symbol is the label right after its end. With `eager` the symbol of a single
    character is the label from its first ink on; so the net learns sooner to distinguish them.
    """
    index = {label: number for number, label in enumerate(labels, 1)}
    rows, steps, has_ends = end_steps(batch, 1)
    known = np.isfinite(batch.letters) & has_ends[:, None]
    symbols = [
        index[batch.labels[row][place]] for row, place in zip(*np.nonzero(known), strict=True)
    ]
    wanted = np.where(step_mask(batch) & has_ends[:, None], 0, IGNORED)
    for late in range(LABELLED_STEPS):
        wanted[rows, np.minimum(steps + late, wanted.shape[1] - 1)] = symbols
    if eager:
        ink = np.asarray(batch.columns.any(2))  # [B, T]
        for row, step, symbol in zip(rows, steps, symbols, strict=True):
            if len(batch.labels[row]) == 1:
                wanted[row, ink[row].argmax() // STEP_COLUMNS : step] = symbol
    device = log_probabilities.device
    weights = torch.ones(log_probabilities.shape[2], device=device)
    weights[0] = BLANK_WEIGHT
    target = torch.from_numpy(wanted).to(device).flatten()
    if not symbols:
        return log_probabilities.sum() * 0
    return functional.nll_loss(
        log_probabilities.flatten(0, 1), target, weights, ignore_index=IGNORED
    )

"""Losses of the net that reads lines, in nats per character or letter: shares can be compared."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from inkstream.model.config import END_DELAY, STEP_COLUMNS
from inkstream.model.data.batches import LineBatch

PROMPT_STEPS: Final = 3  # after a letter's end, until which it is not late
LABELLED_STEPS: Final = 2  # after a letter's end, whose framewise label is its symbol


def step_mask(batch: LineBatch) -> NDArray[np.bool_]:
    """Return the mask [B, T/2] of steps that are no padding."""
    n_steps = batch.columns.shape[1] // STEP_COLUMNS
    mask: NDArray[np.bool_] = np.arange(n_steps) < batch.steps[:, None]
    return mask


def ctc_loss(
    log_probabilities: Tensor, batch: LineBatch, index: Mapping[str, int], lateness: float = 0.0
) -> Tensor:
    """Return the CTC loss of log-probabilities [B, T/2, 1 + K], the blank first.

    `lateness` makes alignments that emit a letter late less probable, see `lateness_of`. The value
    is then the cross entropy with the places that alignments pass through, whose gradient is that
    of the loss; lines that no alignment fits are left out of both.
    """
    targets = [torch.tensor([index[letter] for letter in label]) for label in batch.labels]
    lengths = torch.tensor([len(label) for label in batch.labels])
    steps = torch.from_numpy(batch.steps)
    if lateness:
        symbols = pad_sequence(targets, batch_first=True)
        symbols = functional.pad(torch.stack([0 * symbols, symbols], 2).flatten(1), (0, 1))
        places = symbols.to(log_probabilities.device)[:, None]
        scores = log_probabilities.gather(2, places.expand(-1, log_probabilities.shape[1], -1))
        with torch.no_grad():
            penalised = scores.double().cpu() - lateness * lateness_of(batch)
            shares = alignment_shares(penalised, symbols, steps, lengths).to(scores)
        return -(shares * scores).sum() / lengths.sum()
    total: Tensor = functional.ctc_loss(
        log_probabilities.transpose(0, 1),
        torch.cat(targets),
        steps,
        lengths,
        reduction="sum",
        zero_infinity=True,  # a line with more letters than steps is left out
    )
    return total / lengths.sum()


def lateness_of(batch: LineBatch) -> Tensor:
    """Return by how many steps each place [B, T/2, 1 + 2 L] of `alignment_shares` comes late.

    A letter is late in all steps but the first `PROMPT_STEPS` after its end; where its end is not
    known it is never late. Sak et al. (ASRU 2015) allow no alignment outside of such windows; here
    it costs something.
    """
    n_steps = batch.columns.shape[1] // STEP_COLUMNS
    ends = torch.from_numpy(batch.letters).double() // STEP_COLUMNS
    late = torch.arange(n_steps)[:, None] - ends[:, None] - PROMPT_STEPS
    late = late.clamp(min=0).nan_to_num(0)
    places = torch.stack([torch.zeros_like(late), late], 3).flatten(2)
    return functional.pad(places, (0, 1))


def alignment_shares(scores: Tensor, symbols: Tensor, steps: Tensor, lengths: Tensor) -> Tensor:
    """Return the probability with which CTC's alignments of a text pass through each place.

    It is found by the forward-backward algorithm (Graves et al., ICML 2006), in logarithms. The
    places of a step are the blank, the first letter, the blank again and so on, with the labels
    `symbols` [B, 1 + 2 L], 0 for the blank; those beyond a line's `lengths` [B] are padding.
    `scores` are log-probabilities [B, T/2, 1 + 2 L]; the shares, of the same shape, sum to 1 in
    each step. They are 0 after a line's `steps` [B], and for a line with more letters than steps.
    """
    n_lines, n_steps = scores.shape[:2]
    never = scores.new_full((n_lines, 2), -torch.inf)
    may_skip = (symbols[:, 2:] != 0) & (symbols[:, 2:] != symbols[:, :-2])  # over a blank
    skips = torch.cat([never, torch.where(may_skip, 0.0, -torch.inf)], 1)
    skips_back = torch.cat([skips[:, 2:], never], 1)

    forwards = torch.full_like(scores, -torch.inf)  # of what leads to a place, with it
    forwards[:, 0, :2] = scores[:, 0, :2]
    for step in range(1, n_steps):
        before = torch.cat([never, forwards[:, step - 1]], 1)
        ways = torch.stack([before[:, 2:], before[:, 1:-1], before[:, :-2] + skips])
        forwards[:, step] = ways.logsumexp(0) + scores[:, step]

    lines = torch.arange(n_lines)
    final = torch.full_like(scores[:, 0], -torch.inf)
    final[lines, 2 * lengths] = final[lines, 2 * lengths - 1] = 0
    backwards = torch.full_like(scores, -torch.inf)  # of what follows a place, without it
    backwards[lines, steps - 1] = final
    for step in range(n_steps - 2, -1, -1):
        after = torch.cat([backwards[:, step + 1] + scores[:, step + 1], never], 1)
        ways = torch.stack([after[:, :-2], after[:, 1:-1], after[:, 2:] + skips_back])
        is_within = (step < steps - 1)[:, None]
        backwards[:, step] = torch.where(is_within, ways.logsumexp(0), backwards[:, step])

    through = forwards + backwards
    total = through[:, :1].logsumexp(2, keepdim=True)
    return torch.where(torch.isfinite(total), (through - total).exp(), 0.0)


def end_steps(
    batch: LineBatch, delay: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Find the letter ends of the lines, marked by a mask [B], that have all of theirs.

    They are rows, places in the label and steps, `delay` steps later.
    """
    known = np.isfinite(batch.letters)
    padded = (label.ljust(known.shape[1]) for label in batch.labels)
    is_letter = np.array([[letter != " " for letter in label] for label in padded])
    has_ends = (known | ~is_letter).all(1) & known.any(1)
    rows, places = np.nonzero(known & has_ends[:, None])
    steps = batch.letters[rows, places].astype(np.int64) // STEP_COLUMNS + delay
    last = batch.columns.shape[1] // STEP_COLUMNS - 1
    return rows, places, np.minimum(steps, last), has_ends


def end_loss(ends: Tensor, batch: LineBatch) -> Tensor:
    """Return the cross entropy of letter ends [B, T/2] per letter, of lines that have them."""
    rows, _, steps, has_ends = end_steps(batch, END_DELAY)
    counted = (step_mask(batch) & has_ends[:, None]).astype(np.float32)
    wanted = np.zeros(counted.shape, np.float32)
    wanted[rows, steps] = 1
    target, weight = (torch.from_numpy(array).to(ends.device) for array in (wanted, counted))
    total: Tensor = functional.binary_cross_entropy_with_logits(
        ends, target, weight, reduction="sum"
    )
    return total / float(wanted.sum() + 1)


def framewise_loss(
    log_probabilities: Tensor, batch: LineBatch, index: Mapping[str, int], *, eager: bool
) -> Tensor:
    """Return the cross entropy of each step of lines with letter ends; 0 without any.

    A letter's symbol is the label right after its end. With `eager` the symbol of a single
    character is the label from its first ink on; so the net learns sooner to distinguish them.
    """
    rows, places, steps, has_ends = end_steps(batch, 1)
    if not len(rows):
        return log_probabilities.sum() * 0
    symbols = [index[batch.labels[row][at]] for row, at in zip(rows, places, strict=True)]
    wanted = np.where(step_mask(batch) & has_ends[:, None], 0, -100)  # which torch ignores
    for late in range(LABELLED_STEPS):
        wanted[rows, np.minimum(steps + late, wanted.shape[1] - 1)] = symbols
    if eager:
        ink = np.asarray(batch.columns.any(2))  # [B, T]
        for row, step, symbol in zip(rows, steps, symbols, strict=True):
            if len(batch.labels[row]) == 1:
                wanted[row, ink[row].argmax() // STEP_COLUMNS : step] = symbol
    target = torch.from_numpy(wanted).to(log_probabilities.device).flatten()
    weights = log_probabilities.new_ones(log_probabilities.shape[2])
    weights[0] = 0.15  # of a blank step: most steps are blank
    return functional.nll_loss(log_probabilities.flatten(0, 1), target, weights)

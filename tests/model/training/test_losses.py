"""CTC's loss with alignments in which letters come late made less probable."""

import math

import numpy as np
import pytest
import torch

from inkstream.model.data.batches import LineBatch
from inkstream.model.training.losses import PROMPT_STEPS, ctc_loss

LABELS = {"a": 1, "b": 2, "c": 3}
NOTHING = 1e-9  # nats: enough for our own alignments, too little to change them


def batch(
    *labels: str, steps: list[int], ends: dict[tuple[int, int], float] | None = None
) -> LineBatch:
    """Return lines of blank columns, with the letter ends that are known."""
    letters = np.full((len(labels), max(map(len, labels))), np.nan, np.float32)
    for place, end in (ends or {}).items():
        letters[place] = end
    columns = np.zeros((len(labels), 2 * max(steps), 4), np.uint8)
    return LineBatch(columns, np.array(steps, np.int64), labels, letters)


def gradient(of: LineBatch, lateness: float, seed: int = 0) -> torch.Tensor:
    """Return the gradient of the loss by random scores [B, T/2, 1 + K]."""
    random = torch.Generator().manual_seed(seed)
    n_steps = of.columns.shape[1] // 2
    scores = 2 * torch.randn(len(of.labels), n_steps, 1 + len(LABELS), generator=random)
    scores.requires_grad_()
    (found,) = torch.autograd.grad(ctc_loss(scores.log_softmax(2), of, LABELS, lateness), scores)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_where_no_end_is_known_the_gradient_is_that_of_ctc(seed: int) -> None:
    lines = batch("abca", "bb", "c", "aaaaa", steps=[12, 9, 1, 9])
    assert torch.allclose(gradient(lines, 1.0, seed), gradient(lines, 0.0, seed), atol=1e-6)


@pytest.mark.parametrize("end", [0, 1, 2, 7, 400])
def test_a_penalty_of_next_to_nothing_changes_nothing(end: float) -> None:
    lines = batch("abca", "bb", steps=[12, 9], ends={(0, 2): end, (1, 0): end})
    assert torch.allclose(gradient(lines, NOTHING), gradient(lines, 0.0), atol=1e-6)


def test_a_line_with_more_letters_than_steps_is_left_out() -> None:
    lines = batch("abcabc", "aa", "b", steps=[5, 2, 3], ends={(2, 0): 0})
    found = gradient(lines, 1.0)
    assert not found[:2].any()
    assert found[2].any()


def test_each_step_that_a_letter_comes_late_costs_as_much() -> None:
    n_steps, end_step, lateness = 9, 1, 0.7
    scores = torch.zeros(1, n_steps, 4)  # where a letter comes once, all steps are as probable
    scores[:, :, 1] = -20
    lines = batch("a", steps=[n_steps], ends={(0, 0): 2.0 * end_step})
    leaf = scores.log_softmax(2).requires_grad_()
    (found,) = torch.autograd.grad(ctc_loss(leaf, lines, LABELS, lateness), leaf)
    shares = -found[0, :, 1]
    assert shares.sum() == pytest.approx(1, abs=1e-4)
    on_time = end_step + PROMPT_STEPS
    for step in range(1, n_steps):
        ratio = math.exp(-lateness) if step > on_time else 1
        assert shares[step] / shares[step - 1] == pytest.approx(ratio, rel=1e-4)

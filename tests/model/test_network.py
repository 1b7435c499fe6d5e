"""The net in torch: causal, and with the same scores at once and column by column."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model.network import ColumnLSTM
from tests.helpers import builders


def network(seed: int) -> ColumnLSTM:
    torch.manual_seed(seed)
    return ColumnLSTM(builders.config()).eval()


def columns(n: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(builders.columns(n, seed)).float()[None] / 255  # [1, T, H]


@given(seed=st.integers(0, 99), cuts=st.lists(st.integers(1, 6), min_size=1, max_size=6))
@pytest.mark.slow
def test_scores_and_state_do_not_depend_on_how_columns_are_split(
    seed: int, cuts: list[int]
) -> None:
    net = network(seed)
    all_columns = columns(sum(cuts), seed)
    with torch.no_grad():
        scores, state = net(all_columns)
        parts, part_state = [], None
        for part in torch.split(all_columns, cuts, 1):
            part_scores, part_state = net(part, part_state)
            parts.append(part_scores)
    torch.testing.assert_close(torch.cat(parts, 1), scores, atol=1e-5, rtol=0)
    torch.testing.assert_close(part_state, state, atol=1e-5, rtol=0)


def test_the_state_counts_columns_since_the_first_ink() -> None:
    blank, inked = torch.zeros(2, 3, 28), torch.zeros(2, 3, 28)
    inked[0, 1, 4] = 1
    net = network(0)
    with torch.no_grad():
        _, state = net(blank)
        assert state[:, -1].tolist() == [0, 0]
        _, state = net(inked, state)
        assert state[:, -1].tolist() == [2, 0]
        _, state = net(blank, state)
        assert state[:, -1].tolist() == [5, 0]


def test_forget_gates_start_open() -> None:
    lstm = network(0).lstm
    for layer in range(2):
        forget = slice(16, 32)
        bias = getattr(lstm, f"bias_ih_l{layer}") + getattr(lstm, f"bias_hh_l{layer}")
        assert torch.equal(bias[forget], torch.ones(16))

"""The net in torch: causal, and the same whether it reads at once or column by column."""

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
def test_a_stream_cut_anywhere_gives_the_same_scores_and_state(seed: int, cuts: list[int]) -> None:
    net = network(seed)
    whole = columns(sum(cuts), seed)
    with torch.no_grad():
        scores, state = net(whole)
        parts, own = [], None
        for part in torch.split(whole, cuts, 1):
            own_scores, own = net(part, own)
            parts.append(own_scores)
    torch.testing.assert_close(torch.cat(parts, 1), scores, atol=1e-5, rtol=0)
    torch.testing.assert_close(own, state, atol=1e-5, rtol=0)


@given(seed=st.integers(0, 99), place=st.integers(0, 11))
@pytest.mark.slow
def test_a_changed_column_changes_no_score_before_it(seed: int, place: int) -> None:
    net = network(seed)
    before = columns(12, seed)
    after = before.clone()
    after[0, place] = 1 - after[0, place]
    with torch.no_grad():
        first, second = net(before)[0], net(after)[0]
    assert torch.equal(first[:, :place], second[:, :place])
    assert not torch.equal(first[:, place], second[:, place])


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


def test_cells_start_by_remembering() -> None:
    lstm = network(0).lstm
    for layer in range(2):
        forget = slice(16, 32)
        both = getattr(lstm, f"bias_ih_l{layer}") + getattr(lstm, f"bias_hh_l{layer}")
        assert torch.equal(both[forget], torch.ones(16))


def test_our_net_has_less_than_a_million_parameters() -> None:
    net = ColumnLSTM(builders.config(features=128, units=256))
    assert sum(weight.numel() for weight in net.parameters()) == 935_050

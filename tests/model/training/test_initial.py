"""New labels begin as the labels that they look like."""

import pytest
import torch

from inkstream.model.alphabet import ASCII, WESTERN
from inkstream.model.errors import DataError
from inkstream.model.network import LineLSTM
from inkstream.model.training.initial import LIKE, RARER, TrainedNet, initial_weights, like_of
from inkstream.model.training.run_folder import load_weights
from tests.helpers import builders

KNOWN = tuple(" Beo")
NEW = ("é", "ß", "ø", "€", "x")  # the net knows nothing like the last two


def network(labels: tuple[str, ...], seed: int) -> LineLSTM:
    torch.manual_seed(seed)
    return LineLSTM(builders.line_config(labels))


@pytest.mark.parametrize("label", sorted(set(WESTERN) - set(ASCII)))
def test_each_label_beyond_ascii_has_a_like_in_it(label: str) -> None:
    assert like_of(label) in ASCII


def test_the_like_of_a_letter_with_an_accent_is_the_letter_beneath() -> None:
    assert [like_of(label) for label in "éÜçñåž"] == ["e", "U", "c", "n", "a", "z"]
    assert [like_of(label) for label in "ße"] == ["B", "e"]
    assert LIKE.keys() <= set(WESTERN)


def test_a_new_label_begins_as_its_like_but_rarer() -> None:
    start, before = network(KNOWN, 0).state_dict(), network((*KNOWN, *NEW), 1).state_dict()
    loaded = initial_weights(TrainedNet(KNOWN, start, "digest"), before, NEW)
    n_known = 1 + len(KNOWN)
    for name in ("head.weight", "head.bias"):
        assert torch.equal(loaded[name][:n_known], start[name])
        assert torch.equal(loaded[name][-2:], before[name][-2:])  # random, since nothing is like it
    for place, like in enumerate("eBo"):
        row, of_like = n_known + place, 1 + KNOWN.index(like)
        assert torch.equal(loaded["head.weight"][row], start["head.weight"][of_like])
        assert loaded["head.bias"][row] == start["head.bias"][of_like] - RARER


def test_a_net_that_sees_no_directions_is_refused() -> None:
    seeing = LineLSTM(builders.line_config(KNOWN, directions=True))
    with pytest.raises(DataError, match=r"the net are of another net: convolutions\.0\.weight is"):
        load_weights(seeing, network(KNOWN, 0).state_dict(), "the net")

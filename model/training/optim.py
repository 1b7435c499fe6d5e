"""What moves a net's weights in training: AdamW, and Muon for hidden matrices."""

from typing import Final

import torch
from torch import nn

from inkstream.model.training.config import Knobs

HEADS: Final = ("head", "ends")  # of either net; names that their weights begin with


def make_optimisers(
    network: nn.Module, knobs: Knobs, n_threads: int
) -> list[torch.optim.Optimizer]:
    """What moves the weights; several optimisers, which may step side by side.

    AdamW (Loshchilov and Hutter, ICLR 2019), whose decay leaves biases and scales alone. With
    `optimiser="muon"` hidden matrices are moved by Muon (Jordan, 2024, kellerjordan.github.io/posts
    /muon), its steps as long as AdamW's (Liu et al., arXiv 2502.16982) so that one rate does for
    both. It takes a good part of a step's time, so `n_threads` of them share the matrices.
    """
    named = dict(network.named_parameters())
    hidden = [
        name for name, weight in named.items()
        if knobs.optimiser == "muon" and weight.ndim == 2 and not name.startswith(HEADS)
    ]  # fmt: skip
    others = [weight for name, weight in named.items() if name not in hidden]
    groups = [
        {"params": [w for w in others if w.ndim > 1], "weight_decay": knobs.weight_decay},
        {"params": [w for w in others if w.ndim <= 1], "weight_decay": 0.0},
    ]
    muons = [
        torch.optim.Muon(
            [named[name] for name in hidden[part::n_threads]],
            weight_decay=knobs.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )
        for part in range(min(n_threads, len(hidden)))
    ]
    return [torch.optim.AdamW(groups), *muons]

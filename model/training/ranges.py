"""Measure how large the numbers become that a net multiplies: what 8 bits must hold."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inkstream.model.graphs.int8 import Ranges
from inkstream.model.network import ColumnLSTM, LineLSTM

QUANTILE: Final = 0.9999  # greater values are cut off: steps for all others are finer then
MAX_VALUES: Final = 100_000  # of a layer and a batch, that are looked at


@torch.no_grad()
def measured_ranges(network: ColumnLSTM | LineLSTM, batches: Iterable[NDArray[np.uint8]]) -> Ranges:
    """Return the ranges of a net, of what it sees of columns, [B, T, .], of training writers."""
    convolutions, readers = list[nn.Module](), list[nn.Module]()  # readers get negative numbers too
    if isinstance(network, LineLSTM):
        convolutions, readers = [*network.convolutions], [*network.lstm, network.head]
    else:
        convolutions = [network.convolution]
    values_of = defaultdict[nn.Module, list[Tensor]](list)

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...], outputs: Any) -> None:
        flat = (inputs[0].abs() if layer in readers else outputs.relu()).flatten()
        values_of[layer].append(flat[:: 1 + len(flat) // MAX_VALUES])

    def quantile(layer: nn.Module) -> float:
        return float(np.quantile(torch.cat(values_of[layer]).cpu().numpy(), QUANTILE))

    hooks = [layer.register_forward_hook(keep) for layer in (*convolutions, *readers)]
    device = next(network.parameters()).device
    for columns in batches:
        network(torch.from_numpy(columns).to(device).float() / 255)
    for hook in hooks:
        hook.remove()
    return Ranges(tuple(map(quantile, convolutions)), tuple(map(quantile, readers)))

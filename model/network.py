"""The two nets, in torch. Both read columns from left to right and never use a later one.

The LSTM is Hochreiter and Schmidhuber's (Neural Computation 9(8), 1997) with the forget gate of
Gers et al. (2000). Answer t depends on columns 0..t alone, so the same weights read a whole image
at once or one column at a time: `forward` takes a state and returns the state after.

This file and `graphs/nets.py`, which describes the same nets as ONNX graphs, are what one edits to
change an architecture: shapes of weights and states are asked of the nets.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inkstream.model.config import KERNEL_ROWS, KERNEL_STEPS, STEP_COLUMNS, ModelConfig


class CausalNet(nn.Module, ABC):
    """A net that reads streams: what it must remember of each is one row of D numbers."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    @property
    @abstractmethod
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the parts of one stream's state, in the order in which they lie in its row."""

    @property
    def state_size(self) -> int:
        """Numbers of one stream's state, D."""
        return sum(map(math.prod, self.state_shapes))

    def _split_state(self, state: Tensor | None, batch: int) -> list[Tensor]:
        """Return the parts of a state [B, D], each [B, *shape]; None is the initial one: zeros."""
        if state is None:
            state = next(self.parameters()).new_zeros(batch, self.state_size)
        parts = torch.split(state, list(map(math.prod, self.state_shapes)), 1)
        return [
            part.view(batch, *shape) for part, shape in zip(parts, self.state_shapes, strict=True)
        ]


def _join_state(parts: Sequence[Tensor]) -> Tensor:
    """Return the state [B, D] of its parts, each [B, ...]."""
    return torch.cat([part.flatten(1) for part in parts], 1)


def set_forget_bias(lstm: nn.LSTM) -> None:
    """Let the cells of every layer start by remembering: Jozefowicz et al., ICML 2015."""
    forget = slice(lstm.hidden_size, 2 * lstm.hidden_size)  # gates stand as i, f, g, o
    with torch.no_grad():
        for name, bias in lstm.named_parameters():
            if name.startswith("bias"):  # two of a layer, which are added
                bias[forget] = 1.0 if name.startswith("bias_ih") else 0.0


class ColumnLSTM(CausalNet):
    """Classifier of single characters.

        columns [B, T, H] -> convolution [B, T, F] -> LSTM [B, T, U] -> head [B, T, K]

    State: the last `context - 1` columns, oldest first; hidden and cell states of all layers; the
    number of columns since the first ink, that one included. The last is used by the calibration in
    the exported graph; the net only counts.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__(config)
        self.convolution = nn.Linear(config.context * config.column_height, config.features)
        between = dropout if config.layers > 1 else 0.0
        self.lstm = nn.LSTM(
            config.features, config.units, config.layers, batch_first=True, dropout=between
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(config.units, len(config.labels))
        set_forget_bias(self.lstm)

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of: earlier columns, hidden states, cell states, columns since the first ink."""
        config = self.config
        cells = (config.layers, config.units)
        return ((config.context - 1, config.column_height), cells, cells, (1,))

    def forward(self, columns: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read columns [B, T, H], 0 = paper, 1 = ink, from `state` [B, D] on; None is the start.

        Return scores [B, T, K] before the softmax, and the state after [B, D].
        """
        batch, n_columns, _ = columns.shape
        earlier, hidden, cell, since_ink = self._split_state(state, batch)
        padded = torch.cat([earlier, columns], 1)  # [B, context - 1 + T, H]
        context = range(self.config.context)
        windows = torch.cat([padded[:, i : i + n_columns] for i in context], 2)
        features = torch.relu(self.convolution(windows))  # [B, T, F]
        outputs, (hidden, cell) = self.lstm(
            features, (hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous())
        )  # [B, T, U], [L, B, U] each
        scores = self.head(self.dropout(outputs))  # [B, T, K]
        ink = (columns.amax(2) > 0).cumsum(1) + since_ink  # [B, T], above 0 from the first ink on
        since_ink = since_ink + (ink > 0).sum(1, keepdim=True)
        earlier = padded[:, n_columns:]
        return scores, _join_state(
            [earlier, hidden.transpose(0, 1), cell.transpose(0, 1), since_ink]
        )


class LineLSTM(CausalNet):
    """Transcriber of lines: strided convolutions, LSTM layers, two heads.

        columns [B, T, H] -> convolutions [B, T/2, C * rows] -> features [B, T/2, U]
          -> LSTM layers [B, T/2, U] -> scores [B, T/2, 1 + K] and letter ends [B, T/2]

    It takes two columns a step and answers after each pair. A net that knows directions sees five
    planes of each column, not one: see `inkstream.model.preprocess.ink.seen_by`. The scores are
    those of CTC (Graves et al., ICML 2006), the blank first. A letter end is the score that a
    letter ended `END_DELAY` steps ago: what follows a letter tells that it has ended. The
    convolutions, causal in time, halve the rows: pixels by themselves have no tolerance for the
    height at which someone writes. Features are normalised (Ba et al., arXiv 1607.06450): without
    it they grew until the first layer's cells were saturated, and nothing more was learned. Each
    layer adds to what it reads (He et al., CVPR 2016): without it three layers learn slower at
    first than one.

    State: for each convolution the last columns of what it reads, two of pixels, two of rows by
    channels; hidden and cell states of all layers.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__(config)
        self.dropout = dropout
        self.convolutions = nn.ModuleList()
        inputs, rows = config.seen_size // config.column_height, config.column_height
        for channels in config.channels:
            stride = 1 if self.convolutions else STEP_COLUMNS
            kernel = (KERNEL_ROWS, KERNEL_STEPS - 1 + stride)
            convolution = nn.Conv2d(inputs, channels, kernel, stride=(2, stride), padding=(1, 0))
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)  # torch's own start lets biases drown the ink
            self.convolutions.append(convolution)
            inputs, rows = channels, rows // 2
        # Faster; torch's types do not know that `to` takes it.
        self.convolutions.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.features = nn.Linear(inputs * rows, config.features)
        self.norm = nn.LayerNorm(config.features)
        self.lstm = nn.ModuleList(_layer(config.units) for _ in range(config.layers))
        self.head = nn.Linear(config.units, 1 + len(config.labels))
        self.ends = nn.Linear(config.units, 1)

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of: each convolution's earlier steps, hidden states, cell states."""
        config = self.config
        earlier = [
            (KERNEL_STEPS - 1, channels * (config.column_height >> index))
            for index, channels in enumerate(config.channels[:-1], 1)
        ]
        cells = (config.layers, config.units)
        return ((1, STEP_COLUMNS * config.seen_size), *earlier, cells, cells)

    def forward(
        self, columns: Tensor, state: Tensor | None = None, rng: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Read columns [B, T, H] or, with directions, [B, T, 5 H], T even; 0 = paper, 1 = ink.

        Go on from `state` [B, D]; None is the start of a line. `rng` draws what is dropped out in
        training. Return scores [B, T/2, 1 + K] and letter ends [B, T/2], both before their softmax
        or sigmoid, and the state after [B, D].
        """
        rng = rng if self.training else None
        *earlier, hidden, cell = self._split_state(state, len(columns))
        after: list[Tensor] = []
        steps, rows = columns, self.config.column_height
        for convolution, past in zip(self.convolutions, earlier, strict=True):
            padded = torch.cat([past.view(len(past), KERNEL_STEPS - 1, -1), steps], 1)
            after.append(padded[:, 1 - KERNEL_STEPS :])
            if convolution is self.convolutions[0]:  # rows lie in planes; behind it, maps in rows
                maps = padded.view(*padded.shape[:2], -1, rows).permute(0, 2, 3, 1)
            else:
                maps = padded.view(*padded.shape[:2], rows, -1).permute(0, 3, 2, 1)
            maps = maps.contiguous(memory_format=torch.channels_last)
            maps = torch.relu(convolution(maps))  # [B, C, rows / 2, T/2]
            steps, rows = maps.permute(0, 3, 2, 1).flatten(2), rows // 2
        steps = maps.permute(0, 3, 1, 2).flatten(2)  # [B, T/2, C * rows]
        steps = torch.relu(self.norm(self.features(steps)))
        cells = []
        for i, layer in enumerate(self.lstm):
            before_layer = (hidden[None, :, i].contiguous(), cell[None, :, i].contiguous())
            more, after_layer = layer(steps, before_layer)  # [B, T/2, U], [1, B, U] each
            cells.append(after_layer)
            steps = steps + _dropout(more, self.dropout, rng)
        after += [torch.cat(parts).transpose(0, 1) for parts in zip(*cells, strict=True)]
        return self.head(steps), self.ends(steps).squeeze(2), _join_state(after)


def _layer(units: int) -> nn.LSTM:
    """Return one LSTM layer as wide as what it reads, whose cells start by remembering."""
    lstm = nn.LSTM(units, units, batch_first=True)
    set_forget_bias(lstm)
    return lstm


def _dropout(values: Tensor, share: float, rng: torch.Generator | None) -> Tensor:
    """Return values [B, T, U] with a share of them set to 0 and the others raised; all without rng.

    torch's own dropout draws from one generator for all threads, so that two of them together
    would make no run repeatable.
    """
    if rng is None or not share:
        return values
    kept = torch.rand(values.shape, generator=rng, device=rng.device) >= share
    return values * kept / (1 - share)


def empty_net(config: ModelConfig) -> CausalNet:
    """Return the net of a config without numbers in it: for the shapes of weights and state."""
    with torch.device("meta"):
        return ColumnLSTM(config) if config.kind == "classifier" else LineLSTM(config)

"""The nets: both read columns from left to right, and know nothing of those to come.

The LSTM is Hochreiter and Schmidhuber's (Neural Computation 9(8), 1997) with the forget gate of
Gers et al. (2000). Result t depends on columns 0..t and on nothing later, so the same weights read
a whole image at once or one column at a time.
"""

from itertools import zip_longest

import torch
from torch import Tensor, nn
from torch.nn import functional

from inkstream.model.config import KERNEL_ROWS, KERNEL_STEPS, STEP_COLUMNS, ModelConfig

FORGET_BIAS = 1.0  # cells start by remembering: Jozefowicz et al., ICML 2015


def set_forget_bias(lstm: nn.LSTM) -> None:
    """Let the cells of every layer start by remembering."""
    forget = slice(lstm.hidden_size, 2 * lstm.hidden_size)  # gates stand as i, f, g, o
    with torch.no_grad():
        for name, bias in lstm.named_parameters():
            if name.startswith("bias"):  # two of a layer, which are added
                bias[forget] = FORGET_BIAS if name.startswith("bias_ih") else 0.0


class ColumnLSTM(nn.Module):
    """Causal reader of single characters.

        columns [B, T, H] -> convolution [B, T, F] -> LSTM [B, T, U] -> head [B, T, K]

    State of one session, D numbers in this order: the last `context - 1` columns, oldest first;
    hidden states of all layers; cell states of all layers; the number of columns since the first
    ink. The last one is used by the calibration in the exported graph; the net carries it along.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.convolution = nn.Linear(config.context * config.column_height, config.features)
        self.lstm = nn.LSTM(
            config.features,
            config.units,
            config.layers,
            batch_first=True,
            dropout=dropout if config.layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(config.units, len(config.labels))
        set_forget_bias(self.lstm)

    def initial_state(self, batch: int) -> Tensor:
        """The state before any column, [B, D]: all zeros."""
        return self.head.weight.new_zeros(batch, self.config.state_size)

    def forward(self, columns: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read T columns and go on from `state`.

        Args:
            columns: [B, T, H], 0 = paper, 1 = ink.
            state: [B, D], or None for the start of a stream.

        Returns:
            Scores [B, T, K] before the softmax, and the state after [B, D].
        """
        config = self.config
        batch, n_columns, height = columns.shape
        if state is None:
            state = self.initial_state(batch)
        cells = config.layers * config.units
        sizes = [(config.context - 1) * height, cells, cells, 1]
        tail, hidden, cell, seen = torch.split(state, sizes, 1)
        padded = torch.cat([tail.view(batch, -1, height), columns], 1)  # [B, context-1+T, H]
        windows = torch.cat([padded[:, i : i + n_columns] for i in range(config.context)], 2)
        features = torch.relu(self.convolution(windows))  # [B, T, F]
        shape = (batch, config.layers, config.units)
        outputs, (hidden, cell) = self.lstm(
            features,
            (
                hidden.view(shape).transpose(0, 1).contiguous(),
                cell.view(shape).transpose(0, 1).contiguous(),
            ),
        )
        scores = self.head(self.dropout(outputs))  # [B, T, K]
        ink = (columns.amax(2) > 0).cumsum(1) + seen  # [B, T], above 0 from the first ink on
        after = torch.cat(
            [
                padded[:, n_columns:].reshape(batch, -1),
                hidden.transpose(0, 1).reshape(batch, -1),
                cell.transpose(0, 1).reshape(batch, -1),
                seen + (ink > 0).sum(1, keepdim=True),
            ],
            1,
        )
        return scores, after


class LineLSTM(nn.Module):
    """Causal reader of lines: strided convolutions, LSTM layers, two heads.

        columns [B, T, H] -> convolutions [B, T/2, C * rows] -> features [B, T/2, U]
          -> LSTM layers [B, T/2, U] -> scores [B, T/2, 1 + K] and letter ends [B, T/2]

    It takes two columns a step and answers after each pair. The scores are those of CTC (Graves et
    al., ICML 2006), the blank first. A letter end is the score that a letter ended `END_DELAY`
    steps ago: what follows a letter tells that it has ended. The convolutions, causal in time,
    halve the rows: pixels by themselves have no tolerance for the height at which a hand writes.
    Features are normalised (Ba et al., arXiv 1607.06450): without it they grew until the first
    layer's cells were saturated, and nothing more was learned. Each layer adds to what it reads (He
    et al., CVPR 2016): without it three layers learn slower at first than one.

    `both_ways` gives each layer a second LSTM that reads from the end of the line: a net that knows
    the future, to compare with. It cannot stream and is never served.

    Parts of its state, in this order: for each convolution the last two steps of what it reads
    (columns, or maps of channels by rows); hidden states of all layers; cell states of all layers.
    """

    def __init__(
        self,
        config: ModelConfig,
        dropout: float = 0.0,
        *,
        both_ways: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.dropout = dropout
        self.convolutions = nn.ModuleList()
        inputs, rows = 1, config.column_height
        for channels in config.channels:
            step = 1 if self.convolutions else STEP_COLUMNS
            kernel = (KERNEL_ROWS, KERNEL_STEPS - 1 + step)
            convolution = nn.Conv2d(inputs, channels, kernel, stride=(2, step), padding=(1, 0))
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
        n_backwards = config.layers if both_ways else 0
        self.backwards = nn.ModuleList(_layer(config.units) for _ in range(n_backwards))
        self.head = nn.Linear(config.units, 1 + len(config.labels))
        self.ends = nn.Linear(config.units, 1)

    def forward(
        self, columns: Tensor, random: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Read whole lines from their start.

        Args:
            columns: [B, T, H], 0 = paper, 1 = ink, T even.
            random: draws what is dropped out in training.

        Returns:
            Scores [B, T/2, 1 + K] and letter ends [B, T/2], both before their softmax or sigmoid.
        """
        random = random if self.training else None
        maps = columns.transpose(1, 2).unsqueeze(1)  # [B, 1, H, T]
        maps = maps.contiguous(memory_format=torch.channels_last)
        for convolution in self.convolutions:
            before = functional.pad(maps, (KERNEL_STEPS - 1, 0))
            maps = torch.relu(convolution(before))  # [B, C, rows, T/2]
        steps = maps.permute(0, 3, 1, 2).flatten(2)  # [B, T/2, C * rows]
        steps = torch.relu(self.norm(self.features(steps)))
        for layer, backwards in zip_longest(self.lstm, self.backwards):
            more = layer(steps)[0]
            if backwards is not None:
                more = more + backwards(steps.flip(1))[0].flip(1)
            steps = steps + dropped(more, self.dropout, random)
        return self.head(steps), self.ends(steps).squeeze(2)


def _layer(units: int) -> nn.LSTM:
    """One LSTM layer as wide as what it reads, whose cells start by remembering."""
    lstm = nn.LSTM(units, units, batch_first=True)
    set_forget_bias(lstm)
    return lstm


def dropped(values: Tensor, share: float, random: torch.Generator | None) -> Tensor:
    """Values [B, T, U] with a share of them set to 0 and the others raised; all without `random`.

    torch's own dropout draws from one generator for all threads, so that two of them together
    would make no run repeatable.
    """
    if random is None or not share:
        return values
    kept = torch.rand(values.shape, generator=random, device=random.device) >= share
    return values * kept / (1 - share)

"""The net: a causal convolution over the newest columns, an LSTM, and a linear head.

    columns [B, T, H] -> convolution [B, T, F] -> LSTM [B, T, U] -> head [B, T, K]

The LSTM is Hochreiter and Schmidhuber's (Neural Computation 9(8), 1997) with the forget gate of
Gers et al. (2000). Result t depends on columns 0..t and on nothing later, so the same weights read
a whole image at once or one column at a time.
"""

import torch
from torch import Tensor, nn

from model.config import ModelConfig

FORGET_BIAS = 1.0  # cells start by remembering: Jozefowicz et al., ICML 2015


def set_forget_bias(lstm: nn.LSTM) -> None:
    """Let the cells of every layer start by remembering."""
    forget = slice(lstm.hidden_size, 2 * lstm.hidden_size)  # gates stand as i, f, g, o
    with torch.no_grad():
        for name, bias in lstm.named_parameters():
            if name.startswith("bias"):  # two of a layer, which are added
                bias[forget] = FORGET_BIAS if name.startswith("bias_ih") else 0.0


class ColumnLSTM(nn.Module):
    """Causal column reader.

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

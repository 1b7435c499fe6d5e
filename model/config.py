"""The dimensions of a net: everything that must be known to build it, and nothing else."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from inkstream.model.errors import ConfigError

Kind = Literal["classifier", "transcriber"]

KINDS: Final = get_args(Kind)
MAX_COLUMN_HEIGHT: Final = 256  # one byte a pixel: a column stays far below one network packet
MAX_UNITS: Final = 2048
MAX_LAYERS: Final = 8
MAX_CONTEXT: Final = 16
MAX_CHANNELS: Final = 512
MAX_CONVOLUTIONS: Final = 4

MAX_FLUSH_COLUMNS: Final = 64
LATER: Final = {"channels", "flush_columns"}  # dimensions that the first checkpoints do not name

OPSET: Final = 18  # of the operators of its graph

STEP_COLUMNS: Final = 2  # that a transcriber takes at a time
KERNEL_STEPS: Final = 3  # that each of its convolutions sees, the newest included
END_DELAY: Final = 2  # steps from a letter's last one to its score that says it has ended
KERNEL_ROWS: Final = 4  # that each of them sees, at every second row


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Dimensions of a `ColumnLSTM` (a classifier) or a `LineLSTM` (a transcriber).

    Raises `ConfigError` on construction when a value is out of its range.
    """

    labels: tuple[str, ...]  # K answers, in the order of the scores
    kind: Kind = "classifier"
    column_height: int = 28  # H, pixels of one column
    context: int = 3  # columns that a classifier's convolution sees: the newest and those before it
    features: int = 128  # inputs of the first LSTM layer
    layers: int = 2  # L
    units: int = 256  # U, cells of one LSTM layer
    channels: tuple[int, ...] = ()  # of a transcriber's convolutions, each of which halves the rows
    flush_columns: int = 0  # blank ones that make a transcriber say what it still holds back

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"kind is {self.kind!r}, allowed: {', '.join(KINDS)}")
        if len(self.labels) < 2:
            raise ConfigError(f"{len(self.labels)} labels, expected at least 2")
        if len(set(self.labels)) != len(self.labels) or "" in self.labels:
            raise ConfigError("labels must be distinct and not empty")
        for name, most in (
            ("column_height", MAX_COLUMN_HEIGHT),
            ("context", MAX_CONTEXT),
            ("features", MAX_UNITS),
            ("layers", MAX_LAYERS),
            ("units", MAX_UNITS),
        ):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ConfigError(f"{name} is {value}, allowed: 1..{most}")
        if self.kind == "transcriber":
            self._check_transcriber()
        elif self.channels or self.flush_columns:
            raise ConfigError("channels and flush_columns are a transcriber's")

    def _check_transcriber(self) -> None:
        """Raise `ConfigError` unless the convolutions fit the rows."""
        if not 1 <= len(self.channels) <= MAX_CONVOLUTIONS:
            raise ConfigError(f"{len(self.channels)} convolutions, allowed: 1..{MAX_CONVOLUTIONS}")
        for channels in self.channels:
            if not 1 <= channels <= MAX_CHANNELS:
                raise ConfigError(f"channels are {channels}, allowed: 1..{MAX_CHANNELS}")
        halvings = 2 ** len(self.channels)
        if self.column_height % halvings:
            raise ConfigError(f"column_height is {self.column_height}, no multiple of {halvings}")
        if not 0 <= self.flush_columns <= MAX_FLUSH_COLUMNS or self.flush_columns % STEP_COLUMNS:
            raise ConfigError(
                f"flush_columns is {self.flush_columns}, allowed: 0..{MAX_FLUSH_COLUMNS}, even"
            )
        if self.features != self.units:
            raise ConfigError(f"features are {self.features}, expected as many as units")
        if any(len(label) != 1 for label in self.labels):
            raise ConfigError("labels of a transcriber are single characters")

    @property
    def n_scores(self) -> int:
        """Scores after a column, S: of K labels, and a transcriber's blank and letter end."""
        return len(self.labels) + (2 if self.kind == "transcriber" else 0)

    @property
    def state_parts(self) -> tuple[int, ...]:
        """Sizes of what lies in the net's state, in order: see the nets for what they are."""
        cells = self.layers * self.units
        if self.kind == "classifier":
            return ((self.context - 1) * self.column_height, cells, cells, 1)
        maps = (
            (KERNEL_STEPS - 1) * channels * (self.column_height >> index)
            for index, channels in enumerate((1, *self.channels[:-1]))
        )
        return (*maps, cells, cells)

    @property
    def state_size(self) -> int:
        """Numbers of one session's row of state, D.

        Behind the net's own state a transcriber's row holds what it said last, a column that waits
        for its partner, and two flags: see `inkstream.model.runtime`.
        """
        held = self.n_scores + self.column_height + 2 if self.kind == "transcriber" else 0
        return sum(self.state_parts) + held

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the net's weights, those of its `state_dict()`."""
        if self.kind == "classifier":
            shapes = _linear("convolution", self.features, self.context * self.column_height)
            shapes |= _linear("head", len(self.labels), self.units)
            layer_names = [f"lstm.{{}}_l{layer}" for layer in range(self.layers)]
        else:
            shapes, inputs = {}, 1
            for index, channels in enumerate(self.channels):
                width = KERNEL_STEPS if index else KERNEL_STEPS - 1 + STEP_COLUMNS
                name = f"convolutions.{index}"
                shapes[f"{name}.weight"] = (channels, inputs, KERNEL_ROWS, width)
                shapes[f"{name}.bias"] = (channels,)
                inputs = channels
            rows = self.column_height >> len(self.channels)
            shapes |= _linear("features", self.features, inputs * rows)
            shapes |= {"norm.weight": (self.features,), "norm.bias": (self.features,)}
            shapes |= _linear("head", 1 + len(self.labels), self.units)
            shapes |= _linear("ends", 1, self.units)
            layer_names = [f"lstm.{layer}.{{}}_l0" for layer in range(self.layers)]
        for layer, name in enumerate(layer_names):
            inputs = self.units if layer else self.features
            shapes[name.format("weight_ih")] = (4 * self.units, inputs)
            shapes[name.format("weight_hh")] = (4 * self.units, self.units)
            shapes[name.format("bias_ih")] = (4 * self.units,)
            shapes[name.format("bias_hh")] = (4 * self.units,)
        return shapes

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` reads them back."""
        return dataclasses.asdict(self) | {
            "labels": list(self.labels),
            "channels": list(self.channels),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelConfig":
        """Build from `to_dict`'s values; raises `ConfigError` for unknown or missing names."""
        names = {field.name for field in dataclasses.fields(cls)}
        if unknown := values.keys() - names:
            raise ConfigError(f"unknown dimensions: {', '.join(sorted(unknown))}")
        if missing := names - values.keys() - LATER:
            raise ConfigError(f"missing dimensions: {', '.join(sorted(missing))}")
        tuples: dict[str, Any] = {
            name: tuple(values[name]) for name in ("labels", "channels") if name in values
        }
        return cls(**values | tuples)


def _linear(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a linear layer's weights."""
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}

"""The dimensions of a net: everything that must be known to build it, and nothing else."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Literal

from model.errors import ConfigError

Kind = Literal["classifier"]

KINDS: Final = ("classifier",)
MAX_COLUMN_HEIGHT: Final = 256  # one byte a pixel: a column stays far below one network packet
MAX_UNITS: Final = 2048
MAX_LAYERS: Final = 8
MAX_CONTEXT: Final = 16


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Dimensions of a `ColumnLSTM`; validated on construction.

    Raises `ConfigError` when a value is out of its range.
    """

    labels: tuple[str, ...]  # K answers, in the order of the scores
    kind: Kind = "classifier"
    column_height: int = 28  # H, pixels of one column
    context: int = 3  # columns that the causal convolution sees: the newest and those before it
    features: int = 128  # outputs of the convolution, inputs of the first LSTM layer
    layers: int = 2  # L
    units: int = 256  # U, cells of one LSTM layer

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

    @property
    def state_size(self) -> int:
        """Numbers of one session's recurrent state D: see `ColumnLSTM` for their order."""
        return (self.context - 1) * self.column_height + 2 * self.layers * self.units + 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` reads them back."""
        return dataclasses.asdict(self) | {"labels": list(self.labels)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelConfig":
        """Build from `to_dict`'s values; raises `ConfigError` for unknown or missing names."""
        names = {field.name for field in dataclasses.fields(cls)}
        if unknown := values.keys() - names:
            raise ConfigError(f"unknown dimensions: {', '.join(sorted(unknown))}")
        if missing := names - values.keys():
            raise ConfigError(f"missing dimensions: {', '.join(sorted(missing))}")
        return cls(**values | {"labels": tuple(values["labels"])})

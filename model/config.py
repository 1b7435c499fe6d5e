"""The dimensions of a net: everything that must be known to build it, and nothing else."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import msgspec

from inkstream.model.errors import ConfigError

Kind = Literal["classifier", "transcriber"]

MAX_UNITS: Final = 2048
MAX_LAYERS: Final = 8
MAX_CONTEXT: Final = 16
MAX_CHANNELS: Final = 512

OPSET: Final = 18  # of the operators of its graph

# A transcriber's time.
STEP_COLUMNS: Final = 2  # columns that it takes at a time
KERNEL_STEPS: Final = 3  # steps that each of its convolutions sees, the newest included
KERNEL_ROWS: Final = 4  # rows that each of them sees, at every second row
END_DELAY: Final = 2  # steps from a letter's last one to the score that it has ended

# Of a column that tells where the pen went.
DRAWN_PLANES: Final = 3  # of H bytes: ink; right or left; down or up
SEEN_PLANES: Final = 5  # that its net sees


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
    flush_columns: int = 0  # blank columns after which a transcriber holds no letter back
    directions: bool = False  # whether a transcriber sees where the pen goes

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(f"kind is {self.kind!r}, allowed: {', '.join(get_args(Kind))}")
        if len(self.labels) < 2:
            raise ConfigError(f"{len(self.labels)} labels, expected at least 2")
        if len(set(self.labels)) != len(self.labels) or "" in self.labels:
            raise ConfigError("labels must be distinct and not empty")
        for name, maximum in (
            ("column_height", 256),  # a column stays far below one network packet
            ("context", MAX_CONTEXT),
            ("features", MAX_UNITS),
            ("layers", MAX_LAYERS),
            ("units", MAX_UNITS),
        ):
            value = getattr(self, name)
            if not 1 <= value <= maximum:
                raise ConfigError(f"{name} is {value}, allowed: 1..{maximum}")
        if self.kind == "transcriber":
            self._check_transcriber()
        elif self.channels or self.flush_columns or self.directions:
            raise ConfigError("a classifier has no channels, flush_columns or directions")

    def _check_transcriber(self) -> None:
        """Raise `ConfigError` unless the convolutions fit the rows."""
        if not 1 <= len(self.channels) <= 4:
            raise ConfigError(f"{len(self.channels)} convolutions, allowed: 1..4")
        for channels in self.channels:
            if not 1 <= channels <= MAX_CHANNELS:
                raise ConfigError(f"channels are {channels}, allowed: 1..{MAX_CHANNELS}")
        halvings = 2 ** len(self.channels)
        if self.column_height % halvings:
            raise ConfigError(f"column_height is {self.column_height}, no multiple of {halvings}")
        if self.flush_columns not in range(0, 65, STEP_COLUMNS):
            raise ConfigError(f"flush_columns is {self.flush_columns}, allowed: 0..64, even")
        if self.features != self.units:
            raise ConfigError(f"features are {self.features}, expected as many as units")
        if any(len(label) != 1 for label in self.labels):
            raise ConfigError("labels of a transcriber are single characters")

    @property
    def column_size(self) -> int:
        """Bytes of a column as the net is given it: see `inkstream.model.preprocess.ink`."""
        return self.column_height * (DRAWN_PLANES if self.directions else 1)

    @property
    def seen_size(self) -> int:
        """Numbers of a column as the net sees it, plane after plane: see `seen_by` there."""
        return self.column_height * (SEEN_PLANES if self.directions else 1)

    @property
    def step_columns(self) -> int:
        """Columns that the net takes at a time."""
        return STEP_COLUMNS if self.kind == "transcriber" else 1

    @property
    def n_scores(self) -> int:
        """Scores after a column, S: of K labels, and a transcriber's blank and letter end."""
        return len(self.labels) + (2 if self.kind == "transcriber" else 0)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelConfig":
        """Build from the values of a file.

        Raises `ConfigError` for unknown or missing names, `ValueError` for a wrong type.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if unknown := values.keys() - names:
            raise ConfigError(f"unknown dimensions: {', '.join(sorted(unknown))}")
        # Older checkpoints lack the last three.
        if missing := names - values.keys() - {"channels", "flush_columns", "directions"}:
            raise ConfigError(f"missing dimensions: {', '.join(sorted(missing))}")
        return msgspec.convert(values, cls)

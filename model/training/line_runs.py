"""Nets for lines as runs leave them: to learn from and to compare with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.config import ModelConfig
from model.data.line_batches import FLUSH_COLUMNS
from model.errors import DataError
from model.network import LineLSTM
from model.training.knobs import LineKnobs
from model.training.run_folder import configuration_of, network_digest, network_weights


def line_config(knobs: LineKnobs, labels: Sequence[str]) -> ModelConfig:
    """The dimensions of the net that these knobs name."""
    return ModelConfig(
        labels=tuple(labels),
        kind="transcriber",
        column_height=knobs.column_height,
        features=knobs.units,
        layers=knobs.layers,
        units=knobs.units,
        channels=(knobs.channels // 2, knobs.channels, knobs.channels),
        flush_columns=FLUSH_COLUMNS,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The averaged net of a run."""

    network: LineLSTM
    labels: tuple[str, ...]
    knobs: LineKnobs
    init: str  # digest of what the run began with; "" where its weights were drawn
    digest: str  # SHA-256 of its weights


def trained(run: Path) -> Trained:
    """What a run of `train lines` left; raises `DataError` if there is nothing."""
    configuration = configuration_of(run, "lines")
    try:
        knobs, init = LineKnobs(**configuration["knobs"]), configuration["init"]
        labels = tuple(configuration["labels"])
        network = LineLSTM(line_config(knobs, labels), both_ways=knobs.both_ways)
        network.load_state_dict(network_weights(run))
    except (KeyError, TypeError, RuntimeError) as error:
        raise DataError(f"{run} holds a run of another version: {error}") from error
    return Trained(network.eval(), labels, knobs, init, network_digest(run))

"""Configure a training run: options with their ranges, and the shipped presets."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from inkstream.model.config import MAX_CHANNELS, MAX_CONTEXT, MAX_LAYERS, MAX_UNITS
from inkstream.model.errors import ConfigError

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]
Optimiser = Literal["adamw", "muon"]

MOST_THREADS: Final = 1024
HEIGHT_UNIT: Final = 8  # pixels: each of a transcriber's three convolutions halves the rows


def number(default: float, least: float, most: float, help: str) -> Any:  # noqa: A002
    """Define a number of a configuration with its range, both ends allowed, and its help text."""
    metadata = {"least": least, "most": most, "help": help}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Options of every run; with those of a task they decide all that is computed.

    Raises `ConfigError` on construction when an option is out of its range.
    """

    task: str
    # the net
    layers: int = number(2, 1, MAX_LAYERS, "LSTM layers")
    units: int = number(256, 1, MAX_UNITS, "cells in each LSTM layer")
    dropout: float = number(0.25, 0, 0.9, "dropout between LSTM layers and before the head")
    # optimisation
    optimiser: Optimiser = "adamw"  # of hidden matrices; AdamW updates the rest
    learning_rate: float = number(2.5e-3, 1e-7, 1, "highest learning rate of a cycle")
    weight_decay: float = number(3e-3, 0, 1, "weight decay, on matrices only")
    cycles: int = number(
        1, 1, 100, "times that the learning rate falls to 0; the weights at the ends of all cycles"
        " but the first are averaged",
    )  # fmt: skip
    warm_up: float = number(0.02, 0, 0.5, "share of a cycle's steps in which the rate rises")
    gradient_norm: float = number(1.0, 1e-3, 1e3, "clip gradients to this norm")
    ema: float = number(0.999, 0, 0.999999, "decay of the EMA weights, which are shipped")
    # execution
    seed: int = number(0, 0, 2**31 - 1, "random seed of weights, order, augmentation and dropout")
    precision: Precision = "auto"  # of products; auto takes bfloat16 where hardware multiplies it

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, bounds = getattr(self, field.name), field.metadata
            if field.type is float:  # 5 and 5.0 must have one digest
                object.__setattr__(self, field.name, float(value))
            if bounds and not bounds["least"] <= value <= bounds["most"]:
                allowed = f"{bounds['least']:g}..{bounds['most']:g}"
                raise ConfigError(f"{field.name} is {value}, allowed: {allowed}")

    @property
    def digest(self) -> str:
        """SHA-256 of all options."""
        options = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(options.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class DigitsConfig(TrainingConfig):
    """Options of a classifier of images, and of its teacher, whose dimensions are fixed."""

    task: Literal["digits", "teacher"] = "digits"
    context: int = number(3, 1, MAX_CONTEXT, "columns that the causal convolution sees at once")
    features: int = number(128, 1, MAX_UNITS, "outputs of the convolution")
    epochs: int = number(40, 1, 10_000, "epochs of each cycle")
    batch: int = number(256, 1, 65_536, "images in a batch")
    # data
    held_out: int = number(5_000, 1, 1_000_000, "training images kept for validation")
    distortion: float = number(1.0, 0, 5, "strength of the distortion of images")
    calm: float = number(0.07, 0, 1, "last share of a cycle, in which distortion is a third")
    blank_share: float = number(
        0.25, 0, 1, "share of batches with blank columns before or after a digit"
    )
    rough: float = number(
        0.5, 0, 1, "share of images with the looks of paper, scanners and cameras"
    )
    # loss
    teacher_share: float = number(0.5, 0, 1, "weight of the teacher's loss against the label's")
    temperature: float = number(
        2.0, 0.1, 100, "temperature that softens the teacher's probabilities"
    )


@dataclass(frozen=True, slots=True)
class LinesConfig(TrainingConfig):
    """Options of a transcriber. Shares are of the columns that are read, and need not sum to 1."""

    task: Literal["lines"] = "lines"
    column_height: int = number(32, 8, 256, "pixels in a column")
    channels: int = number(
        64, 2, MAX_CHANNELS // 2, "channels of the convolutions; the first one has half"
    )
    bidirectional: bool = False  # also read from the end: a reference model, never served
    directions: bool = True  # see where the pen goes, where ink tells it
    steps: int = number(13_000, 1, 10_000_000, "batches in each cycle")
    columns: int = number(9_200, 100, 1_000_000, "approximate number of columns in a batch")
    framewise: int = number(
        1_500, 0, 1_000_000, "first steps, which train each frame on letters of known ink"
    )
    end_share: float = number(0.15, 0, 10, "weight of the loss on letter ends against CTC's")
    lateness: float = number(
        0, 0, 10, "nats by which CTC makes alignments less probable for each step that a letter"
        " comes late",
    )  # fmt: skip
    strength: float = number(1.0, 0, 1, "augmentation strength")
    rough: float = number(0.55, 0, 1, "share of lines with looks of paper, scanners and cameras")
    keep: float = number(0, 0, 1, "share of earlier weights in the result (WiSE-FT)")
    characters: float = number(7, 0, 100, "share of single characters")
    words: float = number(14, 0, 100, "share of words")
    text: float = number(9, 0, 100, "share of lines")
    made: float = number(9, 0, 100, "share of made-up words and lines")
    images: float = number(1.5, 0, 100, "share of numbers made of MNIST's images")
    wills: float = number(8, 0, 100, "share of lines on real paper, where there are some")
    western: float = number(
        0.5, 0, 1, "share of made-up texts in languages of western Europe beside English; 0 leaves"
        " a net of UNIPEN the labels of ASCII",
    )  # fmt: skip
    western_bonus: float = number(
        0, 0, 10, "nats that letters beyond ASCII get in the result: made-up texts have fewer of"
        " them than most languages",
    )  # fmt: skip

    def __post_init__(self) -> None:
        TrainingConfig.__post_init__(self)  # not by super(): slots make another class of this one
        if self.column_height % HEIGHT_UNIT:
            raise ConfigError(
                f"column_height is {self.column_height}, allowed: multiples of {HEIGHT_UNIT}"
            )


TEACHER: Final = DigitsConfig(
    task="teacher", epochs=9, learning_rate=2e-3, weight_decay=2e-2, blank_share=0.0,
    teacher_share=0.0, rough=0.0,
)  # fmt: skip
LINES: Final = LinesConfig(
    layers=4, units=320, dropout=0.2, optimiser="muon", learning_rate=1.5e-3, weight_decay=5e-2,
    cycles=3, ema=0.9995, strength=0.7, characters=5, made=13, images=1,
)  # fmt: skip
HAND: Final = dataclasses.replace(
    LINES, steps=120, cycles=1, learning_rate=3e-4, columns=3_000, ema=0.9, strength=0.6,
    framewise=0, made=0, images=0, keep=0.4, optimiser="adamw", weight_decay=1e-2,
)  # fmt: skip
PRESETS: Final[dict[str, TrainingConfig]] = {
    "digits": DigitsConfig(), "teacher": TEACHER, "lines": LINES, "hand": HAND
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where a run reads, computes and writes, and for how long; they do not change its result.

    Raises `ConfigError` on construction when a value is out of its range.
    """

    run: Path  # the run folder
    data: Path | None = None  # the user's images or ink; None is the data of the shipped models
    pen: Path | None = None  # pen digits as labelled ink, for a classifier
    paper: tuple[Path, ...] = ()  # archives of lines on real paper, for a transcriber
    teachers: tuple[Path, ...] = ()  # run folders of teachers, of a classifier
    init: Path | None = None  # a run folder or a checkpoint with the initial weights
    keep_of: tuple[Path, ...] = ()  # likewise, with the weights of `keep`; none is `init`
    minutes: float | None = None  # stop and save after so long
    resume: bool = False  # continue the run in the folder
    device: Device = "auto"
    threads: int = 0  # of the processor; 0 leaves the choice to torch

    def __post_init__(self) -> None:
        if self.minutes is not None and not self.minutes > 0:
            raise ConfigError(f"minutes is {self.minutes}, allowed: above 0")
        if not 0 <= self.threads <= MOST_THREADS:
            raise ConfigError(f"threads is {self.threads}, allowed: 0..{MOST_THREADS}")

"""What can be set for a training run, each knob with its range, and the presets that we ship."""

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


def knob(default: float, least: float, most: float, words: str) -> Any:
    """A number of `Knobs` with its range, both ends allowed, and what it means."""
    metadata = {"least": least, "most": most, "words": words}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Knobs:
    """What every run has to know; with a task's own it is all that decides what is computed.

    Raises `ConfigError` on construction when a knob is out of its range, before any data is read.
    """

    task: str
    # the net
    layers: int = knob(2, 1, MAX_LAYERS, "LSTM layers")
    units: int = knob(256, 1, MAX_UNITS, "cells of each LSTM layer")
    dropout: float = knob(0.25, 0, 0.9, "between LSTM layers and before the head")
    # optimisation
    optimiser: Optimiser = "adamw"  # of hidden matrices; the rest is always moved by AdamW
    learning_rate: float = knob(2.5e-3, 1e-7, 1, "of the optimiser, at its highest")
    weight_decay: float = knob(3e-3, 0, 1, "of the optimiser, on matrices only")
    cycles: int = knob(
        1, 1, 100, "times that the rate falls to 0; the ends of all but the first are averaged"
    )
    warm_up: float = knob(0.02, 0, 0.5, "share of a cycle's steps in which the rate rises")
    gradient_norm: float = knob(1.0, 1e-3, 1e3, "longest gradient that is taken as it is")
    ema: float = knob(
        0.999, 0, 0.999999, "decay of the average of the weights, which is what ships"
    )
    # how it runs
    seed: int = knob(0, 0, 2**31 - 1, "of weights, order, distortion and dropout")
    precision: Precision = "auto"  # of products; auto takes bfloat16 where hardware multiplies it

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, bounds = getattr(self, field.name), field.metadata
            if field.type is float:  # 5 and 5.0 are one knob, and so must be their digests
                object.__setattr__(self, field.name, float(value))
            if bounds and not bounds["least"] <= value <= bounds["most"]:
                allowed = f"{bounds['least']:g}..{bounds['most']:g}"
                raise ConfigError(f"{field.name} is {value}, allowed: {allowed}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    @property
    def digest(self) -> str:
        """SHA-256 of all knobs."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ImageKnobs(Knobs):
    """Knobs of a classifier of images, and of its teacher, whose shape is fixed."""

    task: Literal["digits", "teacher"] = "digits"
    context: int = knob(3, 1, MAX_CONTEXT, "columns that the causal convolution sees")
    features: int = knob(128, 1, MAX_UNITS, "outputs of the convolution")
    epochs: int = knob(30, 1, 10_000, "passes over the training images, each cycle")
    batch: int = knob(256, 1, 65_536, "images a step")
    # data
    held_out: int = knob(5_000, 1, 1_000_000, "training images that only choose and calibrate")
    distortion: float = knob(1.0, 0, 5, "strength of the distortion of images")
    calm: float = knob(0.07, 0, 1, "last share of a cycle, with a third of the distortion")
    blank_share: float = knob(0.25, 0, 1, "share of batches with blank columns before, and after")
    # loss
    teacher_share: float = knob(0.5, 0, 1, "of the teacher's answer, against the label's")
    temperature: float = knob(2.0, 0.1, 100, "that softens the teacher's answer")


@dataclass(frozen=True, slots=True)
class LineKnobs(Knobs):
    """Knobs of a transcriber. Shares are of the columns that are read, and need not sum to 1."""

    task: Literal["lines"] = "lines"
    column_height: int = knob(32, 8, 256, "pixels of a column")
    channels: int = knob(64, 2, MAX_CHANNELS // 2, "of the convolutions; of the first one half")
    bidirectional: bool = False  # also read from the end: a reference model, never served
    steps: int = knob(13_000, 1, 10_000_000, "batches, each cycle")
    columns: int = knob(9_200, 100, 1_000_000, "columns of a batch, about")
    framewise: int = knob(1_500, 0, 1_000_000, "steps before CTC, on letters whose place is known")
    end_share: float = knob(0.15, 0, 10, "of the loss on letter ends, against that on text")
    strength: float = knob(1.0, 0, 1, "of the change of hands")
    keep: float = knob(0, 0, 1, "share of the weights it begins with that the trained ones keep")
    characters: float = knob(7, 0, 100, "share of single characters")
    words: float = knob(14, 0, 100, "share of words")
    text: float = knob(9, 0, 100, "share of lines")
    made: float = knob(9, 0, 100, "share of made-up words and lines")
    images: float = knob(1.5, 0, 100, "share of numbers made of MNIST's images")

    def __post_init__(self) -> None:
        Knobs.__post_init__(self)  # not by super(): slots make another class of this one
        if self.column_height % HEIGHT_UNIT:
            raise ConfigError(
                f"column_height is {self.column_height}, allowed: multiples of {HEIGHT_UNIT}"
            )


TEACHER: Final = ImageKnobs(
    task="teacher", epochs=16, learning_rate=2e-3, weight_decay=2e-2, blank_share=0.0,
    teacher_share=0.0,
)  # fmt: skip
LINES: Final = LineKnobs(
    layers=4, units=320, dropout=0.2, optimiser="muon", learning_rate=1.5e-3, weight_decay=5e-2,
    cycles=3, ema=0.9995, strength=0.7, characters=5, made=13, images=1,
)  # fmt: skip
HAND: Final = dataclasses.replace(
    LINES, steps=120, cycles=1, learning_rate=3e-4, columns=3_000, ema=0.9, strength=0.6,
    framewise=0, made=0, images=0, keep=0.4, optimiser="adamw", weight_decay=1e-2,
)  # fmt: skip
PRESETS: Final[dict[str, Knobs]] = {
    "digits": ImageKnobs(), "teacher": TEACHER, "lines": LINES, "hand": HAND
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run reads, computes and writes, and how long it may take; no part of its recipe.

    Raises `ConfigError` on construction when a value is out of its range.
    """

    run: Path  # the run folder
    data: Path | None = None  # the user's images or ink; None is the data that we ship on
    teachers: tuple[Path, ...] = ()  # run folders of teachers, of a classifier
    init: Path | None = None  # a run folder or a checkpoint, whose weights the run begins with
    minutes: float | None = None  # stop and save after so long
    resume: bool = False  # go on where the run folder stands
    device: Device = "auto"
    threads: int = 0  # of the processor; 0 leaves the choice to torch

    def __post_init__(self) -> None:
        if self.minutes is not None and not self.minutes > 0:
            raise ConfigError(f"minutes is {self.minutes}, allowed: above 0")
        if not 0 <= self.threads <= MOST_THREADS:
            raise ConfigError(f"threads is {self.threads}, allowed: 0..{MOST_THREADS}")

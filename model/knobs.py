"""What can be set for a training run, each knob with its range, and the presets that we ship."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from model.config import MAX_CONTEXT, MAX_LAYERS, MAX_UNITS
from model.errors import ConfigError

Task = Literal["digits", "teacher"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]

MOST_THREADS: Final = 1024

RANGES: Final[dict[str, tuple[float, float]]] = {
    "epochs": (1, 10_000),
    "batch": (1, 65_536),
    "learning_rate": (1e-7, 1.0),
    "weight_decay": (0.0, 1.0),
    "warm_up": (0.0, 0.5),
    "gradient_norm": (1e-3, 1e3),
    "dropout": (0.0, 0.9),
    "ema": (0.0, 0.999999),
    "context": (1, MAX_CONTEXT),
    "features": (1, MAX_UNITS),
    "layers": (1, MAX_LAYERS),
    "units": (1, MAX_UNITS),
    "distortion": (0.0, 5.0),
    "calm": (0.0, 1.0),
    "blank_share": (0.0, 1.0),
    "teacher_share": (0.0, 1.0),
    "temperature": (0.1, 100.0),
    "held_out": (1, 1_000_000),
    "seed": (0, 2**31 - 1),
}


@dataclass(frozen=True, slots=True)
class Knobs:
    """All that decides what a run computes; `digest` names that.

    Raises `ConfigError` on construction when a knob is out of its range, before any data is read.
    """

    task: Task = "digits"
    # the net (ignored by the teacher, whose shape is fixed)
    context: int = 3  # columns that the causal convolution sees
    features: int = 128  # its outputs
    layers: int = 2  # LSTM layers
    units: int = 256  # cells of each
    dropout: float = 0.25  # between LSTM layers and before the head
    # optimisation
    epochs: int = 30
    batch: int = 256  # images a step
    learning_rate: float = 2.5e-3  # of AdamW, at its highest
    weight_decay: float = 3e-3  # of AdamW, on matrices only
    warm_up: float = 0.02  # share of the steps in which the rate rises; then it falls as a cosine
    gradient_norm: float = 1.0  # longest gradient
    ema: float = 0.999  # decay of the moving average of the weights, which is what ships
    # data
    held_out: int = 5_000  # training images that only choose and calibrate
    distortion: float = 1.0  # strength, see data/augment.py
    calm: float = 0.07  # last share of the steps, with a third of the distortion
    blank_share: float = 0.25  # batches with blank columns before (and as many with some after)
    # loss
    teacher_share: float = 0.5  # of the teacher's answer against the label
    temperature: float = 2.0  # that softens the teacher's answer
    # how it runs
    seed: int = 0
    precision: Precision = (
        "auto"  # of products; auto takes bfloat16 where the hardware multiplies it
    )

    def __post_init__(self) -> None:
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ConfigError(f"{name} is {value}, allowed: {least:g}..{most:g}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    @property
    def digest(self) -> str:
        """SHA-256 of all knobs."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


PRESETS: Final[dict[Task, Knobs]] = {
    "digits": Knobs(),
    "teacher": Knobs(
        task="teacher", epochs=16, learning_rate=2e-3, weight_decay=2e-2, blank_share=0.0,
        teacher_share=0.0,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run reads, computes and writes, and how long it may take; no part of its recipe.

    Raises `ConfigError` on construction when a value is out of its range.
    """

    run: Path  # the run folder
    data: Path | None = None  # the user's images, or a folder of MNIST's IDX files; None fetches
    teachers: tuple[Path, ...] = ()  # run folders of teachers
    minutes: float | None = None  # stop and save after so long
    resume: bool = False  # go on where the run folder stands
    device: Device = "auto"
    threads: int = 0  # of the processor; 0 leaves the choice to torch

    def __post_init__(self) -> None:
        if self.minutes is not None and not self.minutes > 0:
            raise ConfigError(f"minutes is {self.minutes}, allowed: above 0")
        if not 0 <= self.threads <= MOST_THREADS:
            raise ConfigError(f"threads is {self.threads}, allowed: 0..{MOST_THREADS}")

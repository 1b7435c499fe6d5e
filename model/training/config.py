"""Configure a training run: options with their ranges, and the recipes of nets.

A recipe is a file in `recipes`: values of options, all others of which have their defaults, and the
names of the files that it reads.
"""

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from inkstream.model.config import MAX_CHANNELS, MAX_LAYERS, MAX_UNITS
from inkstream.model.errors import ConfigError, DataError

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]
Optimiser = Literal["adamw", "muon"]

RECIPES: Final = Path(__file__).parent / "recipes"


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
    optimiser: Optimiser = dataclasses.field(
        default="adamw",
        metadata={"help": "optimiser of the hidden matrices; AdamW updates the rest"},
    )
    learning_rate: float = number(2.5e-3, 1e-7, 1, "highest learning rate")
    weight_decay: float = number(3e-3, 0, 1, "weight decay, on matrices only")
    warm_up: int = number(300, 1, 1_000_000, "first steps, while the rate rises: a fifth at most")
    hold: float = number(0, 0, 1, "share of the steps after which the rate falls to 0")
    ema: float = number(0.999, 0, 0.999999, "decay of the EMA weights, which are shipped")
    # execution
    seed: int = number(0, 0, 2**31 - 1, "random seed of weights, order, augmentation and dropout")
    # `auto` is bfloat16 on GPUs and with AMX.
    precision: Precision = dataclasses.field(
        default="auto", metadata={"help": "number format of matrix products"}
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, bounds = getattr(self, field.name), field.metadata
            if field.type is float:  # 5 and 5.0 must have one digest
                object.__setattr__(self, field.name, float(value))
            if "least" in bounds and not bounds["least"] <= value <= bounds["most"]:
                allowed = f"{bounds['least']:g}..{bounds['most']:g}"
                raise ConfigError(f"{field.name} is {value}, allowed: {allowed}")

    @classmethod
    def of(cls, options: Mapping[str, Any], source: object) -> Self:
        """Return the options of a recipe or run; raise `ConfigError` for unknown ones."""
        names = {field.name for field in dataclasses.fields(cls)}
        if unknown := ", ".join(sorted(options.keys() - names)):
            allowed = ", ".join(sorted(names))
            raise ConfigError(f"{source} has the option {unknown}, allowed: {allowed}")
        return cls(**options)

    @classmethod
    def of_recipe(cls, name: str) -> Self:
        """Return the options of a recipe."""
        recipe = read_recipe(name)
        return cls.of({"task": recipe["task"], **recipe["options"]}, f"the recipe of {name}")

    @property
    def digest(self) -> str:
        """SHA-256 of all options."""
        options = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(options.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class DigitsConfig(TrainingConfig):
    """Options of a classifier of images, and of its teacher, whose dimensions are fixed."""

    task: Literal["digits", "teacher"] = "digits"
    features: int = number(128, 1, MAX_UNITS, "outputs of the convolution")
    epochs: int = number(40, 1, 10_000, "times that each image is seen")
    steps: int = number(0, 0, 10_000_000, "batches at least, for few images")
    batch: int = number(256, 1, 65_536, "images in a batch")
    # data
    held_out: int = number(5_000, 1, 1_000_000, "training images kept for validation")
    distortion: float = number(1.0, 0, 5, "strength of the distortion of images")
    blank_share: float = number(0.25, 0, 1, "share of batches with blank columns beside a digit")
    rough: float = number(0.5, 0, 1, "share of images with the looks of paper and cameras")
    # loss
    teacher_share: float = number(0.5, 0, 1, "weight of the teacher's loss against the label's")


@dataclass(frozen=True, slots=True)
class LinesConfig(TrainingConfig):
    """Options of a transcriber. Shares are of the columns that are read, and need not sum to 1."""

    task: Literal["lines"] = "lines"
    column_height: int = number(32, 8, 256, "pixels in a column")
    channels: int = number(64, 2, MAX_CHANNELS // 2, "channels of convolutions; the first has half")
    steps: int = number(13_000, 1, 10_000_000, "batches")
    columns: int = number(9_200, 100, 1_000_000, "approximate number of columns in a batch")
    framewise: int = number(1_500, 0, 1_000_000, "first steps, which train frames on known letters")
    end_share: float = number(0.15, 0, 10, "weight of the loss on letter ends against CTC's")
    lateness: float = number(0, 0, 10, "nats that each step costs by which a letter comes late")
    strength: float = number(1.0, 0, 1, "augmentation strength")
    rough: float = number(0.55, 0, 1, "share of lines with the looks of paper and cameras")
    keep: float = number(0, 0, 1, "share of the initial weights in the result (WiSE-FT)")
    characters: float = number(7, 0, 100, "share of single characters")
    words: float = number(14, 0, 100, "share of words")
    text: float = number(9, 0, 100, "share of lines")
    made: float = number(9, 0, 100, "share of made-up words and lines")
    images: float = number(1.5, 0, 100, "share of numbers made of MNIST's images")
    scans: float = number(8, 0, 100, "share of lines on real paper, where there are some")
    western: float = number(0.5, 0, 1, "share of made-up texts in ten languages beside English")
    held_out: float = number(0.1, 0.01, 0.9, "share of your own data that is kept to measure with")


def read_recipe(name: str) -> dict[str, Any]:
    """Return the task, the options and the source files of a recipe."""
    return tomllib.loads((RECIPES / f"{name}.toml").read_text())


def find_sources(name: str, folder: Path) -> dict[str, list[Path]]:
    """Find the files that a recipe reads, at any depth of `folder`; return them by kind.

    Raises `DataError` if there is no such folder, or names the files that are not there.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder, expected one with the files of the recipe")
    names_of_kind: dict[str, list[str]] = read_recipe(name)["sources"]
    files = {path.name: path for path in sorted(folder.rglob("*"))}
    if missing := [file for names in names_of_kind.values() for file in names if file not in files]:
        raise DataError(f"{folder} has no {', '.join(missing)}, which the recipe of {name} reads")
    return {kind: [files[file] for file in names] for kind, names in names_of_kind.items()}


TEACHER: Final = DigitsConfig.of_recipe("teacher")  # of digits, before it
HAND: Final = LinesConfig.of_recipe("hand")
PRESETS: Final[dict[str, TrainingConfig]] = {
    "digits": DigitsConfig.of_recipe("digits"),
    "quick": DigitsConfig.of_recipe("quick"),
    "lines": LinesConfig.of_recipe("lines"),
    "hand": HAND,
}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where a run reads, computes and writes, and for how long; they do not change its result."""

    run: Path  # the run folder
    data: Path | None = None  # the user's images or ink; None is the data of the shipped models
    pen: Path | None = None  # pen digits as labelled ink, for a classifier
    paper: tuple[Path, ...] = ()  # archives of lines on real paper, for a transcriber
    letters: tuple[Path, ...] = ()  # single letters as labelled ink, for a transcriber
    init: Path | None = None  # a run folder or a checkpoint with the initial weights
    minutes: float | None = None  # stop and save after so long
    resume: bool = False  # continue the run in the folder
    device: Device = "auto"
    threads: int = 0  # of the processor; 0 leaves the choice to torch
    name: str | None = None  # of the model; None is that of its task

"""Keep a training run on disk: options, metrics as JSON lines, curve, state, checkpoint.

Files are written beside their place, synced, and renamed into it, so that a full disk or a power
cut leaves the last good file. Tensors lie in safetensors files: nothing is ever unpickled.
"""

import dataclasses
import fcntl
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import msgspec
import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from inkstream.model import plots
from inkstream.model.checkpoint import NAME, SUFFIX, Metadata
from inkstream.model.errors import DataError
from inkstream.model.export import export
from inkstream.model.files import write_whole
from inkstream.model.graphs.int8 import Ranges
from inkstream.model.network import CausalNet
from inkstream.model.training.config import RunOptions, TrainingConfig

# What a run folder holds, beside the checkpoint that is its result.
OPTIONS: Final = "options.json"  # of the run: resuming it needs none
CONFIGURATION: Final = "config.json"  # what decides the result: options, data, labels
STATE: Final = "state.safetensors"  # weights, optimisers and step: a run is resumed from it
NETWORK: Final = "network.safetensors"  # the weights that are the result so far
METRICS: Final = "metrics.jsonl"  # figures of each validation
CURVE: Final = "curve.png"  # of them
FLOAT32_FOLDER: Final = "float32"  # the same net in 32-bit numbers, the reference
TEACHER_FOLDER: Final = "teacher"  # the run of a classifier's teacher


class RunFolder:
    """The folder of one run.

    Raises `DataError` when the folder cannot be written or has another run.
    """

    def __init__(
        self, path: Path, configuration: Mapping[str, Any], name: str | None = None
    ) -> None:
        """Begin a run, or go on with that of the folder if it has saved a state.

        The model gets the name of its task if it is given none.
        """
        self.path, self.configuration = path, configuration
        self.name = name or configuration["config"]["task"]
        self.has_state = (path / STATE).is_file()
        if self.has_state:
            _refuse_changes(path, *map(_flat, (read_configuration(path), configuration)))
            return
        with self.locked() if path.is_dir() else nullcontext():
            _write(path / CONFIGURATION, json.dumps(configuration, indent=2).encode())
            (path / METRICS).unlink(missing_ok=True)  # of a run that left nothing else

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for this run; raise `DataError` if another run has locked it."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(f"{self.path} is in use: another run writes into it") from error
            yield
        finally:
            os.close(folder)

    def save(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Save the state after a step."""
        _write(self.path / STATE, safetensors.torch.save(_plain(tensors), {"step": str(step)}))

    def load(self) -> tuple[dict[str, Tensor], int]:
        """Return the last saved state and its step; drop the figures of steps that come again."""
        with _reading(self.path / STATE), safe_open(self.path / STATE, "pt") as file:
            step = int((file.metadata() or {})["step"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self._write_metrics([line for line in self.metrics() if line["step"] <= step])
        return tensors, step

    def record(self, figures: Mapping[str, Any], network: nn.Module) -> None:
        """Add the figures of a validation, draw them, and save the weights of which they are."""
        self._write_metrics([*self.metrics(), figures])
        _write(self.path / NETWORK, safetensors.torch.save(_plain(network.state_dict())))
        curve = plots.training_curve(self.metrics())
        curve.savefig(self.path / CURVE, dpi=plots.RESOLUTION)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the figures of all validations; raise `DataError` when they cannot be read."""
        file = self.path / METRICS
        with _reading(file):
            lines = file.read_text().splitlines() if file.exists() else []
            return [json.loads(line) for line in lines]

    def _write_metrics(self, lines: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        _write(self.path / METRICS, text.encode())

    def export(
        self,
        network: CausalNet,
        metrics: Mapping[str, float],
        temperatures: tuple[float, ...],
        ranges: Ranges | None,
        *,
        to: Path | None = None,
    ) -> Path:
        """Export a net as a checkpoint into the folder, or another; return its path.

        `ranges` are those of 8 bits; None exports a net of 32-bit numbers.
        """
        weights = _plain(network.state_dict())
        metadata = Metadata(
            name=self.name,
            version="11",  # of the recipe; a retrained net with other figures gets another one
            config=network.config,
            licence="Apache-2.0",
            data=self.configuration["data"],
            data_digest=self.configuration["data_digest"],
            config_digest=self.configuration["config_digest"],
            metrics=dict(metrics),
            parameters=sum(weight.numel() for weight in weights.values()),
            temperatures=temperatures,
        )
        path = (to or self.path) / f"{metadata.name}{SUFFIX}"
        path.parent.mkdir(exist_ok=True)
        export(path, {key: weights[key].numpy() for key in sorted(weights)}, metadata, ranges)
        return path


def _write(path: Path, content: bytes) -> None:
    """Write a file, and its folder if there is none; raise `DataError` if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Raise `DataError`, which names the file, for one that cannot be read or understood."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise DataError(f"{file} is damaged, or of another version: {error!r}") from error


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors on the CPU and contiguous (images may lie channels last)."""
    return {name: value.contiguous().cpu() for name, value in tensors.items()}


def _flat(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options and what else decides the result, by name; the digest follows of them."""
    others = {name: value for name, value in configuration.items() if name != "config_digest"}
    options: dict[str, Any] = others.pop("config")
    return options | others


def _refuse_changes(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `DataError` that names the changed values if there are some."""
    if changes := "; ".join(
        f"{name} was {before.get(name)!s:.60}, now {now.get(name)!s:.60}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ):
        raise DataError(
            f"cannot resume {path}: {changes} (give what it was begun with, or another folder with"
            " --run)"
        )


def read_configuration(path: Path) -> dict[str, Any]:
    """Read the configuration of a run folder; raise `DataError` when it cannot be read."""
    with _reading(path / CONFIGURATION):
        configuration: dict[str, Any] = json.loads((path / CONFIGURATION).read_bytes())
        configuration["config"]["task"], configuration["labels"]
        return configuration


def network_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights of a run that has some; raise `DataError` if they are damaged."""
    with _reading(path / NETWORK):
        return safetensors.torch.load_file(path / NETWORK)


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], source: object) -> None:
    """Load the weights of a source into a net; raise `DataError` if they are of another net."""
    given, expected = (
        {name: [*value.shape] for name, value in tensors.items()}
        for tensors in (weights, network.state_dict())
    )
    if wrong_weights := [
        f"{name} is {given.get(name, 'missing')}, expected {expected.get(name, 'none')}"
        for name in {**expected, **given}
        if given.get(name) != expected.get(name)
    ]:
        first, n_more = "; ".join(wrong_weights[:3]), len(wrong_weights) - 3
        more = f" and {n_more} more" if n_more > 0 else ""
        raise DataError(f"the weights of {source} are of another net: {first}{more}")
    network.load_state_dict(weights)


def keep_options(config: TrainingConfig, run: RunOptions) -> None:
    """Save the options of a new run.

    Raises `DataError` if the folder holds a run already, or no model can have the name.
    """
    if run.name is not None and not re.fullmatch(NAME, run.name):
        raise DataError(f"name is {run.name!r}, allowed: letters, digits, . - and _")
    if run.resume:
        return
    if saved_state(run.run) is not None:
        raise DataError(
            f"{run.run} holds a run already: resume it (--resume) or name another folder (--run)"
        )
    kept = {"run": dataclasses.asdict(run), "config": dataclasses.asdict(config)}
    _write(run.run / OPTIONS, json.dumps(kept, indent=2, default=str).encode())


def resumed(
    config: TrainingConfig, run: RunOptions, given: Collection[str]
) -> tuple[TrainingConfig, RunOptions]:
    """Return the saved options of a run to resume, and of `run` those that are given now.

    `given` are the names of the fields of both that are given. Other paths are allowed, since
    `RunFolder` checks their content. Raises `DataError` if there is no such run, or if given
    options of `config` were others.
    """
    file = run.run / OPTIONS
    if not file.exists():
        raise DataError(f"{run.run} has no {OPTIONS}: there is no run to resume (see --run)")
    with _reading(file):
        kept = json.loads(file.read_bytes())
        before: dict[str, Any] = kept["config"]
        now = dataclasses.asdict(config)
        _refuse_changes(run.run, before, before | {n: now[n] for n in now if n in {"task", *given}})
        values = kept["run"] | {"run": run.run}
        saved = msgspec.convert(values, RunOptions, dec_hook=lambda kind, value: kind(value))
        config = type(config).of(before, file)
    changed = {"minutes", "resume", *given}.intersection(dataclasses.asdict(run))
    return config, dataclasses.replace(saved, **{name: getattr(run, name) for name in changed})


def saved_state(run: Path) -> Path | None:
    """Return the file from which a run would be resumed: its own, or its teacher's."""
    states = (run / STATE, run / TEACHER_FOLDER / STATE)
    return next((state for state in states if state.is_file()), None)

"""Keep a training run on disk: options, metrics as JSON lines, curve, state, checkpoint.

Files are written beside their place, synced, and renamed into it, so that a full disk or a power
cut leaves the last good file. Tensors lie in safetensors files: nothing is ever unpickled.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from inkstream.model import plots
from inkstream.model.checkpoint import SUFFIX, Metadata
from inkstream.model.config import ModelConfig
from inkstream.model.errors import DataError
from inkstream.model.export import export
from inkstream.model.files import write_whole
from inkstream.model.graphs.int8 import Ranges
from inkstream.model.training.config import RunOptions, TrainingConfig

CONFIGURATION: Final = "config.json"
STATE: Final = "state.safetensors"
NETWORK: Final = "network.safetensors"
METRICS: Final = "metrics.jsonl"
CURVE: Final = "curve.png"
OPTIONS: Final = "options.json"
KEPT: Final = ("data", "pen", "paper", "teachers", "init", "device", "threads")  # run options
FLOAT32_FOLDER: Final = "float32"  # of the same net in 32-bit numbers, the reference
TEACHER_FOLDER: Final = "teacher"  # the folder of a teacher's run in that of its student
MAX_SHOWN: Final = 60  # characters of a value in a message
VERSION: Final = "9"  # of the recipe; a retrained net with other figures gets another one
LICENCE: Final = "Apache-2.0"


class RunFolder:
    """The folder of one run.

    Raises `DataError` when the folder cannot be written or has another run.
    """

    def __init__(self, path: Path, configuration: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        if resume:
            if not (path / STATE).is_file():
                raise DataError(f"{path} has no {STATE}: there is no run to resume")
            before, now = _flat(_configuration(path)), _flat(configuration)
            changed = [f"{name} {how}" for name, how in _changes(before, now, before | now).items()]
            if changed:
                raise DataError(
                    f"cannot resume {path}: {'; '.join(changed)} "
                    "(ask for what it was begun with, or name another folder)"
                )
        else:
            _make(path)
            (path / METRICS).unlink(missing_ok=True)  # of a run that left nothing else
        _write(path / CONFIGURATION, json.dumps(configuration, indent=2).encode())

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
        _write(self.path / STATE, _packed(tensors, {"step": str(step)}))

    def load(self) -> tuple[dict[str, Tensor], int]:
        """Return the last saved state and its step."""
        try:
            with safe_open(self.path / STATE, "pt") as file:
                step = int((file.metadata() or {})["step"])
                return {name: file.get_tensor(name) for name in file.keys()}, step  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError) as error:
            raise DataError(f"{self.path / STATE} is damaged: {error}") from error

    def save_network(self, tensors: Mapping[str, Tensor]) -> None:
        """Save the weights that are the result so far."""
        _write(self.path / NETWORK, _packed(tensors))

    def log(self, values: Mapping[str, Any]) -> None:
        """Append one line of metrics."""
        self._write_metrics([*self.metrics(), values])

    def forget_after(self, step: int) -> None:
        """Drop the metrics of later steps, which are repeated after the saved state."""
        self._write_metrics([line for line in self.metrics() if line["step"] <= step])

    def metrics(self) -> list[dict[str, Any]]:
        """Return all lines of metrics; raise `DataError` when they cannot be read."""
        file = self.path / METRICS
        try:
            lines = file.read_text().splitlines() if file.exists() else []
            return [json.loads(line) for line in lines]
        except (OSError, ValueError) as error:
            raise DataError(f"{file} is damaged: {error}") from error

    def newest(self) -> dict[str, Any]:
        """Return the last line of metrics; raise `DataError` when there is none."""
        lines = self.metrics()
        if not lines:
            raise DataError(f"{self.path / METRICS} has no figures: they are lost")
        return lines[-1]

    def _write_metrics(self, lines: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        _write(self.path / METRICS, text.encode())

    def draw_curve(self) -> None:
        """Draw the validation error so far into curve.png."""
        figure = plots.training_curve(self.metrics())
        figure.savefig(self.path / CURVE, dpi=plots.RESOLUTION)

    def export(
        self,
        name: str,
        config: ModelConfig,
        metrics: Mapping[str, float],
        temperatures: tuple[float, ...],
        ranges: Ranges | None,
        *,
        to: Path | None = None,
    ) -> Path:
        """Export the run's net as a checkpoint into the folder, or another; return its path.

        `ranges` are those of 8 bits; None exports a net of 32-bit numbers.
        """
        configuration = _configuration(self.path)
        weights = network_weights(self.path)
        metadata = Metadata(
            name=name,
            version=VERSION,
            config=config,
            licence=LICENCE,
            data=configuration["data"],
            data_digest=configuration["data_digest"],
            config_digest=configuration["config_digest"],
            metrics=dict(metrics),
            parameters=sum(weight.numel() for weight in weights.values()),
            temperatures=temperatures,
        )
        folder = to or self.path
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}{SUFFIX}"
        export(path, {key: value.numpy() for key, value in weights.items()}, metadata, ranges)
        return path


def _make(path: Path) -> None:
    """Make a run folder; raise `DataError` if that fails, or if it holds another run."""
    if (path / STATE).exists():
        raise DataError(
            f"{path} holds a run already: resume it (--resume) or name another folder (--run)"
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"run folder {path} cannot be made: {error.strerror}") from error


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error


def _configuration(path: Path) -> dict[str, Any]:
    """Read the configuration of a run folder; raise `DataError` when it cannot be read."""
    try:
        configuration: dict[str, Any] = json.loads((path / CONFIGURATION).read_bytes())
        configuration["config"]["task"], configuration["labels"]
    except OSError as error:
        raise DataError(f"{path / CONFIGURATION} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path / CONFIGURATION} is damaged: {error!r}") from error
    return configuration


def _flat(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that decides a run in one level; without the digest, which adds nothing."""
    others = {name: value for name, value in configuration.items() if name != "config_digest"}
    return {**others.pop("config", {}), **others}


def _changes(
    before: Mapping[str, Any], now: Mapping[str, Any], names: Iterable[str]
) -> dict[str, str]:
    """Return which values differ, and how, by name."""
    return {
        name: f"was {str(before.get(name))[:MAX_SHOWN]}, now {str(now.get(name))[:MAX_SHOWN]}"
        for name in names
        if before.get(name) != now.get(name)
    }


def _packed(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Serialise tensors, on the CPU and contiguous (images may lie channels last)."""
    plain = {name: value.contiguous().cpu() for name, value in tensors.items()}
    return safetensors.torch.save(plain, metadata)


def network_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights of a run that has some; raise `DataError` if they are damaged."""
    try:
        return safetensors.torch.load_file(path / NETWORK)
    except SafetensorError as error:
        raise DataError(f"{path / NETWORK} is damaged: {error}") from error


def finished_run(path: Path, task: str) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """Return the configuration of a run of `task`, its weights and the SHA-256 of their file.

    Raises `DataError` if it is none, or has no weights.
    """
    if not (path / NETWORK).is_file():
        raise DataError(f"{path} has no {NETWORK}: train it first")
    configuration = _configuration(path)
    found = configuration["config"]["task"]
    if found != task:
        raise DataError(f"{path} holds a run of {found}, expected one of {task}")
    digest = hashlib.sha256((path / NETWORK).read_bytes()).hexdigest()
    return configuration, network_weights(path), digest


# The options of a run, so that resuming it needs none


def keep_options(config: TrainingConfig, run: RunOptions) -> None:
    """Save the options of a new run before any data is read; raise `DataError` if that fails."""
    if run.resume:
        return
    _make(run.run)
    values = {name: getattr(run, name) for name in KEPT}
    kept = {"run": values, "config": dataclasses.asdict(config)}
    _write(run.run / OPTIONS, json.dumps(kept, indent=2, default=str).encode())


def resumed(
    config: TrainingConfig, run: RunOptions, given: Collection[str]
) -> tuple[TrainingConfig, RunOptions]:
    """Return the options of a run to resume: the saved ones, and those that may change.

    Args:
        config: the options that are given now, and defaults.
        run: likewise; given paths replace the saved ones, and `RunFolder` checks their content.
        given: names of the fields of both that are given now.

    Raises `DataError` that names every changed option.
    """
    file = run.run / OPTIONS
    if not file.exists():
        raise DataError(f"{run.run} has no {OPTIONS}: there is no run to resume (see --run)")
    try:
        kept = json.loads(file.read_bytes())
        begun: dict[str, Any] = kept["config"]
        found = {name: value for name, value in kept["run"].items() if name not in given}
        changed = [f"it is a run of: inkstream train {begun['task']}"]
        if begun["task"] == config.task:
            before = type(config)(**begun)
            names = [name for name in begun if name in given]
            changes = _changes(begun, dataclasses.asdict(config), names)
            changed = [f"--{name.replace('_', '-')} {how}" for name, how in changes.items()]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{file} is damaged, or of another version: {error}") from error
    if changed:
        raise DataError(
            f"cannot resume {run.run}: {'; '.join(changed)} (leave that out, or name another folder"
            " with --run)"
        )
    for name in ("data", "pen", "init"):
        if found.get(name) is not None:
            found[name] = Path(found[name])
    for name in ("paper", "teachers"):
        if name in found:
            found[name] = tuple(map(Path, found[name]))
    return before, dataclasses.replace(run, **found)


def saved_state(run: Path) -> Path | None:
    """Return the file from which a run would be resumed: its own, or its teacher's."""
    for folder in (run, run / TEACHER_FOLDER):
        if (folder / STATE).is_file():
            return folder / STATE
    return None

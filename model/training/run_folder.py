"""The folder of a training run: configuration, metrics as JSON lines, curve, and the saved state.

Everything is written beside its place, synced, and renamed into it, so that a full disk or a power
cut leaves the last good file. Tensors lie in safetensors files: nothing is ever unpickled.
"""

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from inkstream.model import plots
from inkstream.model.checkpoint import write_whole
from inkstream.model.errors import DataError

CONFIGURATION = "config.json"
STATE = "state.safetensors"
NETWORK = "network.safetensors"
METRICS = "metrics.jsonl"
CURVE = "curve.png"
LONGEST_VALUE = 60  # characters of a value in a message


def _configuration(path: Path) -> dict[str, Any]:
    """What is written in a run folder; raises `DataError` when it cannot be read."""
    try:
        configuration: dict[str, Any] = json.loads((path / CONFIGURATION).read_bytes())
        configuration["knobs"]["task"], configuration["labels"]
    except OSError as error:
        raise DataError(f"{path / CONFIGURATION} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path / CONFIGURATION} is damaged: {error!r}") from error
    return configuration


def _flat(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a run, each knob by itself; their digest says nothing more."""
    others = {name: value for name, value in configuration.items() if name != "config_digest"}
    return {**others.pop("knobs", {}), **others}


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


class RunFolder:
    """One run on disk; raises `DataError` when the folder can't be written or fits no such run."""

    def __init__(self, path: Path, configuration: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"run folder {path} cannot be made: {error.strerror}") from error
        file = path / CONFIGURATION
        if resume:
            if not (path / STATE).is_file():
                raise DataError(f"{path} has no {STATE}: there is no run to resume")
            self._check(_configuration(path), configuration)
        elif (path / STATE).exists():
            raise DataError(
                f"{path} holds a run already: resume it (--resume) or name another folder"
            )
        else:
            (path / METRICS).unlink(missing_ok=True)  # of a run that left nothing else
        self._write(file, json.dumps(configuration, indent=2).encode())

    def _check(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        then, here = _flat(before), _flat(now)
        if here["cycles"] > then.get("cycles", math.inf):  # a run may go on beyond its end
            then["cycles"] = here["cycles"]
        changed = [
            f"{name} was {_short(then.get(name))}, now {_short(here.get(name))}"
            for name in then | here
            if then.get(name) != here.get(name)
        ]
        if changed:
            raise DataError(
                f"cannot resume {self.path}: {'; '.join(changed)} "
                "(ask for what it was begun with, or name another folder)"
            )

    @contextmanager
    def held(self) -> Iterator[None]:
        """While it lasts the folder is this run's alone; raises `DataError` if it is another's."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(f"{self.path} is in use: another run writes into it") from error
            yield
        finally:
            os.close(folder)

    def save(self, tensors: Mapping[str, Tensor], place: Mapping[str, int]) -> None:
        """Keep all that `load` needs to go on exactly."""
        self._write(self.path / STATE, _packed(tensors, {key: str(place[key]) for key in place}))

    def load(self) -> tuple[dict[str, Tensor], dict[str, int]]:
        """What `save` kept last."""
        try:
            with safe_open(self.path / STATE, "pt") as file:
                place = {name: int(value) for name, value in (file.metadata() or {}).items()}
                return {name: file.get_tensor(name) for name in file.keys()}, place  # noqa: SIM118
        except SafetensorError as error:
            raise DataError(f"{self.path / STATE} is damaged: {error}") from error

    def save_network(self, tensors: Mapping[str, Tensor]) -> None:
        """Keep the weights that the run is for (the moving average)."""
        self._write(self.path / NETWORK, _packed(tensors))

    def log(self, values: Mapping[str, Any]) -> None:
        """Append one line of metrics."""
        self._write_metrics([*self.metrics(), values])

    def forget_after(self, step: int) -> None:
        """Drop the metrics of steps that the saved state does not know: they come again."""
        self._write_metrics([line for line in self.metrics() if line["step"] <= step])

    def metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics so far; raises `DataError` when they cannot be read."""
        file = self.path / METRICS
        try:
            lines = file.read_text().splitlines() if file.exists() else []
            return [json.loads(line) for line in lines]
        except (OSError, ValueError) as error:
            raise DataError(f"{file} is damaged: {error}") from error

    def newest(self) -> dict[str, Any]:
        """The last line of metrics; raises `DataError` when there is none."""
        lines = self.metrics()
        if not lines:
            raise DataError(f"{self.path / METRICS} has no figures: they are lost")
        return lines[-1]

    def _write_metrics(self, lines: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        self._write(self.path / METRICS, text.encode())

    def draw_curve(self) -> None:
        """Draw the held-out error so far into curve.png."""
        figure = plots.training_curve(self.metrics())
        figure.savefig(self.path / CURVE, dpi=plots.RESOLUTION)

    def _write(self, path: Path, content: bytes) -> None:
        try:
            write_whole(path, content)
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror}") from error


def _packed(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """As safetensors wants them: on the CPU, in plain order (images may lie channels last)."""
    plain = {name: value.contiguous().cpu() for name, value in tensors.items()}
    return safetensors.torch.save(plain, metadata)


def configuration_of(path: Path, task: str) -> dict[str, Any]:
    """What decided the result of a finished run of `task`; raises `DataError` if it is none."""
    if not (path / NETWORK).is_file():
        raise DataError(f"{path} has no {NETWORK}: train it first")
    configuration = _configuration(path)
    found = configuration["knobs"]["task"]
    if found != task:
        raise DataError(f"{path} holds a run of {found}, expected one of {task}")
    return configuration


def network_weights(path: Path) -> dict[str, Tensor]:
    """The weights that a finished run left; raises `DataError` when there are none."""
    file = path / NETWORK
    if not file.is_file():
        raise DataError(f"{path} has no {NETWORK}: train it first")
    try:
        return safetensors.torch.load_file(file)
    except SafetensorError as error:
        raise DataError(f"{file} is damaged: {error}") from error


def network_digest(path: Path) -> str:
    """SHA-256 of the weights that a finished run left."""
    network_weights(path)
    return hashlib.sha256((path / NETWORK).read_bytes()).hexdigest()

"""A trained net as one file: an ONNX graph, what is known about it, and a digest of both.

The file is an ordinary ONNX model. Its metadata property `inkstream` holds `Metadata` as JSON; a
property `inkstream.sha256` closes the file and holds the SHA-256 of every byte before it (protobuf
lets a field be appended). `read` checks the digest before anything parses the file, so a truncated
file and a changed byte are found first; then ONNX Runtime loads the graph and gives the
metadata. Nothing is unpickled.

`export.py` writes checkpoints; `runtime.py` runs them.
"""

import dataclasses
import hashlib
import json
import math
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from inkstream.model.config import OPSET, Kind, ModelConfig
from inkstream.model.errors import CheckpointError, ConfigError
from inkstream.model.files import read_whole

# ONNX Runtime sends usage data to its maker unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort  # type: ignore[import-untyped]
from onnxruntime.capi import (  # type: ignore[import-untyped]
    onnxruntime_pybind11_state as ort_errors,
)

FORMAT: Final = 1  # of the metadata and of the graph's inputs and outputs
SUFFIX: Final = ".onnx"
WEIGHTS_FOLDER: Final = Path(__file__).parent / "weights"
FIGURES: Final = WEIGHTS_FOLDER / "figures.json"
METADATA_KEY: Final = "inkstream"
MAX_BYTES: Final = (1 << 31) - 1  # of a file: protobuf holds no more
NAME: Final = r"[\w.-]+"  # of a model
_NAMED: Final = re.compile(f"({NAME})=(.+)")
_DIGEST_LENGTH: Final = 64
# The protobuf of the last property, up to its value: field 14 of a ModelProto, a message of 84
# bytes whose field 1 is the key, of 16 bytes, and whose field 2 is the digest, of 64.
_SEAL: Final = b"\x72\x54\x0a\x10inkstream.sha256\x12\x40"
# What ONNX Runtime raises for a model that it cannot run; they share no base but Exception.
MODEL_ERRORS: Final = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known about a net; all of it is in the file and may be shown to anyone."""

    name: str
    version: str
    config: ModelConfig  # kind, labels and dimensions
    licence: str  # of the weights
    data: str  # name of the training data
    data_digest: str  # SHA-256 of the training data
    config_digest: str  # SHA-256 of the training's configuration
    metrics: dict[str, float]  # measured figures, by name
    parameters: int  # trained numbers
    # A classifier's by columns since the first ink, the last one for all that follow; a
    # transcriber's two, of its labels and of its letter ends.
    temperatures: tuple[float, ...]
    opset: int = OPSET
    format: int = FORMAT

    def __post_init__(self) -> None:
        if not self.temperatures or not all(0 < t < math.inf for t in self.temperatures):
            raise ConfigError(f"temperatures are {self.temperatures}, expected positive numbers")

    def to_json(self) -> str:
        """Return the text that lies in the file; `from_json` reads it back."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Metadata":
        """Read `to_json`'s text; raise `CheckpointError` if it is anything else."""
        try:
            if len(text) > (limit := 1 << 20):
                raise ValueError(f"{len(text)} characters, allowed: up to {limit}")
            values = msgspec.json.decode(text)
            for name, readable in (("format", FORMAT), ("opset", OPSET)):
                if values[name] != readable:
                    raise CheckpointError(
                        f"{name} is {values[name]!r}, this version reads {readable}"
                    )
            config = ModelConfig.from_dict(values["config"])
            return msgspec.convert(values | {"config": config}, cls)
        except (
            ValueError, TypeError, KeyError, AttributeError, RecursionError, ConfigError,
        ) as error:  # fmt: skip
            raise CheckpointError(f"its metadata cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint whose digest and metadata were found right, loaded by ONNX Runtime."""

    path: Path
    metadata: Metadata
    content: bytes = dataclasses.field(repr=False)  # of the file, an ONNX model
    session: ort.InferenceSession = dataclasses.field(repr=False, compare=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the file up to its seal, in hexadecimal: it names this very net."""
        return self.content[-_DIGEST_LENGTH:].decode()

    @property
    def metrics(self) -> dict[str, float]:
        """Measured figures: the metadata's, and of shipped nets the reports'."""
        return self.metadata.metrics | _reported().get(self.digest, {})


@cache
def _reported() -> dict[str, dict[str, float]]:
    """Return the reports' figures of shipped nets, by digest; `make tools.figures` writes them."""
    figures: dict[str, dict[str, float]] = json.loads(FIGURES.read_bytes())
    return figures


def open_model(model: str | Path, folder: Path | None = None, threads: int = 1) -> Checkpoint:
    """Find and read a model that is given as `find` takes it, or as NAME=PATH.

    It is called by that name, or by the one by which it was sought; one that is sought by its path
    is called as its metadata say. Raises `CheckpointError` as `find` and `read`.
    """
    named = _NAMED.fullmatch(str(model))
    name, path = named.groups() if named else (str(model), model)
    checkpoint = read(find(path, folder), threads=threads)
    if named is None and _is_path(Path(model)):
        return checkpoint
    metadata = dataclasses.replace(checkpoint.metadata, name=name)
    return dataclasses.replace(checkpoint, metadata=metadata)


def _is_path(path: Path) -> bool:
    return path.suffix == SUFFIX or len(path.parts) > 1


def find(name_or_path: str | Path, folder: Path | None = None) -> Path:
    """Return the file of a model: a name is sought in `folder`, then among the shipped ones.

    What holds a path separator or ends in `.onnx` is a path: of a file, or of a folder with one
    model in it, such as that of a finished run. In `folder` a name may be that of such a folder.
    Raises `CheckpointError` that lists the known names if there is no such file.
    """
    path, folders = Path(name_or_path), [folder or WEIGHTS_FOLDER, WEIGHTS_FOLDER]
    is_path = _is_path(path)
    candidates = [path] if is_path else [home / f"{path}{SUFFIX}" for home in folders]
    if file := next(filter(Path.is_file, candidates), None):
        return file
    if folder is not None and not is_path and (folder / path).is_dir():
        path = folder / path
    if path.is_dir():
        models = sorted(path.glob(f"*{SUFFIX}"))
        if not models:
            text = f"no model in {path}: a training run writes it when it is finished"
            raise CheckpointError(text)
        if len(models) > 1:
            text = f"{path} holds {len(models)} models: name one, such as {models[0]}"
            raise CheckpointError(text)
        return models[0]
    if is_path:
        raise CheckpointError(f"no such file: {path}")
    known = sorted({file.stem for home in folders for file in home.glob(f"*{SUFFIX}")})
    raise CheckpointError(f"no model {str(name_or_path)!r}, known: {', '.join(known) or 'none'}")


def read(path: Path, kind: Kind | None = None, threads: int = 1) -> Checkpoint:
    """Read and verify a checkpoint, and load its graph for runs of so many threads.

    Raises `CheckpointError`, which says what is wrong with the file, also for another kind of net
    than `kind`.
    """
    try:
        content = read_whole(path, MAX_BYTES)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    try:
        _verify(content)
        session = load_graph(content, threads)
        properties = session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in properties:
            raise CheckpointError(f"its metadata lacks {METADATA_KEY!r}")
        metadata = Metadata.from_json(properties[METADATA_KEY])
        if kind is not None and metadata.config.kind != kind:
            raise CheckpointError(f"it is a {metadata.config.kind}, expected a {kind}")
        return Checkpoint(path, metadata, content, session)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from error


def _verify(content: bytes) -> None:
    """Raise `CheckpointError` unless the file is sealed and its digest is that of its bytes."""
    seal_start = len(content) - _DIGEST_LENGTH - len(_SEAL)
    if seal_start < 0 or content[seal_start:-_DIGEST_LENGTH] != _SEAL:
        if b"\x12\x09inkstream" in content[:32]:  # field 2 of a ModelProto: its producer
            raise CheckpointError("its end is missing or damaged: copy or download it again")
        raise CheckpointError(f"not an inkstream checkpoint, it starts with {content[:16]!r}")
    expected = content[-_DIGEST_LENGTH:]
    digest = hashlib.sha256(memoryview(content)[:seal_start]).hexdigest()
    if digest.encode() != expected:
        raise CheckpointError(
            f"damaged: SHA-256 is {digest[:16]}..., "
            f"expected {expected[:16].decode('ascii', 'replace')}...: copy or download it again"
        )


def sealed(body: bytes) -> bytes:
    """Return an encoded ONNX model with the digest of its bytes behind it."""
    return body + _SEAL + hashlib.sha256(body).hexdigest().encode()


def load_graph(
    content: bytes, threads: int, weights_folder: Path | None = None
) -> ort.InferenceSession:
    """Load a graph; raise `CheckpointError` if ONNX Runtime cannot.

    Weights may lie in files in `weights_folder`. These are mapped, and most weights are used where
    they are: convolutions keep the layout of the file, which makes them a quarter slower.

    One thread by default and no spinning: the event loop shares the machine with the net. Without
    arena and memory patterns nothing stays allocated after a large batch, and no plan is kept for
    each of the many shapes that come; measured, a step takes as long as with them.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # The digest of a checkpoint covers no other file, so its weights may not lie in one.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path",
        str(weights_folder or f"{os.devnull}/none"),
    )
    if weights_folder is not None:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 4  # only fatal errors: what else it writes, ours say too
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except MODEL_ERRORS as error:
        text = f"ONNX Runtime {ort.__version__} refuses it: {one_line(error)}"
        raise CheckpointError(text) from error


def one_line(error: Exception) -> str:
    """Return what an error of ONNX Runtime says, without its line breaks and shortened."""
    return " ".join(str(error).split())[:300]


def describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return plain values of everything that is known about it, for JSON and for tables."""
    values: dict[str, Any] = json.loads(checkpoint.metadata.to_json())
    return values | {"metrics": checkpoint.metrics}

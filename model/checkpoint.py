"""A trained net as one file: an ONNX graph, what is known about it, and a digest of both.

The file is an ordinary ONNX model. Its metadata property `inkstream` holds `Metadata` as JSON; a
property `inkstream.sha256` closes the file and holds the SHA-256 of every byte before it (protobuf
lets a field be appended), so a truncated file and a changed byte are found before the graph is
parsed. Nothing is unpickled.
"""

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import OPSET, Kind, ModelConfig
from inkstream.model.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    import onnx

FORMAT: Final = 1  # of the metadata and of the graph's inputs and outputs
SUFFIX: Final = ".onnx"
WEIGHTS_FOLDER: Final = Path(__file__).parent / "weights"
FIGURES: Final = WEIGHTS_FOLDER / "figures.json"

_PROPERTY: Final = b"inkstream"
_PRODUCER: Final = b"\x12\x09inkstream"  # field 2 of a ModelProto
_METADATA_FIELD: Final = 14  # of a ModelProto: a list of StringStringEntryProto {1: key, 2: value}
_DIGEST_LENGTH: Final = 64


def _entry(key: bytes, value: bytes) -> bytes:
    """A metadata property, encoded as protobuf; what is inside must be shorter than 128 bytes."""
    inside = bytes([0x0A, len(key)]) + key + bytes([0x12, len(value)]) + value
    return bytes([_METADATA_FIELD << 3 | 2, len(inside)]) + inside


_SEAL: Final = _entry(b"inkstream.sha256", b"0" * _DIGEST_LENGTH)[:-_DIGEST_LENGTH]


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
        """The text that lies in the file; `from_json` reads it back."""
        return json.dumps(dataclasses.asdict(self) | {"config": self.config.to_dict()})

    @classmethod
    def from_json(cls, text: str | bytes) -> "Metadata":
        """Read `to_json`'s text; raises `CheckpointError` if it is anything else."""
        try:
            values = json.loads(text)
            for name, readable in (("format", FORMAT), ("opset", OPSET)):
                if values[name] != readable:
                    raise CheckpointError(
                        f"{name} is {values[name]!r}, this version reads {readable}"
                    )
            config = ModelConfig.from_dict(values.pop("config"))
            temperatures = tuple(map(float, values.pop("temperatures")))
            return cls(config=config, temperatures=temperatures, **values)
        except (ValueError, TypeError, KeyError, AttributeError, ConfigError) as error:
            raise CheckpointError(f"its metadata cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint file whose digest and metadata were found right; `content` is the ONNX model."""

    path: Path
    metadata: Metadata
    content: bytes = dataclasses.field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the file up to its seal, in hexadecimal: it names this very net."""
        return self.content[-_DIGEST_LENGTH:].decode()

    @property
    def metrics(self) -> dict[str, float]:
        """Measured figures: what training held out tells, and of shipped nets the reports."""
        return self.metadata.metrics | _reported().get(self.digest, {})


@cache
def _reported() -> dict[str, dict[str, float]]:
    """The reports' figures of shipped nets, by digest; `make figures` writes them."""
    figures: dict[str, dict[str, float]] = json.loads(FIGURES.read_bytes())
    return figures


def find(name_or_path: str | Path, folder: Path | None = None) -> Path:
    """The file of a model: a name is sought in `folder`, then among the shipped ones.

    What holds a path separator or ends in `.onnx` is a path and stands for itself. Raises
    `CheckpointError` that lists the known names if there is no such file.
    """
    path = Path(name_or_path)
    if path.suffix == SUFFIX or len(path.parts) > 1:
        if not path.is_file():
            raise CheckpointError(f"no such file: {path}")
        return path
    folders = [WEIGHTS_FOLDER] if folder is None else [folder, WEIGHTS_FOLDER]
    for place in folders:
        if (file := place / f"{name_or_path}{SUFFIX}").is_file():
            return file
    known = sorted({file.stem for place in folders for file in place.glob(f"*{SUFFIX}")})
    raise CheckpointError(f"no model {str(name_or_path)!r}, known: {', '.join(known) or 'none'}")


def read(path: Path, kind: Kind | None = None) -> Checkpoint:
    """Read and verify a checkpoint, of any kind or of the one that is needed.

    Raises `CheckpointError` that says what is wrong with it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    try:
        _verify(content)
        metadata = Metadata.from_json(_property(content, _PROPERTY))
        if kind is not None and metadata.config.kind != kind:
            raise CheckpointError(f"it is a {metadata.config.kind}, expected a {kind}")
        return Checkpoint(path, metadata, content)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from error


def _verify(content: bytes) -> None:
    """Raise `CheckpointError` unless the file is sealed and its digest is that of its bytes."""
    seal_start = len(content) - _DIGEST_LENGTH - len(_SEAL)
    if seal_start < 0 or content[seal_start:-_DIGEST_LENGTH] != _SEAL:
        if _PRODUCER in content[:32]:
            raise CheckpointError("its end is missing or damaged: copy or download it again")
        raise CheckpointError(f"not an inkstream checkpoint, it starts with {content[:16]!r}")
    expected = content[-_DIGEST_LENGTH:]
    found = hashlib.sha256(memoryview(content)[:seal_start]).hexdigest().encode()
    if found != expected:
        raise CheckpointError(
            f"damaged: SHA-256 is {found[:16].decode()}..., "
            f"expected {expected[:16].decode('ascii', 'replace')}...: copy or download it again"
        )


def _property(content: bytes, key: bytes) -> bytes:
    """The value of one metadata property of an encoded ModelProto."""
    for field, entry in _fields(memoryview(content)):
        if field == _METADATA_FIELD:
            pair = dict(_fields(entry))
            if bytes(pair.get(1, b"")) == key:
                return bytes(pair.get(2, b""))
    raise CheckpointError(f"its metadata lacks {key.decode()!r}")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of the length-delimited fields of a protobuf message, in order."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        length, wire_type = 0, tag & 7
        if wire_type == 0:
            _, position = _varint(message, position)
        elif wire_type == 2:
            length, position = _varint(message, position)
            yield tag >> 3, message[position : position + length]
        else:
            raise CheckpointError(f"not an ONNX model: wire type {wire_type} at byte {position}")
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """A base-128 number, least significant group first, and the position after it."""
    value = shift = 0
    while position < len(message):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
    raise CheckpointError("not an ONNX model: it ends within a number")


def export(path: Path, weights: Mapping[str, NDArray[np.float32]], metadata: Metadata) -> None:
    """Write a checkpoint; an older one at `path` is replaced only when the new one is on the disk.

    Args:
        path: where the file goes.
        weights: the net's `state_dict()` as arrays.
        metadata: its `config` gives the dimensions, its `temperatures` the calibration.

    Raises:
        CheckpointError: the weights do not fit the dimensions or are not finite.
        OSError: the file cannot be written.
    """
    _check_weights(weights, metadata.config)
    model = build_graph(metadata.config, weights, metadata.temperatures)
    model.metadata_props.add(key=_PROPERTY.decode(), value=metadata.to_json())
    body: bytes = model.SerializeToString(deterministic=True)
    write_whole(path, body + _SEAL + hashlib.sha256(body).hexdigest().encode())


def build_graph(
    config: ModelConfig, weights: Mapping[str, NDArray[np.float32]], temperatures: Sequence[float]
) -> "onnx.ModelProto":
    """The ONNX graph of a net of either kind; its metadata are not in it yet."""
    from inkstream.model import export as builders  # noqa: PLC0415 - needs onnx, not for serving

    build = (
        builders.build_transcriber if config.kind == "transcriber" else builders.build_classifier
    )
    return build(config, weights, temperatures)


def _check_weights(weights: Mapping[str, NDArray[np.float32]], config: ModelConfig) -> None:
    """Raise `CheckpointError` unless names, shapes and values are those of the config's net."""
    expected = config.weight_shapes()
    if wrong := weights.keys() ^ expected.keys():
        raise CheckpointError(f"weights are missing or unknown: {', '.join(sorted(wrong))}")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise CheckpointError(f"{name} is {weights[name].shape}, expected {shape}")
        if not np.isfinite(weights[name]).all():
            raise CheckpointError(f"{name} holds numbers that are not finite")


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write, flush to the disk, rename: `path` holds the old bytes or the new, never a part."""
    unfinished = path.with_name(path.name + ".part")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """Plain values of everything that is known about it, for JSON and for tables."""
    values: dict[str, Any] = json.loads(checkpoint.metadata.to_json())
    return values | {"metrics": checkpoint.metrics}

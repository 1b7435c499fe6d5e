"""The face of the library: load a net, read an image, or follow a stream column by column.

recognizer = load("digits")
print(recognizer.recognize("examples/7.png").label)
for result in recognizer.stream(columns):
    print(result.column, result.label)
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model import checkpoint as checkpoints
from model.checkpoint import Checkpoint, Metadata
from model.columns import digit_columns
from model.decode import ClassifierDecoder
from model.errors import InputError
from model.image import ImageSource
from model.runtime import Runtime

_STATE_MAGIC: Final = b"inkstream state 1\n"  # first line of a saved state


@dataclass(frozen=True, slots=True)
class Result:
    """What the net believes after one column."""

    column: int  # its index, from 0
    label: str  # the most probable one
    probabilities: dict[str, float]  # of all labels


@dataclass(frozen=True, slots=True, eq=False)
class Recognition:
    """What the net says of a whole image, and how it came to it."""

    label: str
    probabilities: dict[str, float]  # of all labels, after the last column
    columns: int  # how many were read
    curve: NDArray[np.float32]  # [T, K], the probabilities after every column


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where a stream stands. It never changes, so any number of streams may go on from it."""

    row: NDArray[np.float32] = field(repr=False)  # [D], as `ColumnLSTM` says
    columns: int  # read so far
    model: str  # digest of the checkpoint that it belongs to

    def save(self, path: str | Path) -> None:
        """Write the state to a file; raises `OSError` if that fails."""
        head = json.dumps({"model": self.model, "columns": self.columns}).encode()
        content = _STATE_MAGIC + head + b"\n" + self.row.astype("<f4").tobytes()
        checkpoints.write_whole(Path(path), content)

    @classmethod
    def load(cls, path: str | Path) -> "State":
        """Read what `save` wrote; raises `InputError` for anything else, `OSError` for no file."""
        magic, _, rest = Path(path).read_bytes().partition(b"\n")
        head, _, numbers = rest.partition(b"\n")
        if magic + b"\n" != _STATE_MAGIC:
            raise InputError(f"{path} is no saved state: it starts with {magic[:16]!r}")
        try:
            known = json.loads(head)
            row = np.frombuffer(numbers, "<f4").astype(np.float32)
            return cls(row, int(known["columns"]), str(known["model"]))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} is a damaged state: {error}") from error


class Stream(Iterator[Result]):
    """One writer's stream: iterate over the results of `columns`, or push columns one by one.

    `state` is where the stream stands after the newest result. Made by `Recognizer.stream`.
    """

    def __init__(self, runtime: Runtime, columns: Iterable[ArrayLike], state: State) -> None:
        self._runtime = runtime
        self._decoder = ClassifierDecoder(runtime.config.labels)
        self._columns = iter(columns)
        self.state = state

    def __next__(self) -> Result:
        return self.push(next(self._columns))

    def push(self, column: ArrayLike) -> Result:
        """Read one column of H whole numbers, 0 = paper and 255 = ink, top to bottom.

        Raises `InputError` for anything else; the stream then stands where it stood.
        """
        pixels = _pixels(column, self._runtime.config.column_height)
        scores, after = self._runtime.run(pixels[None, None], self.state.row[None])
        probabilities = self._decoder.step(scores[:, 0])[0]
        result = Result(
            self.state.columns,
            str(self._decoder.label),
            _by_label(self._runtime.config.labels, probabilities),
        )
        self.state = State(_frozen(after[0]), self.state.columns + 1, self.state.model)
        return result


class Recognizer:
    """A loaded net. Its streams are independent of each other and may run in several threads."""

    def __init__(self, checkpoint: Checkpoint, threads: int = 1) -> None:
        self._runtime = Runtime(checkpoint, threads)
        self._digest = checkpoint.digest

    @property
    def metadata(self) -> Metadata:
        """All that is known about the net."""
        return self._runtime.metadata

    @property
    def labels(self) -> tuple[str, ...]:
        """The K answers that it can give."""
        return self._runtime.config.labels

    @property
    def column_height(self) -> int:
        """H, the pixels of one column."""
        return self._runtime.config.column_height

    def recognize(self, image: ImageSource) -> Recognition:
        """Read one image of one character.

        Args:
            image: a path, the bytes of a file, a PIL image, or an array [h, w]; dark on light or
                light on dark, any size.

        Raises:
            ImageError: it cannot be read, or nothing is on it.
        """
        columns = digit_columns(image, self.column_height)  # [T, H]
        scores, _ = self._runtime.run(columns[:, None], self._runtime.initial_state(1))
        decoder = ClassifierDecoder(self.labels)
        curve = decoder.step(scores[:, 0])  # [T, K]
        return Recognition(
            str(decoder.label), _by_label(self.labels, curve[-1]), len(columns), curve
        )

    def stream(self, columns: Iterable[ArrayLike] = (), state: State | None = None) -> Stream:
        """Begin a stream, or go on from `state`.

        Args:
            columns: [T, H], or anything that gives one column of H whole numbers after the other;
                each is read when its result is asked for.
            state: of an earlier stream of the same net; streams that go on from one state fork.

        Raises:
            InputError: the state belongs to another net.
        """
        if state is None:
            row = self._runtime.initial_state(1)[0]
            state = State(_frozen(row), 0, self._digest)
        if state.model != self._digest or len(state.row) != self._runtime.config.state_size:
            raise InputError(
                f"state belongs to the net {state.model[:16]}, this one is {self._digest[:16]}"
            )
        return Stream(self._runtime, columns, state)


def load(name_or_path: str | Path = "digits", threads: int = 1) -> Recognizer:
    """Load a net by its name, or a checkpoint by its path.

    Raises `CheckpointError` if there is none, or it cannot be used.
    """
    return Recognizer(checkpoints.read(checkpoints.find(name_or_path)), threads)


def _pixels(column: ArrayLike, height: int) -> NDArray[np.uint8]:
    """One column as bytes, [H]; raises `InputError` saying what came."""
    try:
        pixels: NDArray[Any] = np.asarray(column)
    except ValueError as error:
        raise InputError(f"column is no row of numbers: {error}") from error
    if pixels.shape != (height,):
        raise InputError(f"column has shape {pixels.shape}, expected ({height},)")
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind not in "ui" or pixels.min() < 0 or pixels.max() > 255:
        raise InputError(f"column holds {pixels.dtype}, expected whole numbers 0..255")
    return pixels.astype(np.uint8)


def _by_label(labels: tuple[str, ...], probabilities: NDArray[np.float32]) -> dict[str, float]:
    return dict(zip(labels, map(float, probabilities), strict=True))


def _frozen(row: NDArray[np.float32]) -> NDArray[np.float32]:
    row.flags.writeable = False
    return row

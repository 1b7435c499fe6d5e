"""Run a net with ONNX Runtime: columns and states in, scores and states out.

A stream's state is a row of bytes: one behind the other all that the graph takes beside columns.

A transcriber takes two columns a step, but a stream's columns come one at a time, so one may wait
for its partner. A stream's state therefore holds, behind the net's own: the newest scores, [S]; the
column that waits; whether one waits; and whether there were scores before. The first column
of a pair repeats the scores before it; before any step all is blank.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.checkpoint import MODEL_ERRORS, Checkpoint, one_line
from inkstream.model.errors import CheckpointError, InputError

Scores = NDArray[np.float32]  # [T, B, S], see `Runtime.run`
States = NDArray[np.uint8]  # [B, D]
Columns = NDArray[np.uint8]  # [T, B, bytes of a column], 0 = paper, 255 = ink

IMPROBABLE: Final = -30.0  # log-probability of all but the blank before the first step

_TYPES: Final = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}


class Runtime:
    """One net, ready to run. It holds no stream's state, so any number of streams may share it.

    `run` may be called from any thread. Raises `CheckpointError` when the graph is not what the
    metadata promises.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.metadata = checkpoint.metadata
        self.config = config = checkpoint.metadata.config
        self._session = checkpoint.session
        parts = self._checked_parts(checkpoint.path.name)
        self._inputs = [name for name, *_ in parts]
        self._outputs = ["scores", *(f"{name}_after" for name in self._inputs)]
        if config.step_columns > 1:
            parts += [
                ("newest", np.float32, (config.n_scores,)),
                ("held", np.uint8, (config.column_size,)),
                ("waits", np.uint8, ()),
                ("answered", np.uint8, ()),
            ]
            self._before_any = np.full(config.n_scores, IMPROBABLE, np.float32)
            self._before_any[0] = 0  # blank, and no letter's end
        self._layout = np.dtype(parts)
        self.state_size = self._layout.itemsize  # D
        self._try(checkpoint.path.name)

    def _checked_parts(self, name: str) -> list[tuple[str, Any, tuple[int, ...]]]:
        """Return name, type and shape of the inputs that make up a stream's state.

        Raises `CheckpointError` for another graph.
        """
        config = self.config
        inputs, outputs = (
            {value.name: (value.type, list(value.shape)) for value in values}
            for values in (self._session.get_inputs(), self._session.get_outputs())
        )
        expected = {
            "columns": ("tensor(uint8)", ["T", "B", config.step_columns * config.column_size]),
            "scores": ("tensor(float)", ["T", "B", config.n_scores]),
        }
        parts: list[tuple[str, Any, tuple[int, ...]]] = []
        states = {part: value for part, value in inputs.items() if part != "columns"}
        for part, (kind, shape) in states.items():
            expected |= {part: (kind, ["B", shape[-1]]), f"{part}_after": (kind, ["B", shape[-1]])}
            if kind in _TYPES and isinstance(shape[-1], int):
                parts.append((part, _TYPES[kind], (shape[-1],)))
        if inputs | outputs != expected or not parts or len(parts) < len(states):
            raise CheckpointError(
                f"{name}: the graph takes and gives {inputs | outputs}, expected {expected}"
            )
        return parts

    def _try(self, name: str) -> None:
        """Run a step on paper; raise `CheckpointError` if that fails, or gives no finite scores."""
        config = self.config
        columns = np.zeros((1, 1, config.step_columns * config.column_size), np.uint8)
        try:
            scores, _ = self._run_net(columns, self.initial_state(1))
        except MODEL_ERRORS as error:
            raise CheckpointError(f"{name}: it cannot be run: {one_line(error)}") from error
        if scores.shape != (1, 1, config.n_scores) or not np.isfinite(scores).all():
            text = f"{name}: its scores of one column are no {config.n_scores} numbers"
            raise CheckpointError(text)

    def initial_state(self, batch: int) -> States:
        """Return states before any column, [B, D]: all zeros."""
        return np.zeros((batch, self.state_size), np.uint8)

    def run(self, columns: Columns, state: States) -> tuple[Scores, States]:
        """Read T columns in each of B streams, T and B at least 1.

        Args:
            columns: [T, B, H] or, where the net knows directions, [T, B, 3 H]; 0 = paper,
                255 = ink.
            state: [B, D], left as it is.

        Returns:
            Calibrated log-probabilities [T, B, S], and the states after [B, D]. A classifier gives
            the K of its labels, a transcriber those of the blank, of K labels, and of a letter end.

        Raises:
            InputError: a shape does not fit; ONNX Runtime itself aborts on an empty batch.
        """
        n_columns, batch, size = columns.shape
        if not n_columns or not batch:
            raise InputError(f"{n_columns} columns in {batch} streams, expected at least 1 in 1")
        if state.shape != (expected := (batch, self.state_size)):
            raise InputError(f"state has shape {state.shape}, expected {expected}")
        if size != self.config.column_size:
            raise InputError(f"columns have {size} bytes, expected {self.config.column_size}")
        if self.config.step_columns == 1:
            return self._run_net(columns, state)
        waits = self._fields(state)["waits"] > 0
        if waits.all() or not waits.any():
            return self._run_alike(columns, state, waiting=bool(waits[0]))
        scores, after = self._run_ragged_strided(list(columns.swapaxes(0, 1)), state)
        return np.stack(scores, 1), after

    def _fields(self, state: States) -> NDArray[Any]:
        """Return states [..., D] as records [...] of their parts, in the same memory."""
        return state.view(self._layout)[..., 0]

    def _run_net(self, columns: Columns, state: States) -> tuple[Scores, States]:
        """Read steps [T, B, .] in each of B streams; what is in a state beside the net's stays."""
        after = state.copy()
        streams = self._fields(after)
        inputs = {name: np.ascontiguousarray(streams[name]) for name in self._inputs}
        scores, *parts = self._session.run(self._outputs, {"columns": columns, **inputs})
        for name, values in zip(self._inputs, parts, strict=True):
            streams[name] = values
        return scores, after

    def run_ragged(
        self, columns: Sequence[NDArray[np.uint8]], state: States
    ) -> tuple[list[NDArray[np.float32]], States]:
        """Read columns [n_i, .] in each of B streams as `run` does; return scores [n_i, S] each.

        Nothing is padded (padding costs a full step of the net for each empty place): what all
        streams have is run together, then the rest of those that have more, and so on.
        """
        if not columns or len(columns) != len(state):
            raise InputError(
                f"{len(columns)} streams, {len(state)} states: expected one each, not 0"
            )
        lengths = {len(stream) for stream in columns}
        if 0 in lengths:
            raise InputError("a stream has 0 columns, expected at least 1")
        if len(lengths) == 1:
            scores, after = self.run(_side_by_side(columns), state)
            return [*scores.swapaxes(0, 1)], after
        if self.config.step_columns > 1:
            return self._run_ragged_strided(columns, state)
        return self._run_steps(columns, state)

    def _run_steps(
        self, steps: Sequence[NDArray[np.uint8]], state: States
    ) -> tuple[list[NDArray[np.float32]], States]:
        """Read steps [n_i, .] in each of B streams, n_i at least 0; return scores [n_i, S] each."""
        lengths = [len(stream) for stream in steps]
        scores = [np.empty((length, self.config.n_scores), np.float32) for length in lengths]
        after, start = state.copy(), 0
        for end in sorted({*lengths} - {0}):
            running = [i for i, length in enumerate(lengths) if length >= end]
            together = _side_by_side([steps[i][start:end] for i in running])
            answers, after[running] = self._run_net(together, after[running])
            for row, i in enumerate(running):
                scores[i][start:end] = answers[:, row]
            start = end
        return scores, after

    # The stride adapter: columns one by one for a net that takes several a step

    def _run_ragged_strided(
        self, columns: Sequence[NDArray[np.uint8]], state: States
    ) -> tuple[list[NDArray[np.float32]], States]:
        """Read columns as `run_ragged` does: all streams take their first step together, and so on.

        Columns that wait go before those of their streams.
        """
        stride, before = self.config.step_columns, self._fields(state)
        waits = before["waits"].tolist()
        whole = [
            np.concatenate([held[None], stream]) if waiting else stream
            for stream, held, waiting in zip(columns, before["held"], waits, strict=True)
        ]
        n_steps = [len(stream) // stride for stream in whole]
        steps = [
            stream[: n * stride].reshape(n, stride * stream.shape[1])
            for stream, n in zip(whole, n_steps, strict=True)
        ]
        answers, states_after = self._run_steps(steps, state)
        newest, after, scores = self._newest_scores(before), self._fields(states_after), []
        for i, (stream, n, answered) in enumerate(zip(whole, n_steps, answers, strict=True)):
            n_waiting = len(stream) - n * stride
            after["held"][i] = stream[-1] if n_waiting else 0
            after["waits"][i] = n_waiting
            if n:
                after["newest"][i], after["answered"][i] = answered[-1], 1
            # The first column of a step repeats the scores before it.
            known = np.concatenate([newest[i : i + 1], answered])
            first = 1 if waits[i] else 0  # of these columns among `whole`
            scores.append(known[(np.arange(first, len(stream)) + 1) // stride])
        return scores, states_after

    def _run_alike(
        self, columns: Columns, state: States, *, waiting: bool
    ) -> tuple[Scores, States]:
        """Read columns of streams that all have a column waiting, or none."""
        n_columns, batch, size = columns.shape
        stride = self.config.step_columns
        if waiting:
            columns = np.concatenate([self._fields(state)["held"][None], columns])  # [T + 1, B, .]
        n_steps, n_waiting = divmod(len(columns), stride)
        answers, states_after = np.empty((0, batch, self.config.n_scores), np.float32), state.copy()
        after = self._fields(states_after)
        if n_steps:
            whole = columns[: n_steps * stride].reshape(n_steps, stride, batch, size)
            steps = whole.swapaxes(1, 2).reshape(n_steps, batch, stride * size)
            answers, states_after = self._run_net(steps, state)  # [n_steps, B, S]
            after = self._fields(states_after)
            after["newest"], after["answered"] = answers[-1], 1
        after["held"] = columns[-1] if n_waiting else 0
        after["waits"] = n_waiting
        if waiting and n_columns == 1:
            return answers, states_after
        if not waiting:  # the first column repeats the scores before it
            answers = np.concatenate([self._newest_scores(self._fields(state))[None], answers])
        step_of_column = (np.arange(n_columns) + (not waiting)) // stride
        return answers[step_of_column], states_after

    def _newest_scores(self, streams: NDArray[Any], rows: Any = ...) -> Scores:
        """Return the scores [..., S] of the newest step of each stream, or of those in `rows`."""
        answered, newest = streams["answered"][rows], streams["newest"][rows]
        return np.where(answered[..., None] > 0, newest, self._before_any)

    def begins_step(self, state: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether the next columns of streams, states [..., D], only wait for their partners."""
        if self.config.step_columns == 1:
            return np.zeros(state.shape[:-1], np.bool_)
        begins: NDArray[np.bool_] = self._fields(state)["waits"] == 0
        return begins

    def hold(self, column: NDArray[np.uint8], state: NDArray[np.uint8], rows: Any = ...) -> Scores:
        """Read one column of each stream, which begins a step: that takes no run.

        `state` [..., D], or its `rows`, become those after the column. Returns the scores
        [..., 1, S]: those before it.
        """
        streams = self._fields(state)
        streams["held"][rows] = column
        streams["waits"][rows] = 1
        return self._newest_scores(streams, rows)[..., None, :]


def _side_by_side(columns: Sequence[NDArray[np.uint8]]) -> Columns:
    """Return columns [n, .] of B streams as [n, B, .]; faster than `np.stack` where n is 1."""
    return np.concatenate(columns).reshape(len(columns), *columns[0].shape).swapaxes(0, 1)

"""Runs a checkpoint with ONNX Runtime: columns and states in, scores and states out.

A net that takes two columns a step, answered column by column.

A session's columns come one at a time, so one may wait for its partner. A row of state therefore
holds, behind the net's own state: what the net said last, [S]; the column that waits, [H]; whether
one waits; and whether anything has been said. The first column of a pair repeats the answer before
it; before any answer all is blank.
"""

import os
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnxruntime.capi import (  # type: ignore[import-untyped]
    onnxruntime_pybind11_state as ort_errors,
)

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.config import STEP_COLUMNS, ModelConfig
from inkstream.model.errors import CheckpointError, InputError

# ONNX Runtime sends usage data to its maker unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


_OUTPUTS: Final = ["scores", "state_after"]

# What ONNX Runtime raises for a model that it cannot run; they share no base but Exception.
_MODEL_ERRORS: Final = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class Runtime:
    """One net, ready to run. It holds no stream's state, so any number of streams may share it.

    `run` may be called from any thread. Raises `CheckpointError` when the graph is not what the
    metadata promises.
    """

    def __init__(self, checkpoint: Checkpoint, threads: int = 1) -> None:
        self.metadata = checkpoint.metadata
        self.config = checkpoint.metadata.config
        try:
            self._session = ort.InferenceSession(
                checkpoint.content, _options(threads), providers=["CPUExecutionProvider"]
            )
        except _MODEL_ERRORS as error:
            raise CheckpointError(
                f"{checkpoint.path.name}: ONNX Runtime {ort.__version__} refuses it: {error}"
            ) from error
        self._check(checkpoint.path.name)

    def _check(self, name: str) -> None:
        """Raise `CheckpointError` unless inputs and outputs are those of the metadata."""
        config = self.config
        step = STEP_COLUMNS if config.kind == "transcriber" else 1
        state_size = sum(config.state_parts)
        expected = {
            "columns": ("tensor(uint8)", ["T", "B", step * config.column_height]),
            "state": ("tensor(float)", ["B", state_size]),
            "scores": ("tensor(float)", ["T", "B", config.n_scores]),
            "state_after": ("tensor(float)", ["B", state_size]),
        }
        found = {
            value.name: (value.type, list(value.shape))
            for value in (*self._session.get_inputs(), *self._session.get_outputs())
        }
        if found != expected:
            raise CheckpointError(f"{name}: the graph takes and gives {found}, expected {expected}")

    def initial_state(self, batch: int) -> NDArray[np.float32]:
        """States before any column, [B, D]: all zeros."""
        return np.zeros((batch, self.config.state_size), np.float32)

    def run(
        self, columns: NDArray[np.uint8], state: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Read T columns in each of B streams.

        Args:
            columns: [T, B, H], 0 = paper, 255 = ink; T and B at least 1.
            state: [B, D], left as it is.

        Returns:
            Calibrated log-probabilities [T, B, S], and the states after [B, D]. A classifier gives
            the K of its labels, a transcriber those of the blank, of K labels, and of a letter end.

        Raises:
            InputError: a shape does not fit; ONNX Runtime itself aborts on an empty batch.
        """
        n_columns, batch = columns.shape[:2]
        if not n_columns or not batch:
            raise InputError(f"{n_columns} columns in {batch} streams, expected at least 1 in 1")
        if state.shape != (batch, self.config.state_size):
            expected = (batch, self.config.state_size)
            raise InputError(f"state has shape {state.shape}, expected {expected}")
        if columns.shape[2] != self.config.column_height:
            raise InputError(
                f"columns have {columns.shape[2]} pixels, expected {self.config.column_height}"
            )
        if self.config.kind == "transcriber":
            return run_pairs(self._step, self.config, columns, state)
        return self._step(columns, state)

    def _step(
        self, columns: NDArray[np.uint8], state: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        scores, after = self._session.run(_OUTPUTS, {"columns": columns, "state": state})
        return scores, after

    def run_ragged(
        self, columns: Sequence[NDArray[np.uint8]], state: NDArray[np.float32]
    ) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
        """Read a different number of columns in each of B streams.

        Nothing is padded (padding costs a full step of the net for each empty place): what all
        streams have is run together, then the rest of those that have more, and so on.

        Args:
            columns: one [n_i, H] per stream, n_i at least 1.
            state: [B, D], left as it is.

        Returns:
            For each stream its scores [n_i, S], and the states after [B, D].
        """
        if not columns or len(columns) != len(state):
            raise InputError(
                f"{len(columns)} streams, {len(state)} states: expected one each, not 0"
            )
        lengths = [len(own) for own in columns]
        if len(set(lengths)) == 1:
            scores, after = self.run(_side_by_side(columns), state)
            return [scores[:, i] for i in range(len(columns))], after
        pieces: list[list[NDArray[np.float32]]] = [[] for _ in columns]
        after = state.copy()
        start = 0
        for end in sorted(set(lengths)):
            running = [i for i, length in enumerate(lengths) if length >= end]
            together = _side_by_side([columns[i][start:end] for i in running])
            scores, after[running] = self.run(together, after[running])
            for place, i in enumerate(running):
                pieces[i].append(scores[:, place])
            start = end
        return [np.concatenate(own) for own in pieces], after


def _side_by_side(columns: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Columns [n, H] of B streams as [n, B, H]; much faster than `np.stack` where n is 1."""
    return np.concatenate(columns).reshape(len(columns), *columns[0].shape).swapaxes(0, 1)


def _options(threads: int) -> ort.SessionOptions:
    """One thread by default and no spinning: the event loop shares the machine with the net.

    Without arena and memory patterns nothing stays allocated after a large batch, and no plan is
    kept for each of the many shapes that come; measured, a step takes as long as with them.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Net = Callable[[Bytes, Floats], tuple[Floats, Floats]]  # [T, B, 2H], [B, .] -> [T, B, S], [B, .]

NEVER = -30.0  # log-probability of what a net that has seen nothing does not say


def run_pairs(
    net: Net, config: ModelConfig, columns: Bytes, state: Floats
) -> tuple[Floats, Floats]:
    """Read T columns in each of B streams.

    Args:
        net: reads pairs of columns.
        config: its dimensions.
        columns: [T, B, H].
        state: [B, D], left as it is.

    Returns:
        Scores [T, B, S] after each column, and the states after [B, D].
    """
    waits = state[:, -2] > 0
    scores = np.empty((*columns.shape[:2], config.n_scores), np.float32)
    after = np.empty_like(state)
    for waiting in (False, True):
        chosen = np.flatnonzero(waits == waiting)
        if len(chosen) == len(state):  # all alike: nothing to sort
            return _run_alike(net, config, columns, state, waiting)
        if len(chosen):
            scores[:, chosen], after[chosen] = _run_alike(
                net, config, columns[:, chosen], state[chosen], waiting
            )
    return scores, after


def _run_alike(
    net: Net, config: ModelConfig, columns: Bytes, state: Floats, waiting: bool
) -> tuple[Floats, Floats]:
    """The same, for streams that all have a column waiting, or none."""
    n_columns, batch, height = columns.shape
    own = sum(config.state_parts)
    said_end = own + config.n_scores
    after = state.copy()
    if waiting:
        held = state[:, said_end : said_end + height].astype(np.uint8)
        columns = np.concatenate([held[None], columns])  # [T + 1, B, H]
    n_pairs, rest = divmod(len(columns), STEP_COLUMNS)
    before = np.where(state[:, -1:] > 0, state[:, own:said_end], _blank(config))
    answers = before[None]  # [1 + n_pairs, B, S]
    if n_pairs:
        whole = columns[: n_pairs * STEP_COLUMNS].reshape(n_pairs, STEP_COLUMNS, batch, height)
        pairs = whole.swapaxes(1, 2).reshape(n_pairs, batch, STEP_COLUMNS * height)
        new, after[:, :own] = net(pairs, np.ascontiguousarray(state[:, :own]))
        answers = np.concatenate([answers, new])
        after[:, own:said_end] = new[-1]
        after[:, -1] = 1
    after[:, said_end : said_end + height] = columns[-1] if rest else 0
    after[:, -2] = rest
    which = (np.arange(n_columns) + waiting + 1) // STEP_COLUMNS
    return answers[which], after


def _blank(config: ModelConfig) -> Floats:
    """What is said before anything is known: blank, and no letter's end."""
    scores = np.full(config.n_scores, NEVER, np.float32)
    scores[0] = 0
    return scores

"""A net that takes two columns a step, answered column by column.

A session's columns come one at a time, so one may wait for its partner. A row of state therefore
holds, behind the net's own state: what the net said last, [S]; the column that waits, [H]; whether
one waits; and whether anything has been said. The first column of a pair repeats the answer before
it; before any answer all is blank.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model.config import STEP_COLUMNS, ModelConfig

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

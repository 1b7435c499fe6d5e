"""From a training run of lines to a checkpoint that can be served: calibrate, describe, export."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from model import checkpoint
from model.config import STEP_COLUMNS, ModelConfig
from model.data.line_batches import Drawn, Pieces, join, plain
from model.events import Letter
from model.network import END_DELAY, LineLSTM
from model.pairs import NEVER
from model.run_folder import RunFolder, network_weights
from model.transcript import TranscriptDecoder

VERSION: Final = "1"
LICENCE: Final = "Apache-2.0"
TEMPERATURES: Final = tuple(np.geomspace(0.5, 3.0, 19).tolist())  # tried, in steps of a tenth
LEAST_PROBABILITY: Final = 1e-6  # counted for an answer that was given as impossible


def release_lines(
    folder: RunFolder, config: ModelConfig, held_out: Pieces, groups: dict[str, list[int]]
) -> Path:
    """Write lines.onnx into the run folder and return its path.

    Args:
        folder: of the run.
        config: of its net.
        held_out: pieces of writers who choose.
        groups: places of those that calibrate, by source.
    """
    network = LineLSTM(config)
    weights = network_weights(folder.path)
    network.load_state_dict(weights)
    network.eval()
    drawn = [
        plain(held_out, place, config.column_height) for name in groups for place in groups[name]
    ]
    answers = read_all(network, drawn)
    configuration: dict[str, Any] = json.loads((folder.path / "config.json").read_text())
    metadata = checkpoint.Metadata(
        name="lines",
        version=VERSION,
        config=config,
        licence=LICENCE,
        data=configuration["data"],
        data_digest=configuration["data_digest"],
        config_digest=configuration["config_digest"],
        metrics=_held_out_errors(folder),
        parameters=sum(weight.numel() for weight in network.parameters()),
        temperatures=(
            best_temperature([letter_surprise(answers, drawn, config, t) for t in TEMPERATURES]),
            best_temperature([end_surprise(answers, drawn, t) for t in TEMPERATURES]),
        ),
    )
    path = folder.path / f"lines{checkpoint.SUFFIX}"
    checkpoint.export(path, {key: value.numpy() for key, value in weights.items()}, metadata)
    return path


def best_temperature(surprises: Sequence[float]) -> float:
    """The temperature that surprises least."""
    return float(TEMPERATURES[int(np.argmin(surprises))])


def _held_out_errors(folder: RunFolder) -> dict[str, float]:
    newest = folder.metrics()[-1]["held_out"]
    return {f"held_out_{name}_error": float(error) for name, error in newest.items()}


@torch.no_grad()
def read_all(network: LineLSTM, drawn: Sequence[Drawn]) -> list[NDArray[np.float32]]:
    """What the net says of each line at each of its steps, raw: [steps, 1 + K + 1]."""
    answers = []
    for line in drawn:
        batch = join([line])
        scores, ends = network(torch.from_numpy(batch.columns).float() / 255)
        answers.append(torch.cat([scores[0], ends[0][:, None]], 1).numpy())
    return answers


def column_scores(answer: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Log-probabilities [2 * steps, S] as the served net gives them, column by column."""
    raw = torch.from_numpy(answer)
    labels = (raw[:, :-1] / temperature).log_softmax(1)
    ends = torch.nn.functional.logsigmoid(raw[:, -1:])
    steps = torch.cat([labels, ends], 1).numpy()
    first = np.full((1, steps.shape[1]), NEVER, np.float32)
    first[0, 0] = 0
    which = (np.arange(STEP_COLUMNS * len(steps)) + 1) // STEP_COLUMNS
    scores: NDArray[np.float32] = np.concatenate([first, steps])[which]
    return scores


def letters_of(
    answer: NDArray[np.float32], line: Drawn, config: ModelConfig, temperature: float
) -> list[Letter]:
    """The letters that the decoder gives for a line."""
    decoder = TranscriptDecoder(config.labels, config.flush_columns)
    scores = column_scores(answer, temperature)
    n_columns = len(line.columns)
    events = decoder.step(scores[:n_columns], line.columns).events
    events += decoder.step_beyond(scores[n_columns:]) + decoder.flush()
    return [event for event in events if isinstance(event, Letter)]


def right_letters(letters: Sequence[Letter], label: str) -> NDArray[np.bool_]:
    """Which letters stand in the label, by the alignment of fewest changes."""
    text = "".join(letter.char for letter in letters)
    right = np.zeros(len(letters), bool)
    for block in Levenshtein.editops(text, label.replace(" ", "")).as_matching_blocks():
        right[block.a : block.a + block.size] = True
    return right


def letter_surprise(
    answers: Sequence[NDArray[np.float32]],
    drawn: Sequence[Drawn],
    config: ModelConfig,
    temperature: float,
) -> float:
    """Mean surprise, in nats, at a letter's being right or wrong, after its confidence."""
    surprises = []
    for answer, line in zip(answers, drawn, strict=True):
        letters = letters_of(answer, line, config, temperature)
        confidence = np.array([letter.confidence for letter in letters])
        right = right_letters(letters, line.label)
        surprises.append(
            -np.log(np.maximum(np.where(right, confidence, 1 - confidence), LEAST_PROBABILITY))
        )
    return float(np.concatenate(surprises).mean())


def end_surprise(
    answers: Sequence[NDArray[np.float32]], drawn: Sequence[Drawn], temperature: float
) -> float:
    """Mean surprise, in nats, at whether a letter ended, at every step of lines that tell it."""
    surprises = []
    for answer, line in zip(answers, drawn, strict=True):
        spoken = np.array([letter != " " for letter in line.label])
        if not np.isfinite(line.ends[spoken]).all():
            continue
        ended = np.zeros(len(answer), bool)
        steps = line.ends[spoken].astype(np.int64) // STEP_COLUMNS + END_DELAY
        ended[np.minimum(steps, len(answer) - 1)] = True
        scores = np.where(ended, 1, -1) * answer[:, -1] / temperature
        surprises.append(np.logaddexp(0, -scores))
    return float(np.concatenate(surprises).mean()) if surprises else 0.0

"""From a training run of lines to a checkpoint that can be served: calibrate, describe, export.

It is calibrated as it is served: the net is exported without calibration first, and read by the
runtime and the decoder.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from model import checkpoint
from model.config import END_DELAY, STEP_COLUMNS, ModelConfig
from model.data.line_batches import Drawn, Pieces, plain
from model.events import Letter
from model.line_reading import Reader, Scores, batches, flushed, spoken_places, told
from model.report.measures import same
from model.training.line_start import UNCHANGED, Temperatures
from model.training.release import describe_run, write
from model.training.run_folder import RunFolder
from model.transcript import TranscriptDecoder

NAME: Final = "lines"
ENOUGH: Final = 1_000  # letters from which a temperature can be told
TEMPERATURES: Final = tuple(np.geomspace(0.5, 3.0, 19).tolist())  # tried, in steps of a tenth
LEAST_PROBABILITY: Final = 1e-6  # counted for an answer that was given as impossible


def release_lines(
    folder: RunFolder,
    config: ModelConfig,
    held_out: Pieces,
    groups: dict[str, list[int]],
    before: Temperatures,
) -> Path:
    """Write lines.onnx into the run folder and return its path.

    Args:
        folder: of the run.
        config: of its net.
        held_out: pieces of writers who choose.
        groups: places of those that calibrate, by source.
        before: temperatures that stay where too few letters are held out to tell others.
    """
    newest = folder.newest()["held_out"]
    errors = {f"held_out_{name}_error": float(error) for name, error in newest.items()}
    raw = describe_run(folder, NAME, config, errors, UNCHANGED)
    with TemporaryDirectory() as scratch:
        reader = Reader(checkpoint.read(write(folder, raw, Path(scratch))))
    lines = [
        plain(held_out, place, config.column_height) for name in groups for place in groups[name]
    ]
    scores = [own for batch in batches(lines) for own in reader.scores(batch)]
    of_letters, of_ends = before
    if sum(len(line.label) for line in lines) >= ENOUGH:
        of_letters = best_temperature(
            [letter_surprise(scores, lines, config, t) for t in TEMPERATURES]
        )
    if sum(len(line.label) for line in lines if told(line)) >= ENOUGH:
        of_ends = best_temperature([end_surprise(scores, lines, t) for t in TEMPERATURES])
    return write(folder, dataclasses.replace(raw, temperatures=(of_letters, of_ends)))


def best_temperature(surprises: Sequence[float]) -> float:
    """The temperature that surprises least."""
    return float(TEMPERATURES[int(np.argmin(surprises))])


def tempered(scores: Scores, temperature: float) -> Scores:
    """Scores [T, S] whose log-probabilities of the symbols are taken at a temperature."""
    symbols = scores[:, :-1] / np.float32(temperature)
    symbols -= np.log(np.exp(symbols).sum(1, keepdims=True))
    return np.concatenate([symbols, scores[:, -1:]], 1)


def letter_surprise(
    scores: Sequence[Scores], lines: Sequence[Drawn], config: ModelConfig, temperature: float
) -> float:
    """Mean surprise, in nats, at a letter's being right or wrong, after its confidence."""
    decoder, surprises = TranscriptDecoder(config.labels, config.flush_columns), [np.empty(0)]
    for own, line in zip(scores, lines, strict=True):
        events = flushed(decoder, line, tempered(own, temperature))
        letters = [event for event in events if isinstance(event, Letter)]
        confidence = np.array([letter.confidence for letter in letters])
        right = np.zeros(len(letters), bool)
        text = "".join(letter.char for letter in letters)
        right[[place for place, _ in same(text, line.label.replace(" ", ""))]] = True
        given = np.where(right, confidence, 1 - confidence)
        surprises.append(-np.log(np.maximum(given, LEAST_PROBABILITY)))
    return float(np.concatenate(surprises).mean())


def end_surprise(scores: Sequence[Scores], lines: Sequence[Drawn], temperature: float) -> float:
    """Mean surprise, in nats, at whether a letter ended, at every step of lines that tell it.

    0 where none does.
    """
    surprises = []
    for own, line in zip(scores, lines, strict=True):
        if not told(line):
            continue
        log_probability = own[STEP_COLUMNS - 1 :: STEP_COLUMNS, -1].astype(np.float64)
        odds = log_probability - np.log(np.maximum(-np.expm1(log_probability), LEAST_PROBABILITY))
        ended = np.zeros(len(odds), bool)
        steps = line.ends[spoken_places(line.label)].astype(np.int64) // STEP_COLUMNS + END_DELAY
        ended[np.minimum(steps, len(odds) - 1)] = True
        surprises.append(np.logaddexp(0, np.where(ended, -1, 1) * odds / temperature))
    return float(np.concatenate(surprises).mean()) if surprises else 0.0

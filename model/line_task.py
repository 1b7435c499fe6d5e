"""The net for lines: what its run minimises and measures.

The loss is CTC's (Graves et al., ICML 2006), and beside it the cross entropy of letter ends where
the data tell them. CTC from scratch stands for thousands of steps on a plateau of nothing but
blanks; so a run begins framewise, with single characters whose place is known.
"""

import copy
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn
from torch.nn import functional

from model.ahead import Ahead
from model.config import END_DELAY, STEP_COLUMNS, ModelConfig
from model.data import mnist
from model.data.digit_lines import DigitLines
from model.data.inkset import CATEGORIES
from model.data.line_batches import (
    FLUSH_COLUMNS,
    IMAGES,
    MADE,
    SOURCES,
    Drawn,
    LineBatch,
    LineBatches,
    Maker,
    OtherHands,
    Pieces,
    halves,
    join,
    plain,
    rewritten,
)
from model.data.line_data import LineData
from model.data.lines import LineMaker
from model.errors import ConfigError
from model.knobs import LineKnobs
from model.line_release import release_lines
from model.line_start import Start, begin_with
from model.network import LineLSTM
from model.run_folder import NETWORK, RunFolder
from model.transcript import TranscriptDecoder

N_SHARDS: Final = 2  # halves of a batch
STEPS_A_ROUND: Final = 1_000
TOLD_STEPS: Final = 2  # after a letter's end in which the framewise loss wants its symbol
BLANK_WEIGHT: Final = 0.15  # of a blank step in the framewise loss: most steps are blank
EAGER: Final = 0.35  # share of the framewise steps that want a symbol from its first ink on
FADE: Final = 0.6  # share of the framewise steps after which CTC comes in
HELD_OUT: Final = {"characters": 600, "words": 400, "text": 60}  # pieces measured in a run
HELD_OUT_SEED: Final = 0
Places = NDArray[np.int64]

FRAMEWISE_SHARE: Final = 0.4  # of a batch's columns: single characters are many in few columns
IGNORED: Final = -100  # as a target
EVALUATION_COLUMNS: Final = 20_000  # at once


class LineTask:
    """Batches of lines in ever new hands, and the held-out writers' error."""

    n_shards = N_SHARDS
    steps_a_round = STEPS_A_ROUND

    def __init__(self, knobs: LineKnobs, data: LineData, start: Start | None = None) -> None:
        """Draw the weights, or begin with those of `start`, whose labels it keeps."""
        self.knobs, self.data = knobs, data
        self.n_steps = knobs.steps
        known = () if start is None else start.labels
        self.labels = (*known, *(label for label in data.characters if label not in known))
        self.config = line_config(knobs, self.labels)
        network = LineLSTM(self.config, knobs.dropout, both_ways=knobs.both_ways)
        if start is not None:
            begin_with(network, start)
        elif knobs.keep:
            raise ConfigError(f"keep is {knobs.keep:g}, but there are no weights to begin with")
        self.network: nn.Module = network
        self._begun = copy.deepcopy(network.state_dict()) if knobs.keep else {}
        self.init = "" if start is None else start.digest
        pen = OtherHands(knobs.column_height, knobs.strength)
        makers: dict[str, Maker] = {}
        if knobs.made:
            makers[MADE] = partial(rewritten, LineMaker(data.ink, data.training), pen)
        if knobs.images:
            digits = DigitLines(mnist.load("train"))
            makers[IMAGES] = partial(digits.draw, column_height=knobs.column_height)
        shares = {name: getattr(knobs, name) for name in (*SOURCES, MADE, IMAGES)}
        pieces = Pieces(data.ink, data.training, self.labels)
        self.batches = LineBatches(pieces, pen, shares, knobs.columns, makers)
        self.halves = Ahead(self._halves)
        self.held_out = Pieces(data.ink, data.choosing, self.labels)
        self.groups = _held_out_groups(self.held_out)

    @property
    def description(self) -> dict[str, Any]:
        """What decides the result beside the knobs."""
        return {
            "data": self.data.name,
            "data_digest": self.data.ink.digest,
            "labels": list(self.labels),
            "init": self.init,
        }

    def loss(self, step: int, shard: int) -> Tensor:
        """What a step minimises, of one shard; all chance comes from seed, step and shard."""
        random = np.random.default_rng((self.knobs.seed, step, shard))
        framewise = self._framewise(step)
        batch = self.halves(step)[shard]
        device = next(self.network.parameters()).device
        columns = torch.from_numpy(batch.columns).to(device).float() / 255
        dropout = torch.Generator(device).manual_seed(int(random.integers(2**62)))
        scores, ends = self.network(columns, dropout)
        log_probabilities = scores.float().log_softmax(2)  # [B, T/2, 1 + K]
        loss = self.knobs.end_share * end_loss(ends.float(), batch)
        if framewise < 1:
            loss = loss + (1 - framewise) * ctc_loss(log_probabilities, batch, self.labels)
        if framewise > 0:
            eager = step < EAGER * self.knobs.framewise
            told = framewise_loss(log_probabilities, batch, self.labels, eager=eager)
            loss = loss + framewise * told
        return loss

    def _halves(self, step: int) -> Sequence[LineBatch]:
        """The parts of a step's batch."""
        random = np.random.default_rng((self.knobs.seed, step))
        if self._framewise(step) == 1:
            lines = self.batches.draw(random, "characters", FRAMEWISE_SHARE)
        else:
            lines = self.batches.draw(random)
        return halves(lines)

    def _framewise(self, step: int) -> float:
        """The weight of the framewise loss: 1 at first, then down to 0, where CTC takes over."""
        if self.init or step >= self.knobs.framewise:
            return 0.0
        return min(1.0, (1 - step / self.knobs.framewise) / (1 - FADE))

    @torch.no_grad()
    def settled(self, average: nn.Module) -> nn.Module:
        """The averaged net, or what lies between it and the one that the run began with.

        A few words teach their letters, and let a net forget those that they lack: between the two
        nets lies one that knows both (Wortsman et al., CVPR 2022).
        """
        if not self.knobs.keep:
            return average
        between = copy.deepcopy(average)
        for name, value in between.state_dict().items():
            value.lerp_(self._begun[name].to(value.device), self.knobs.keep)
        return between

    @torch.no_grad()
    def measure(self, network: nn.Module) -> dict[str, Any]:
        """Share of wrong characters among the held-out writers', by source."""
        errors = {}
        for name, places in self.groups.items():
            drawn = [plain(self.held_out, place, self.knobs.column_height) for place in places]
            texts = transcribe(network, drawn, self.labels)
            wrong = sum(
                Levenshtein.distance(text, line.label)
                for text, line in zip(texts, drawn, strict=True)
            )
            errors[name] = wrong / sum(len(line.label) for line in drawn)
        return {"held_out": errors}

    def finish(self, folder: RunFolder) -> Path:
        """Calibrate and export the net; of one that cannot stream the weights are all."""
        if self.knobs.both_ways:
            return folder.path / NETWORK
        return release_lines(folder, self.config, self.held_out, self.groups)


def line_config(knobs: LineKnobs, labels: Sequence[str]) -> ModelConfig:
    """The dimensions of the net that these knobs name."""
    return ModelConfig(
        labels=tuple(labels),
        kind="transcriber",
        column_height=knobs.column_height,
        features=knobs.units,
        layers=knobs.layers,
        units=knobs.units,
        channels=(knobs.channels // 2, knobs.channels, knobs.channels),
        flush_columns=FLUSH_COLUMNS,
    )


def _held_out_groups(pieces: Pieces) -> dict[str, list[int]]:
    """Places of the pieces that a run is measured by, narrow ones first."""
    random = np.random.default_rng(HELD_OUT_SEED)
    groups = {}
    for name, categories in SOURCES.items():
        own = np.isin(pieces.categories, [CATEGORIES.index(c) for c in categories])
        places = np.flatnonzero(own)
        chosen = random.permutation(places)[: HELD_OUT[name]]
        if len(chosen):
            groups[name] = sorted(chosen.tolist(), key=lambda place: float(pieces.aspect[place]))
    return groups


def step_mask(batch: LineBatch) -> NDArray[np.bool_]:
    """[B, T/2], where a line has its steps and not its padding."""
    n_steps = batch.columns.shape[1] // STEP_COLUMNS
    mask: NDArray[np.bool_] = np.arange(n_steps) < batch.steps[:, None]
    return mask


def ctc_loss(log_probabilities: Tensor, batch: LineBatch, labels: Sequence[str]) -> Tensor:
    """Nats a character, of log-probabilities [B, T/2, 1 + K], the blank first."""
    index = {label: number for number, label in enumerate(labels, 1)}
    targets = torch.tensor([index[letter] for label in batch.labels for letter in label])
    lengths = torch.tensor([len(label) for label in batch.labels])
    total: Tensor = functional.ctc_loss(
        log_probabilities.transpose(0, 1),
        targets,
        torch.from_numpy(batch.steps),
        lengths,
        reduction="sum",
        zero_infinity=True,  # a line with more letters than steps teaches nothing
    )
    return total / len(targets)


def end_steps(batch: LineBatch, delay: int) -> tuple[Places, Places, NDArray[np.bool_]]:
    """Where letters end, of lines that tell all of theirs.

    Returns:
        Row and step of each, `delay` steps late; and which lines [B] tell.
    """
    known = np.isfinite(batch.letters)
    padded = (label.ljust(known.shape[1]) for label in batch.labels)
    spoken = np.array([[letter != " " for letter in label] for label in padded])
    told = (known | ~spoken).all(1) & known.any(1)
    rows, places = np.nonzero(known & told[:, None])
    steps = batch.letters[rows, places].astype(np.int64) // STEP_COLUMNS + delay
    last = batch.columns.shape[1] // STEP_COLUMNS - 1
    return rows, np.minimum(steps, last), told


def end_loss(ends: Tensor, batch: LineBatch) -> Tensor:
    """Cross entropy of letter ends [B, T/2], for each letter, of lines that tell where they are."""
    rows, steps, told = end_steps(batch, END_DELAY)
    counted = (step_mask(batch) & told[:, None]).astype(np.float32)
    wanted = np.zeros(counted.shape, np.float32)
    wanted[rows, steps] = 1
    total: Tensor = functional.binary_cross_entropy_with_logits(
        ends,
        torch.from_numpy(wanted).to(ends.device),
        torch.from_numpy(counted).to(ends.device),
        reduction="sum",
    )
    return total / float(wanted.sum() + 1)


def framewise_loss(
    log_probabilities: Tensor, batch: LineBatch, labels: Sequence[str], *, eager: bool
) -> Tensor:
    """Cross entropy of each step of lines that tell their letters' places; 0 where none does.

    A letter's symbol is wanted right after its end. `eager` wants that of a single character from
    its first ink on, which teaches the net sooner to tell characters apart.
    """
    index = {label: number for number, label in enumerate(labels, 1)}
    rows, steps, told = end_steps(batch, 1)
    known = np.isfinite(batch.letters) & told[:, None]
    symbols = [
        index[batch.labels[row][place]] for row, place in zip(*np.nonzero(known), strict=True)
    ]
    wanted = np.where(step_mask(batch) & told[:, None], 0, IGNORED)
    for late in range(TOLD_STEPS):
        wanted[rows, np.minimum(steps + late, wanted.shape[1] - 1)] = symbols
    if eager:
        ink = np.asarray(batch.columns.any(2))  # [B, T]
        for row, step, symbol in zip(rows, steps, symbols, strict=True):
            if len(batch.labels[row]) == 1:
                wanted[row, ink[row].argmax() // STEP_COLUMNS : step] = symbol
    device = log_probabilities.device
    weights = torch.ones(log_probabilities.shape[2], device=device)
    weights[0] = BLANK_WEIGHT
    target = torch.from_numpy(wanted).to(device).flatten()
    if not symbols:
        return log_probabilities.sum() * 0
    return functional.nll_loss(
        log_probabilities.flatten(0, 1), target, weights, ignore_index=IGNORED
    )


def transcribe(network: nn.Module, drawn: Sequence[Drawn], labels: Sequence[str]) -> list[str]:
    """The texts of lines, by the decoder that is served."""
    decoder = TranscriptDecoder(labels)
    texts, start = [], 0
    while start < len(drawn):
        end = start + 1
        while end < len(drawn) and (end + 1 - start) * len(drawn[end].columns) < EVALUATION_COLUMNS:
            end += 1
        batch = join(drawn[start:end])
        scores, ends = network(torch.from_numpy(batch.columns).float() / 255)
        said = torch.cat([scores.log_softmax(2), functional.logsigmoid(ends).unsqueeze(2)], 2)
        for own, columns, steps in zip(said.numpy(), batch.columns, batch.steps, strict=True):
            decoder.reset()
            decoder.step(own[:steps].repeat(STEP_COLUMNS, 0), columns[: STEP_COLUMNS * steps])
            decoder.flush()
            texts.append(decoder.text)
        start = end
    return texts

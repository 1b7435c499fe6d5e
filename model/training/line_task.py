"""The net for lines: what its run minimises and measures.

The loss is CTC's (Graves et al., ICML 2006), and beside it the cross entropy of letter ends where
the data tell them. CTC from scratch stands for thousands of steps on a plateau of nothing but
blanks; so a run begins framewise, with single characters whose place is known.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from model.config import STEP_COLUMNS
from model.data import mnist
from model.data.dealing import deal
from model.data.digit_lines import DigitLines
from model.data.inkset import CATEGORIES
from model.data.line_batches import (
    IMAGES,
    MADE,
    SOURCES,
    Drawn,
    LineBatch,
    LineBatches,
    Maker,
    OtherHands,
    Pieces,
    join,
    plain,
    rewritten,
)
from model.data.line_data import LineData
from model.data.lines import LineMaker
from model.errors import ConfigError, DataError
from model.network import LineLSTM
from model.training.ahead import Ahead
from model.training.knobs import LineKnobs
from model.training.line_loss import ctc_loss, end_loss, framewise_loss
from model.training.line_release import release_lines
from model.training.line_runs import line_config
from model.training.line_start import UNCHANGED, Start, begin_with
from model.training.run_folder import NETWORK, RunFolder
from model.transcript import TranscriptDecoder

N_SHARDS: Final = 2  # parts of a batch
STEPS_A_DEAL: Final = 8  # whose lines are dealt together: a tenth of their columns is padding
STEPS_A_ROUND: Final = 1_000
EAGER: Final = 0.35  # share of the framewise steps that want a symbol from its first ink on
FADE: Final = 0.6  # share of the framewise steps after which CTC comes in
HELD_OUT: Final = {"characters": 600, "words": 400, "text": 60}  # pieces measured in a run
HELD_OUT_SEED: Final = 0

FRAMEWISE_SHARE: Final = 0.4  # of a batch's columns: single characters are many in few columns
EVALUATION_COLUMNS: Final = 20_000  # at once


class LineTask:
    """Batches of lines in ever new hands, and the held-out writers' error."""

    n_shards = N_SHARDS
    steps_a_round = STEPS_A_ROUND

    def __init__(self, knobs: LineKnobs, data: LineData, start: Start | None = None) -> None:
        """Draw the weights, or begin with those of `start`, whose labels it keeps."""
        self.knobs, self.data = knobs, data
        self.cycle_steps = knobs.steps
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
        self._framewise_steps = 0 if start else _framewise_steps(knobs, data)
        self._temperatures = UNCHANGED if start is None else start.temperatures
        pen = OtherHands(knobs.column_height, knobs.strength)
        makers = _makers(knobs, data, self.labels, pen)
        shares = {name: getattr(knobs, name) for name in (*SOURCES, MADE, IMAGES)}
        pieces = Pieces(data.ink, data.training, self.labels)
        self.batches = LineBatches(pieces, pen, shares, knobs.columns, makers)
        _tell({**data.skipped, **self.batches.left_out})
        self._deals = Ahead(self._deal)
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
        batch = self.part(step, shard)
        device = next(self.network.parameters()).device
        columns = torch.from_numpy(batch.columns).to(device).float() / 255
        dropout = torch.Generator(device).manual_seed(int(random.integers(2**62)))
        scores, ends = self.network(columns, dropout)
        log_probabilities = scores.float().log_softmax(2)  # [B, T/2, 1 + K]
        loss = self.knobs.end_share * end_loss(ends.float(), batch)
        if framewise < 1:
            loss = loss + (1 - framewise) * ctc_loss(log_probabilities, batch, self.labels)
        if framewise > 0:
            eager = step < EAGER * self._framewise_steps
            told = framewise_loss(log_probabilities, batch, self.labels, eager=eager)
            loss = loss + framewise * told
        return loss

    def part(self, step: int, shard: int) -> LineBatch:
        """What a step reads, one of its parts."""
        number, place = divmod(step, STEPS_A_DEAL)
        return self._deals(number)[N_SHARDS * place + shard]

    def _deal(self, number: int) -> Sequence[LineBatch]:
        """The parts of several steps, those of one step neighbours in width."""
        random = np.random.default_rng((self.knobs.seed, number))
        usual = self._framewise(number * STEPS_A_DEAL) < 1
        source, share = (None, 1.0) if usual else ("characters", FRAMEWISE_SHARE)
        lines: list[Drawn] = []
        for _ in range(STEPS_A_DEAL):
            lines += self.batches.draw(random, source, share)
        parts = deal(lines, N_SHARDS * STEPS_A_DEAL)
        places = random.permutation(STEPS_A_DEAL)
        return [parts[N_SHARDS * place + shard] for place in places for shard in range(N_SHARDS)]

    def _framewise(self, step: int) -> float:
        """The weight of the framewise loss: 1 at first, then down to 0, where CTC takes over."""
        if step >= self._framewise_steps:
            return 0.0
        return min(1.0, (1 - step / self._framewise_steps) / (1 - FADE))

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
        return release_lines(folder, self.config, self.held_out, self.groups, self._temperatures)


def _framewise_steps(knobs: LineKnobs, data: LineData) -> int:
    """Steps of a run from chance before CTC: none where the data know no letter's place."""
    if not knobs.framewise or (data.ink.letter_of_point >= 0).any():
        return knobs.framewise
    tqdm.write(f"framewise is left out: {data.name} tells of no letter which ink is its own")
    return 0


def _makers(
    knobs: LineKnobs, data: LineData, labels: Sequence[str], pen: OtherHands
) -> dict[str, Maker]:
    """What makes up lines, by the name of its source; what a user's ink is too little for is told.

    A hundred words by one hand are enough to train on, but not to spell others of their letters.
    """
    makers: dict[str, Maker] = {}
    if knobs.made:
        try:
            maker = LineMaker(data.ink, data.training)
        except DataError as error:
            tqdm.write(f"made is left out: {error}")
        else:
            makers[MADE] = partial(rewritten, maker, pen)
            if maker.missing:
                tqdm.write(f"made is without {', '.join(maker.missing)}: no writer has enough ink")
    if knobs.images:
        missing = set(mnist.LABELS) - set(labels)
        if missing:
            digits = " ".join(sorted(missing))
            tqdm.write(f"images is left out: numbers need all digits, {data.name} has no {digits}")
        else:
            draw = DigitLines(mnist.load("train")).draw
            makers[IMAGES] = partial(draw, column_height=knobs.column_height)
    return makers


def _tell(left_out: Mapping[str, int]) -> None:
    """Print how many pieces are not trained on, and why."""
    told = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
    if told:
        tqdm.write(f"pieces left out: {told}")


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

"""Which ink a run on lines reads: UNIPEN's, or the user's own, and who chooses.

Nets for lines as runs leave them: to learn from and to compare with.

Weights that a run on lines begins with: a net that reads already, of these labels or others.

From a training run of lines to a checkpoint that can be served: calibrate, describe, export.

It is calibrated as it is served: the net is exported without calibration first, and read by the
runtime and the decoder.

The net for lines: what its run minimises and measures.

The loss is CTC's (Graves et al., ICML 2006), and beside it the cross entropy of letter ends where
the data tell them. CTC from scratch stands for thousands of steps on a plateau of nothing but
blanks; so a run begins framewise, with single characters whose place is known.
"""

import copy
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from inkstream.model import checkpoint
from inkstream.model.calibration import fit_line_temperatures
from inkstream.model.checkpoint import find, read
from inkstream.model.config import STEP_COLUMNS, ModelConfig
from inkstream.model.data import split
from inkstream.model.data.batches import (
    FLUSH_COLUMNS,
    IMAGES,
    MADE,
    SOURCES,
    AugmentedRenderer,
    InkPieces,
    LineBatch,
    LineBatches,
    LineSample,
    Prefetch,
    SampleSource,
    collate,
    draw_piece,
    render_composed,
    split_by_width,
)
from inkstream.model.data.ink_set import CATEGORIES, InkSet
from inkstream.model.data.sources import ink_files, mnist, unipen
from inkstream.model.data.synthesis.composition import LineComposer
from inkstream.model.data.synthesis.digits import DigitLines
from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.errors import ConfigError, DataError
from inkstream.model.export import weights_of
from inkstream.model.network import LineLSTM
from inkstream.model.reader import (
    Reader,
    batches,
)
from inkstream.model.training.config import LineKnobs
from inkstream.model.training.losses import ctc_loss, end_loss, framewise_loss
from inkstream.model.training.release import describe_run, write
from inkstream.model.training.run_folder import (
    CONFIGURATION,
    NETWORK,
    RunFolder,
    configuration_of,
    network_digest,
    network_weights,
)

ASCII: Final = tuple(map(chr, range(32, 127)))  # printable: what UNIPEN's labels are made of
UNIPEN: Final = "UNIPEN train_r01_v07"


@dataclass(frozen=True, slots=True, eq=False)
class LineData:
    """Labelled ink, and which pieces train and choose."""

    name: str
    ink: InkSet
    training: NDArray[np.int64]
    choosing: NDArray[np.int64]
    characters: tuple[str, ...]  # that its labels are made of, in order
    skipped: Mapping[str, int] = field(default_factory=dict)  # pieces that it lacks, by reason


def load(source: Path | None) -> LineData:
    """UNIPEN's ink (None, its archive, its folder), or the user's own (.jsonl, .inkml, a folder).

    Raises `DataError` when it can't be read, or is too little to hold some out.
    """
    if source is not None and ink_files.holds(source):
        found = ink_files.read(source)
        skipped = Counter[str]()
        for (reason, *_), count in found.statistics.skipped.items():
            skipped[reason] += count
        return replace(own(source.name, found.ink, found.groups), skipped=skipped)
    try:
        ink, _ = unipen.read(source)
    except DataError as error:
        if source is None or not source.is_dir():
            raise
        raise DataError(f"{error}, and no {' or '.join(ink_files.SUFFIXES)} file") from error
    parts = split.parts(ink)
    return LineData(UNIPEN, ink, parts["train"], parts["validation"], ASCII)


def own(name: str, ink: InkSet, groups: NDArray[np.int64] | None = None) -> LineData:
    """A user's ink, of which a tenth chooses; `kin` is as in `split.parts`, None no two.

    Raises `DataError` when it is too little to hold some out.
    """
    if len(ink) < split.ONE_IN:
        raise DataError(f"{name} has {len(ink)} labelled pieces, expected at least {split.ONE_IN}")
    parts = split.split_own_ink(ink, np.arange(len(ink)) if groups is None else groups)
    if not len(parts["validation"]):
        raise DataError(
            f"{name} has {len(ink)} labelled pieces that all have ink in common,"
            " expected some apart from the others, to hold out"
        )
    characters = tuple(sorted({" ", *"".join(ink.labels)}))
    return LineData(name, ink, parts["train"], parts["validation"], characters)


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


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The averaged net of a run."""

    network: LineLSTM
    labels: tuple[str, ...]
    knobs: LineKnobs
    init: str  # digest of what the run began with; "" where its weights were drawn
    digest: str  # SHA-256 of its weights


def trained(run: Path) -> Trained:
    """What a run of `train lines` left; raises `DataError` if there is nothing."""
    configuration = configuration_of(run, "lines")
    try:
        knobs, init = LineKnobs(**configuration["knobs"]), configuration["init"]
        labels = tuple(configuration["labels"])
        network = LineLSTM(line_config(knobs, labels), bidirectional=knobs.bidirectional)
        network.load_state_dict(network_weights(run))
    except (KeyError, TypeError, RuntimeError) as error:
        raise DataError(f"{run} holds a run of another version: {error}") from error
    return Trained(network.eval(), labels, knobs, init, network_digest(run))


BACKWARDS: Final = "backwards."  # names of the weights of layers that read from the end
FORWARDS: Final = "lstm."  # of those that read from the start
SHOWN: Final = 4  # names of weights that an error lists

Temperatures = tuple[float, float]  # of the letters and of their ends
UNCHANGED: Final = (1.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A net to begin with."""

    labels: tuple[str, ...]
    weights: dict[str, Tensor]
    digest: str  # SHA-256 of its file
    temperatures: Temperatures = UNCHANGED

    @property
    def layers(self) -> int:
        """LSTM layers that read from the start."""
        return len({name.split(".")[1] for name in self.weights if name.startswith(FORWARDS)})

    @property
    def units(self) -> int:
        """Cells of each layer."""
        return self.weights["head.weight"].shape[1]


def start_from(source: Path) -> Start:
    """The net of a run folder, or of a checkpoint by its name or path.

    Raises `DataError` or `CheckpointError` if there is none that can be used.
    """
    if (source / CONFIGURATION).is_file():
        labels = configuration_of(source, "lines")["labels"]
        return Start(tuple(labels), network_weights(source), network_digest(source))
    checkpoint = read(find(source), "transcriber")
    weights = {name: torch.from_numpy(value) for name, value in weights_of(checkpoint).items()}
    metadata = checkpoint.metadata
    of_letters, of_ends = metadata.temperatures
    return Start(metadata.config.labels, weights, checkpoint.digest, (of_letters, of_ends))


def begin_with(network: LineLSTM, start: Start) -> None:
    """Give `network` the weights of `start`; rows of labels that it did not know stay drawn.

    Layers that read from the end, which `start` may lack, begin by adding nothing to what they
    read: the larger net reads as the other did (Chen et al., Net2Net, ICLR 2016).

    Raises `DataError` if its dimensions are others.
    """
    own = network.state_dict()
    rows = [0, *(1 + network.config.labels.index(label) for label in start.labels)]  # 0: the blank
    units = network.config.units
    weights = {}
    for name, value in own.items():
        if name.startswith(BACKWARDS):
            weights[name] = value.clone()
            weights[name][2 * units : 3 * units] = 0  # what a cell would take in
    weights |= start.weights
    for name in ("head.weight", "head.bias"):
        if name in weights and weights[name].shape[1:] == own[name].shape[1:]:
            widened = own[name].clone()
            widened[rows] = weights[name]
            weights[name] = widened
    wrong = [
        name for name in own.keys() | weights.keys()
        if name not in own or name not in weights or own[name].shape != weights[name].shape
    ]  # fmt: skip
    if wrong:
        has, asked = (start.layers, start.units), (network.config.layers, units)
        names = f"{', '.join(sorted(wrong)[:SHOWN])}{', ...' if len(wrong) > SHOWN else ''}"
        raise DataError(
            "the net to begin with has other dimensions (layers, units): "
            f"{has}, asked for: {asked}; weights that do not fit: {names}"
        )
    network.load_state_dict(weights)


NAME: Final = "lines"


def release_lines(
    folder: RunFolder,
    config: ModelConfig,
    held_out: InkPieces,
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
        draw_piece(held_out, place, config.column_height)
        for name in groups
        for place in groups[name]
    ]
    scores = [own for batch in batches(lines) for own in reader.scores(batch)]
    temperatures = fit_line_temperatures(scores, lines, config, before)
    return write(folder, dataclasses.replace(raw, temperatures=temperatures))


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
        network = LineLSTM(self.config, knobs.dropout, bidirectional=knobs.bidirectional)
        if start is not None:
            begin_with(network, start)
        elif knobs.keep:
            raise ConfigError(f"keep is {knobs.keep:g}, but there are no weights to begin with")
        self.network: nn.Module = network
        self._begun = copy.deepcopy(network.state_dict()) if knobs.keep else {}
        self.init = "" if start is None else start.digest
        self._framewise_steps = 0 if start else _framewise_steps(knobs, data)
        self._temperatures = UNCHANGED if start is None else start.temperatures
        pen = AugmentedRenderer(knobs.column_height, knobs.strength)
        makers = _makers(knobs, data, self.labels, pen)
        shares = {name: getattr(knobs, name) for name in (*SOURCES, MADE, IMAGES)}
        pieces = InkPieces(data.ink, data.training, self.labels)
        self.batches = LineBatches(pieces, pen, shares, knobs.columns, makers)
        _tell({**data.skipped, **self.batches.left_out})
        self._deals = Prefetch(self._deal)
        self.held_out = InkPieces(data.ink, data.choosing, self.labels)
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
        scores, ends, _ = self.network(columns, rng=dropout)
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
        lines: list[LineSample] = []
        for _ in range(STEPS_A_DEAL):
            lines += self.batches.draw(random, source, share)
        parts = split_by_width(lines, N_SHARDS * STEPS_A_DEAL)
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
            drawn = [draw_piece(self.held_out, place, self.knobs.column_height) for place in places]
            texts = transcribe(network, drawn, self.labels)
            wrong = sum(
                Levenshtein.distance(text, line.label)
                for text, line in zip(texts, drawn, strict=True)
            )
            errors[name] = wrong / sum(len(line.label) for line in drawn)
        return {"held_out": errors}

    def finish(self, folder: RunFolder) -> Path:
        """Calibrate and export the net; of one that cannot stream the weights are all."""
        if self.knobs.bidirectional:
            return folder.path / NETWORK
        return release_lines(folder, self.config, self.held_out, self.groups, self._temperatures)


def _framewise_steps(knobs: LineKnobs, data: LineData) -> int:
    """Steps of a run from chance before CTC: none where the data know no letter's place."""
    if not knobs.framewise or (data.ink.letter_of_point >= 0).any():
        return knobs.framewise
    tqdm.write(f"framewise is left out: {data.name} tells of no letter which ink is its own")
    return 0


def _makers(
    knobs: LineKnobs, data: LineData, labels: Sequence[str], pen: AugmentedRenderer
) -> dict[str, SampleSource]:
    """What makes up lines, by the name of its source; what a user's ink is too little for is told.

    A hundred words by one hand are enough to train on, but not to spell others of their letters.
    """
    makers: dict[str, SampleSource] = {}
    if knobs.made:
        try:
            maker = LineComposer(data.ink, data.training)
        except DataError as error:
            tqdm.write(f"made is left out: {error}")
        else:
            makers[MADE] = partial(render_composed, maker, pen)
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


def _held_out_groups(pieces: InkPieces) -> dict[str, list[int]]:
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


def transcribe(network: nn.Module, drawn: Sequence[LineSample], labels: Sequence[str]) -> list[str]:
    """The texts of lines, by the decoder that is served."""
    decoder = GreedyDecoder(labels)
    texts, start = [], 0
    while start < len(drawn):
        end = start + 1
        while end < len(drawn) and (end + 1 - start) * len(drawn[end].columns) < EVALUATION_COLUMNS:
            end += 1
        batch = collate(drawn[start:end])
        scores, ends, _ = network(torch.from_numpy(batch.columns).float() / 255)
        said = torch.cat([scores.log_softmax(2), functional.logsigmoid(ends).unsqueeze(2)], 2)
        for own, columns, steps in zip(said.numpy(), batch.columns, batch.steps, strict=True):
            decoder.reset()
            decoder.step(own[:steps].repeat(STEP_COLUMNS, 0), columns[: STEP_COLUMNS * steps])
            decoder.flush()
            texts.append(decoder.text)
        start = end
    return texts

"""Train the causal net that reads lines: data, initial weights, loss, validation, calibration.

The loss is CTC's (Graves et al., ICML 2006), and beside it the cross entropy of letter ends where
the data have them. From random weights CTC stays for thousands of steps on a plateau of blanks
alone; so such a run begins framewise, with single characters whose ink is known.
"""

import copy
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from inkstream.model.alphabet import ASCII, WESTERN
from inkstream.model.calibration import fit_line_temperatures
from inkstream.model.checkpoint import read
from inkstream.model.config import STEP_COLUMNS, ModelConfig
from inkstream.model.data import split
from inkstream.model.data.batches import (
    FLUSH_COLUMNS,
    IMAGES,
    MADE,
    NO_ENDS,
    SCANS,
    SOURCES,
    AugmentedRenderer,
    InkPieces,
    LineBatch,
    LineBatches,
    LineSample,
    SampleSource,
    collate,
    degraded,
    draw_number,
    draw_piece,
    draw_scan,
    prefetched,
    render_composed,
    split_by_width,
    width,
    without_directions,
)
from inkstream.model.data.ink_set import CATEGORIES, InkSet
from inkstream.model.data.sources import ink_files, mnist, unipen
from inkstream.model.data.sources.letters import SingleLetters, load_letters
from inkstream.model.data.sources.paper import PaperLines, load_lines
from inkstream.model.data.synthesis.accents import COMPOSED
from inkstream.model.data.synthesis.composition import LineComposer, Recipe
from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.errors import ConfigError, DataError, ImageError
from inkstream.model.metrics import errors
from inkstream.model.network import LineLSTM
from inkstream.model.preprocess.ink import seen_by
from inkstream.model.reader import Reader, batches
from inkstream.model.training.config import LinesConfig
from inkstream.model.training.initial import RARER, InitialNet, like_of
from inkstream.model.training.losses import ctc_loss, end_loss, framewise_loss
from inkstream.model.training.ranges import measured_ranges
from inkstream.model.training.run_folder import FLOAT32_FOLDER, RunFolder, network_weights

UNIPEN: Final = "UNIPEN train_r01_v07"

FORWARDS: Final = "lstm."  # prefix of the weights of LSTM layers
SEEING: Final = "convolutions.0.weight"  # of what sees the planes of columns
SHOWN: Final = 4  # names of weights that an error lists

N_SHARDS: Final = 2  # parts of a batch
BUCKET_STEPS: Final = 8  # whose lines are bucketed together: a tenth of their columns is padding
ROUND_STEPS: Final = 1_000
EAGER: Final = 0.35  # share of the framewise steps in which a symbol is the label from its ink on
FADE: Final = 0.6  # share of the framewise steps after which CTC comes in
FRAMEWISE_SHARE: Final = 0.4  # of a batch's columns: single characters are many in few columns
VALIDATED: Final = {"characters": 600, "words": 400, "text": 60}  # pieces
VALIDATED_PAPER: Final = 200  # lines of each source, at most
ROUGH: Final = "rough"  # validation words with the looks of real paper
PLAIN: Final = "plain"  # the same without directions
UNDIRECTED: Final = 0.4  # share of lines of plain ink without directions
VALIDATION_SEED: Final = 0
VALIDATION_COLUMNS: Final = 20_000  # of a batch

UNCHANGED: Final = (1.0, 1.0)  # temperatures of letters and of letter ends


# Data


@dataclass(frozen=True, slots=True, eq=False)
class LineData:
    """Labelled ink, divided into training and validation pieces."""

    name: str
    ink: InkSet
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    characters: tuple[str, ...]  # of its labels, or composed of these, in order
    skipped: Mapping[str, int] = field(default_factory=dict)  # pieces that it lacks, by reason
    paper: Sequence[PaperLines] = ()
    letters: Sequence[SingleLetters] = ()  # whose ink is the last in `ink`


def load_data(
    source: Path | None,
    paper: Sequence[Path] = (),
    letters: Sequence[Path] = (),
    *,
    western: bool = False,
) -> LineData:
    """Load ink, see `load_ink`; lines on real paper and single letters if there are some.

    If `western`, UNIPEN's characters are all of `WESTERN`, since its glyphs compose them.
    """
    data = load_ink(source)
    if western and data.name == UNIPEN:
        data = replace(data, characters=WESTERN)
    data = replace(data, paper=[load_lines(path) for path in paper])
    return with_letters(data, [load_letters(path) for path in letters]) if letters else data


def with_letters(data: LineData, files: Sequence[SingleLetters]) -> LineData:
    """Add the training letters of files to the training pieces, and all their ink to the ink."""
    sets = [data.ink, *(file.ink for file in files)]
    starts = accumulate(map(len, sets))
    added = [start + file.parts["train"] for start, file in zip(starts, files, strict=False)]
    left_out = {f"of {file.name} with labels that no net has": file.n_left_out for file in files}
    return replace(
        data,
        name=", ".join([data.name, *(file.name for file in files)]),
        ink=InkSet.concatenated(sets),
        training=np.concatenate([data.training, *added]),
        skipped={**data.skipped, **left_out},
        letters=files,
    )


def load_ink(source: Path | None) -> LineData:
    """Load UNIPEN's ink (None, its archive, its folder), or the user's (.jsonl, .inkml, a folder).

    Raises `DataError` when it cannot be read, or is too little for validation.
    """
    if source is not None and ink_files.files_of(source):
        found = ink_files.read(source)
        skipped = Counter[str]()
        for (reason, *_), count in found.statistics.skipped.items():
            skipped[reason] += count
        return replace(own_ink(source.name, found.ink, found.groups), skipped=skipped)
    try:
        ink, _ = unipen.read(source)
    except DataError as error:
        if source is None or not source.is_dir():
            raise
        raise DataError(f"{error}, and no {' or '.join(ink_files.SUFFIXES)} file") from error
    parts = split.parts(ink)
    return LineData(UNIPEN, ink, parts["train"], parts["validation"], ASCII)


def own_ink(name: str, ink: InkSet, groups: NDArray[np.int64] | None = None) -> LineData:
    """Divide a user's ink, a tenth for validation; `groups` as in `split_own_ink`, None if none.

    Raises `DataError` when it is too little for that.
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


# The net, and its initial weights


def model_config(config: LinesConfig, labels: Sequence[str]) -> ModelConfig:
    """Return the dimensions of the net of a configuration."""
    return ModelConfig(
        labels=tuple(labels),
        kind="transcriber",
        column_height=config.column_height,
        features=config.units,
        layers=config.layers,
        units=config.units,
        channels=(config.channels // 2, config.channels, config.channels),
        flush_columns=FLUSH_COLUMNS,
        directions=config.directions,
    )


def initialise(network: LineLSTM, initial: InitialNet, *, likes: bool = True) -> None:
    """Load the initial weights.

    A label that the initial net lacks begins as its like there, see `LIKE`, but rarer; without one,
    or without `likes`, its row of the head stays as it is.

    The planes of directions, which the initial net may lack, add nothing at first.

    Raises `DataError` if the dimensions differ.
    """
    own = network.state_dict()
    rows = [0, *(1 + network.config.labels.index(label) for label in initial.labels)]  # 0: blank
    places = {label: row for row, label in enumerate(initial.labels, 1)}
    like_rows = {
        row: places[like]
        for row, label in enumerate(network.config.labels, 1)
        if likes and label not in places and (like := like_of(label)) in places
    }
    weights = dict(initial.weights)
    seen = own[SEEING]
    if SEEING in weights and weights[SEEING].shape == seen[:, :1].shape:
        weights[SEEING] = torch.cat([weights[SEEING], torch.zeros_like(seen[:, 1:])], 1)
    for name in ("head.weight", "head.bias"):
        if name in weights and weights[name].shape[1:] == own[name].shape[1:]:
            widened = own[name].clone()
            widened[rows] = weights[name]
            for row, of_like in like_rows.items():
                widened[row] = weights[name][of_like]
                if name == "head.bias":
                    widened[row] -= RARER
            weights[name] = widened
    wrong = [
        name for name in own.keys() | weights.keys()
        if name not in own or name not in weights or own[name].shape != weights[name].shape
    ]  # fmt: skip
    if wrong:
        layers = {name.split(".")[1] for name in initial.weights if name.startswith(FORWARDS)}
        has = len(layers), initial.weights["head.weight"].shape[1]
        asked = network.config.layers, network.config.units
        names = f"{', '.join(sorted(wrong)[:SHOWN])}{', ...' if len(wrong) > SHOWN else ''}"
        raise DataError(
            "the given net has other dimensions (layers, units): "
            f"{has}, asked for: {asked}; weights that do not fit: {names}"
        )
    network.load_state_dict(weights)


# Training


class LinesTask:
    """Batches of augmented lines, their losses, and the error of the validation writers."""

    n_shards = N_SHARDS
    round_steps = ROUND_STEPS

    def __init__(
        self,
        config: LinesConfig,
        data: LineData,
        initial: InitialNet | None = None,
    ) -> None:
        """Make a net with random weights, or those of `initial`, whose labels it keeps.

        The result has the share `config.keep` of the weights of `initial`.

        Raises:
            ConfigError: a share without initial weights.
            DataError: the dimensions or labels of the nets do not fit.
        """
        if config.keep and initial is None:
            raise ConfigError(f"keep is {config.keep:g}, but there are no weights to begin with")
        self.config, self.data = config, data
        self.n_steps = config.steps
        known = () if initial is None else initial.labels
        self.labels = (*known, *(label for label in data.characters if label not in known))
        self.model_config = model_config(config, self.labels)
        network = LineLSTM(self.model_config, config.dropout)
        if initial is not None:
            initialise(network, initial)
        self.network: nn.Module = network
        self.init = "" if initial is None else initial.digest
        self._initial = initial
        of_labels, of_ends = UNCHANGED if initial is None else initial.temperatures
        self._temperatures = (of_labels, of_ends)
        self._framewise_steps = 0 if initial else framewise_steps(config, data)
        renderer = AugmentedRenderer(config.column_height, config.strength, config.directions)
        sources = synthetic_sources(config, data, self.labels, renderer)
        shares = {name: getattr(config, name) for name in (*SOURCES, MADE, IMAGES, SCANS)}
        sized = [file.name for file in data.letters]
        pieces = InkPieces(data.ink, data.training, self.labels, sized)
        self.batches = LineBatches(pieces, renderer, shares, config.columns, sources)
        self._buckets = prefetched(self._bucket)
        tqdm.write(self._plan(shares))
        validated = InkPieces(data.ink, data.validation, self.labels)
        self.validation = validation_samples(validated, self.model_config)
        self.validation |= undirected_samples(self.validation, data.paper, self.model_config)
        left_out = {**data.skipped, **self.batches.left_out}
        if any(left_out.values()):
            counts = (f"{count} {reason}" for reason, count in left_out.items() if count)
            tqdm.write(f"pieces left out: {', '.join(counts)}")

    def _plan(self, shares: Mapping[str, float]) -> str:
        """Return what the run will do, in words."""
        config, batches = self.config, self.batches
        whole = sum(shares[name] for name in batches.sources)
        mixture = ", ".join(f"{shares[name] / whole:.0%} {name}" for name in batches.sources)
        ink = [f"{self.data.name} ({len(self.data.training):,} pieces)"]
        for lines in self.data.paper:
            ink.append(f"{lines.source.name} ({len(lines.part('train')):,} lines)")
        return (
            f"plan: {config.steps:,} steps of {config.columns:,} columns; {config.layers} layers of"
            f" {config.units} units, {len(self.labels)} labels\n"
            f"columns: {mixture}\n"
            f"ink: {', '.join(ink)}"
        )

    @property
    def description(self) -> dict[str, Any]:
        """What decides the result beside the configuration."""
        paper = self.data.paper
        return {
            "data": ", ".join([self.data.name, *(own.source.name for own in paper)]),
            "data_digest": self.data.ink.digest,
            "letters_splits": [file.split_digest for file in self.data.letters],
            "paper_digests": [own.digest for own in paper],
            "paper_splits": [split.table_digest(own.parts) for own in paper],
            "labels": list(self.labels),
            "init": self.init,
        }

    def loss(self, step: int, shard: int) -> Tensor:
        """Return the loss of a shard; its random numbers follow from seed, step and shard."""
        rng = np.random.default_rng((self.config.seed, step, shard))
        framewise = self._framewise(step)
        batch = self.part(step, shard)
        device = next(self.network.parameters()).device
        seen = seen_by(self.model_config, batch.columns)
        columns = torch.from_numpy(seen).to(device).float() / 255
        dropout = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
        scores, ends, _ = self.network(columns, rng=dropout)
        log_probabilities = scores.float().log_softmax(2)  # [B, T/2, 1 + K]
        loss = self.config.end_share * end_loss(ends.float(), batch)
        if framewise < 1:
            loss = loss + (1 - framewise) * ctc_loss(
                log_probabilities, batch, self.labels, self.config.lateness
            )
        if framewise > 0:
            eager = step < EAGER * self._framewise_steps
            of_steps = framewise_loss(log_probabilities, batch, self.labels, eager=eager)
            loss = loss + framewise * of_steps
        return loss

    def part(self, step: int, shard: int) -> LineBatch:
        """Return the batch of a shard."""
        bucket, index = divmod(step, BUCKET_STEPS)
        return self._buckets(bucket)[N_SHARDS * index + shard]

    def _bucket(self, number: int) -> Sequence[LineBatch]:
        """Return the parts of several steps; those of one step have neighbouring widths."""
        rng = np.random.default_rng((self.config.seed, number))
        weight = self._framewise(number * BUCKET_STEPS)
        framewise = weight > 0
        source, share = ("characters", FRAMEWISE_SHARE) if weight == 1 else (None, 1.0)
        lines: list[LineSample] = []
        for _ in range(BUCKET_STEPS):
            lines += self.batches.draw(rng, source, share)
        if not framewise:  # which finds a character's first ink in its columns
            rows = self.config.column_height
            lines = degraded(lines, self.config.rough, rng, rows)
            if self.config.directions:
                lines = without_directions(lines, UNDIRECTED, rng, rows)
        parts = split_by_width(lines, N_SHARDS * BUCKET_STEPS)
        order = rng.permutation(BUCKET_STEPS)
        return [parts[N_SHARDS * index + shard] for index in order for shard in range(N_SHARDS)]

    def _framewise(self, step: int) -> float:
        """Return the weight of the framewise loss: 1 at first, then down to 0, the rest is CTC."""
        if step >= self._framewise_steps:
            return 0.0
        return min(1.0, (1 - step / self._framewise_steps) / (1 - FADE))

    @torch.no_grad()
    def final_network(self, average: nn.Module) -> nn.Module:
        """Return the EMA weights, or an interpolation with the initial weights (WiSE-FT).

        A few words teach their letters, and let a net forget those that they lack: between the two
        nets lies one that knows both (Wortsman et al., CVPR 2022). A label that the initial net
        lacks keeps the weights that were trained.
        """
        if not self.config.keep or self._initial is None:
            return average
        between, before = copy.deepcopy(average), copy.deepcopy(average)
        initialise(cast(LineLSTM, before), self._initial, likes=False)
        for name, value in between.state_dict().items():
            value.lerp_(before.state_dict()[name], self.config.keep)
        return between

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, Any]:
        """Return the CER of validation pieces by source."""
        figures = {}
        for name, samples in self.validation.items():
            texts = transcribe(network, samples, self.model_config)
            figures[name] = errors(texts, [sample.label for sample in samples])["cer"]
        return {"held_out": figures}

    def finish(self, folder: RunFolder) -> Path:
        """Calibrate and export the net.

        It is calibrated as it is served: the net is exported without calibration first, and read
        by the runtime and the decoder.
        """
        held_out = folder.newest()["held_out"]
        metrics = {f"held_out_{name}_error": float(error) for name, error in held_out.items()}
        network = LineLSTM(self.model_config)
        network.load_state_dict(network_weights(folder.path))
        bucket = self._bucket(self.n_steps // BUCKET_STEPS)
        seen = [seen_by(self.model_config, batch.columns) for batch in bucket]
        ranges = measured_ranges(network.eval(), seen)
        release = partial(folder.export, self.config.task, self.model_config, metrics)
        with TemporaryDirectory() as scratch:
            reader = Reader(read(release(UNCHANGED, ranges, to=Path(scratch))))
        # Paper is read with twice the errors: it would make the letters of ink less confident.
        paper = {own.source.key for own in self.data.paper}
        ink = [own for name, own in self.validation.items() if name not in paper]
        samples = list(chain.from_iterable(ink))
        scores, before = reader.scores(samples), self._temperatures
        temperatures = fit_line_temperatures(scores, samples, self.model_config, before)
        release(temperatures, None, to=folder.path / FLOAT32_FOLDER)
        return release(temperatures, ranges)


def framewise_steps(config: LinesConfig, data: LineData) -> int:
    """Return the steps before CTC; 0 where no letter's ink is known."""
    if not config.framewise or (data.ink.letter_of_point >= 0).any():
        return config.framewise
    tqdm.write(f"framewise is left out: {data.name} has no ink that is assigned to letters")
    return 0


def synthetic_sources(
    config: LinesConfig, data: LineData, labels: Sequence[str], renderer: AugmentedRenderer
) -> dict[str, SampleSource]:
    """Return the sources of made-up lines by name; print what the data are too little for.

    A hundred words of one writer suffice for training, but not to compose others of their letters.
    """
    sources: dict[str, SampleSource] = {}
    if config.made:
        try:
            western = config.western if not COMPOSED.isdisjoint(labels) else 0.0
            anonymous = [name for file in data.letters for name in file.anonymous]
            recipe = Recipe(western=western)
            composer = LineComposer(data.ink, data.training, recipe, labels, anonymous)
        except DataError as error:
            tqdm.write(f"made is left out: {error}")
        else:
            sources[MADE] = partial(render_composed, composer, renderer)
            if composer.missing:
                missing = ", ".join(composer.missing)
                tqdm.write(f"made is without {missing}: no writer has enough ink")
    if config.images:
        if lacking := sorted(set(mnist.LABELS) - set(labels)):
            digits = " ".join(lacking)
            tqdm.write(f"images is left out: numbers need all digits, {data.name} has no {digits}")
        else:
            sources[IMAGES] = partial(draw_number, mnist.load("train"), config.column_height)
    if config.scans and data.paper:
        sources[SCANS] = paper_source(data.paper, labels, config.column_height)
    return sources


def paper_source(
    paper: Sequence[PaperLines], labels: Sequence[str], column_height: int
) -> SampleSource:
    """Return what draws a training line on real paper, of each source by its share."""
    known = set(labels)
    texts = [own.texts_in(labels) for own in paper]
    lines = [
        [at for at in own.part("train").tolist() if known.issuperset(own_texts[at])]
        for own, own_texts in zip(paper, texts, strict=True)
    ]
    shares = np.array([own.source.share for own in paper])

    def draw(random: np.random.Generator) -> LineSample:
        while True:
            number = int(random.choice(len(paper), p=shares / shares.sum()))
            own, at = paper[number], lines[number][int(random.integers(len(lines[number])))]
            with suppress(ImageError):  # pale ink may vanish where it is distorted
                return draw_scan(
                    own.images[at], texts[number][at], column_height, random,
                    to_columns=own.source.columns, widths=own.source.widths,
                )  # fmt: skip

    return draw


def validation_samples(pieces: InkPieces, config: ModelConfig) -> dict[str, list[LineSample]]:
    """Return the pieces that are validated by source, narrow ones first."""
    rng = np.random.default_rng(VALIDATION_SEED)
    samples = {}
    for name, categories in SOURCES.items():
        own = np.isin(pieces.categories, [CATEGORIES.index(c) for c in categories])
        chosen = rng.permutation(np.flatnonzero(own))[: VALIDATED[name]].tolist()
        if chosen:
            chosen.sort(key=lambda index: float(pieces.aspect[index]))
            samples[name] = [
                draw_piece(pieces, index, config.column_height, directions=config.directions)
                for index in chosen
            ]
    return samples


def undirected_samples(
    directed: Mapping[str, Sequence[LineSample]], paper: Sequence[PaperLines], config: ModelConfig
) -> dict[str, list[LineSample]]:
    """Return validation words with the looks of real paper, without directions, and real paper.

    Its texts have accents if the labels have them.
    """
    rng, column_height = np.random.default_rng(VALIDATION_SEED), config.column_height
    words = directed.get("words", [])
    samples = {ROUGH: degraded(words, 1, rng, column_height)}
    if config.directions:
        samples[PLAIN] = without_directions(words, 1, rng, column_height)
    for own in paper:
        texts = own.texts_in(config.labels)
        indices = own.part("validation")
        samples[own.source.key] = [
            LineSample(own.columns(at, column_height), texts[at], NO_ENDS)
            for at in indices[:: math.ceil(len(indices) / VALIDATED_PAPER)].tolist()
        ]
    return {name: sorted(own, key=width) for name, own in samples.items() if own}


def transcribe(network: nn.Module, samples: Sequence[LineSample], config: ModelConfig) -> list[str]:
    """Return the texts of lines, by the served decoder."""
    device = next(network.parameters()).device
    texts = []
    for lines in batches(samples, VALIDATION_COLUMNS):
        batch = collate(lines)
        seen = torch.from_numpy(seen_by(config, batch.columns)).to(device)
        logits, end_logits, _ = network(seen.float() / 255)
        ends = functional.logsigmoid(end_logits).unsqueeze(2)
        scores = torch.cat([logits.log_softmax(2), ends], 2).cpu()
        for own, columns, steps in zip(scores.numpy(), batch.columns, batch.steps, strict=True):
            decoder = GreedyDecoder(config.labels)
            decoder.step(own[:steps].repeat(STEP_COLUMNS, 0), columns[: STEP_COLUMNS * steps])
            decoder.flush()
            texts.append(decoder.text)
    return texts

"""Train the causal net that reads lines: its batches, loss, validation and calibration.

The loss is CTC's (Graves et al., ICML 2006), and beside it the cross entropy of letter ends where
the data have them. From random weights CTC stays for thousands of steps on a plateau of blanks
alone; so such a run begins framewise, with single characters whose ink is known.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from inkstream.model import reader
from inkstream.model.calibration import fit_line_temperatures
from inkstream.model.checkpoint import read
from inkstream.model.config import STEP_COLUMNS, ModelConfig
from inkstream.model.data import batches, split
from inkstream.model.data.batches import LineBatch, LineSample, SampleSource
from inkstream.model.data.line_data import LineData
from inkstream.model.data.sources import mnist
from inkstream.model.data.sources.paper import PaperLines
from inkstream.model.data.synthesis.accents import COMPOSED
from inkstream.model.data.synthesis.composition import LineComposer, Recipe
from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.errors import ConfigError, DataError, ImageError
from inkstream.model.metrics import errors
from inkstream.model.network import LineLSTM
from inkstream.model.preprocess.ink import seen_by
from inkstream.model.training.config import LinesConfig
from inkstream.model.training.initial import TrainedNet, initial_weights
from inkstream.model.training.losses import ctc_loss, end_loss, framewise_loss
from inkstream.model.training.ranges import measured_ranges
from inkstream.model.training.run_folder import FLOAT32_FOLDER, METRICS, RunFolder, load_weights

BUCKET_STEPS: Final = 8  # whose lines are bucketed together: a tenth of their columns is padding
UNDIRECTED: Final = 0.4  # share of lines of plain ink without directions
UNCHANGED: Final = (1.0, 1.0)  # temperatures of letters and of letter ends


class LinesTask:
    """Batches of augmented lines, their losses, and the error of the validation writers."""

    n_shards = 2  # parts of a batch
    round_steps = 1_000

    def __init__(
        self, config: LinesConfig, data: LineData, initial: TrainedNet | None = None
    ) -> None:
        """Make a net with random weights, or those of `initial`, whose labels it keeps.

        Raises `ConfigError` for a share `keep` without initial weights, `DataError` if the
        dimensions or labels of the nets do not fit.
        """
        if config.keep and initial is None:
            raise ConfigError(f"keep is {config.keep:g}, but there are no weights to begin with")
        self.config, self.data, self.initial = config, data, initial
        self.n_steps = config.steps
        known = () if initial is None else initial.labels
        new = [label for label in data.characters if label not in known]
        self.labels = (*known, *new)
        self._index = {label: number for number, label in enumerate(self.labels, 1)}  # 0: blank
        self.model_config = ModelConfig(
            labels=self.labels,
            kind="transcriber",
            column_height=config.column_height,
            features=config.units,
            layers=config.layers,
            units=config.units,
            channels=(config.channels // 2, config.channels, config.channels),
            flush_columns=batches.FLUSH_COLUMNS,
            directions=True,
        )
        self.network = LineLSTM(self.model_config, config.dropout)
        if initial is not None:
            weights = initial_weights(initial, self.network.state_dict(), new)
            load_weights(self.network, weights, "the initial net (it must see directions)")
        self.description = {
            "data": ", ".join([data.name, *(paper.source.name for paper in data.paper)]),
            "data_digest": data.ink.digest,
            "letters_splits": [file.split_digest for file in data.letters],
            "paper_digests": [paper.digest for paper in data.paper],
            "paper_splits": [split.table_digest(paper.parts) for paper in data.paper],
            "labels": list(self.labels),
            "init": "" if initial is None else initial.digest,
        }
        self._framewise_steps = 0 if initial else config.framewise
        if self._framewise_steps and not (data.ink.letter_of_point >= 0).any():
            self._framewise_steps = 0
            tqdm.write(f"framewise is left out: {data.name} has no ink that is assigned to letters")
        renderer = batches.AugmentedRenderer(config.column_height, config.strength)
        sources = synthetic_sources(config, data, self.labels, renderer)
        names = (*batches.SOURCES, "made", "images", "scans")
        shares = {name: getattr(config, name) for name in names}
        sized = [file.name for file in data.letters]
        pieces = batches.InkPieces(data.ink, data.training, self.labels, sized)
        self.batches = batches.LineBatches(pieces, renderer, shares, config.columns, sources)
        self._buckets = batches.prefetched(self._bucket)
        self.validation = validation_samples(data, self.model_config)
        self._untrained = None if initial is None else copy.deepcopy(self.network).eval()
        self._print_plan(shares)

    def _print_plan(self, shares: Mapping[str, float]) -> None:
        """Print what the run will do, in words."""
        config, data, sources = self.config, self.data, self.batches.sources
        whole = sum(shares[name] for name in sources)
        ink = [f"{data.name} ({len(data.training):,} pieces)"]
        ink += [f"{p.source.name} ({len(p.part('train')):,} lines)" for p in data.paper]
        tqdm.write(
            f"plan: {config.steps:,} steps of {config.columns:,} columns; {config.layers} layers of"
            f" {config.units} units, {len(self.labels)} labels"
        )
        columns = [f"{shares[name] / whole:.0%} {name}" for name in sources]
        tqdm.write(f"columns: {', '.join(columns)}\nink: {', '.join(ink)}")
        counts = {**data.skipped, **self.batches.left_out}.items()
        if left_out := ", ".join(f"{count} {reason}" for reason, count in counts if count):
            tqdm.write(f"pieces left out: {left_out}")

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
            ctc = ctc_loss(log_probabilities, batch, self._index, self.config.lateness)
            loss = loss + (1 - framewise) * ctc
        if framewise > 0:
            eager = step < 0.35 * self._framewise_steps
            of_steps = framewise_loss(log_probabilities, batch, self._index, eager=eager)
            loss = loss + framewise * of_steps
        return loss

    def part(self, step: int, shard: int) -> LineBatch:
        """Return the batch of a shard."""
        bucket, index = divmod(step, BUCKET_STEPS)
        return self._buckets(bucket)[self.n_shards * index + shard]

    def _bucket(self, number: int) -> Sequence[LineBatch]:
        """Return the parts of several steps; those of one step have neighbouring widths."""
        rng = np.random.default_rng((self.config.seed, number))
        framewise = self._framewise(number * BUCKET_STEPS)
        # Single characters are many in few columns.
        source, share = ("characters", 0.4) if framewise == 1 else (None, 1.0)
        drawn = (self.batches.draw(rng, source, share) for _ in range(BUCKET_STEPS))
        lines = list(chain.from_iterable(drawn))
        if not framewise:  # which finds a character's first ink in its columns
            rows = self.config.column_height
            lines = batches.degraded(lines, self.config.rough, rng, rows)
            lines = batches.without_directions(lines, UNDIRECTED, rng, rows)
        parts = batches.split_by_width(lines, self.n_shards * BUCKET_STEPS)
        order = rng.permutation(BUCKET_STEPS)
        n = self.n_shards
        return [parts[n * index + shard] for index in order for shard in range(n)]

    def _framewise(self, step: int) -> float:
        """Return the weight of the framewise loss beside CTC: 1 in 60 % of its steps, then less."""
        if step >= self._framewise_steps:
            return 0.0
        return min(1.0, (1 - step / self._framewise_steps) / (1 - 0.6))

    @torch.no_grad()
    def final_network(self, average: nn.Module) -> nn.Module:
        """Return the EMA weights, or an interpolation with the initial weights (WiSE-FT).

        A few words teach their letters, and let a net forget those that they lack: between the two
        nets lies one that knows both (Wortsman et al., CVPR 2022). A label that the initial net
        lacks keeps the weights that were trained.
        """
        if not self.config.keep or self.initial is None:
            return average
        between = copy.deepcopy(average)
        for name, value in between.state_dict().items():
            before = self.initial.weights[name].to(value.device)
            value[: len(before)].lerp_(before, self.config.keep)  # new labels have the last rows
        return between

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Return the CER of validation lines by source."""
        cer = {}
        for name, samples in self.validation.items():
            texts = transcribe(network, samples, self.model_config)
            cer[name] = errors(texts, [sample.label for sample in samples])["cer"]
        return cer

    def finish(self, folder: RunFolder) -> Path:
        """Calibrate and export the net.

        It is calibrated as it is served: the net is exported without calibration first, and read
        by the runtime and the decoder.
        """
        if not (rounds := folder.metrics()):
            raise DataError(f"{folder.path} has lost the figures of its validations, {METRICS}")
        held_out = rounds[-1]["held_out"]
        metrics = {f"held_out_{name}_error": float(error) for name, error in held_out.items()}
        before = {} if self._untrained is None else self.validate(self._untrained)
        for name, cer in before.items():
            n_lines = len(self.validation[name])
            tqdm.write(
                f"CER of {n_lines} held out, {name}: {cer:.1%} before, {held_out[name]:.1%} after"
            )
        bucket = self._bucket(self.n_steps // BUCKET_STEPS)
        seen = [seen_by(self.model_config, batch.columns) for batch in bucket]
        ranges = measured_ranges(self.network, seen)
        release = partial(folder.export, self.network, metrics)
        with TemporaryDirectory() as scratch:
            served = reader.Reader(read(release(UNCHANGED, ranges, to=Path(scratch))))
        # Paper is read with twice the errors: it would make the letters of ink less confident.
        paper = {lines.source.key for lines in self.data.paper}
        of_ink = (lines for name, lines in self.validation.items() if name not in paper)
        ink = list(chain.from_iterable(of_ink))
        usual = UNCHANGED if self.initial is None else self.initial.temperatures
        temperatures = fit_line_temperatures(served.scores(ink), ink, self.model_config, usual)
        release(temperatures, None, to=folder.path / FLOAT32_FOLDER)
        return release(temperatures, ranges)


def synthetic_sources(
    config: LinesConfig, data: LineData, labels: Sequence[str], renderer: batches.AugmentedRenderer
) -> dict[str, SampleSource]:
    """Return the sources of made-up lines by name; print what the data are too little for.

    A hundred words of one writer suffice for training, but not to compose others of their letters.
    """
    sources: dict[str, SampleSource] = {}
    if config.made:
        try:
            recipe = Recipe(western=0.0 if COMPOSED.isdisjoint(labels) else config.western)
            anonymous = [name for file in data.letters for name in file.anonymous]
            composer = LineComposer(data.ink, data.training, recipe, labels, anonymous)
        except DataError as error:
            tqdm.write(f"made is left out: {error}")
        else:
            sources["made"] = partial(batches.render_composed, composer, renderer)
            if missing := ", ".join(composer.missing):
                tqdm.write(f"made is without {missing}: no writer has enough ink")
    if config.images:
        if digits := " ".join(sorted(set(mnist.LABELS) - set(labels))):
            tqdm.write(f"images is left out: numbers need all digits, {data.name} has no {digits}")
        else:
            images = mnist.load("train")
            sources["images"] = partial(batches.draw_number, images, config.column_height)
    if config.scans and data.paper:
        sources["scans"] = paper_source(data.paper, labels, config.column_height)
    return sources


def paper_source(
    paper: Sequence[PaperLines], labels: Sequence[str], column_height: int
) -> SampleSource:
    """Return what draws a training line on real paper, of each source by its share."""
    known, shares = set(labels), np.array([lines.source.share for lines in paper])
    pairs_of_source = []
    for lines in paper:
        pairs = ((lines.images[at], lines.texts[at]) for at in lines.part("train").tolist())
        pairs_of_source.append([(image, text) for image, text in pairs if known.issuperset(text)])

    def draw(random: np.random.Generator) -> LineSample:
        while True:
            number = int(random.choice(len(paper), p=shares / shares.sum()))
            pairs, source = pairs_of_source[number], paper[number].source
            image, text = pairs[int(random.integers(len(pairs)))]
            with suppress(ImageError):  # pale ink may vanish where it is distorted
                return batches.draw_scan(
                    image, text, column_height, random,
                    to_columns=source.columns, widths=source.widths,
                )  # fmt: skip

    return draw


def validation_samples(data: LineData, config: ModelConfig) -> dict[str, list[LineSample]]:
    """Return the lines that are validated by source, narrow ones first.

    Beside pieces of ink these are words with the looks of real paper, words without directions, and
    real paper.
    """
    pieces, rows = batches.InkPieces(data.ink, data.validation, config.labels), config.column_height
    rng, rough_rng = np.random.default_rng(0), np.random.default_rng(0)
    n_pieces = {"characters": 600, "words": 400, "text": 60}
    samples: dict[str, list[LineSample]] = {}
    for name in batches.SOURCES:
        is_of_source = batches.of_source(name, pieces.categories)
        chosen = rng.permutation(np.flatnonzero(is_of_source))[: n_pieces[name]].tolist()
        chosen.sort(key=lambda index: float(pieces.aspect[index]))
        samples[name] = [batches.draw_piece(pieces, at, rows, directions=True) for at in chosen]
    rough = batches.degraded(samples["words"], 1, rough_rng, rows)
    plain = batches.without_directions(samples["words"], 1, rough_rng, rows)
    samples["rough"] = sorted(rough, key=batches.width)
    samples["plain"] = sorted(plain, key=batches.width)
    for paper in data.paper:
        indices = paper.part("validation")
        every = max(1, math.ceil(len(indices) / 200))  # lines of a source, at most
        lines = [
            LineSample(paper.columns(at, rows), paper.texts[at], batches.NO_ENDS)
            for at in indices[::every].tolist()
        ]
        samples[paper.source.key] = sorted(lines, key=batches.width)
    return {name: lines for name, lines in samples.items() if lines}


def transcribe(network: nn.Module, samples: Sequence[LineSample], config: ModelConfig) -> list[str]:
    """Return the texts of lines, by the served decoder."""
    device = next(network.parameters()).device
    texts = []
    for lines in reader.batches(samples, 20_000):  # columns in a batch
        batch = batches.collate(lines)
        seen = torch.from_numpy(seen_by(config, batch.columns)).to(device)
        logits, end_logits, _ = network(seen.float() / 255)
        ends = functional.logsigmoid(end_logits).unsqueeze(2)
        scores = torch.cat([logits.log_softmax(2), ends], 2).cpu()
        for line, columns, steps in zip(scores.numpy(), batch.columns, batch.steps, strict=True):
            decoder = GreedyDecoder(config.labels)
            decoder.step(line[:steps].repeat(STEP_COLUMNS, 0), columns[: STEP_COLUMNS * steps])
            decoder.flush()
            texts.append(decoder.text)
    return texts

"""Train nets that read one character in an image: the causal net, and its teacher.

The teacher is a small convolutional net that sees the whole image and answers once. It is never
served; its softened answers train the causal net (Hinton, Vinyals, Dean, "Distilling the Knowledge
in a Neural Network", arXiv 1503.02531).
"""

import copy
import dataclasses
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from inkstream.model.calibration import columns_since_ink, fit_temperatures
from inkstream.model.config import ModelConfig
from inkstream.model.data.augmentation import blank_columns, distorted
from inkstream.model.data.degradation import Degradation
from inkstream.model.data.images import Dataset
from inkstream.model.data.sources.pen_digits import PenDigits
from inkstream.model.data.split import Part
from inkstream.model.errors import DataError
from inkstream.model.network import ColumnLSTM
from inkstream.model.training.config import DigitsConfig
from inkstream.model.training.initial import TrainedNet
from inkstream.model.training.ranges import measured_ranges
from inkstream.model.training.run_folder import FLOAT32_FOLDER, NETWORK, RunFolder, load_weights

SPLIT_SEED: Final = 0  # the validation images are the same for every seed of training
VALIDATION_SEED: Final = 0  # of the looks of validation images
TEMPERATURE: Final = 2.0  # of the teacher's probabilities

PenSets = Mapping[Part, Mapping[str, PenDigits]]  # of training and validation, by source
NO_PEN: Final[PenSets] = {"train": {}, "validation": {}}


def generator(*position: int) -> torch.Generator:
    """Return the random generator of a position in a run, such as seed, step and shard.

    Random numbers that follow from the position need not be saved with a run.
    """
    number = np.random.SeedSequence(position).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(number >> np.uint64(1)))  # torch takes 63 bits


class Teacher(nn.Module):
    """Three blocks of two 3x3 convolutions, then the mean over the image and a linear head."""

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_channels = 1
        for n_outputs in (32, 64, 128):
            for _ in range(2):
                convolution = nn.Conv2d(n_channels, n_outputs, 3, padding=1, bias=False)
                layers += [convolution, nn.BatchNorm2d(n_outputs), nn.ReLU(inplace=True)]
                n_channels = n_outputs
            layers.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*layers[:-1])  # nothing is pooled behind the last block
        self.body.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(n_channels, n_labels))

    def forward(self, columns: Tensor) -> tuple[Tensor, None]:
        """Return scores [B, 1, K] of whole images, columns [B, T, H], and no state."""
        images = columns.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        return self.head(self.body(images).mean((2, 3))).unsqueeze(1), None


def degraded(columns: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Return images [N, T, H] with the looks of paper, scanners and cameras, drawn at random.

    Some images have rows of others as neighbours.
    """
    random, degradation, neighbours = np.random.default_rng(seed), Degradation(), list(columns)
    looks = [degradation(image, random, neighbours) for image in columns]
    return np.array(looks, np.uint8).reshape(columns.shape)


class ImageTask:
    """Batches of distorted images, in another order each epoch, and the validation accuracy.

    The loss is that of the teacher: the cross entropy after the last column.
    """

    n_shards = 1

    def __init__(
        self, config: DigitsConfig, dataset: Dataset, network: nn.Module, pen: PenSets = NO_PEN
    ) -> None:
        """Split `dataset`; with pen digits, those for training join it and the others validate.

        `network` returns scores [B, T, K] first (T = 1 for a net that answers once).
        """
        self.config, self.network = config, network
        enough = config.held_out < len(dataset)  # of a user's few images a fifth is held out
        n_held_out = config.held_out if enough else len(dataset) // 5
        training, self.validation = dataset.split(n_held_out, SPLIT_SEED)
        training = training.joined(source.images for source in pen["train"].values())
        self.pen = {name: source.images for name, source in pen["validation"].items()}
        self.others = dict(self.pen)  # what is validated after all columns
        everything = dataset.joined(
            source.images for part in pen.values() for source in part.values()
        )
        self.description = {
            "data": everything.name,
            "data_digest": everything.digest,
            "labels": list(dataset.labels),
        }
        self.columns = torch.from_numpy(training.columns)  # uint8 [N, T, H]
        self.answers = torch.from_numpy(training.answers)
        self.epoch_steps = math.ceil(len(training) / config.batch)
        self.n_steps = max(config.epochs * self.epoch_steps, config.steps)
        # Of few images there are many epochs; at most 40 of them are validated.
        self.round_steps = self.epoch_steps * math.ceil(self.n_steps / self.epoch_steps / 40)

    def loss(self, step: int, shard: int) -> Tensor:
        """Return the loss of a step; its random numbers follow from seed, step and shard."""
        config, device = self.config, next(self.network.parameters()).device
        rng = generator(config.seed, step, shard)
        torch.manual_seed(rng.initial_seed())  # for torch's own dropout
        epoch, batch = divmod(step, self.epoch_steps)
        order = torch.randperm(len(self.answers), generator=generator(config.seed, epoch))
        chosen = order[batch * config.batch : (batch + 1) * config.batch]
        columns = self.columns[chosen].to(device).float() / 255
        # Test images are not distorted, so the last steps distort less.
        strength = config.distortion * (1 / 3 if step >= (1 - 0.07) * self.n_steps else 1)
        # Distortion blurs: a teacher that saw distorted images alone read crisp pen digits with
        # three times the errors of slightly distorted ones.
        is_plain = torch.rand(len(columns), generator=rng) < 0.25
        moved = distorted(columns, strength, rng)
        columns = torch.where(is_plain.to(device)[:, None, None], columns, moved)
        return self._loss_of(columns, self.answers[chosen].to(device), rng)

    def _loss_of(self, columns: Tensor, answers: Tensor, rng: torch.Generator) -> Tensor:
        """Return the loss of columns [B, T, H] in 0..1 and answers [B]."""
        return functional.cross_entropy(self.network(columns)[0][:, -1].float(), answers)

    @torch.no_grad()
    def scores(self, network: nn.Module, columns: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return scores [N, T, K] before the softmax, of columns [N, T, H]."""
        device = next(network.parameters()).device
        parts = torch.split(torch.from_numpy(columns), 500)  # images in a batch
        scores = [network(part.to(device).float() / 255)[0].float() for part in parts]
        doubles: NDArray[np.float64] = torch.cat(scores).double().cpu().numpy()
        return doubles

    def final_network(self, average: nn.Module) -> nn.Module:
        """Return the averaged net itself."""
        return average

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Return the errors after some columns of the validation images."""
        answers = self.scores(network, self.validation.columns).argmax(2)  # [N, T]
        errors = (answers != self.validation.answers[:, None]).mean(0)
        n_all = len(errors)
        n_read = [*(n for n in (12, 16, 20) if n < n_all), n_all]
        held_out = {f"after {n} columns": float(errors[n - 1]) for n in n_read}
        for name, images in self.others.items():
            answers = self.scores(network, images.columns)[:, -1].argmax(1)
            held_out[name] = float((answers != images.answers).mean())
        return held_out

    def finish(self, folder: RunFolder) -> Path:
        """Make the result of a finished run: of a teacher these are its weights."""
        return folder.path / NETWORK


class DigitsTask(ImageTask):
    """The causal net: labels and the teacher's answers, at every column since the first ink."""

    network: ColumnLSTM

    def __init__(
        self,
        config: DigitsConfig,
        dataset: Dataset,
        teacher: TrainedNet | None = None,
        initial: TrainedNet | None = None,
        pen: PenSets = NO_PEN,
    ) -> None:
        """Make a net with random weights or those of `initial`, which teaches without `teacher`.

        Raises `DataError` for nets of other labels or dimensions.
        """
        model_config = ModelConfig(
            labels=dataset.labels,
            column_height=dataset.columns.shape[2],
            context=3,  # columns that the convolution sees at once
            features=config.features,
            layers=config.layers,
            units=config.units,
        )
        network = ColumnLSTM(model_config, config.dropout)
        super().__init__(config, dataset, network, pen)
        rough = degraded(self.validation.columns, VALIDATION_SEED)
        self.others["rough"] = dataclasses.replace(self.validation, columns=rough)
        for net in filter(None, (teacher, initial)):
            if net.labels != dataset.labels:
                known, needed = " ".join(net.labels), " ".join(dataset.labels)
                raise DataError(f"a given net has the labels {known}, the data have {needed}")
        self.teacher: nn.Module | None = None
        if initial is not None:
            load_weights(network, initial.weights, "the initial net")
            self.teacher = copy.deepcopy(network)
        if teacher is not None:
            self.teacher = Teacher(len(teacher.labels))
            load_weights(self.teacher, teacher.weights, "the teacher")
        if self.teacher is not None:
            self.teacher.eval().requires_grad_(False)
        self.description["init"] = "" if initial is None else initial.digest
        self.description["teacher"] = "" if teacher is None else teacher.digest

    def _loss_of(self, columns: Tensor, answers: Tensor, rng: torch.Generator) -> Tensor:
        targets = functional.one_hot(answers, len(self.network.config.labels)).float()
        softened = self._softened(columns)
        before = blank_columns(12, self.config.blank_share, rng)
        # An answer must stay when nothing more is written.
        after = blank_columns(250, self.config.blank_share, rng)
        columns = functional.pad(columns, (0, 0, before, after))  # [B, T, H]
        seen = ((columns.amax(2) > 0).cumsum(1) > 0).float()  # [B, T], 1 from the first ink on
        columns = self._degraded(columns, rng)
        scores = self.network(columns)[0].float()  # [B, T, K]
        loss = -(targets.unsqueeze(1) * scores.log_softmax(2)).sum(2)  # [B, T]
        if softened is not None:
            share = self.config.teacher_share
            soft = -(softened.unsqueeze(1) * (scores / TEMPERATURE).log_softmax(2)).sum(2)
            # The square keeps the gradient's size whatever the temperature: Hinton et al., 2015.
            loss = (1 - share) * loss + share * TEMPERATURE**2 * soft
        running = (loss * seen).sum(1) / seen.sum(1).clamp(min=1)
        # Half of the loss lies on the last columns, where a whole digit is answered.
        mean: Tensor = 0.5 * (loss[:, -4:].mean() + running.mean())
        return mean

    def _degraded(self, columns: Tensor, rng: torch.Generator) -> Tensor:
        """Give a share of the images [B, T, H] the looks of paper, scanners and cameras."""
        chosen = torch.rand(len(columns), generator=rng) < self.config.rough
        seed = int(torch.randint(2**62, (), generator=rng))
        plain = (columns[chosen] * 255).round().byte().cpu().numpy()
        mixed = columns.clone()
        mixed[chosen] = torch.from_numpy(degraded(plain, seed)).to(columns.device).float() / 255
        return mixed

    @torch.no_grad()
    def _softened(self, columns: Tensor) -> Tensor | None:
        """Return the teacher's answer [B, K] at the temperature; None without a teacher."""
        if self.teacher is None or self.config.teacher_share == 0:
            return None
        scores = self.teacher.to(columns.device)(columns)[0][:, -1].float()
        softened: Tensor = (scores / TEMPERATURE).softmax(1)
        return softened

    def finish(self, folder: RunFolder) -> Path:
        """Calibrate the net on the validation images, and export it as a checkpoint.

        Pen digits of validation writers calibrate too, where there are some. The accuracy in the
        checkpoint is that of the validation images of `dataset`: test images are for
        `inkstream evaluate` alone.
        """
        images = self.validation.joined(self.pen.values())
        # Ten blank columns, so that answers stay calibrated when nothing more comes.
        plain = np.pad(images.columns, ((0, 0), (0, 10), (0, 0)))
        columns = np.concatenate([plain, degraded(plain, VALIDATION_SEED)])
        scores = self.scores(self.network, columns)  # [2 N, T + 10, K]
        read = scores[: len(self.validation), images.columns.shape[1] - 1].argmax(1)
        metrics = {"held_out_accuracy": float((read == self.validation.answers).mean())}
        counts = columns_since_ink(columns)
        # Before its first ink there is nothing to read in a rough image either.
        known = np.concatenate([np.ones_like(counts[: len(images)]), columns_since_ink(plain)]) > 0
        answers = np.tile(images.answers, 2)[:, None].repeat(columns.shape[1], 1)
        temperatures = fit_temperatures(scores[known], counts[known], answers[known])
        trained = self.columns[:: math.ceil(len(self.columns) / 5_000)].numpy()  # at most so many
        ranges = measured_ranges(self.network, [trained, degraded(trained, VALIDATION_SEED)])
        release = partial(folder.export, self.network, metrics, temperatures)
        release(None, to=folder.path / FLOAT32_FOLDER)
        return release(ranges)

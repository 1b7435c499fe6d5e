"""The teacher: a small convolutional net that sees the whole image and answers once.

It never streams and is never served; its softened answers train the causal net (Hinton, Vinyals,
Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531).

Nets that read one character of one image: what their runs minimise and measure.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from inkstream.model.config import ModelConfig
from inkstream.model.data.augmentation import blank_columns, distorted
from inkstream.model.data.images import Dataset
from inkstream.model.errors import DataError
from inkstream.model.network import ColumnLSTM
from inkstream.model.training.config import ImageKnobs
from inkstream.model.training.release import release
from inkstream.model.training.run_folder import (
    NETWORK,
    RunFolder,
    configuration_of,
    network_digest,
    network_weights,
)

WIDTH = 32  # channels of the first block; they double with each block
DROPOUT = 0.3


class Teacher(nn.Module):
    """Three blocks of two 3x3 convolutions, then the mean over the image and a linear head."""

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for block, outputs in enumerate((WIDTH, 2 * WIDTH, 4 * WIDTH)):
            if block:
                layers.append(nn.MaxPool2d(2))
            for _ in range(2):
                layers += [
                    nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
                    nn.BatchNorm2d(outputs),
                    nn.ReLU(inplace=True),
                ]
                channels = outputs
        self.body = nn.Sequential(*layers)
        self.body.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast
        self.head = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(channels, n_labels))

    def forward(self, columns: Tensor) -> Tensor:
        """Scores [B, K] of whole images, columns [B, T, H]."""
        images = columns.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        scores: Tensor = self.head(self.body(images).mean((2, 3)))
        return scores


SPLIT_SEED = 0  # the held-out images are the same ones for every seed of training
LAST_COLUMNS = 4  # half of the loss lies on these: where a whole digit is answered
MOST_BLANK = 12  # blank columns before or after a digit in training
CALM_DISTORTION = 1 / 3  # of the strength, in the last steps: the test images are not distorted
EVALUATION_BATCH = 500


def seeded(*place: int) -> torch.Generator:
    """A generator for one place of a run, such as seed, step and shard.

    Random numbers that follow from where a run stands need not be saved with it.
    """
    number = np.random.SeedSequence(place).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(number >> np.uint64(1)))  # torch takes 63 bits


class ImageTask(ABC):
    """Batches of distorted images in a new order each epoch, and the held-out accuracy."""

    n_shards = 1

    def __init__(self, knobs: ImageKnobs, dataset: Dataset, network: nn.Module) -> None:
        self.knobs = knobs
        self.network = network
        self.dataset = dataset
        training, self.held_out = dataset.split(knobs.held_out, SPLIT_SEED)
        self.columns = torch.from_numpy(training.columns)  # uint8 [N, T, H]
        self.answers = torch.from_numpy(training.answers)
        self.steps_a_round = math.ceil(len(training) / knobs.batch)
        self.cycle_steps = knobs.epochs * self.steps_a_round

    @property
    def description(self) -> dict[str, Any]:
        """What decides the result beside the knobs."""
        return {
            "data": self.dataset.name,
            "data_digest": self.dataset.digest,
            "labels": list(self.dataset.labels),
        }

    def loss(self, step: int, shard: int) -> Tensor:
        """What a step minimises; all chance comes from the seed and the step."""
        knobs, device = self.knobs, next(self.network.parameters()).device
        random = seeded(knobs.seed, step, shard)
        torch.manual_seed(random.initial_seed())  # for torch's own dropout
        epoch, place = divmod(step, self.steps_a_round)
        order = torch.randperm(len(self.answers), generator=seeded(knobs.seed, epoch))
        chosen = order[place * knobs.batch : (place + 1) * knobs.batch]
        columns = self.columns[chosen].to(device).float() / 255
        calm = step % self.cycle_steps >= (1 - knobs.calm) * self.cycle_steps
        strength = knobs.distortion * (CALM_DISTORTION if calm else 1)
        columns = distorted(columns, strength, random)
        return self._loss_of(columns, self.answers[chosen].to(device), random)

    @abstractmethod
    def _loss_of(self, columns: Tensor, answers: Tensor, random: torch.Generator) -> Tensor:
        """The loss of columns [B, T, H] in 0..1 and answers [B]."""

    @abstractmethod
    def _scores(self, network: nn.Module, columns: Tensor) -> Tensor:
        """Scores [B, T, K] (T = 1 for a net that answers once)."""

    def settled(self, average: nn.Module) -> nn.Module:
        """The averaged net as it is."""
        return average

    @torch.no_grad()
    def measure(self, network: nn.Module) -> dict[str, Any]:
        """Share of right answers after each column of the held-out images."""
        device = next(network.parameters()).device
        columns = torch.from_numpy(self.held_out.columns).to(device)
        answers = torch.from_numpy(self.held_out.answers).to(device)
        right = [
            (self._scores(network, part.float() / 255).argmax(2) == wanted.unsqueeze(1)).float()
            for part, wanted in zip(
                torch.split(columns, EVALUATION_BATCH),
                torch.split(answers, EVALUATION_BATCH),
                strict=True,
            )
        ]
        return {"held_out": torch.cat(right).mean(0).tolist()}


class TeacherTask(ImageTask):
    """The whole-image net: cross entropy."""

    def __init__(self, knobs: ImageKnobs, dataset: Dataset) -> None:
        super().__init__(knobs, dataset, Teacher(len(dataset.labels)))

    def _loss_of(self, columns: Tensor, answers: Tensor, random: torch.Generator) -> Tensor:
        return functional.cross_entropy(self.network(columns).float(), answers)

    def _scores(self, network: nn.Module, columns: Tensor) -> Tensor:
        scores: Tensor = network(columns).float().unsqueeze(1)
        return scores

    def finish(self, folder: RunFolder) -> Path:
        """The weights are what the run was for."""
        return folder.path / NETWORK


class DigitsTask(ImageTask):
    """The causal net: at every column since the first ink, labels and the teachers' answer."""

    def __init__(self, knobs: ImageKnobs, dataset: Dataset, teachers: Sequence[Path]) -> None:
        """Draw the weights; raises `DataError` for teachers that are none, or of other labels."""
        self.config = ModelConfig(
            labels=dataset.labels,
            column_height=dataset.columns.shape[2],
            context=knobs.context,
            features=knobs.features,
            layers=knobs.layers,
            units=knobs.units,
        )
        super().__init__(knobs, dataset, ColumnLSTM(self.config, knobs.dropout))
        self.teachers = nn.ModuleList()
        for path in teachers:
            if configuration_of(path, "teacher")["labels"] != list(dataset.labels):
                raise DataError("a teacher has other labels than the net that it teaches")
            teacher = Teacher(len(dataset.labels))
            teacher.load_state_dict(network_weights(path))
            self.teachers.append(teacher.eval().requires_grad_(False))
        self.teacher_digests = [network_digest(path) for path in teachers]

    @property
    def description(self) -> dict[str, Any]:
        """What decides the result beside the knobs."""
        return super().description | {"teachers": self.teacher_digests}

    def _loss_of(self, columns: Tensor, answers: Tensor, random: torch.Generator) -> Tensor:
        targets = functional.one_hot(answers, len(self.config.labels)).float()
        softened = self._softened(columns)
        before = blank_columns(MOST_BLANK, self.knobs.blank_share, random)
        after = blank_columns(MOST_BLANK, self.knobs.blank_share, random)
        columns = functional.pad(columns, (0, 0, before, after))  # [B, T, H]
        scores = self.network(columns)[0].float()  # [B, T, K]
        loss = -(targets.unsqueeze(1) * scores.log_softmax(2)).sum(2)  # [B, T]
        if softened is not None:
            temperature, share = self.knobs.temperature, self.knobs.teacher_share
            soft = -(softened.unsqueeze(1) * (scores / temperature).log_softmax(2)).sum(2)
            # The square keeps the gradient's size whatever the temperature: Hinton et al., 2015.
            loss = (1 - share) * loss + share * temperature**2 * soft
        seen = ((columns.amax(2) > 0).cumsum(1) > 0).float()  # [B, T], 1 from the first ink on
        running = (loss * seen).sum(1) / seen.sum(1).clamp(min=1)
        mean: Tensor = 0.5 * (loss[:, -LAST_COLUMNS:].mean() + running.mean())
        return mean

    @torch.no_grad()
    def _softened(self, columns: Tensor) -> Tensor | None:
        """The teachers' mean answer [B, K] at the temperature; None without teachers."""
        if not self.teachers or self.knobs.teacher_share == 0:
            return None
        self.teachers.to(columns.device)
        answers = [
            (teacher(columns).float() / self.knobs.temperature).softmax(1)
            for teacher in self.teachers
        ]
        return torch.stack(answers).mean(0)

    def _scores(self, network: nn.Module, columns: Tensor) -> Tensor:
        scores: Tensor = network(columns)[0].float()
        return scores

    def finish(self, folder: RunFolder) -> Path:
        """Calibrate and export the net."""
        return release(folder, self.config, self.held_out, self.knobs.task)

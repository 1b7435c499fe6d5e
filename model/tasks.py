"""What a run minimises: the two nets that are trained, each with its loss and its scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.config import ModelConfig
from model.data.augment import blank_columns
from model.knobs import Knobs
from model.network import ColumnLSTM
from model.run_folder import network_weights
from model.teacher import Teacher

LAST_COLUMNS = 4  # half of the loss lies on these: where a whole digit is answered
MOST_BLANK = 12  # blank columns before or after a digit in training
EVALUATION_BATCH = 500


class Task(Protocol):
    """One net, how it is trained, and what it gets right."""

    @property
    def network(self) -> nn.Module:
        """The net that is trained."""

    def loss(self, columns: Tensor, answers: Tensor, random: torch.Generator) -> Tensor:
        """What a step minimises, of columns [B, T, H] in 0..1 and answers [B]."""

    def scores(self, network: nn.Module, columns: Tensor) -> Tensor:
        """Scores [B, T, K] (T = 1 for a net that answers once) of `network`."""


class TeacherTask:
    """The whole-image net: cross entropy."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.network = Teacher(len(labels))

    def loss(self, columns: Tensor, answers: Tensor, random: torch.Generator) -> Tensor:
        return functional.cross_entropy(self.network(columns).float(), answers)

    def scores(self, network: nn.Module, columns: Tensor) -> Tensor:
        scores: Tensor = network(columns).float().unsqueeze(1)
        return scores


class DigitsTask:
    """The causal net: at every column since the first ink, labels and the teachers' answer."""

    def __init__(
        self, knobs: Knobs, labels: Sequence[str], column_height: int, teachers: Sequence[Path]
    ) -> None:
        config = ModelConfig(
            labels=tuple(labels),
            column_height=column_height,
            context=knobs.context,
            features=knobs.features,
            layers=knobs.layers,
            units=knobs.units,
        )
        self.network = ColumnLSTM(config, knobs.dropout)
        self.knobs = knobs
        self.teachers = nn.ModuleList()
        for path in teachers:
            teacher = Teacher(len(labels))
            teacher.load_state_dict(network_weights(path))
            self.teachers.append(teacher.eval().requires_grad_(False))

    def loss(self, columns: Tensor, answers: Tensor, random: torch.Generator) -> Tensor:
        targets = functional.one_hot(answers, len(self.network.config.labels)).float()
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
        answers = [
            (teacher(columns).float() / self.knobs.temperature).softmax(1)
            for teacher in self.teachers.to(columns.device)
        ]
        return torch.stack(answers).mean(0)

    def scores(self, network: nn.Module, columns: Tensor) -> Tensor:
        scores: Tensor = network(columns)[0].float()
        return scores


@torch.no_grad()
def accuracy_curve(task: Task, network: nn.Module, columns: Tensor, answers: Tensor) -> list[float]:
    """Share of right answers after each column, T numbers; columns uint8 [N, T, H]."""
    network.eval()
    right = [
        (task.scores(network, part.float() / 255).argmax(2) == wanted.unsqueeze(1)).float()
        for part, wanted in zip(
            torch.split(columns, EVALUATION_BATCH),
            torch.split(answers, EVALUATION_BATCH),
            strict=True,
        )
    ]
    curve: list[float] = torch.cat(right).mean(0).tolist()
    return curve

"""Train a net: `inkstream train digits`. The page reads top to bottom.

knobs -> data -> net -> loop (distort, step, average) -> held-out curve -> save. A run is seeded; it
can be stopped at any step and goes on exactly from there (`--resume`).
"""

import copy
import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from model.data import images, mnist
from model.data.augment import Distortion
from model.data.dataset import Dataset
from model.knobs import PRESETS, Knobs, Place
from model.network import ColumnLSTM
from model.release import release
from model.run_folder import NETWORK, STATE, RunFolder, network_digest
from model.tasks import DigitsTask, Task, TeacherTask, accuracy_curve

SPLIT_SEED = 0  # the held-out images are the same ones for every seed of training
SAVE_EVERY_S = 300  # seconds of work that a crash may cost at most
MINUTES_AFTER_TEACHER = 0.1  # what a run gets at least when its teacher took the rest
CALM_DISTORTION = 1 / 3  # of the strength, in the last steps: the test images are not distorted


def train(knobs: Knobs, place: Place) -> Path | None:
    """Train what `knobs.task` names, from data to what is left in the run folder.

    The digits' net learns from a teacher; where none is given, one is trained first, in a folder
    inside the run's own. A finished run of digits ends with a checkpoint that can be served.

    Returns:
        The file that the finished run is for; None when its time was up before (resume it).

    Raises:
        DataError: data or folders that can't be used.
        KeyboardInterrupt: on Ctrl-C, after saving.
    """
    started = time.monotonic()
    dataset = load_data(place.data)
    teachers = place.teachers
    if knobs.task == "digits" and knobs.teacher_share > 0 and not teachers:
        teacher = train_teacher(knobs, place)
        if teacher is None:
            return None
        teachers = (teacher.parent,)
        if place.minutes is not None:
            left = place.minutes - (time.monotonic() - started) / 60
            place = dataclasses.replace(place, minutes=max(left, MINUTES_AFTER_TEACHER))
    trainer = Trainer(knobs, place, dataset, teachers)
    if not trainer.run():
        return None
    if isinstance(trainer.network, ColumnLSTM):
        held_out = dataset.split(knobs.held_out, SPLIT_SEED)[1]
        return release(trainer.folder, trainer.network.config, held_out, knobs.task)
    return place.run / NETWORK


def load_data(folder: Path | None) -> Dataset:
    """The user's own images, or MNIST's training images."""
    if folder is None or (folder / "train-images-idx3-ubyte").exists():
        return mnist.load("train", folder)
    return images.load(folder)


def train_teacher(knobs: Knobs, place: Place) -> Path | None:
    """Train the teacher of a run of digits, or go on with it; the same answer as `train`."""
    run = place.run / "teacher"
    own = {name: getattr(knobs, name) for name in ("seed", "held_out", "precision")}
    preset = dataclasses.replace(PRESETS["teacher"], **own)
    return train(preset, dataclasses.replace(place, run=run, resume=(run / STATE).exists()))


def learning_rate(step: int, n_steps: int, knobs: Knobs) -> float:
    """Linear warm-up, then a cosine down to zero (Loshchilov and Hutter, arXiv 1608.03983)."""
    warm_up = max(1, round(knobs.warm_up * n_steps))
    if step < warm_up:
        return knobs.learning_rate * (step + 1) / warm_up
    done = (step - warm_up) / max(1, n_steps - warm_up)
    return knobs.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def choose_device(knobs: Knobs, place: Place) -> tuple[torch.device, bool]:
    """The device of a run, and whether its products are taken in bfloat16."""
    name = place.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if knobs.precision != "auto":
        return torch.device(name), knobs.precision == "bfloat16"
    if name == "cuda":
        return torch.device(name), torch.cuda.is_bf16_supported()
    return torch.device(name), torch.cpu._is_avx512_bf16_supported()


def make_task(knobs: Knobs, dataset: Dataset, teachers: tuple[Path, ...]) -> Task:
    """The net that a run trains, and how."""
    if knobs.task == "teacher":
        return TeacherTask(dataset.labels)
    return DigitsTask(knobs, dataset.labels, dataset.columns.shape[2], teachers)


def make_optimiser(network: nn.Module, knobs: Knobs) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, ICLR 2019), whose decay leaves biases and scales alone."""
    matrices = [weight for weight in network.parameters() if weight.ndim > 1]
    vectors = [weight for weight in network.parameters() if weight.ndim <= 1]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": knobs.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
    )


class Trainer:
    """One run: everything that changes while it goes on, and so must be saved."""

    def __init__(
        self, knobs: Knobs, place: Place, dataset: Dataset, teachers: tuple[Path, ...]
    ) -> None:
        if place.threads:
            torch.set_num_threads(place.threads)
        torch.manual_seed(knobs.seed)
        self.knobs, self.place = knobs, place
        self.device, self.bfloat16 = choose_device(knobs, place)
        training, held_out = dataset.split(knobs.held_out, SPLIT_SEED)
        self.columns = torch.from_numpy(training.columns)  # uint8 [N, T, H]
        self.answers = torch.from_numpy(training.answers)
        self.held_out = [
            torch.from_numpy(part).to(self.device) for part in (held_out.columns, held_out.answers)
        ]
        self.task = make_task(knobs, dataset, teachers)
        self.network = self.task.network.to(self.device)
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = make_optimiser(self.network, knobs)
        self.random = torch.Generator().manual_seed(knobs.seed)  # order, distortion, blanks
        self.order = torch.empty(0, dtype=torch.int64)  # of the images, in this epoch
        self.steps_an_epoch = math.ceil(len(training) / knobs.batch)
        self.n_steps = knobs.epochs * self.steps_an_epoch
        self.step = 0
        self.folder = self.open_folder(dataset, teachers)
        if place.resume:
            self.load()

    def open_folder(self, dataset: Dataset, teachers: tuple[Path, ...]) -> RunFolder:
        """The run folder, with all that decides the result written into it and printed."""
        configuration = {
            "knobs": self.knobs.to_dict(),
            "config_digest": self.knobs.digest,
            "data": dataset.name,
            "data_digest": dataset.digest,
            "labels": list(dataset.labels),
            "teachers": [network_digest(teacher) for teacher in teachers],
        }
        tqdm.write(f"data {dataset.name} {configuration['data_digest']}")
        tqdm.write(f"configuration {self.knobs.digest}")
        return RunFolder(self.place.run, configuration, resume=self.place.resume)

    def run(self) -> bool:
        """The loop; False when the time it was given ended before its steps."""
        started = saved = time.monotonic()
        limit = math.inf if self.place.minutes is None else 60 * self.place.minutes
        bar = tqdm(total=self.n_steps, initial=self.step, unit="step", desc=self.knobs.task)
        try:
            while self.step < self.n_steps and time.monotonic() - started < limit:
                loss = self.train_step()
                bar.update()
                if self.step % self.steps_an_epoch == 0:
                    self.finish_epoch(loss, bar)
                if time.monotonic() - saved > SAVE_EVERY_S:
                    self.save()
                    saved = time.monotonic()
        finally:  # Ctrl-C as well: nothing of the work is lost
            bar.close()
            self.save()
        return self.step == self.n_steps

    def train_step(self) -> Tensor:
        """One batch: distort, predict, step, average; the loss, still on its device."""
        knobs, place = self.knobs, self.step % self.steps_an_epoch
        if place == 0:
            self.order = torch.randperm(len(self.answers), generator=self.random)
        chosen = self.order[place * knobs.batch : (place + 1) * knobs.batch]
        columns = self.columns[chosen].to(self.device).float() / 255
        answers = self.answers[chosen].to(self.device)
        calm = self.step >= (1 - knobs.calm) * self.n_steps
        strength = knobs.distortion * (CALM_DISTORTION if calm else 1)
        columns = Distortion()(columns, strength, self.random)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.n_steps, knobs)
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            loss = self.task.loss(columns, answers, self.random)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.network.parameters(), knobs.gradient_norm)
        self.optimiser.step()
        self.step += 1
        self.update_average()
        return loss.detach()

    @torch.no_grad()
    def update_average(self) -> None:
        """Move the average towards the weights; early on it follows fast."""
        decay = min(self.knobs.ema, (1 + self.step) / (10 + self.step))
        now = self.network.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(now[name], 1 - decay)
            else:
                value.copy_(now[name])

    def finish_epoch(self, loss: Tensor, bar: "tqdm[Any]") -> None:
        """Measure the averaged net on the held-out images, and write it all down."""
        curve = accuracy_curve(self.task, self.average, *self.held_out)
        bar.set_postfix(loss=f"{loss.item():.4f}", held_out=f"{100 * curve[-1]:.2f}%")
        self.folder.log(
            {
                "epoch": self.step // self.steps_an_epoch,
                "step": self.step,
                "loss": loss.item(),
                "held_out": curve,
            }
        )
        self.folder.save_network(self.average.state_dict())
        self.folder.draw_curve()

    def save(self) -> None:
        """Keep weights, average, optimiser, random state and place."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for index, values in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in values.items()}
        tensors |= {
            "random.data": self.random.get_state(),
            "random.torch": torch.get_rng_state(),
            "order": self.order,
        }
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        self.folder.save(tensors, {"step": self.step})

    def load(self) -> None:
        """Go back to what `save` kept."""
        tensors, place = self.folder.load()

        def below(prefix: str) -> dict[str, Tensor]:
            return {
                name.removeprefix(prefix): value
                for name, value in tensors.items()
                if name.startswith(prefix)
            }

        self.network.load_state_dict(below("network."))
        self.average.load_state_dict(below("average."))
        state: dict[int, dict[str, Tensor]] = {}
        for path, value in below("optimiser.").items():
            index, name = path.split(".")
            state.setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": state})
        self.random.set_state(tensors["random.data"])
        torch.set_rng_state(tensors["random.torch"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"])
        self.order = tensors["order"]
        self.step = place["step"]
        self.folder.forget_after(self.step)

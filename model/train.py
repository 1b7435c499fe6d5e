"""Train a net: `inkstream train digits`, `inkstream train lines`. The page reads top to bottom.

knobs -> task (data, net, loss) -> loop (gradients, step, average) -> held-out figures -> save. A
run is seeded, and all its chance follows from seed and step; it can be stopped at any step and goes
on exactly from there (`--resume`).
"""

import copy
import dataclasses
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from inkstream.model.data import images
from inkstream.model.data.images import Dataset
from inkstream.model.data.sources import mnist
from inkstream.model.errors import DataError
from inkstream.model.training import lines as line_data
from inkstream.model.training.config import TEACHER, ImageKnobs, Knobs, LineKnobs, Place
from inkstream.model.training.digits import DigitsTask, TeacherTask, seeded
from inkstream.model.training.lines import LineTask, start_from
from inkstream.model.training.optim import make_optimisers
from inkstream.model.training.resume import TEACHER_FOLDER, keep_options
from inkstream.model.training.run_folder import STATE, RunFolder
from inkstream.model.training.signals import Stop

THREADS = torch.get_num_threads()  # that torch takes by itself, before any run divides them
SAVE_EVERY_S = 300  # seconds of work that a crash may cost at most
NETS = ("network", "average", "cycles")  # of a trainer, which are saved
LATER_END = 0.4  # share of the end of a cycle, from the third one on, in the mean with those before
MINUTES_AFTER_TEACHER = 0.1  # what a run gets at least when its teacher took the rest


class Task(Protocol):
    """One net, how it is trained, and what it gets right."""

    network: nn.Module
    cycle_steps: int  # in which the rate rises and falls
    steps_a_round: int  # between two measurements
    n_shards: int  # parts of a batch, whose gradients may be computed side by side

    @property
    def description(self) -> dict[str, Any]:
        """What decides the result beside the knobs: data, labels, teachers, digests."""

    def loss(self, step: int, shard: int) -> Tensor:
        """What a step minimises, of one part of its batch."""

    def settled(self, average: nn.Module) -> nn.Module:
        """The net that the run is for, made of the averaged one."""

    def measure(self, network: nn.Module) -> dict[str, Any]:
        """Figures of the held-out data, for the log; `held_out` among them."""

    def finish(self, folder: RunFolder) -> Path:
        """Make what the finished run is for; `folder` holds the weights."""


def train(knobs: Knobs, place: Place) -> Path | None:
    """Train what `knobs.task` names, from data to what is left in the run folder.

    Returns:
        The file that the finished run is for; None when its time was up before (resume it).

    Raises:
        DataError: data or folders that can't be used.
        KeyboardInterrupt: on Ctrl-C or SIGTERM, after the step that is under way was saved; on the
            second one at once.
    """
    started = time.monotonic()
    keep_options(knobs, place)
    needed = run_before(knobs, place)
    if needed is not None:
        if train(*needed) is None:
            return None
        place = place_after(needed[1].run, place, started)
    if isinstance(knobs, LineKnobs):
        task = line_task(knobs, place)
    else:
        assert isinstance(knobs, ImageKnobs)
        task = image_task(knobs, load_images(place.data), place.teachers)
    trainer = Trainer(knobs, place, task)
    return task.finish(trainer.folder) if trainer.run() else None


def run_before(knobs: Knobs, place: Place) -> tuple[Knobs, Place] | None:
    """The teacher's run, in a folder within this one's, where one is needed and none was given."""
    if not isinstance(knobs, ImageKnobs) or knobs.task == "teacher":
        return None
    if not knobs.teacher_share or place.teachers:
        return None
    run = place.run / TEACHER_FOLDER
    own = {name: getattr(knobs, name) for name in ("seed", "held_out", "precision")}
    preset = dataclasses.replace(TEACHER, **own)
    resume = place.resume or (run / STATE).exists()
    return preset, dataclasses.replace(place, run=run, resume=resume)


def place_after(teacher: Path, place: Place, started: float) -> Place:
    """The place of a run whose teacher is trained now, with the minutes that are left."""
    minutes = place.minutes
    if minutes is not None:
        minutes = max(minutes - (time.monotonic() - started) / 60, MINUTES_AFTER_TEACHER)
    resume = place.resume and (place.run / STATE).exists()  # it may have stopped in the teacher's
    return dataclasses.replace(place, teachers=(teacher,), minutes=minutes, resume=resume)


def load_images(folder: Path | None) -> Dataset:
    """The user's own images, or MNIST's training images."""
    if folder is None or (folder / "train-images-idx3-ubyte").exists():
        return mnist.load("train", folder)
    return images.load(folder)


def line_task(knobs: LineKnobs, place: Place) -> Task:
    """What a run on lines trains; its weights are drawn now, or those that it begins with."""
    start = None if place.init is None else start_from(place.init)
    data = line_data.load(place.data)
    torch.manual_seed(seeded(knobs.seed).initial_seed())
    return LineTask(knobs, data, start)


def image_task(knobs: ImageKnobs, dataset: Dataset, teachers: Sequence[Path]) -> Task:
    """What a run on images trains; its weights are drawn now."""
    torch.manual_seed(seeded(knobs.seed).initial_seed())
    if knobs.task == "teacher":
        return TeacherTask(knobs, dataset)
    return DigitsTask(knobs, dataset, teachers)


def learning_rate(step: int, cycle_steps: int, knobs: Knobs) -> float:
    """Linear warm-up, then a cosine down to zero, each cycle (Loshchilov and Hutter, ICLR 2017)."""
    step %= cycle_steps
    warm_up = max(1, round(knobs.warm_up * cycle_steps))
    if step < warm_up:
        return knobs.learning_rate * (step + 1) / warm_up
    done = (step - warm_up) / max(1, cycle_steps - warm_up)
    return knobs.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def choose_device(knobs: Knobs, place: Place) -> tuple[torch.device, bool]:
    """The device of a run, and whether its products are taken in bfloat16."""
    name = place.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise DataError("device is cuda, which torch does not find here, allowed: auto, cpu")
    if knobs.precision != "auto":
        return torch.device(name), knobs.precision == "bfloat16"
    if name == "cuda":
        return torch.device(name), torch.cuda.is_bf16_supported()
    return torch.device(name), torch.cpu._is_avx512_bf16_supported()


class Trainer:
    """One run: everything that changes while it goes on, and so must be saved."""

    def __init__(self, knobs: Knobs, place: Place, task: Task) -> None:
        # Each shard has its thread: together they shall have no more than there are.
        torch.set_num_threads(max(1, (place.threads or THREADS) // task.n_shards))
        self.knobs, self.place, self.task = knobs, place, task
        self.device, self.bfloat16 = choose_device(knobs, place)
        self.network = task.network.to(self.device)
        self.parameters = list(self.network.parameters())
        self.average = copy.deepcopy(self.network).eval()
        self.cycles = copy.deepcopy(self.average)  # a mean of their ends, from the second one on
        self.n_steps = knobs.cycles * task.cycle_steps
        self.optimisers = make_optimisers(self.network, knobs, task.n_shards)
        self.threads = ThreadPoolExecutor(task.n_shards)
        self.step = 0
        self.folder = self.open_folder()
        if place.resume:
            self.load()

    def open_folder(self) -> RunFolder:
        """The run folder, with all that decides the result written into it and printed."""
        configuration = {
            "knobs": self.knobs.to_dict(),
            "config_digest": self.knobs.digest,
            **self.task.description,
        }
        tqdm.write(f"data {configuration['data']} {configuration['data_digest']}")
        tqdm.write(f"configuration {self.knobs.digest}")
        return RunFolder(self.place.run, configuration, resume=self.place.resume)

    def run(self) -> bool:
        """The loop; False when the time it was given ended before its steps.

        Only what is whole is saved, a step with its average and measurement; what breaks off in the
        middle of one goes on from before it.
        """
        task, started = self.task, time.monotonic()
        limit = math.inf if self.place.minutes is None else 60 * self.place.minutes
        bar = tqdm(total=self.n_steps, initial=self.step, unit="step", desc=self.knobs.task)
        with self.folder.held(), Stop() as stop, bar:
            self.save()
            saved = time.monotonic()
            while self.step < self.n_steps and time.monotonic() - started < limit:
                loss = self.train_step()
                bar.update()
                if self.step % task.steps_a_round == 0 or self.cycle_ends:
                    self.finish_round(loss, bar)
                if stop.asked:
                    break
                if time.monotonic() - saved > SAVE_EVERY_S:
                    self.save()
                    saved = time.monotonic()
            self.save()
        if stop.asked:
            raise KeyboardInterrupt
        return self.step == self.n_steps

    def train_step(self) -> Tensor:
        """One batch: gradients of its parts, step, average; the loss, still on its device."""
        rate = learning_rate(self.step, self.task.cycle_steps, self.knobs)
        for group in chain.from_iterable(o.param_groups for o in self.optimisers):
            group["lr"] = rate
        self.network.train()
        parts = list(self.threads.map(self.gradients, range(self.task.n_shards)))
        for parameter, *gradients in zip(
            self.parameters, *(part[1] for part in parts), strict=True
        ):
            parameter.grad = torch.stack(gradients).mean(0)
        nn.utils.clip_grad_norm_(self.parameters, self.knobs.gradient_norm)
        list(self.threads.map(lambda optimiser: optimiser.step(), self.optimisers))
        self.step += 1
        self.update_average()
        if self.cycle_ends:
            ended = self.step // self.task.cycle_steps
            move(self.cycles, self.average, LATER_END if ended > 2 else 1)
        return torch.stack([part[0] for part in parts]).mean()

    def gradients(self, shard: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Loss and gradients of one part of the batch; parts may be computed in several threads."""
        # Without its cache, which threads would share.
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.bfloat16, cache_enabled=False
        ):
            loss = self.task.loss(self.step, shard)
        return loss.detach(), torch.autograd.grad(loss, self.parameters)

    @property
    def cycle_ends(self) -> bool:
        """Whether the rate has just fallen to 0."""
        return self.step % self.task.cycle_steps == 0

    def update_average(self) -> None:
        """Move the average towards the weights; early on it follows fast."""
        decay = min(self.knobs.ema, (1 + self.step) / (10 + self.step))
        move(self.average, self.network, 1 - decay)

    def finish_round(self, loss: Tensor, bar: "tqdm[Any]") -> None:
        """Measure the averaged net on the held-out data, and write it all down."""
        network = self.task.settled(self.cycles if self.cycle_ends else self.average)
        figures = self.task.measure(network)
        bar.set_postfix(loss=f"{loss.item():.4f}", held_out=_shown(figures["held_out"]))
        number = math.ceil(self.step / self.task.steps_a_round)
        self.folder.log({"epoch": number, "step": self.step, "loss": loss.item(), **figures})
        self.folder.save_network(network.state_dict())
        self.folder.draw_curve()

    def save(self) -> None:
        """Keep weights, average, optimiser and place."""
        tensors: dict[str, Tensor] = {}
        for net in NETS:
            weights = getattr(self, net).state_dict()
            tensors |= {f"{net}.{name}": value for name, value in weights.items()}
        for number, optimiser in enumerate(self.optimisers):
            for index, values in optimiser.state_dict()["state"].items():
                prefix = f"optimiser.{number}.{index}"
                tensors |= {f"{prefix}.{name}": value for name, value in values.items()}
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

        try:
            for net in NETS:
                getattr(self, net).load_state_dict(below(f"{net}."))
        except RuntimeError as error:
            raise DataError(f"{self.folder.path / STATE} is of another net: {error}") from error
        for number, optimiser in enumerate(self.optimisers):
            state: dict[int, dict[str, Tensor]] = {}
            for path, value in below(f"optimiser.{number}.").items():
                index, name = path.split(".")
                state.setdefault(int(index), {})[name] = value
            optimiser.load_state_dict(optimiser.state_dict() | {"state": state})
        self.step = place["step"]
        self.folder.forget_after(self.step)


@torch.no_grad()
def move(network: nn.Module, towards: nn.Module, share: float) -> None:
    """Bring all weights of a net a share of the way to those of another; counts are taken over."""
    there = towards.state_dict()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.lerp_(there[name], share)
        else:
            value.copy_(there[name])


def _shown(held_out: list[float] | dict[str, float]) -> str:
    """The held-out figures in a word: the last of a curve, or all by name."""
    if isinstance(held_out, dict):
        return " ".join(f"{name} {value:.1%}" for name, value in held_out.items())
    return f"{held_out[-1]:.2%}"

"""Train a net: `inkstream train digits`, `inkstream train lines`. The page reads top to bottom.

configuration -> task (data, net, loss) -> loop (gradients, step, EMA) -> validation -> save. A run
is seeded, and its random numbers follow from seed and step alone. It can be stopped at any step and
continues exactly from there (`--resume`).
"""

import dataclasses
import math
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from inkstream.model.data import images
from inkstream.model.data.line_data import load_data
from inkstream.model.data.sources import mnist, pen_digits
from inkstream.model.errors import DataError
from inkstream.model.training.config import (
    TEACHER,
    DigitsConfig,
    LinesConfig,
    RunOptions,
    TrainingConfig,
)
from inkstream.model.training.digits import NO_PEN, DigitsTask, ImageTask, Teacher, generator
from inkstream.model.training.initial import TrainedNet, finished_run, initial_net
from inkstream.model.training.lines import LinesTask
from inkstream.model.training.run_folder import (
    STATE,
    TEACHER_FOLDER,
    RunFolder,
    keep_options,
    load_weights,
)

LEAST_LINES: Final = 1_000  # from which a net for lines can be made of random weights
THREADS: Final = torch.get_num_threads()  # torch's own choice, before a run divides them

Task = ImageTask | LinesTask  # its net, batches, losses, validation and result


def train(config: TrainingConfig, options: RunOptions) -> Path | None:
    """Train the task of `config`, from the data to the result in the run folder; return its path.

    Return None when its time was over before (resume it). A classifier without initial weights is
    taught by a net that is trained before it, in a folder within the run's.

    Raises:
        DataError: data or folders cannot be used.
        KeyboardInterrupt: on Ctrl-C or SIGTERM, after the current step has been saved; on the
            second one at once.
    """
    deadline = time.monotonic() + 60 * (options.minutes or math.inf)
    keep_options(config, options)
    teacher = None
    if isinstance(config, DigitsConfig) and config.teacher_share and options.init is None:
        shared = {name: getattr(config, name) for name in ("seed", "held_out", "precision")}
        config_before = dataclasses.replace(TEACHER, **shared)
        before = dataclasses.replace(options, run=options.run / TEACHER_FOLDER)
        trainer = Trainer(config_before, before, make_task(config_before, before))
        if not trainer.run(deadline):
            return None
        trainer.finish()
        teacher = finished_run(before.run, TEACHER.task)
    trainer = Trainer(config, options, make_task(config, options, teacher))
    return trainer.finish() if trainer.run(deadline) else None


def make_task(
    config: TrainingConfig, options: RunOptions, teacher: TrainedNet | None = None
) -> Task:
    """Load the data and make the net, with random weights or the initial ones of the options."""
    torch.manual_seed(generator(config.seed).initial_seed())
    initial = None if options.init is None else initial_net(options.init, config.task)
    if isinstance(config, LinesConfig):
        data = load_data(options.data, options.paper, options.letters, config.held_out)
        n_lines = len(data.training) + sum(len(lines.part("train")) for lines in data.paper)
        if options.data is not None and initial is None and n_lines < LEAST_LINES:
            raise DataError(
                f"{options.data} has {n_lines} words and lines to train on, expected"
                f" {LEAST_LINES:,} or more for a net from random weights: `inkstream train hand"
                f" --data {options.data}` adapts the shipped net to them, within minutes"
            )
        return LinesTask(config, data, initial)
    assert isinstance(config, DigitsConfig)
    folder = options.data
    if folder is None or (folder / "train-images-idx3-ubyte").exists():
        dataset = mnist.load("train", folder)
    else:
        dataset = images.load(folder)
    pen = NO_PEN
    if options.pen is not None:
        pen = {part: pen_digits.load(options.pen, part) for part in pen}
    if config.task == TEACHER.task:
        return ImageTask(config, dataset, Teacher(len(dataset.labels)), pen)
    return DigitsTask(config, dataset, teacher, initial, pen)


def learning_rate(step: int, n_steps: int, config: TrainingConfig) -> float:
    """Return the rate: linear warm-up, then constant, then a cosine to zero.

    A short run warms up for a fifth of its steps. Hu et al. (MiniCPM, arXiv 2404.06395) hold the
    rate, Loshchilov and Hutter (SGDR, ICLR 2017) let it fall so.
    """
    warm_up = min(config.warm_up, math.ceil(0.2 * n_steps))
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    hold = max(warm_up, round(config.hold * n_steps))
    done = max(0, step - hold) / max(1, n_steps - hold)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def make_optimisers(
    network: nn.Module, config: TrainingConfig, n_threads: int
) -> list[torch.optim.Optimizer]:
    """Return the optimisers of all weights; they can step in parallel.

    AdamW (Loshchilov and Hutter, ICLR 2019) without decay of biases and scales. With
    `optimiser="muon"` hidden matrices are updated by Muon (Jordan, 2024, kellerjordan.github.io
    /posts/muon), its steps as long as AdamW's (Liu et al., arXiv 2502.16982), so that one rate does
    for both. Muon takes a good part of a step's time, so `n_threads` share the matrices.
    """
    decay, has_muon = config.weight_decay, config.optimiser == "muon"
    hidden, others = list[Tensor](), list[Tensor]()
    for name, weight in network.named_parameters():
        is_head = name.startswith(("head", "ends"))
        is_hidden = has_muon and weight.ndim == 2 and not is_head
        (hidden if is_hidden else others).append(weight)
    groups = [
        {"params": [weight for weight in others if weight.ndim > 1], "weight_decay": decay},
        {"params": [weight for weight in others if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    muons = [
        torch.optim.Muon(part, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
        for part in filter(None, (hidden[thread::n_threads] for thread in range(n_threads)))
    ]
    return [torch.optim.AdamW(groups), *muons]


def choose_device(config: TrainingConfig, options: RunOptions) -> tuple[torch.device, bool]:
    """Return the device of a run, and whether its products are computed in bfloat16.

    On processors with AVX-512 BF16 but without AMX they can take longer than those of 32 bits
    (docs/experiments.md).
    """
    has_cuda = torch.cuda.is_available()
    if options.device == "cuda" and not has_cuda:
        raise DataError("device is cuda, which torch does not find here, allowed: auto, cpu")
    name = "cuda" if has_cuda and options.device != "cpu" else "cpu"
    if config.precision != "auto":
        return torch.device(name), config.precision == "bfloat16"
    fast = torch.cuda.is_bf16_supported if name == "cuda" else torch.cpu._is_amx_tile_supported
    return torch.device(name), fast()


class Trainer:
    """One run: all that changes while it goes on, and must be saved."""

    def __init__(self, config: TrainingConfig, options: RunOptions, task: Task) -> None:
        n_threads = options.threads or THREADS
        # Shards are computed side by side, where there are threads for that.
        torch.set_num_threads(max(1, n_threads // task.n_shards))
        self.config, self.task = config, task
        self.device, self.bfloat16 = choose_device(config, options)
        self.network = task.network.to(self.device)
        self.parameters = list(self.network.parameters())
        self.average = AveragedModel(self.network, use_buffers=True).eval()
        self.average.update_parameters(self.network)
        self.saved = nn.ModuleDict({"network": self.network, "average": self.average})
        self.optimisers = make_optimisers(self.network, config, task.n_shards)
        self.threads = ThreadPoolExecutor(min(n_threads, task.n_shards))
        self.step = 0
        configuration = {
            "config": dataclasses.asdict(config),
            "config_digest": config.digest,
            **task.description,
        }
        tqdm.write(f"data {configuration['data']} {configuration['data_digest']}")
        tqdm.write(f"configuration {config.digest}")
        self.folder = RunFolder(options.run, configuration, options.name)
        if self.folder.has_state:
            self.load()

    def run(self, deadline: float = math.inf) -> bool:
        """Train to the end; return False if the deadline, on the monotonic clock, came first.

        Only complete steps are saved, with their average and validation; an incomplete one is
        repeated.
        """
        task = self.task
        bar = tqdm(total=task.n_steps, initial=self.step, unit="step", desc=self.config.task)
        with self.folder.locked(), deferred_signals() as received, bar:
            self.save()
            saved = time.monotonic()
            while self.step < task.n_steps and time.monotonic() < deadline:
                loss = self.train_step()
                bar.update()
                if self.step % task.round_steps == 0 or self.step == task.n_steps:
                    self.finish_round(loss, bar)
                if received:
                    break
                if time.monotonic() - saved > 300:  # seconds of work that a crash costs at most
                    self.save()
                    saved = time.monotonic()
            self.save()
        if received:
            raise KeyboardInterrupt
        return self.step == task.n_steps

    def train_step(self) -> Tensor:
        """Take one step; return its loss, still on its device."""
        rate = learning_rate(self.step, self.task.n_steps, self.config)
        for group in chain.from_iterable(o.param_groups for o in self.optimisers):
            group["lr"] = rate
        self.network.train()
        shards = self.threads.map(self.gradients, range(self.task.n_shards))
        losses, gradients = zip(*shards, strict=True)
        for parameter, *parts in zip(self.parameters, *gradients, strict=True):
            parameter.grad = torch.stack(parts).mean(0)
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        list(self.threads.map(lambda optimiser: optimiser.step(), self.optimisers))
        self.step += 1
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))  # it rises at first
        self.average.multi_avg_fn = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.average.update_parameters(self.network)
        return torch.stack(losses).mean()

    def gradients(self, shard: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the loss and the gradients of one shard; shards may run in several threads."""
        # Without autocast's cache, which threads would share.
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.bfloat16, cache_enabled=False
        ):
            loss = self.task.loss(self.step, shard)
        return loss.detach(), torch.autograd.grad(loss, self.parameters)

    def finish_round(self, loss: Tensor, bar: "tqdm[Any]") -> None:
        """Validate the averaged net, and write its weights and figures."""
        network = self.task.final_network(self.average.module)
        errors = self.task.validate(network)
        shown = {f"error {name}": f"{error:.2%}" for name, error in errors.items()}
        bar.set_postfix({"loss": f"{loss.item():.4f}"} | shown)
        epoch = math.ceil(self.step / self.task.round_steps)
        figures = {"epoch": epoch, "step": self.step, "loss": loss.item(), "held_out": errors}
        self.folder.record(figures, network)

    def finish(self) -> Path:
        """Make the result of a finished run, and return its path."""
        final = self.task.final_network(self.average.module)
        self.network.eval().load_state_dict(final.state_dict())
        return self.task.finish(self.folder)

    def save(self) -> None:
        """Save all weights, the state of the optimisers and the step."""
        tensors: dict[str, Tensor] = self.saved.state_dict()
        for number, optimiser in enumerate(self.optimisers):
            for index, values in optimiser.state_dict()["state"].items():
                prefix = f"optimiser.{number}.{index}"
                tensors |= {f"{prefix}.{name}": value for name, value in values.items()}
        self.folder.save(tensors, self.step)

    def load(self) -> None:
        """Load what `save` saved."""
        tensors, self.step = self.folder.load()
        states: dict[int, Any] = defaultdict(lambda: defaultdict(dict))
        for path in [path for path in tensors if path.startswith("optimiser.")]:
            _, optimiser_index, index, name = path.split(".")
            states[int(optimiser_index)][int(index)][name] = tensors.pop(path)
        load_weights(self.saved, tensors, self.folder.path / STATE)
        for number, optimiser in enumerate(self.optimisers):
            optimiser.load_state_dict(optimiser.state_dict() | {"state": states[number]})


@contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Yield a list that takes the first Ctrl-C or SIGTERM; the second raises KeyboardInterrupt."""
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

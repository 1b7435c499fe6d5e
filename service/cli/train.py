"""`inkstream train`: the command lines of the training module.

torch and its kin are imported by the commands, not by their help.
"""

import dataclasses
import json
import signal
import typing
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

from inkstream.model.training.config import PRESETS, Device, Place
from inkstream.service.cli.options import PATH, make_folders

RUNS: Final = Path("runs")
Command = Callable[..., Any]

WORDS: Final = {  # for knobs that are no numbers
    "optimiser": "of hidden matrices; AdamW moves the rest",
    "precision": "of products",
    "bidirectional": "also read from the end: a reference model, which cannot stream",
}


@click.group(name="train")
def train() -> None:
    """Train a net.

    \b
    Examples:
      inkstream train digits --minutes 60     stop after an hour, and save
      inkstream train digits --resume         go on exactly there
      inkstream train lines --resume --cycles 4   beyond its end: one cycle more
      inkstream train digits --data letters/ --run runs/letters   your own images, a folder each
      inkstream train document                the book chapter's example
    """


IMAGES: Final = (
    "a folder with one folder of images a class, a CSV of label and pixels, or a folder of MNIST's"
    " IDX files  [MNIST, fetched once]"
)
INK: Final = (
    "your own ink: .jsonl, .inkml or a folder of them; or UNIPEN's archive  [what was kept of it]"
)


def place_options(data_words: str, *, data_required: bool = False) -> Callable[[Command], Command]:
    """Where a run reads and writes, and how long it may take."""
    options = (
        click.option("--threads", type=int, default=0, help="of the processor  [torch's choice]"),
        click.option(
            "--device",
            type=click.Choice(typing.get_args(Device)),
            default="auto",
            show_default=True,
            help="where to compute",
        ),
        click.option("--resume", is_flag=True, help="go on where the run folder stands"),
        click.option("--minutes", type=float, help="stop and save after so long"),
        click.option("--data", type=PATH, required=data_required, help=data_words),
        click.option("--run", type=PATH, help="run folder  [runs/ and the command's name]"),
    )

    def decorate(command: Command) -> Command:
        for option in options:
            command = option(command)
        return command

    return decorate


def knob_options(task: str) -> Callable[[Command], Command]:
    """A flag for each knob, with the preset's value as its default."""

    def decorate(command: Command) -> Command:
        for field in reversed(dataclasses.fields(PRESETS[task])):
            if field.name == "task":
                continue
            flag = "--" + field.name.replace("_", "-")
            choices = typing.get_args(field.type)
            command = click.option(
                f"{flag}/--no-{flag[2:]}" if field.type is bool else flag,
                type=click.Choice(choices) if choices else field.type,
                default=getattr(PRESETS[task], field.name),
                show_default=True,
                help=field.metadata.get("words", WORDS.get(field.name)),
            )(command)
        return command

    return decorate


@train.command()
@place_options(IMAGES)
@click.option(
    "--teacher", type=PATH, multiple=True, help="run folder of a net to learn from, once for each"
)
@knob_options("digits")
def digits(teacher: tuple[Path, ...], **options: Any) -> int:
    """Train the causal LSTM that is served; without --teacher it trains one first.

    \b
    Examples:
      inkstream train digits --seed 1 --run runs/seed1 --teacher runs/digits/teacher
      inkstream train digits --data my_letters/ --teacher-share 0 --held-out 200 --epochs 10 \\
          --run runs/letters
    """
    return _train("digits", options, teachers=teacher)


@train.command()
@place_options(IMAGES)
@knob_options("teacher")
def teacher(**options: Any) -> int:
    """Train a convolutional net that sees the whole image, for `train digits` to learn from.

    \b
    Example:
      inkstream train teacher --run runs/teacher --minutes 20
    """
    return _train("teacher", options)


@train.command()
@place_options(INK)
@click.option("--init", type=PATH, help="begin with these weights: a run folder, a name or a path")
@knob_options("lines")
def lines(init: Path | None, **options: Any) -> int:
    """Train the causal net that reads lines of handwriting.

    \b
    Examples:
      inkstream data unipen unipen-train.tar.xz     read the archive, once
      inkstream train lines --minutes 600
      inkstream train lines --init lines --steps 9000 --cycles 1 --run runs/on
      inkstream train lines --init lines --bidirectional --steps 5000 --cycles 1 --run runs/both
    """
    return _train("lines", options, init=init)


@train.command()
@place_options("your own ink: .jsonl, .inkml or a folder of them", data_required=True)
@click.option(
    "--init",
    type=PATH,
    default="lines",
    show_default=True,
    help="begin with these weights: a run folder, a name or a path",
)
@knob_options("hand")
def hand(init: Path, **options: Any) -> int:
    """Teach a net one person's hand: some minutes, and a hundred words or more.

    \b
    Examples:
      inkstream train hand --data my_hand.jsonl
      inkstream serve --models runs/hand/lines.onnx
    """
    return _train("hand", options, init=init)


def _train(task: str, options: dict[str, Any], **more: Any) -> int:
    names = {field.name for field in dataclasses.fields(Place)}
    place = {name: value for name, value in options.items() if name in names} | more
    knobs = {name: value for name, value in options.items() if name not in names}
    run = place.pop("run") or RUNS / task
    chosen = dataclasses.replace(PRESETS[task], **knobs), Place(run=run, **place)
    from inkstream.model.train import train as train_net

    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):  # shells let background jobs ignore Ctrl-C
        signal.signal(number, interrupt)
    try:
        made = train_net(*chosen)
    except RuntimeError as error:
        if not came:
            raise
        # Python waits for threads by a lock that an interrupt may leave open; it then complains.
        raise KeyboardInterrupt from error
    if made is None:
        click.echo(f"the time was up; go on with: inkstream train {task} --run {run} --resume")
    else:
        click.echo(made)
    return 0


@train.command()
@click.option(
    "--text", type=PATH, multiple=True, help="a UTF-8 file of lines, as often as they are written"
)
@click.option("--arpa", type=PATH, help="a model of characters to convert instead, as of KenLM")
@click.option("--text-weight", type=float, default=10.0, show_default=True, help="of these lines")
@click.option("--english/--no-english", default=True, help="words and made-up sentences of English")
@click.option("--order", type=click.IntRange(2, 9), default=6, show_default=True, help="characters")
@click.option(
    "--most", type=click.IntRange(1000), default=600_000, show_default=True, help="n-grams kept"
)
@click.option("--out", type=PATH, default=Path("runs/english.ngrams"), show_default=True)
def language(
    *, text: tuple[Path, ...], arpa: Path | None, text_weight: float, english: bool, **options: Any
) -> int:
    """Count characters of a language, for a net that reads lines to follow.

    \b
    Examples:
      inkstream train language
      inkstream train language --text letters.txt --out runs/mine.ngrams
      inkstream train language --arpa kenlm.arpa.gz --out runs/kenlm.ngrams
      inkstream recognize line.png --model lines --language runs/mine.ngrams
    """
    from inkstream.model.training.ngrams import convert_arpa, train_language

    if arpa is not None:
        if text:
            raise click.UsageError("--arpa and --text exclude each other")
        click.echo(convert_arpa(arpa, options["out"]))
        return 0
    click.echo(train_language(text, text_weight, english=english, **options))
    return 0


@train.command()
@click.option("--data", type=PATH, help="a folder of MNIST's IDX files  [fetched once]")
@click.option("--epochs", type=click.IntRange(1), default=10, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--out", type=PATH, help="a JSON file for the test accuracy")
def document(data: Path | None, epochs: int, seed: int, out: Path | None) -> int:
    """Train the book chapter's example as it stands there, and tell its test accuracy.

    \b
    Example:
      inkstream train document
    """
    from inkstream.model.training.document import train_document

    if out is not None:
        make_folders(out.parent)
    accuracy = train_document(data, epochs, seed)
    if out is not None:
        found = {"test_accuracy": accuracy, "epochs": epochs, "seed": seed}
        out.write_text(json.dumps(found) + "\n")
    return 0

"""`inkstream train`: train models. PyTorch is imported by the commands, not by their help."""

import dataclasses
import shlex
import signal
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

from inkstream.model.training.config import (
    PRESETS,
    Device,
    RunOptions,
    TrainingConfig,
    find_sources,
)
from inkstream.service.cli import PATH, Command, add_options, given_options, outcome

RUNS: Final = Path("runs")
OWN: Final = (
    "your own labelled data, a file or a folder: ink (.jsonl, .inkml), images of lines or pages"
    " with their text (NAME.png and NAME.gt.txt), ALTO or PAGE (.xml) with their images"
)


@click.group()
def train() -> None:
    """Train a model.

    `digits --sources FOLDER` and `lines --sources FOLDER` make a net from random weights and all
    their data. A run can be stopped with Ctrl-C and resumed: --run and --resume suffice, since the
    run folder keeps the options. Exit code 3 says that the time of --minutes was over before the
    end.

    \b
    Examples:
      inkstream train lines --sources data/ --minutes 60     stop after an hour, and save
      inkstream train lines --resume                         go on exactly there
      inkstream train digits --data letters/ --run runs/letters   your own images
      inkstream train digits --quick            a small net, within minutes
      inkstream train hand --data mine/         one person's handwriting
    """


def run_options(
    task: str, data: str, sources: str = "", init: str | None = None
) -> Callable[[Command], Command]:
    """Add the options of a run, and one for each field of the task's configuration.

    `data` is the help text of `--data`; `sources` names the files that the recipe reads, and ""
    adds no `--sources`; `init` are the initial weights by default.
    """
    options = [
        click.option(
            "--init", type=PATH, default=init,
            help="initial weights: a run folder, a model's name or a path",
        ),
        click.option("--run", type=PATH, default=RUNS / task, help="run folder"),
        click.option("--resume", is_flag=True, help="continue the run in the run folder"),
        click.option("--data", type=PATH, help=data),
        click.option(
            "--minutes", type=click.FloatRange(0, min_open=True),
            help="stop and save after so many minutes",
        ),
        click.option(
            "--device", type=click.Choice(typing.get_args(Device)), default="auto",
            help="device to compute on",
        ),
        click.option(
            "--threads", type=click.IntRange(0, 1024), default=0, show_default=False,
            help="processor threads  [default: torch's choice]",
        ),
    ]  # fmt: skip
    if sources:
        text = f"folder with the files that the recipe reads, at any depth: {sources}"
        options.insert(1, click.option("--sources", type=PATH, help=text))
    for field in dataclasses.fields(PRESETS[task]):
        if field.name != "task":
            choices = typing.get_args(field.type)
            options.append(
                click.option(
                    "--" + field.name.replace("_", "-"),
                    type=click.Choice(choices) if choices else field.type,
                    default=getattr(PRESETS[task], field.name),
                    help=field.metadata["help"],
                )
            )
    return add_options(options)


@train.command()
@run_options(
    "digits",
    "a folder with one folder of images for each class, a CSV file of label and pixels, or a folder"
    " of MNIST's IDX files  [default: MNIST, downloaded once]",
    "pen-digits.jsonl.xz, unipen-train.tar.xz",
)
@click.option(
    "--quick", is_flag=True,
    help="make a small net without a teacher, within minutes",
)  # fmt: skip
def digits(*, quick: bool, **options: Any) -> int:
    """Train the causal LSTM that is served, after a net that sees whole images and teaches it.

    Without --sources it learns from the images alone. With --init the initial net is the teacher.
    The time of the teacher, an hour or more, counts towards --minutes, and only a finished run
    makes a model: try --quick first, whose other defaults are in its recipe.

    \b
    Examples:
      inkstream train digits --quick
      inkstream train digits --quick --data my_letters/ --run runs/letters
      inkstream train digits --sources data/
      inkstream train digits --init digits --epochs 8 --learning-rate 0.001 --run runs/on
      inkstream train digits --sources data/ --seed 1 --run runs/seed1
      inkstream train digits --data my_letters/ --teacher-share 0 --held-out 200 --epochs 10 \\
          --run runs/letters
    """
    return _train("digits", options, "quick" if quick else "digits")


@train.command()
@run_options(
    "lines",
    f"{OWN}; or UNIPEN's archive  [default: UNIPEN as `inkstream data unipen` read it]",
    "unipen-train.tar.xz, wills.tar, german-words.tar, notaries.tar, special-letters.jsonl.xz,"
    " characters.jsonl.xz",
)
def lines(**options: Any) -> int:
    """Train the causal model that reads lines of handwriting.

    Without --sources it learns from UNIPEN's ink alone. `inkstream train hand --help` shows the
    format of your own ink.

    \b
    Examples:
      inkstream train lines --sources data/
      inkstream train lines --init lines --steps 9000 --hold 0 --run runs/on
    """
    return _train("lines", options)


@train.command()
@run_options("hand", OWN, init="lines")
@click.option("--name", help="what the model is called, in the folder runs/NAME  [default: lines]")
def hand(**options: Any) -> int:
    """Adapt a model to one person's handwriting: some minutes, a page or a hundred words.

    The data are images of lines or of whole pages with their text, or ink. A fifth of the lines is
    held out (--held-out), and read before and after.

    \b
      page.jpg, page.gt.txt   a page, and its text, each line of it in a line of the file
      NAME.png, NAME.gt.txt   a line and its text, as kraken and Tesseract have them
      NAME.xml                ALTO or PAGE of eScriptorium or Transkribus, and its image
      NAME.inkml, NAME.jsonl  ink: InkML, or a JSON object on each line
    \b
      {"strokes": [[[x, y], ...], ...], "label": "the text", "writer": "a name"}

    x grows to the right and y downwards, in any unit. `inkstream data ink FILE` shows what is read.

    \b
    Examples:
      inkstream train hand --data mine/ --name anna
      inkstream train hand --data ink.jsonl
      inkstream evaluate lines --data another_page/ --checkpoint runs/anna
      inkstream serve --models lines,runs/anna
    """
    if options["name"] and "run" not in given_options():
        options["run"] = RUNS / options["name"]
    if options["data"] is None and not options["resume"]:
        raise click.UsageError("Missing option '--data'.", click.get_current_context())
    return _train("hand", options)


def _train(task: str, options: dict[str, Any], recipe: str | None = None) -> int:
    """Train a model by a recipe, that of the task by default; return the exit code."""
    from inkstream.model.data.sources import unipen
    from inkstream.model.train import train as train_net
    from inkstream.model.training.run_folder import resumed, saved_state

    given = set(given_options())
    folder: Path | None = options.pop("sources", None)
    of_run = {field.name for field in dataclasses.fields(RunOptions)} & options.keys()
    run = RunOptions(**{name: options.pop(name) for name in of_run})
    changed = {name: options[name] for name in given & options.keys()}
    config: TrainingConfig = dataclasses.replace(PRESETS[recipe or task], **changed)
    if folder is not None:
        if run.data is not None:
            raise click.UsageError("--data and --sources exclude each other")
        files = find_sources(task, folder)
        for archive in files["unipen"]:
            unipen.keep_archive(archive)
        pen = next(iter(files.get("pen", ())), None)
        paper, letters = (tuple(files.get(kind, ())) for kind in ("paper", "letters"))
        run = dataclasses.replace(run, pen=pen, paper=paper, letters=letters)
        given |= {"pen", "paper", "letters"}
    if run.resume:
        config, run = resumed(config, run, given)
    with outcome("the trained model") as result:
        try:
            with _interruptible():
                made = train_net(config, run)
        finally:
            state = saved_state(run.run)
            if state is not None:
                result.made = [state]
                path = shlex.quote(str(run.run))
                result.next_command = f"inkstream train {task} --run {path} --resume"
        if made is None:
            of_teacher = state is not None and state.parent != run.run
            during = " while its teacher was trained (--quick needs none)" if of_teacher else ""
            result.missing = f"the trained model: the time was over{during}"
            return 3
        has_no_test = task == "hand" or (task == "digits" and run.data is not None)
        following = "serve --models" if has_no_test else f"evaluate {task} --checkpoint"
        result.complete(made, next_command=f"inkstream {following} {shlex.quote(str(made))}")
    return 0


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGINT, which shells let background jobs ignore, and SIGTERM."""
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupt)
    try:
        yield
    except RuntimeError as error:
        if not came:
            raise
        # Python waits for threads by a lock that an interrupt may leave open; it then complains.
        raise KeyboardInterrupt from error


@train.command()
@click.option(
    "--text", "files", type=PATH, multiple=True,
    help="a UTF-8 text, .txt or .txt.xz; may be repeated",
)  # fmt: skip
@click.option("--source", help="what the texts are and their licence, for the model's description")
@click.option(
    "--text-weight", "weight", type=click.FloatRange(0, 1e9, min_open=True), default=10.0,
    help="weight of a line of --text, beside words",
)  # fmt: skip
@click.option(
    "--language", "name", default="english",
    help="language whose words and made-up sentences are counted, by name or code: french, pl, ...",
)  # fmt: skip
@click.option("--no-words", is_flag=True, help="count the lines of --text alone")
@click.option("--order", type=click.IntRange(2, 9), default=9, help="characters in an n-gram")
@click.option("--most", type=click.IntRange(1000), default=1_000_000, help="n-grams to keep")
@click.option("--out", type=PATH, help="  [default: runs/LANGUAGE.ngrams]")
def language(
    *, files: tuple[Path, ...], name: str, no_words: bool, out: Path | None, **options: Any
) -> None:
    """Count the characters of a language, for a model that reads lines.

    \b
    Examples:
      inkstream train language --text english.txt.xz
      inkstream train language --language french --text french.txt.xz --most 200000
      inkstream train language --language pl --out runs/polish.ngrams
      inkstream train language --text letters.txt --out runs/mine.ngrams
      inkstream recognize line.png --language runs/mine.ngrams
    """
    from inkstream.model.data.synthesis.word_lists import NAMES, code_of
    from inkstream.model.errors import ConfigError
    from inkstream.model.training.ngrams import train_language

    code = code_of(name)
    out = out or RUNS / f"{NAMES[code]}.ngrams"
    if out.exists():
        raise ConfigError(f"{out} holds a language model already: name another file (--out)")
    out.parent.mkdir(parents=True, exist_ok=True)  # before the work: so it cannot fail at its end
    with outcome(f"the language model {out}") as result:
        code_or_none = None if no_words else code
        click.echo(train_language(files, code=code_or_none, out=out, **options))
        following = f"inkstream recognize line.png --language {shlex.quote(str(out))}"
        result.complete(out, next_command=following)

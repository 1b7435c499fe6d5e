"""Run the command line `inkstream COMMAND`.

The module of a command is imported when the command is used, and imports what it needs when it
runs: so help is instant. Exit codes: 0 all went well; 1 something failed, and one line on standard
error says what; 2 the command line was not understood; 3 the time that `--minutes` gave was over
before the work was done; 130 interrupted. A reader that closes early, such as `head`, is no error.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click
from click.exceptions import NoArgsIsHelpError

from inkstream.service.cli import complain

COMMANDS: Final = {  # each is a module of this package and a function in it
    "recognize": "Read images and ink here, without a server.",
    "stream": "Send an image through a server and watch the answer grow.",
    "serve": "Serve WebSocket streams and REST.",
    "models": "List models, their measured figures, and language models.",
    "train": "Train a model (train extra).",
    "evaluate": "Measure a model on writing it has never seen (train extra).",
    "data": "Read labelled ink and look at it (train extra).",
    "bench": "Measure how fast the service is on this machine.",
}
# What the extra `train` brings, each by the name by which Python knows it.
TRAIN: Final = (
    "cv2", "jinja2", "matplotlib", "onnx", "rapidfuzz", "safetensors", "torch", "tqdm", "wordfreq",
)  # fmt: skip
PIP_NAMES: Final = {"cv2": "opencv-python-headless"}  # where pip knows it by another name
INTERRUPTED: Final = 130  # what shells expect after Ctrl-C: 128 + SIGINT


def main() -> None:
    """Run the command line of this process, and end it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the calling process has closed it
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
            setattr(sys, name, nowhere)
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code; write an error as one line."""
    from inkstream.model.errors import InkstreamError

    try:
        code = cli.main(list(args), prog_name="inkstream", standalone_mode=False, obj=args)
        sys.stdout.flush()
    except click.Abort as error:
        if isinstance(error.__cause__, EOFError):  # click expects it of a prompt, and we have none
            raise error.__cause__ from None
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):  # click raises the latter when a pipe was closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more goes there
        return 0
    except NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return 2
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "inkstream"
        complain(f"{error.format_message()} (see {where} --help)")
        return 2
    except (click.ClickException, InkstreamError, OSError, ModuleNotFoundError) as error:
        complain(_text(error))
        return 1
    return code if isinstance(code, int) else 0


def _text(error: Exception) -> str:
    """Return what an error says, of the system's errors without their numbers."""
    if isinstance(error, ModuleNotFoundError):
        if error.name not in TRAIN:
            raise error
        return _install_hint(error.name)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return error.message if isinstance(error, click.ClickException) else str(error)


def _install_hint(package: str) -> str:
    """Return how to install a package of the extra `train`, and others of it that are missing.

    Packages are named, not the extra: no index has inkstream, so pip would not find it there.
    """
    missing = [name for name in TRAIN if name == package or find_spec(name) is None]
    names = " ".join(PIP_NAMES.get(name, name) for name in missing)
    hint = f"{package} is not installed, which this command needs: pip install {names}"
    if "torch" in missing:
        first = "pip install torch --index-url https://download.pytorch.org/whl/cpu"
        hint += f" (first {first}, unless you want CUDA's gigabytes)"
    return hint


class Commands(click.Group):
    """The commands in their order; the module of one is imported when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the name of the command that is used, the command, and its arguments."""
        name, listed, command_args = super().resolve_command(ctx, args)
        if name is None:  # while a shell completes what is typed, it may be unknown
            return name, listed, command_args
        module = importlib.import_module(f"inkstream.service.cli.{name}")
        return name, getattr(module, name), command_args


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from inkstream.model import installed_version

        click.echo(f"inkstream {installed_version()}")
        context.exit()


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and stop.",
)
def cli() -> None:
    """Read handwriting while it is being written.

    \b
    Start here:
      inkstream serve                  serve on http://127.0.0.1:8000, and a page to write on
      inkstream stream digit.png       watch an answer grow, column by column
      inkstream recognize line.png     read an image, no server needed

    inkstream COMMAND --help shows the options and examples of a command.
    """


for _name, _help in COMMANDS.items():
    cli.add_command(click.Command(_name, help=_help))  # for the list

"""The command line: a file for each command, and here what several of them share.

These are options, and the end of a long command: it says what was made, what is missing, and which
command comes next.
"""

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

Command = TypeVar("Command", bound=Callable[..., Any])

LINES: Final = "lines"
PATH: Final = click.Path(path_type=Path)
FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)

CHARACTERS: Final = click.option(
    "--characters", help="the only characters of an answer, e.g. those of a field for digits"
)
SEVERAL: Final = "several with commas, or auto"
HINTS: Final = (  # which `load_arguments` takes
    CHARACTERS,
    click.option("--language", help=f"language to read lines in: name, code or path; {SEVERAL}"),
    click.option("--words", type=FILE, help="file of words that are likely, one a line"),
    click.option("--lexicon", type=FILE, help="file of the only words that may come, one a line"),
    click.option("--pattern", metavar="REGEX", help="regular expression that lines match"),
)


def add_options(options: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Return a decorator that adds options, in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def load_arguments(**hints: Any) -> dict[str, Any]:
    """Return hints as arguments of `inkstream.load`; raise `DataError` for a file without words."""
    for name in ("words", "lexicon"):
        hints[name] = () if hints[name] is None else _words(hints[name])
    return hints


def _words(file: Path) -> tuple[str, ...]:
    from inkstream.model.errors import DataError

    try:
        words = tuple(file.read_text("utf-8-sig").split())
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 at byte {error.start}") from None
    if not words:
        raise DataError(f"{file} has no words, expected one a line")
    return words


def need_lines(hints: Mapping[str, Any]) -> bool:
    """Return whether only a model for lines understands these hints; all know `characters`."""
    return any(value for name, value in hints.items() if name != "characters")


@dataclass(slots=True)
class Outcome:
    """What a command has made so far."""

    missing: str  # what it is for; "" once that is made
    next_command: str
    made: list[object] = field(default_factory=list)

    def complete(self, *made: object, next_command: str) -> None:
        """Say that `made` is all that was to be made."""
        self.made = list(made)
        self.missing, self.next_command = "", next_command

    def show(self) -> None:
        """Write it to standard error, where no figure of the command goes."""
        for name, text in (
            ("made", ", ".join(map(str, self.made)) or "nothing"),
            ("missing", self.missing),
            ("next", self.next_command),
        ):
            if text:
                click.echo(f"{name + ':':<9}{text}", err=True)


@contextmanager
def outcome(missing: str) -> Iterator[Outcome]:
    """Show at the end of the block what was made; after Ctrl-C too.

    `missing` is what the command is for; it is missing until `complete` is called.
    """
    result = Outcome(missing, next_command=this_command())
    try:
        yield result
    except KeyboardInterrupt:
        result.show()
        raise
    result.show()


def use_one_thread() -> None:
    """Keep numpy, and that of all processes begun later, from starting a thread for each core.

    Nothing large is multiplied where the nets are run, and each thread takes memory. To be called
    before numpy is imported.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def given_options() -> dict[str, str]:
    """Return the options that stand on the command line: their flags, by parameter name."""
    context = click.get_current_context()
    return {
        name: option.opts[0]
        for option in context.command.params
        if (name := option.name or "")
        and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


def complain(text: str) -> None:
    """Write one line to standard error."""
    click.echo(f"inkstream: {' '.join(text.split())}", err=True)


def this_command() -> str:
    """Return the command line that is running, as one types it."""
    args = click.get_current_context().find_root().obj or ()
    return shlex.join(["inkstream", *args])

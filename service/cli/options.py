"""Options that several commands share."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

LINES: Final = "lines"
PATH: Final = click.Path(path_type=Path)
FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)

CHECKPOINT: Final = click.option("--checkpoint", default=LINES, help="name or path of a model")
DATA: Final = click.option(
    "--data", type=PATH, help="UNIPEN's archive or folder  [what was kept of it]"
)
PART: Final = click.option(
    "--part",
    type=click.Choice(("validation", "test")),
    default="test",
    help="whose writing is read; validation while anything is still being chosen",
)
CHARACTERS: Final = click.option(
    "--characters", help="the only characters of an answer, e.g. those of a field for digits"
)
HINTS: Final = (  # which `load_arguments` takes
    CHARACTERS,
    click.option("--language", help="name or path of a language model to read lines with"),
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

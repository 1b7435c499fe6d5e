"""Options and names of nets that several commands share, and the folders that they write to.

Options of the command line that tell of writing before it is read.

The nets that files are read with.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from inkstream.model.errors import DataError
from inkstream.model.recognizer import Recognizer, load
from inkstream.service.cli.inputs import holds_line

DIGITS: Final = "digits"
LINES: Final = "lines"

PATH: Final = click.Path(path_type=Path)

CHECKPOINT: Final = click.option(
    "--checkpoint", default=LINES, show_default=True, help="name or path"
)
DATA: Final = click.option(
    "--data", type=PATH, help="UNIPEN's archive or folder  [what was kept of it]"
)
PART: Final = click.option(
    "--part",
    type=click.Choice(("validation", "test")),
    default="test",
    show_default=True,
    help="whose writing is read; validation while anything is still being chosen",
)


def make_folders(*folders: Path) -> None:
    """Make what results will be written to, so that an hour's work does not fail at its end."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)


Command = TypeVar("Command", bound=Callable[..., Any])
FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
CHARACTERS: Final = click.option(
    "--characters", help="only what these spell is answered, as of a field for digits"
)


def hint_options(command: Command) -> Command:
    """Add `--characters` and what `known` understands besides, of lines."""
    options = (
        CHARACTERS,
        click.option("--language", help="name or path of a language model to read lines with"),
        click.option("--words", type=FILE, help="words that may well come, one a line of a file"),
        click.option("--lexicon", type=FILE, help="the only words that come, one a line of a file"),
        click.option("--pattern", metavar="REGEX", help="regular expression that lines fulfil"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def known(
    characters: str | None,
    language: str | None,
    words: Path | None,
    lexicon: Path | None,
    pattern: str | None,
) -> dict[str, Any]:
    """Arguments of `model.load`; raises `DataError` for a file without words."""
    return {
        "characters": characters,
        "language": language,
        "words": () if words is None else _words(words),
        "lexicon": () if lexicon is None else _words(lexicon),
        "pattern": pattern,
    }


def are_of_lines(hints: Mapping[str, Any]) -> bool:
    """Whether anything is told that only nets of lines can use: characters are for all."""
    return any(value for name, value in hints.items() if name != "characters")


def _words(file: Path) -> tuple[str, ...]:
    try:
        words = tuple(file.read_text("utf-8-sig").split())
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 at byte {error.start}") from None
    if not words:
        raise DataError(f"{file} has no words, expected one a line")
    return words


class Nets:
    """The nets that files are read with, each loaded when a file asks for it first.

    Args:
        model: name or path of the one that reads all; None takes what suits each file.
        hints: arguments of `load`.
    """

    def __init__(self, model: str | None, hints: Mapping[str, Any]) -> None:
        self._model = model
        self._hints = hints
        self._loaded: dict[str, Recognizer] = {}

    def of(self, path: Path) -> Recognizer:
        """The net that reads a file; raises an `InkstreamError` if it cannot be loaded."""
        name = self._model or (LINES if holds_line(path) else DIGITS)
        if name not in self._loaded:
            self._loaded[name] = load(name, **self._hints)
        return self._loaded[name]

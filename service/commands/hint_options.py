"""Options of the command line that tell of writing before it is read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from model.errors import DataError

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

"""Say at the end of a long command what it made, what is missing, and which command comes next."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import click


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


def complain(text: str) -> None:
    """Write one line to standard error."""
    click.echo(f"inkstream: {' '.join(text.split())}", err=True)


def this_command() -> str:
    """Return the command line that is running, as one types it."""
    args = click.get_current_context().find_root().obj or ()
    return shlex.join(["inkstream", *args])

"""`inkstream evaluate`: what a net is worth, on writing that it has never seen."""

import click

from service.commands.evaluate_digits import digits
from service.commands.evaluate_ink import ink
from service.commands.evaluate_language import language
from service.commands.evaluate_lines import lines
from service.commands.evaluate_pages import pages


@click.group(name="evaluate")
def evaluate() -> None:
    """Measure a net on writing it has never seen, and draw what it knows.

    \b
    Example:
      inkstream evaluate digits --out docs/reports/digits
    """


for command in (digits, lines, ink, language, pages):
    evaluate.add_command(command)

"""Render the reports: Markdown documents and tables of figures, from a report's JSON alone.

What a document says stands in `templates/`; this module only formats numbers.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from inkstream.model.metrics import BOOTSTRAP_SAMPLES

Contents = Mapping[str, Any]

NONE: Final = "-"  # stands for a figure that there is no ink for
CATEGORIES: Final = {"1a": "digits", "1b": "capitals", "1c": "small letters"}


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as a percentage."""
    return NONE if share is None else f"{share:.{digits}%}"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with `digits` decimal places."""
    return NONE if value is None else f"{value:.{digits}f}"


def thousands(value: float) -> str:
    """Return a number without decimal places, its thousands separated by commas."""
    return f"{value:,.0f}"


def errors(figures: Contents | None) -> str:
    """Return CER and exact match of pieces; None stands for no pieces."""
    if figures is None:
        return NONE
    return f"{percent(figures['cer'])}; {percent(figures['exact_match'])}"


def interval(bootstrap: Contents | None) -> str:
    """Return the bounds of a CER; None stands for no pieces."""
    if bootstrap is None:
        return NONE
    low, high = bootstrap["interval"]
    return f"{100 * low:.1f} to {high:.1%}"


def ratio(figures: Contents | None) -> str:
    """Return a ratio of errors with its bounds."""
    if figures is None:
        return NONE
    low, high = figures["interval"]
    return f"{figures['ratio']:.2f} ({low:.2f} to {high:.2f})"


def latency(figures: Contents) -> str:
    """Return the median and the 90 % quantile of a latency in columns."""
    return f"{number(figures['median'], 0)} / {number(figures['90 %'], 0)}"


def change(reduction: float | None) -> str:
    """Return the change of an error that was reduced by a share, with its sign."""
    return NONE if reduction is None else f"{-reduction:+.1%}"


def increase(error: float, reference: float) -> str:
    """Return by what share an error exceeds a reference."""
    return percent(error / reference - 1 if reference else None)


FILTERS: Final = (percent, number, thousands, errors, interval, ratio, latency, change, increase)
TEMPLATES: Final = Environment(
    loader=PackageLoader("inkstream.model.evaluation"),
    autoescape=select_autoescape(),  # of HTML alone
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters.update({each.__name__: each for each in FILTERS})
TEMPLATES.globals.update(categories=CATEGORIES, bootstrap_samples=BOOTSTRAP_SAMPLES)


def figures(kind: str, contents: Contents) -> str:
    """Return the table of a report on `kind` (digits, lines, pages or language)."""
    return TEMPLATES.get_template(f"{kind}_figures.md.j2").render(contents)


def document(kind: str, contents: Contents, plots: str | os.PathLike[str]) -> str:
    """Return the document of a report on `kind` (lines or pages).

    `plots` is the folder of its plots, relative to the document.
    """
    template = TEMPLATES.get_template(f"{kind}.md.j2")
    return template.render(contents, plots=os.fspath(plots))

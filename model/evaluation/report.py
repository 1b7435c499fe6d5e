"""Write the reports: JSON, and Markdown documents and tables of figures that follow from it alone.

What a document says stands in `templates/`; this module only formats numbers.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.metrics import BOOTSTRAP_SAMPLES

Contents = Mapping[str, Any]

REPORT: Final = "report.json"
NONE: Final = "-"  # stands for a figure that there is no ink for


def of_file(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what a report says of the file of a net and of its training."""
    return {
        "model": checkpoint.metadata.name,
        "version": checkpoint.metadata.version,
        "checkpoint_sha256": hashlib.sha256(checkpoint.content).hexdigest(),
        "config_digest": checkpoint.metadata.config_digest,
    }


def of_net(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the name and the digest of a net."""
    return {"model": checkpoint.metadata.name, "model_digest": checkpoint.digest}


# How templates write figures


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


def difference(figures: Contents, digits: int = 1) -> str:
    """Return the difference of two shares in points, with its bounds."""
    points = (100 * value for value in (figures["difference"], *figures["interval"]))
    value, low, high = (f"{point:+.{digits}f}" for point in points)
    return f"{value} ({low} to {high})"


def latency(figures: Contents) -> str:
    """Return the median and the 90 % quantile of a latency in columns."""
    return f"{number(figures['median'], 0)} / {number(figures['90 %'], 0)}"


def change(reduction: float | None) -> str:
    """Return the change of an error that was reduced by a share, with its sign."""
    return NONE if reduction is None else f"{-reduction:+.1%}"


def cell(text: str) -> str:
    """Return a text for a cell of a table; a blank one is named."""
    return {"": "nothing", " ": "space"}.get(text, text.replace("|", "\\|"))


TEMPLATES: Final = Environment(
    loader=PackageLoader("inkstream.model.evaluation"),
    autoescape=select_autoescape(),  # of HTML alone
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters |= {
    write.__name__: write
    for write in (
        percent, number, thousands, errors, interval, ratio, difference, latency, change, cell
    )
}  # fmt: skip
TEMPLATES.globals.update(
    categories={"1a": "digits", "1b": "capitals", "1c": "small letters"},
    bootstrap_samples=BOOTSTRAP_SAMPLES,
)


def figures(kind: str, contents: Contents, table: str = "figures") -> str:
    """Return a table of a report on `kind`, as `Report.kind`."""
    return TEMPLATES.get_template(f"{kind}_{table}.md.j2").render(contents)


def document(kind: str, contents: Contents, plots: str) -> str:
    """Return the document of a report on `kind` (lines, pages or ruled).

    `plots` is the folder of its plots, relative to the document.
    """
    return TEMPLATES.get_template(f"{kind}.md.j2").render(contents, plots=plots)


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured; `contents` is plain JSON."""

    kind: str  # digits, lines, own, pages, ruled, wills, letters, language, ink or rough
    contents: dict[str, Any]
    draw: Callable[[Path], None] | None = None  # writes the plots into a folder

    def heading(self) -> str:
        """Return what was measured, with digests, a line each."""
        keys = (
            "model", "version", "checkpoint_sha256", "model_digest", "data_digest", "split_digest",
            "part", "limit", "kept",
        )  # fmt: skip
        known = {key: self.contents.get(key) for key in keys}
        return "".join(f"{key}: {value}\n" for key, value in known.items() if value)

    def table(self) -> str:
        """Return the figures as a Markdown table."""
        return figures(self.kind, self.contents)

    def save(self, folder: Path, path: Path | None = None) -> None:
        """Write report.json, figures.md and the plots into `folder`, and the document to `path`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT).write_text(json.dumps(self.contents, indent=2) + "\n")
        (folder / "figures.md").write_text(self.table())
        if self.draw is not None:
            self.draw(folder)
        if path is not None:
            plots = os.path.relpath(folder, path.parent)
            path.write_text(document(self.kind, self.contents, plots))

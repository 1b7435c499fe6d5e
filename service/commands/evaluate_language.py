"""`inkstream evaluate language`: what a language model brings to a net that reads lines."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from model.checkpoint import find, read
from model.data import unipen
from model.data.split import Part
from model.language import ngrams as languages
from service.commands.options import CHECKPOINT, DATA, PART, PATH, make_folders

REPORT: Final = Path("docs/reports/language")
DATES: Final = {
    "nothing": "nothing known",
    "characters": "digits and the mark",
    "look": "two, two and four digits",
    "date": "days of 1900 to 2099",
}
GROUPS: Final = {"all": "", "fresh": " with fresh texts", "outside": " outside the list"}


@click.command(name="language")
@CHECKPOINT
@click.option("--language", default="english", show_default=True, help="name or path")
@DATA
@PART
@click.option("--limit", type=click.IntRange(1), help="pieces of a category at most")
@click.option("--out", type=PATH, default=REPORT, show_default=True, help="for the JSON")
def language(
    *,
    checkpoint: str,
    language: str,
    data: Path | None,
    part: Part,
    limit: int | None,
    out: Path,
) -> int:
    """Errors with a language model and without it, of the same scores.

    \b
    Example:
      inkstream evaluate language --part choose --limit 500 --out /tmp/language
    """
    from model.report.language import report  # needs the train extra

    net = read(find(checkpoint), "transcriber")
    make_folders(out)
    ink, _ = unipen.read(data)
    model = languages.load(language)
    found = report(net, ink, model, part, limit)
    (out / "report.json").write_text(json.dumps(found, indent=2) + "\n")
    (out / "figures.md").write_text(table(found))
    click.echo(f"{found['model']} {found['model_digest']}\ndata {found['data_digest']}, {part}")
    click.echo(f"{table(found)}written: {out}")
    return 0


def table(found: Mapping[str, Any]) -> str:
    """The figures for people."""
    rows = [f"| {found['language']}, {found['ngrams']:,} n-grams | without it | with it |"]
    rows.append("| --- | --- | --- |")
    for kind in ("words", "lines"):
        both = found[kind]["plain"], found[kind]["guided"]
        for group, name in GROUPS.items():
            if both[0][group]["characters"]:
                said = " | ".join(
                    f"{each[group]['error']:.1%}; {each[group]['right']:.1%}" for each in both
                )
                rows.append(f"| {kind}{name}: character error; right | {said} |")
    words = found["words"]["plain"], found["words"]["guided"]
    if all(each["lateness"]["n"] for each in words):  # letters whose ends the data tell
        late = (each["lateness"] for each in words)
        said = " | ".join(f"{each['median']:.0f} / {each['90 %']:.0f}" for each in late)
        rows.append(f"| columns from a letter's end to its event, median / 90 % | {said} |")
    said = " | ".join(f"{each['calibration']:.4f}" for each in words)
    rows.append(f"| calibration error of letters' confidence, words | {said} |")
    rows += _lists(found)
    speeds = (found[f"{name}_columns_per_s"] for name in ("plain", "guided"))
    said = " | ".join(f"{speed:,.0f}" for speed in speeds)
    rows.append(f"| columns decoded in a second, one core | {said} |")
    return "\n".join(rows) + "\n"


def _lists(found: Mapping[str, Any]) -> list[str]:
    """Rows of what is known beside a language, or instead of one."""
    rows = []
    for size in (5_000, 20_000, 50_000):
        alone, both = (
            found["lexicons"][name]["all"] for name in (f"{size}", f"{size} and language")
        )
        said = f"{_shown(alone)} | {_shown(both)}"
        rows.append(f"| words of a closed list of {size:,}: character error; right | {said} |")
    own = found["own_words"]
    for group, name in (("listed", "words of a list of one's own"), ("others", "other words")):
        said = " | ".join(_shown(own[way][group]) for way in ("language", "language and list"))
        rows.append(f"| {name}, without the list and with it | {said} |")
    for known, name in DATES.items():
        rows.append(f"| dates, {name} | {_shown(found['dates'][known])} | |")
    for columns, each in found["lag"].items():
        late = each["lateness"]
        said = _shown(each)
        if late["n"]:
            said += f", {late['median']:.0f} / {late['90 %']:.0f} columns late"
        rows.append(f"| words, letters decided {columns} columns after they were seen | | {said} |")
    return rows


def _shown(figures: Mapping[str, Any]) -> str:
    if figures["error"] is None:
        return "none written"
    return f"{figures['error']:.1%}; {figures['right']:.1%}"

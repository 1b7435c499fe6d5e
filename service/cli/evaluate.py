"""`inkstream evaluate digits`: the command line of the report on digits.

`inkstream evaluate lines`: the command line of the report on lines.

`inkstream evaluate language`: what a language model brings to a net that reads lines.

`inkstream evaluate pages`: the command line of the report on pages.

`inkstream evaluate`: what a net is worth, on writing that it has never seen.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from inkstream.model.checkpoint import find, read
from inkstream.model.data.sources import mnist, unipen
from inkstream.model.data.split import Part
from inkstream.model.decoding import ngrams as languages
from inkstream.model.evaluation.baselines import line_peers, page_peers
from inkstream.service.cli.evaluate_ink import ink
from inkstream.service.cli.options import CHECKPOINT, DATA, PART, PATH, make_folders

DIGITS_REPORT: Final = Path("docs/reports/digits")


@click.command(name="digits")
@click.option(
    "--checkpoint",
    multiple=True,
    default=("digits",),
    show_default=True,
    help="name or path; the first is reported in full, others as seeds beside it",
)
@click.option("--data", type=PATH, help="a folder of MNIST's IDX files  [fetched once]")
@click.option("--out", type=PATH, default=DIGITS_REPORT, show_default=True)
def digits(checkpoint: tuple[str, ...], data: Path | None, out: Path) -> int:
    """Accuracy after each column, calibration, confusion and the worst mistakes, on MNIST's test.

    \b
    Examples:
      inkstream evaluate digits
      inkstream evaluate digits --checkpoint runs/a/digits.onnx --checkpoint runs/b/digits.onnx
    """
    from inkstream.model.checkpoint import find
    from inkstream.model.data.sources import mnist
    from inkstream.model.evaluation.digits import report

    make_folders(out)
    made = report([find(name) for name in checkpoint], mnist.load("t10k", data))
    made.save(out)
    click.echo(f"{made.heading()}\n{made.table()}\nwritten: {out}")
    return 0


LINES_REPORT: Final = Path("docs/reports/lines")
LINES_DOCUMENT: Final = Path("docs/accuracy.md")


@click.command(name="lines")
@CHECKPOINT
@DATA
@click.option("--mnist", type=PATH, help="a folder of MNIST's IDX files  [fetched once]")
@PART
@click.option("--limit", type=click.IntRange(1), help="pieces of a category at most")
@click.option("--peers", is_flag=True, help="read the same ink with RapidOCR and Tesseract too")
@click.option(
    "--hands",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="writers whose hand the net is taught with half of their words",
)
@click.option("--both-ways", type=PATH, help="run folder of a net that reads both ways")
@click.option(
    "--out", type=PATH, default=LINES_REPORT, show_default=True, help="for JSON and plots"
)
@click.option("--document", type=PATH, default=LINES_DOCUMENT, show_default=True, help="for people")
def lines(
    *,
    part: Part,
    limit: int | None,
    peers: bool,
    hands: int,
    both_ways: Path | None,
    out: Path,
    document: Path,
    **places: Any,
) -> int:
    """Errors, letter ends, lateness and calibration on writers whom nothing was chosen by.

    Peers, hands and a net that reads both ways are measured where they are asked for, and else
    kept from the report in --out, if it is of the same weights, ink and pieces.

    \b
    Examples:
      inkstream evaluate lines
      inkstream evaluate lines --peers --hands 12 --both-ways runs/twin
      inkstream evaluate lines --checkpoint runs/lines/lines.onnx --part validation --limit 300
          --out /tmp/lines --document /tmp/lines/accuracy.md
    """
    from inkstream.model.evaluation.lines import contents_of, report  # needs rapidfuzz

    checkpoint = read(find(places["checkpoint"]), "transcriber")
    make_folders(out, document.parent)
    ink, _ = unipen.read(places["data"])
    digits = mnist.load("t10k", places["mnist"])
    others = line_peers() if peers else []
    made = report(
        checkpoint, ink, digits,
        part=part, limit=limit, peers=others, n_hands=hands, twin=both_ways,
        earlier=contents_of(out),
    )  # fmt: skip
    made.save(out, document)
    click.echo(f"{made.heading()}\n{made.table()}\nwritten: {out}, {document}")
    return 0


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
      inkstream evaluate language --part validation --limit 500 --out /tmp/language
    """
    from inkstream.model.evaluation.language import report  # needs the train extra

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


PAGES_REPORT: Final = Path("docs/reports/pages")
DOCUMENT: Final = Path("docs/pages.md")


@click.command(name="pages")
@CHECKPOINT
@DATA
@PART
@click.option("--limit", type=click.IntRange(1), help="pages at most")
@click.option("--peers", is_flag=True, help="read the same images with RapidOCR and Tesseract too")
@click.option(
    "--out", type=PATH, default=PAGES_REPORT, show_default=True, help="for JSON and pictures"
)
@click.option("--document", type=PATH, default=DOCUMENT, show_default=True, help="for people")
def pages(
    *,
    checkpoint: str,
    data: Path | None,
    part: Part,
    limit: int | None,
    peers: bool,
    out: Path,
    document: Path,
) -> int:
    """Errors of pages against the same ink as strokes, and lines found (scan extra too).

    \b
    Examples:
      inkstream evaluate pages --peers
      inkstream evaluate pages --part validation --limit 20 --out /tmp/pages
          --document /tmp/pages.md
    """
    from inkstream.model.evaluation.pages import report
    from inkstream.model.evaluation.pages_document import table  # needs rapidfuzz

    net = read(find(checkpoint), "transcriber")
    make_folders(out, document.parent)
    ink, _ = unipen.read(data)
    others = page_peers() if peers else []
    made = report(net, ink, part=part, limit=limit, peers=others)
    made.save(out, document)
    found = made.contents
    click.echo(f"{found['model']} {found['model_digest']}\ndata {found['data_digest']}, {part}\n")
    click.echo(f"{table(found)}\nwritten: {out}, {document}")
    return 0


@click.group(name="evaluate")
def evaluate() -> None:
    """Measure a net on writing it has never seen, and draw what it knows.

    \b
    Example:
      inkstream evaluate digits --out docs/reports/digits
    """


for command in (digits, lines, ink, language, pages):
    evaluate.add_command(command)

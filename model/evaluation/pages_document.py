"""The report on pages as tables and as a document, written from its JSON alone."""

from collections.abc import Iterator
from typing import Final

from inkstream.model.evaluation.document import Contents, markdown, number, percent

COMMAND: Final = "inkstream evaluate pages --peers"
HEAD: Final = ("", "pages", "as pages", "as strokes", "more", "lines found, F1")


def table(contents: Contents) -> str:
    """The figures that goals are set for."""
    page, strokes = contents["page"]["error"], contents["strokes"]["error"]
    rows = [
        (
            "character error: pages; the same ink as strokes",
            f"{percent(page)}; {percent(strokes)} ({_more(contents)})",
        ),
        (
            f"lines found with an overlap of {contents['overlap']:g}, F1",
            number(contents["found"]["f1"]),
        ),
        *(
            (f"pages of {key}: character error more than as strokes", _more(own))
            for key, own in (
                ("photos", contents["by"]["taken"].get("photo")),
                ("squared paper", contents["by"]["paper"].get("squared")),
                ("faint ink", contents["by"]["pen"].get("faint")),
                ("two blocks", contents["by"]["blocks"].get("two blocks")),
            )
            if own
        ),
        *(
            (
                f"pictures of one {name}: character error as pages; as lines",
                f"{percent(own['pages']['error'])}; {percent(own['lines']['error'])}",
            )
            for name, own in contents["alone"].items()
        ),
        *_speed(contents["speed"]),
        *(
            (
                f"{name}, {own['way']}: character error; ours, of pages with one block",
                f"{percent(own['one_block']['error'])}; {percent(own['ours_one_block']['error'])}",
            )
            for name, own in contents["peers"].items()
        ),
    ]
    measured = f"{contents['page']['pages']} pages, {contents['lines']:,} lines"
    return markdown((f"{measured} by {contents['writers']} unseen writers", "measured"), rows)


def document(contents: Contents, plots: str) -> str:
    """The document, whose pictures lie in the folder `plots` as it is seen from there."""
    parts = [part.strip() for part in _parts(contents, plots)]
    return "\n\n".join(parts) + "\n"


def _parts(contents: Contents, plots: str) -> Iterator[str]:
    yield "# How well pages are read"
    yield (
        f"Written by `{COMMAND}` from [report.json]({plots}/report.json); nothing in it is typed by"
        f" hand. {contents['writers']} writers of the part `{contents['part']}` wrote"
        f" {contents['lines']:,} lines; each was laid on paper by `model/data/paper.py`, plain,"
        " ruled or squared, scanned or photographed askew in uneven light, found again, and read"
        " like the picture of a line. The same ink was read as strokes too: the difference is what"
        " the way over paper costs. Between the lines of a page's text stands a space, and order"
        " counts."
    )
    if contents["limit"] is not None:
        yield f"This is a trial of at most {contents['limit']} pages."
    yield table(contents)
    yield "## By kind of page"
    rows = [
        (
            kind,
            f"{own['page']['pages']}",
            percent(own["page"]["error"]),
            percent(own["strokes"]["error"]),
            _more(own),
            number(own["found"]["f1"]),
        )
        for kinds in contents["by"].values()
        for kind, own in kinds.items()
    ]
    yield markdown(HEAD, rows)
    if contents["peers"]:
        yield "## Others that read the same images"
        yield (
            "Each reads the whole picture with its own pipeline. Two blocks side by side are read"
            " line by line across both by some, so pages of one block stand apart."
        )
        others = [
            (name, own["way"], percent(own["error"]), percent(own["one_block"]["error"]))
            for name, own in contents["peers"].items()
        ]
        ours = next(iter(contents["peers"].values()))["ours_one_block"]["error"]
        others.append(("inkstream", "", percent(contents["page"]["error"]), percent(ours)))
        yield markdown(("", "", "all pages", "pages of one block"), others)
    yield "## Pages"
    yield "Green: lines that were found; red: those that were not; blue: what is no line."
    yield f"![Pages with the best, the median and the worst reading]({plots}/pages.jpg)"
    yield "## What was measured"
    names = {"model": "model_digest", "ink": "data_digest"}
    yield markdown(("", "SHA-256"), [(name, f"`{contents[key]}`") for name, key in names.items()])


def _more(figures: Contents) -> str:
    """How many points of error the paper adds."""
    page, strokes = figures["page"]["error"], figures["strokes"]["error"]
    return "-" if page is None or strokes is None else f"{100 * (page - strokes):+.1f} points"


def _speed(figures: Contents) -> list[tuple[str, str]]:
    if not figures:
        return []
    name = (
        f"a page of {figures['lines']} lines, {figures['pixels'] / 1e6:.1f} million pixels,"
        f" {figures['cores']} cores"
    )
    return [(name, f"{figures['seconds']:.2f} s")]

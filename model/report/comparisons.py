"""The sections of the report on lines in which the net stands beside others, and beside itself."""

from collections.abc import Iterator, Sequence

from model.report.tables import (
    CATEGORIES,
    SIDES,
    Contents,
    errors_of,
    markdown,
    number,
    percent,
    price,
)


def both_ways(contents: Contents, _: str) -> Iterator[str]:
    """What it costs not to see the future."""
    both = contents["both_ways"]
    if not both:
        return
    yield "## The price of not seeing the future"
    begun = "the weights of another run" if both["init"] else "chance"
    yield (
        "The same net with a second LSTM in each layer that reads from the end of the line, trained"
        f" for {both['steps']:,} steps from {begun} (`inkstream train lines --both-ways`); it"
        " cannot stream."
    )
    rows = [
        (
            name,
            percent(contents[side]["error"]),
            percent(both[side]["error"]),
            percent(price(contents[side]["error"], both[side]["error"])),
        )
        for side, name in SIDES.items()
    ]
    yield markdown(("character error", "causal", "both ways", "causal errs more by"), rows)


def hands(contents: Contents, _: str) -> Iterator[str]:
    """What one's own ink teaches."""
    found = contents["hands"]
    if not found:
        return
    yield "## One person's hand"
    yield (
        "`inkstream train hand` on the first half of a writer's words; the error on the second half"
        " before and after. *New* are words that the first half does not have."
    )
    rows = [(own["donor"], f"{own['trained_on']:,}", own) for own in found["writers"]]
    rows.append(("all", f"{sum(own['trained_on'] for own in found['writers']):,}", found))
    head = ("donor", "words to learn from", "words read", "before", "after", "new, before", "after")
    yield markdown(
        head,
        [
            (
                donor,
                learnt_from,
                f"{own['all']['before']['pieces']:,}",
                *(
                    percent(own[which][when]["error"])
                    for which in ("all", "new_texts")
                    for when in ("before", "after")
                ),
            )
            for donor, learnt_from, own in rows
        ],
    )


def peers(contents: Contents, _: str) -> Iterator[str]:
    """Others that read the same ink."""
    found = contents["peers"]
    if not found:
        return
    yield "## Beside others"
    yield (
        "The same ink, read in the same run by others that may see more: "
        + "; ".join(f"{name} sees {own['sees']}" for name, own in found.items())
        + f". {contents['model']} answers after each column and knows nothing of those to come."
        " Case and spaces count for all; single characters are limited to their category for all."
        " Each gets the ink at the size and with the margins with which it read the ink of the"
        " writers who choose best. Times are those of one core, for a column of the ink as our net"
        " reads it: ours one column at a time, theirs over whole images."
    )
    own = {**contents, "us_per_column": contents["speed"].get("single_column_us")}
    yield markdown(
        (
            "",
            "words: error; right",
            "fresh",
            "lines: error; right",
            "fresh",
            *(f"{category}, right" for category in CATEGORIES),
            "µs a column",
        ),
        [_peer_row(name, figures) for name, figures in {contents["model"]: own, **found}.items()],
    )


def _peer_row(name: str, own: Contents) -> Sequence[str]:
    sides = [figures for side in SIDES for figures in (own[side], own[side].get("fresh"))]
    return (
        name,
        *(errors_of(figures) for figures in sides),
        *(percent(own["characters"][category]["right"]) for category in CATEGORIES),
        number(own["us_per_column"], 0),
    )

"""The sections of the report on lines in which the net stands beside others, and beside itself."""

from collections.abc import Iterator, Sequence

from model.report.spread import DRAWS, QUARTERS, SHARE
from model.report.tables import (
    CATEGORIES,
    NONE,
    SIDES,
    Contents,
    errors_of,
    interval,
    markdown,
    number,
    percent,
    price,
)


def spread(contents: Contents, _: str) -> Iterator[str]:
    """What other writers would make of the errors."""
    rows = [
        (
            f"{kind} {name}",
            f"{len(own['wrong']):,}",
            percent(sum(own["wrong"]) / sum(own["characters"])),
            interval(own),
            *map(percent, own["quarters"]),
        )
        for side, name in SIDES.items()
        for kind, own in contents[side]["spread"].items()
    ]
    if not rows:
        return
    yield "## How much hangs on the writers"
    yield (
        "Hands differ more than what one hand writes. Were as many writers drawn from these again"
        f" and again, {DRAWS:,} times and with replacement (the bootstrap over writers, after"
        f" Bisani and Ney, ICASSP 2004), {SHARE:.0%} of the draws would err within these bounds."
        " Beside them stands how a single writer is read: a quarter, a half and three quarters of"
        " them with at most these errors."
    )
    quarters = [f"{share:.0%} of the writers" for share in QUARTERS]
    yield markdown(("", "writers", "character error", f"{SHARE:.0%} of the draws", *quarters), rows)


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
    yield (
        f"How many times as many characters as {contents['model']} they get wrong, and within what"
        f" bounds {SHARE:.0%} of those draws of writers lie, who are the same for both:"
    )
    rows = [(name, *_times(figures)) for name, figures in found.items()]
    yield markdown(("", "words", "fresh", "lines", "fresh"), rows)


def _times(peer: Contents) -> Iterator[str]:
    """How many times as many it gets wrong: words and lines, all and fresh."""
    for side in SIDES:
        for kind in ("all", "fresh"):
            if own := peer[side]["times"].get(kind):
                low, high = own["interval"]
                yield f"{own['times']:.2f} ({low:.2f} to {high:.2f})"
            else:
                yield NONE


def _peer_row(name: str, own: Contents) -> Sequence[str]:
    sides = [figures for side in SIDES for figures in (own[side], own[side].get("fresh"))]
    return (
        name,
        *(errors_of(figures) for figures in sides),
        *(percent(own["characters"][category]["right"]) for category in CATEGORIES),
        number(own["us_per_column"], 0),
    )

"""The figures of a report on lines as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

Contents = Mapping[str, Any]

CATEGORIES: Final = {"1a": "digits", "1b": "capitals", "1c": "small letters"}
SIDES: Final = {"words": "words", "text": "lines of text"}
CUT_OUT: Final = "cut out"  # a size: ink that fills the rows, whatever its writer's others are like
FULL: Final = "100%"  # the size that all other figures are of
NONE: Final = "-"  # stands for a figure that there is no ink for


def table(contents: Contents) -> str:
    """The figures that goals are set for."""
    words, text = contents["words"], contents["text"]
    kinds, ends = contents["characters"], contents["letter_ends"]
    late, word_ends = contents["lateness"], contents["word_ends"]
    rows = [
        ("words: character error; right", errors_of(words)),
        ("words with fresh texts: character error; right", errors_of(words.get("fresh"))),
        ("lines of text: character error; right", errors_of(text)),
        ("lines with fresh texts: character error; right", errors_of(text.get("fresh"))),
        *_spread(contents),
        *_smaller(contents),
        *_kinds(kinds),
        *((f"{own['data']}, right", percent(own["right"])) for own in [contents["digits"]] if own),
        (
            f"letter ends within {ends['reach_columns']} columns, F1: letters apart / joined",
            " / ".join(number(ends[kind]["events"]["f1"]) for kind in ("apart", "joined")),
        ),
        (
            "columns from a letter's end to its event, median / 90 %",
            f"{number(late['median'], 0)} / {number(late['90 %'], 0)}",
        ),
        (
            "word ends; punctuation, F1",
            f"{number(word_ends['spaces']['f1'])}; {number(contents['marks']['f1'])}",
        ),
        (
            "calibration error of letters' confidence",
            number(contents["letter_calibration"]["expected_calibration_error"], 4),
        ),
        ("events changed without a rewind", f"{contents['finality']['changed']:,}"),
        *_drift(contents["drift"]),
        *_speed(contents["speed"]),
        *_both_ways(contents),
        *_hands(contents["hands"]),
        ("model file", f"{contents['checkpoint_bytes'] / 1e6:.1f} MB"),
        *_peers(contents["peers"]),
    ]
    measured = f"{words['pieces']:,} words, {text['pieces']:,} lines"
    return markdown((f"UNIPEN, {measured} by unseen writers", "measured"), rows)


def errors_of(figures: Contents | None) -> str:
    """Character error, and share right, of pieces that may be none."""
    if figures is None:
        return NONE
    return f"{percent(figures['error'])}; {percent(figures['right'])}"


def _spread(contents: Contents) -> list[tuple[str, str]]:
    """Within what character errors would lie by other writers."""
    found = (
        " / ".join(interval(contents[side]["spread"].get(kind)) for kind in ("all", "fresh"))
        for side in SIDES
    )
    name = "95 % of draws of as many writers: words; lines, all / fresh: character error"
    return [(name, "; ".join(found))]


def _smaller(contents: Contents) -> list[tuple[str, str]]:
    """Errors of the same ink where the writing fills less of the rows."""
    sizes = [size for size in contents["words"]["by_size"] if size not in (FULL, CUT_OUT)]
    errors = (
        " / ".join(percent(contents[side]["by_size"][size]["error"]) for size in sizes)
        for side in SIDES
    )
    name = f"words; lines that fill {' / '.join(sizes)} of the rows: character error"
    return [(name, "; ".join(errors))]


def _kinds(kinds: Contents) -> list[tuple[str, str]]:
    """Single characters, of the kinds that the net has labels for."""
    right = " / ".join(percent(own["right"]) for own in kinds.values())
    return [(f"single characters {' / '.join(kinds)}, right", right)] if kinds else []


def _drift(figures: Contents) -> list[tuple[str, str]]:
    """Errors of the same ink at all places of a line."""
    columns = " / ".join(f"{place:,}" for place in figures["columns"])
    errors = " / ".join(map(percent, figures["error"]))
    return [(f"character error of the same ink from column {columns} of a line on", errors)]


def _speed(figures: Contents) -> list[tuple[str, str]]:
    """What one core does in a second."""
    if not figures:
        return []
    drawn, decoded = figures["drawn_pieces_per_s"], figures["decoder_columns_per_s"]
    return [("words drawn; columns decoded, a second", f"{drawn:,.0f}; {decoded:,.0f}")]


def _both_ways(contents: Contents) -> list[tuple[str, str]]:
    """What it costs not to see the future."""
    both = contents["both_ways"]
    if not both:
        return []
    prices = (percent(price(contents[side]["error"], both[side]["error"])) for side in SIDES)
    twin = f"a twin that reads both ways, trained {both['steps']:,} steps"
    return [(f"error more than {twin}: words / lines", " / ".join(prices))]


def price(causal: float, both: float) -> float | None:
    """How much more a net errs that knows nothing of the columns to come, as a share."""
    return causal / both - 1 if both else None


def _hands(figures: Contents) -> list[tuple[str, str]]:
    """What one's own ink teaches."""
    if not figures:
        return []
    before, after = (figures["all"][key]["error"] for key in ("before", "after"))
    name = f"one person's hand, {len(figures['writers'])} of them: error before / after training"
    return [(name, f"{percent(before)} / {percent(after)} ({_change(figures['all']['fall'])})")]


def _change(fall: float | None) -> str:
    """By how much an error changed, with its sign."""
    return NONE if fall is None else f"{-fall:+.1%}"


def _peers(peers: Contents) -> list[tuple[str, str]]:
    """What others make of the same ink."""
    return [
        (
            f"{name}, {what}: character error; right, all / fresh",
            f"{errors_of(own[side])} / {errors_of(own[side].get('fresh'))}",
        )
        for name, own in peers.items()
        for side, what in (("words", "words"), ("text", "lines"))
    ]


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage."""
    return NONE if share is None else f"{share:.{digits}%}"


def interval(spread: Contents | None) -> str:
    """The bounds of an error, as percentages, of pieces that may be none."""
    if spread is None:
        return NONE
    low, high = spread["interval"]
    return f"{100 * low:.1f} to {high:.1%}"


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many digits after its point."""
    return NONE if value is None else f"{value:.{digits}f}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

"""The figures of a report on lines as Markdown.

The sections of the report on lines in which the net stands beside others, and beside itself.

The report on lines as a document, written from its JSON alone.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from inkstream.model.evaluation.bootstrap import DRAWS, QUARTERS, SHARE

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


COMMAND: Final = "inkstream evaluate lines"


def accuracy(contents: Contents, plots: str | os.PathLike[str]) -> str:
    """The document, whose plots lie in the folder `plots` as it is seen from there."""
    sections: Sequence[Callable[[Contents, str], Iterator[str]]] = (
        _head,
        _errors,
        spread,
        _characters,
        _letter_ends,
        _delay,
        _words_and_marks,
        _confidence,
        _promises,
        _speed_section,
        both_ways,
        hands,
        peers,
        _samples,
        _provenance,
    )
    parts = [part.strip() for section in sections for part in section(contents, os.fspath(plots))]
    return "\n\n".join(parts) + "\n"


def _image(plots: str, name: str, what: str) -> str:
    return f"![{what}]({plots}/{name}.png)"


def _head(contents: Contents, plots: str) -> Iterator[str]:
    words, text = contents["words"], contents["text"]
    whose = "that no choice has seen" if contents["part"] == "test" else "who also choose"
    yield "# How well lines are read"
    yield (
        f"Written by `{COMMAND}` from [report.json]({plots}/report.json); nothing in it is typed by"
        f" hand. `{contents['model']}` {contents['version']}, {contents['parameters']:,} parameters"
        f" and {contents['column_height']} rows, read {words['pieces']:,} words and"
        f" {text['pieces']:,} lines of text by {contents['writers']:,} writers {whose},"
        " through the runtime and the decoder that are served: column by column, greedy, without a"
        " dictionary or a language model. Case and spaces count. *Fresh* are texts that no writer"
        " in training wrote."
    )
    if contents["limit"] is not None:
        yield (
            f"This is a trial: at most {contents['limit']:,} pieces of each category were read, and"
            " chance may have moved its figures by much."
        )
    yield table(contents)


def _errors(contents: Contents, plots: str) -> Iterator[str]:
    yield "## Words and lines of text"
    yield (
        "A character error is the number of characters to change, add or leave out so that the text"
        " is right, over the number written; a piece is right when nothing is to be changed. The"
        " rows are those of a ruled frame: its ink's height, and nine tenths of what its writer's"
        " tall pieces are high at least."
    )
    head = ("", "pieces", "characters", "character error", "right")
    for side, name in SIDES.items():
        own = contents[side]
        rows = {f"all {name}": own}
        rows |= {f"{key} texts": own[key] for key in ("fresh", "seen") if key in own}
        rows |= own["by_style"]
        rows |= {f"{key} characters long": figures for key, figures in own["by_length"].items()}
        rows |= {
            "cut out, so that its ink fills the rows" if key == CUT_OUT else f"{key} of the rows": v
            for key, v in own["by_size"].items()
        }
        yield f"### {name.capitalize()}"
        yield markdown(head, [_error_row(key, figures) for key, figures in rows.items()])
    yield _image(plots, "groups", "Character error by style, length and size")
    yield _image(plots, "donors", "Character error by donor")
    yield _image(plots, "confusions", "The most frequent mistakes")


def _error_row(name: str, figures: Contents) -> Sequence[str]:
    return (
        name,
        f"{figures['pieces']:,}",
        f"{figures['characters']:,}",
        percent(figures["error"]),
        percent(figures["right"]),
    )


def _characters(contents: Contents, _: str) -> Iterator[str]:
    if not contents["characters"]:
        return
    yield "## Single characters"
    yield (
        "`characters` is set to the category, as a form's field would; right is an answer that is"
        " this one character and nothing else. Images of digits are scaled so that their ink fills"
        " the rows."
    )
    rows = [
        (f"{category} {CATEGORIES[category]}", f"{own['pieces']:,}", percent(own["right"], 2))
        for category, own in contents["characters"].items()
    ]
    if digits := contents["digits"]:
        rows.append((digits["data"], f"{digits['pieces']:,}", percent(digits["right"], 2)))
    yield markdown(("", "pieces", "right"), rows)


def _letter_ends(contents: Contents, _: str) -> Iterator[str]:
    ends, scores = contents["letter_ends"], contents["letter_end_scores"]
    yield "## Where letters end"
    yield (
        "Against the last column of each letter's ink, in those words and lines of two letters or"
        " more whose data tell which ink belongs to which letter; right is an end within"
        f" {ends['reach_columns']} columns, each end once. *Events* are the `end` of letters and"
        " marks, *scores* the peaks of `letter_end` from 0.5 on, less its delay. Letters are joined"
        " where a stroke goes on from one to the next, in at least one place of the piece."
    )
    kinds = {kind: ends[kind] for kind in ("all", "apart", "joined")}
    rows = [_ends_row(kind, own) for kind, own in kinds.items() if own["events"]["wanted"]]
    head = ("letters are", "pieces", "writers", "letters", "F1 of events", "precision", "recall")
    yield markdown((*head, "F1 of scores"), rows)
    if scores["n"]:
        yield (
            f"As a probability, over {scores['n']:,} steps of two columns, `letter_end` has a Brier"
            f" score of {number(scores['brier'], 4)} (who knows only how often letters end has"
            f" {number(scores['brier_of_the_share'], 4)}) and a calibration error of"
            f" {number(scores['expected_calibration_error'], 4)}."
        )


def _ends_row(kind: str, own: Contents) -> Sequence[str]:
    return (
        kind,
        f"{own['pieces']:,}",
        f"{own['writers']:,}",
        f"{own['events']['wanted']:,}",
        *(number(own["events"][key]) for key in ("f1", "precision", "recall")),
        number(own["scores"]["f1"]),
    )


def _delay(contents: Contents, plots: str) -> Iterator[str]:
    late = contents["lateness"]
    if contents["error_by_delay"]["events"] is None:
        return
    yield "## How late events come"
    yield (
        f"From the last column of a letter's ink to the column after which its event came, over the"
        f" {late['n']:,} letters that are read rightly: {number(late['median'], 0)} columns in the"
        f" median, {number(late['90 %'], 0)} at most for nine of ten. Blank columns follow each"
        " piece, as when a pen rests. The text so far is quicker, and may still change."
    )
    yield _image(plots, "delay", "Share of letters missing or wrong by delay")


def _words_and_marks(contents: Contents, _: str) -> Iterator[str]:
    ends, marks = contents["word_ends"], contents["marks"]
    yield "## Words' ends and punctuation"
    yield (
        "Spaces and marks are right where the alignment of fewest changes finds the same one in the"
        " text; the places of word ends where they are within two columns."
    )
    rows = [
        (
            name,
            f"{own['wanted']:,}",
            f"{own['found']:,}",
            *(number(own[key]) for key in ("f1", "precision", "recall")),
        )
        for name, own in (
            ("spaces between words", ends["spaces"]),
            ("places of word ends", ends["placed"]),
            ("punctuation and other marks", marks),
        )
    ]
    yield markdown(("", "written", "read", "F1", "precision", "recall"), rows)


def _confidence(contents: Contents, plots: str) -> Iterator[str]:
    own = contents["letter_calibration"]
    yield "## Confidence"
    if own["n"]:
        yield (
            f"Of {own['n']:,} letters and marks the confidence misses the share that is right by"
            f" {number(own['expected_calibration_error'], 4)} on average over 15 bins (expected"
            " calibration error). A letter that stands where none was written is wrong."
        )
    yield _image(plots, "calibration", "Reliability of letters and of letter ends")


def _promises(contents: Contents, _: str) -> Iterator[str]:
    final, drift = contents["finality"], contents["drift"]
    yield "## What must hold"
    yield (
        f"Events are final: {final['changed']:,} of {final['events']:,} were others when the"
        f" {final['lines']:,} pieces came in portions of chance, and"
        f" {final['lines_column_by_column']:,} of them column by column, instead of whole;"
        f" ids {'rise without a gap' if final['ids_rise'] else 'do not rise without a gap'}."
    )
    if drift["lines"]:
        yield (
            f"The error must not drift while a line goes on: the same {drift['characters']:,}"
            f" characters in {drift['lines']:,} lines, behind more and more other words of their"
            " writers, are read with these errors."
        )
        rows = [
            (f"{place:,}", percent(error, 2))
            for place, error in zip(drift["columns"], drift["error"], strict=True)
        ]
        yield markdown(("from column", "character error"), rows)


def _speed_section(contents: Contents, _: str) -> Iterator[str]:
    speed = contents["speed"]
    if not speed:
        return
    yield "## Speed and size"
    yield markdown(
        ("on one core", ""),
        [
            ("words drawn from pen points, a second", f"{speed['drawn_pieces_per_s']:,.0f}"),
            (
                "columns decoded a second, many at once / one by one",
                f"{speed['decoder_columns_per_s']:,.0f}"
                f" / {speed['decoder_columns_per_s_singly']:,.0f}",
            ),
            (
                f"columns read by the net a second, {speed['net_streams']} streams together",
                f"{speed['net_columns_per_s']:,.0f}",
            ),
            ("net and decoder, one stream, for each column", f"{speed['single_column_us']:.0f} µs"),
            ("model file", f"{contents['checkpoint_bytes'] / 1e6:.1f} MB"),
        ],
    )


def _samples(_: Contents, plots: str) -> Iterator[str]:
    yield "## Samples"
    yield "The best, the median and the worst, by character error and then by confidence."
    yield _image(plots, "words", "Best, median and worst words")
    yield _image(plots, "lines", "Best, median and worst lines")


def _provenance(contents: Contents, _: str) -> Iterator[str]:
    yield "## What was measured"
    names = {
        "checkpoint": "checkpoint_sha256",
        "configuration of its training": "config_digest",
        "ink": "data_digest",
        "table of writers": "split_digest",
    }
    yield markdown(("", "SHA-256"), [(name, f"`{contents[key]}`") for name, key in names.items()])
    left_out = contents["left_out"]
    if left_out:
        yield f"{left_out:,} pieces were left out: the model has no label for a character of them."

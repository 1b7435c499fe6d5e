"""The report on lines as a document, written from its JSON alone."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from model.report.comparisons import both_ways, hands, peers, spread
from model.report.tables import (
    CATEGORIES,
    CUT_OUT,
    SIDES,
    Contents,
    markdown,
    number,
    percent,
    table,
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
        _speed,
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
    whose = "that no choice has seen" if contents["part"] == "report" else "who also choose"
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


def _speed(contents: Contents, _: str) -> Iterator[str]:
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
